// Time zones of this machine, as values for the pure parts.

import Glibc
package import Text

package enum TimeZones {
    static let directory = "/usr/share/zoneinfo"

    /// The rules of a zone; nil if the machine does not know it.
    package static func rules(_ name: String) -> TimeZoneRules? {
        guard !name.hasPrefix("/"), !name.contains(".."), !name.isEmpty,
            let file = fopen("\(directory)/\(name)", "r")
        else { return nil }
        defer { fclose(file) }
        // The largest zone has a few kilobytes.
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return TimeZoneRules(name: name, tzif: Array(bytes[..<count]))
    }

    /// The zones whose names stand in a manifest's text: all that its expressions can name.
    static func mentioned(in manifest: JSONValue) -> [String: TimeZoneRules] {
        var zones: [String: TimeZoneRules] = [:]
        for text in manifest.expressionTexts {
            for word in text.split(whereSeparator: { !($0.isLetter || $0.isNumber || "/_+-".contains($0)) })
            where word.contains("/") && zones[String(word)] == nil && zones.count < 100 {
                if let rules = rules(String(word)) { zones[String(word)] = rules }
            }
        }
        return zones
    }

    /// Names of all zones, for checking manifests.
    package static func names() -> Set<String> {
        guard let file = fopen("\(directory)/tzdata.zi", "r") else { return [] }
        defer { fclose(file) }
        var names: Set<String> = ["UTC", "Local"]
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = line.withUnsafeBufferPointer {
                String(decoding: $0.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            let parts = text.split(separator: " ")
            if text.hasPrefix("Z "), parts.count > 1 { names.insert(String(parts[1])) }
            if text.hasPrefix("L "), parts.count > 2 { names.insert(String(parts[2]).filter { $0 != "\n" }) }
        }
        return names
    }
}

extension JSONValue {
    /// Texts in the value that may hold an expression with a zone's name.
    fileprivate var expressionTexts: [String] {
        switch self {
        case .string(let text): return text.contains("/") && text.contains("=") ? [text] : []
        case .array(let elements): return elements.flatMap(\.expressionTexts)
        case .object(let members): return members.values.flatMap(\.expressionTexts)
        default: return []
        }
    }
}
