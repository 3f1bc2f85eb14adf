// YAML text to marked values, through libyaml (the parser that Kubernetes' is a port of). libyaml reads
// syntax only; what is left to this file are the two things that the Swift layer above it does in a way unfit
// for text of unknown origin: it follows aliases, so that a page of text can grow without bound, and it stops
// at the first repeated key.

import Text
import Yams

/// The documents of one text.
struct YAMLStream {
    private let source: SourceText
    private let limits: ReadLimits
    private let mask: TextMask
    /// Characters written over the first one of a repeated key, by the key's place, so that reading can go on
    /// and find where the key is repeated.
    private var overwritten: [Place: (mark: Unicode.Scalar, original: Unicode.Scalar)] = [:]
    private var text: [UInt8]

    struct Place: Hashable {
        var line: Int
        var column: Int
    }

    static func read(_ source: SourceText, limits: ReadLimits) -> ReadResult {
        var stream = YAMLStream(source, limits: limits)
        return stream.read()
    }

    private init(_ source: SourceText, limits: ReadLimits) {
        self.source = source
        self.limits = limits
        mask = TextMask(free: (source.unusedScalars[0], source.unusedScalars[1]), text: source.bytes)
        text = mask.masked(source.bytes)
    }

    /// Each repeated key costs reading the text anew, so how many are followed up depends on its size.
    /// Without that, a key is reported with the first of its places only.
    private mutating func read() -> ReadResult {
        let rounds = min(SourceText.wantedScalars - 3, (2 << 20) / max(1, text.count))
        var repeated: [ReadFailure] = []
        for round in 1...(rounds + 1) {
            switch readOnce() {
            case .done(let result): return result
            case .repeatedKey(let name, let place, var before):
                repeated.append(Self.repeated(name, at: place))
                if round <= rounds, overwriteKey(at: place, with: source.unusedScalars[round + 1]) {
                    continue
                }
                before.failures += repeated
                return before
            }
        }
        return ReadResult(failures: repeated)
    }

    private enum Attempt {
        case done(ReadResult)
        case repeatedKey(name: String, at: Place, before: ReadResult)
    }

    private func readOnce() -> Attempt {
        var result = ReadResult()
        var converter = NodeConverter(limits: limits, mask: mask, overwritten: overwritten)
        do {
            // Nodes are converted here, so the parser's own ways to make values are not made.
            let parser = try Parser(
                yaml: String(decoding: text, as: UTF8.self), resolver: .basic,
                constructor: Constructor([:], [:], [:]), encoding: .utf8)
            var documents = 0
            while let node = try parser.nextRoot() {
                documents += 1
                if documents > limits.documents { throw tooManyDocuments(node) }
                result.roots.append(try converter.convertDocument(node))
            }
        } catch let failure as ReadFailure {
            converter.failures.append(failure)
        } catch YamlError.duplicatedKeysInMapping(let names, let context) {
            let place = Place(line: context.mark.line, column: context.mark.column)
            result.failures = converter.failures
            let name = names.first.map { mask.unmasked($0) } ?? ""
            return .repeatedKey(name: name, at: place, before: result)
        } catch {
            converter.failures.append(YAMLProblem.failure(error, in: source))
        }
        result.failures = converter.failures
        return .done(result)
    }

    private func tooManyDocuments(_ node: Node) -> ReadFailure {
        ReadFailure(
            line: node.mark?.line ?? 1, column: node.mark?.column ?? 1,
            message: "the file holds more than \(limits.documents) documents",
            remedy: "split it into several files")
    }

    private static func repeated(_ name: String, at place: Place) -> ReadFailure {
        ReadFailure(
            line: place.line, column: place.column, message: "key \"\(name)\" is given twice in this map",
            remedy: "keep one of them")
    }

    /// Changes the first character of a key, so that it differs from its double; false for a key whose text
    /// cannot be changed in place (it begins with an escape, an anchor or a tag, is empty, or is a list or
    /// map).
    private mutating func overwriteKey(at place: Place, with mark: Unicode.Scalar) -> Bool {
        guard var offset = offset(of: place) else { return false }
        let quoted = text[offset] == UInt8(ascii: "\"") || text[offset] == UInt8(ascii: "'")
        if quoted { offset += 1 }
        guard offset < text.count else { return false }
        if overwritten[place] == nil {
            let refused = quoted ? "\"'\\ \t\r\n" : "&!|>[]{}?,#%@`\r\n"
            guard !refused.utf8.contains(text[offset]) else { return false }
        }
        let end = text[(offset + 1)...].firstIndex { $0 & 0xC0 != 0x80 } ?? text.count
        let sequence = String(decoding: text[offset..<end], as: UTF8.self)
        guard let original = sequence.unicodeScalars.first else { return false }
        text.replaceSubrange(offset..<end, with: Array(String(Character(mark)).utf8))
        overwritten[place] = (mark, overwritten[place]?.original ?? original)
        return true
    }

    /// The byte at a place, with lines counted as libyaml does.
    private func offset(of place: Place) -> Int? {
        var line = 1
        var column = 1
        var index = 0
        while index < text.count {
            if line == place.line, column == place.column { return index }
            if line > place.line { return nil }
            switch lineBreakLength(at: index) {
            case 0:
                column += 1
                index += 1
                while index < text.count, text[index] & 0xC0 == 0x80 { index += 1 }
            case let length:
                line += 1
                column = 1
                index += length
            }
        }
        return nil
    }

    private func lineBreakLength(at index: Int) -> Int {
        func byte(_ distance: Int) -> UInt8 { index + distance < text.count ? text[index + distance] : 0 }
        switch text[index] {
        case 0x0A: return 1
        case 0x0D: return byte(1) == 0x0A ? 2 : 1
        case 0xC2: return byte(1) == 0x85 ? 2 : 0
        case 0xE2: return byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9) ? 3 : 0
        default: return 0
        }
    }
}
