// Sprig's functions on slash-separated paths. They look at the text only; the `os` ones are the same here,
// since steps run on Linux.

import Text

enum SprigPaths {
    static let signatures: [String: String] = [
        "base": "path", "dir": "path", "clean": "path", "ext": "path", "isAbs": "path", "osBase": "path",
        "osDir": "path", "osClean": "path", "osExt": "path", "osIsAbs": "path",
    ]

    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let path = try call.bytes(0)
        switch call.name {
        case "base", "osBase": return .string(base(path))
        case "dir", "osDir":
            let end = path.lastIndex(of: slash).map { $0 + 1 } ?? 0
            return .string(clean(path.prefix(end)))
        case "clean", "osClean": return .string(clean(path[...]))
        case "ext", "osExt":
            let name = path.suffix(from: path.lastIndex(of: slash).map { $0 + 1 } ?? 0)
            return .string(name.lastIndex(of: dot).map { SprigText.string(name[$0...]) } ?? "")
        case "isAbs", "osIsAbs": return .bool(path.first == slash)
        default: throw call.error("is not implemented")
        }
    }

    /// The last element without slashes after it.
    private static func base(_ path: [UInt8]) -> String {
        if path.isEmpty { return "." }
        guard let last = path.lastIndex(where: { $0 != slash }) else { return "/" }
        let start = path[...last].lastIndex(of: slash).map { $0 + 1 } ?? 0
        return SprigText.string(path[start...last])
    }

    /// The shortest path that means the same: no empty elements, no `.`, and `..` only at the start of a
    /// relative path.
    private static func clean(_ path: ArraySlice<UInt8>) -> String {
        let rooted = path.first == slash
        var elements: [ArraySlice<UInt8>] = []
        for element in path.split(separator: slash) where !element.elementsEqual([dot]) {
            if !element.elementsEqual([dot, dot]) {
                elements.append(element)
            } else if let last = elements.last, !last.elementsEqual([dot, dot]) {
                elements.removeLast()
            } else if !rooted {
                elements.append(element)
            }
        }
        let joined = SprigText.string(Array(elements.joined(separator: [slash])))
        if rooted { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }
}
