// The XML that S3 servers answer with: elements and text, read without believing a byte of it.

/// An element with its text and its children. Attributes, comments and processing instructions are passed over;
/// document types are refused, so that no entity can expand.
struct XMLElement: Sendable, Hashable {
    var name: String
    var text = ""
    var children: [XMLElement] = []

    /// The text of the first child of that name.
    func value(_ name: String) -> String? { children.first { $0.name == name }?.text }

    func elements(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
}

extension XMLElement {
    private static let depthLimit = 32

    /// The document's root element; nil for what is no well-formed document.
    init?(parsing bytes: [UInt8]) {
        var open: [XMLElement] = []
        var root: XMLElement?
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "<") else {
                let end = bytes[index...].firstIndex(of: UInt8(ascii: "<")) ?? bytes.count
                if !open.isEmpty { open[open.count - 1].text += Self.plain(bytes[index..<end]) }
                index = end
                continue
            }
            guard let end = bytes[index...].firstIndex(of: UInt8(ascii: ">")) else { return nil }
            let tag = bytes[index + 1..<end]
            index = end + 1
            switch tag.first {
            case UInt8(ascii: "?"): continue
            case UInt8(ascii: "!"): return nil
            case UInt8(ascii: "/"):
                guard var closed = open.popLast(), Self.name(tag.dropFirst()) == closed.name else {
                    return nil
                }
                // Space between elements is layout.
                if !closed.children.isEmpty { closed.text = "" }
                if open.isEmpty {
                    guard root == nil else { return nil }
                    root = closed
                } else {
                    open[open.count - 1].children.append(closed)
                }
            default:
                let isEmpty = tag.last == UInt8(ascii: "/")
                let element = XMLElement(name: Self.name(isEmpty ? tag.dropLast() : tag))
                guard !element.name.isEmpty, open.count < Self.depthLimit else { return nil }
                if !isEmpty {
                    open.append(element)
                } else if open.isEmpty {
                    guard root == nil else { return nil }
                    root = element
                } else {
                    open[open.count - 1].children.append(element)
                }
            }
        }
        guard open.isEmpty, let root else { return nil }
        self = root
    }

    /// The name without its namespace's prefix.
    private static func name(_ tag: ArraySlice<UInt8>) -> String {
        let name = tag.prefix { $0 > 0x20 }
        return String(decoding: name.split(separator: UInt8(ascii: ":")).last ?? name, as: UTF8.self)
    }

    private static let entities = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'"]

    private static func plain(_ bytes: ArraySlice<UInt8>) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.contains("&") else { return text }
        var pieces = text.split(separator: "&", omittingEmptySubsequences: false)[...]
        var plain = String(pieces.removeFirst())
        for piece in pieces {
            guard let semicolon = piece.firstIndex(of: ";") else {
                plain += "&" + piece
                continue
            }
            let entity = piece[..<semicolon]
            plain += entities[String(entity)] ?? character(entity).map { String($0) } ?? "&\(entity);"
            plain += piece[piece.index(after: semicolon)...]
        }
        return plain
    }

    /// `#10` or `#xA`.
    private static func character(_ entity: Substring) -> Character? {
        guard entity.hasPrefix("#") else { return nil }
        let digits = entity.dropFirst()
        let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        return number.flatMap { Unicode.Scalar($0) }.map { Character($0) }
    }

    /// Text as it may stand between tags.
    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.append(character)
            }
        }
    }
}
