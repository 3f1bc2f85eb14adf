// How HellaSwag's texts are cleaned before they are asked, as lm-evaluation-harness does it.

import Text

package enum HellaSwagText {
    /// `activity_label: ctx_a ctx_b`, the latter as a sentence of its own; rows without these parts give
    /// `ctx`.
    static func query(_ row: SourceRow) -> String? {
        func text(_ name: String) -> String? { row.fields[name]?.stringValue }
        let label = text("activity_label").map { $0 + ": " } ?? ""
        if let first = text("ctx_a"), let second = text("ctx_b") {
            return cleaned(label + first + " " + capitalized(second))
        }
        return text("ctx").map { cleaned(label + $0) }
    }

    /// Without the marks that WikiHow's pages left: `[title]` ends a sentence, other brackets go.
    package static func cleaned(_ raw: String) -> String {
        let titles = replacing(Array(raw.trimmingBlanks.utf8), Array(" [title]".utf8), Array(". ".utf8))
        var kept: [UInt8] = []
        var rest = titles[...]
        while let open = rest.firstIndex(of: UInt8(ascii: "[")) {
            let inner = rest[open...]
            let close = inner.firstIndex(of: UInt8(ascii: "]"))
            // A bracket that does not close on its line stays.
            guard let close else { break }
            guard !inner[..<close].contains(UInt8(ascii: "\n")) else {
                kept += rest[...open]
                rest = rest[(open + 1)...]
                continue
            }
            kept += rest[..<open]
            rest = rest[(close + 1)...]
        }
        kept += rest
        return String(decoding: replacing(kept, [0x20, 0x20], [0x20]), as: UTF8.self)
    }

    /// The first letter large and all others small, as Python's `capitalize`.
    static func capitalized(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return text }
        let rest = String(String.UnicodeScalarView(text.unicodeScalars.dropFirst()))
        return first.properties.titlecaseMapping + rest.lowercased()
    }

    /// Each place once, from left to right.
    private static func replacing(_ bytes: [UInt8], _ part: [UInt8], _ by: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if index + part.count <= bytes.count, bytes[index..<index + part.count].elementsEqual(part) {
                result += by
                index += part.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }
}
