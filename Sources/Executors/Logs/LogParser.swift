// Reading a step's log file, whose lines are those of Kubernetes' container logs: time, stream, F or P, text.

/// A line that a container wrote.
package struct LogLine: Sendable, Hashable {
    /// As in the file: UTC with nine digits of fraction, so that lines sort by it as text.
    package var time: String
    package var container: String
    package var isError: Bool
    package var text: String

    package init(time: String, container: String, isError: Bool, text: String) {
        self.time = time
        self.container = container
        self.isError = isError
        self.text = text
    }
}

/// Turns pieces of a log file, cut anywhere, into lines.
package struct LogParser: Sendable {
    /// A line longer than this is shown in parts, so that a step that never ends its line cannot fill the
    /// memory.
    package static let longestLine = 1 << 20

    private var rest: [UInt8] = []
    /// The beginning of lines whose end has not come, by stream.
    private var begun: [String: (line: LogLine, text: [UInt8])] = [:]

    package init() {}

    /// - Returns: the lines that have become whole.
    package mutating func take(_ bytes: [UInt8]) -> [LogLine] {
        var lines: [LogLine] = []
        var start = 0
        for end in bytes.indices where bytes[end] == 0x0A {
            rest += bytes[start..<end]
            start = end + 1
            if let line = record(rest) { lines.append(line) }
            rest.removeAll(keepingCapacity: true)
        }
        rest += bytes[start...]
        // Records are short; a file whose lines never end is not a log of ours.
        if rest.count > Self.longestLine { rest.removeAll() }
        return lines
    }

    /// - Returns: lines that were begun and never ended.
    package mutating func finish() -> [LogLine] {
        defer { begun = [:] }
        return begun.values.filter { !$0.text.isEmpty }.map(Self.line).sorted { $0.time < $1.time }
    }

    private mutating func record(_ bytes: [UInt8]) -> LogLine? {
        let fields = bytes.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count >= 3 else { return nil }
        let tag = String(decoding: fields[1], as: UTF8.self)
        let text = fields.count == 4 ? fields[3] : []
        let colon = tag.firstIndex(of: ":")
        let line = LogLine(
            time: String(decoding: fields[0], as: UTF8.self),
            container: colon.map { String(tag[tag.index(after: $0)...]) } ?? "main",
            isError: tag.hasPrefix("stderr"), text: "")
        var whole = begun[tag] ?? (line, [])
        whole.text += text
        if fields[2].elementsEqual("P".utf8), whole.text.count < Self.longestLine {
            begun[tag] = whole
            return nil
        }
        begun[tag] = nil
        return Self.line(whole)
    }

    private static func line(_ begun: (line: LogLine, text: [UInt8])) -> LogLine {
        var line = begun.line
        line.text = String(decoding: begun.text, as: UTF8.self)
        return line
    }
}
