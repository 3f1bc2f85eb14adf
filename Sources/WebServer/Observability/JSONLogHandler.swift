// Log lines for programs: one JSON object a line, with stable keys.

import Glibc
package import Logging
package import Text

/// A handler that writes `{"time":...,"level":...,"message":...,"label":...}` and the metadata as members beside them.
///
/// Metadata keys that collide with the four are written with `meta.` in front. Values that are lists or dictionaries
/// stay what they are. The values of keys that look like secrets are written as `***`: a line of defence, not a reason
/// to log them.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level = .info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    /// A longer value is cut, and a longer line cannot come.
    static let valueLimitBytes = 8 << 10
    private static let metadataLimit = 100
    private static let own: Set = ["time", "level", "message", "label"]
    private static let secretWords = ["token", "secret", "password", "authorization", "cookie", "credential"]

    private let label: String
    private let now: @Sendable () -> Timestamp
    private let write: @Sendable (String) -> Void
    private let counted: @Sendable (Logger.Level) -> Void

    /// - Parameters:
    ///   - write: gets each line with its line break; the default writes it to standard error at once.
    ///   - counted: told of each line.
    package init(
        label: String, now: @escaping @Sendable () -> Timestamp,
        counted: @escaping @Sendable (Logger.Level) -> Void = { _ in },
        write: @escaping @Sendable (String) -> Void = JSONLogHandler.writeToStandardError
    ) {
        self.label = label
        self.now = now
        self.counted = counted
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        counted(event.level)
        var members: [(String, JSONValue)] = [
            ("time", .string(now().rfc3339Milliseconds)), ("level", .string(event.level.rawValue)),
            ("message", .string(Self.cut(event.message.description))), ("label", .string(label)),
        ]
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        for (key, value) in all.sorted(by: { $0.key < $1.key }).prefix(Self.metadataLimit) {
            let name = Self.own.contains(key) ? "meta.\(key)" : key
            members.append((name, Self.isSecret(key) ? "***" : Self.json(value, depth: 0)))
        }
        let pairs = members.map { JSONValue.string($0.0).compactText + ":" + $0.1.compactText }
        write("{" + pairs.joined(separator: ",") + "}\n")
    }

    private static func isSecret(_ key: String) -> Bool {
        let key = key.lowercased()
        return secretWords.contains { key.contains($0) }
    }

    private static func json(_ value: Logger.Metadata.Value, depth: Int) -> JSONValue {
        guard depth < 8 else { return "..." }
        switch value {
        case .string(let text): return .string(cut(text))
        case .stringConvertible(let value): return .string(cut(value.description))
        case .array(let values):
            return .array(values.prefix(metadataLimit).map { json($0, depth: depth + 1) })
        case .dictionary(let values):
            var members: [String: JSONValue] = [:]
            for (key, value) in values.prefix(metadataLimit) {
                members[key] = isSecret(key) ? "***" : json(value, depth: depth + 1)
            }
            return .object(members)
        }
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > valueLimitBytes else { return text }
        return String(decoding: text.utf8.prefix(valueLimitBytes), as: UTF8.self) + "..."
    }

    /// In one call, so that lines of several threads do not mix.
    package static func writeToStandardError(_ line: String) {
        let bytes = Array(line.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

extension Timestamp {
    /// In UTC with milliseconds, always three digits: lines sort by it.
    var rfc3339Milliseconds: String {
        let milliseconds = (nanoseconds % 1_000_000_000 + 1_000_000_000) % 1_000_000_000 / 1_000_000
        let digits = String(1_000 + milliseconds).dropFirst()
        return rfc3339.dropLast() + "." + digits + "Z"
    }
}
