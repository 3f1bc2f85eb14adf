// Searching in bytes, for the machines that look for tags, and the reading of a whole answer at once.
import Text

extension ToolCallParser {
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    static func index(of needle: [UInt8], in bytes: [UInt8]) -> Int? {
        guard let first = needle.first, bytes.count >= needle.count else { return nil }
        return (0...(bytes.count - needle.count)).first { start in
            bytes[start] == first && bytes[start...].starts(with: needle)
        }
    }

    /// How many bytes at the end might be the beginning of the tag.
    static func overlap(of bytes: [UInt8], with tag: [UInt8]) -> Int {
        var length = min(bytes.count, tag.count - 1)
        while length > 0, !bytes.suffix(length).elementsEqual(tag.prefix(length)) { length -= 1 }
        return length
    }

    static func withoutTrailingSpace(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var end = bytes.endIndex
        while end > bytes.startIndex, isSpace(bytes[end - 1]) { end -= 1 }
        return bytes[..<end]
    }
}

/// A call of a tool that the model made.
struct ToolCall: Sendable, Hashable {
    var name: String
    /// JSON text.
    var arguments: String
}

extension ToolCallParser {
    /// What a whole answer says: its content, nil if there is nothing but calls, and its calls.
    ///
    /// If any call is incomplete or not JSON, the whole text is content: half a call must not be run.
    static func parse(
        _ text: String, format: ToolCallFormat, names: Set<String>, isForced: Bool = false
    ) -> (content: String?, calls: [ToolCall]) {
        var parser = ToolCallParser(format: format, names: names, isForced: isForced)
        var content = ""
        var calls: [ToolCall] = []
        for event in parser.feed(text) + parser.finish() {
            switch event {
            case .content(let text): content += text
            case .callStarted(_, let name): calls.append(ToolCall(name: name, arguments: ""))
            case .arguments(let index, let piece): calls[index].arguments += piece
            }
        }
        let isWhole =
            parser.completeCount == calls.count
            && calls.allSatisfy { (try? OrderedJSON(parsing: $0.arguments)) != nil }
        guard isWhole else { return (text, []) }
        return (content.isEmpty && !calls.isEmpty ? nil : content, calls)
    }
}
