// The log of one node as it grows, read piece by piece.

import Artifacts
import Glibc
package import Scheduling

/// The newest attempt's log of a node, from its beginning.
package struct LogFile: Sendable {
    private static let pieceBytes = 1 << 16
    /// Of the last lines that are kept, whatever their number: a log of few long lines fills no memory.
    private static let lastBytes = 32 << 20
    /// Lines more than wanted that are read for the last ones: the first may be the ends of longer ones.
    private static let spareLines = 8

    /// The node's name before each line.
    package let podName: String
    /// Only these containers' lines are given.
    private let containers: Set<String>
    private let directory: String
    private var attempt: Int?
    private var offset: off_t = 0
    private var parser = LogParser()

    package init(node: Node, state: WorkflowState, dataDirectory: String, containers: Set<String>) {
        podName = Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
        directory = AttemptPaths.node(dataDirectory, workflowUID: state.uid, nodeID: node.id)
        self.containers = containers
    }

    /// The next lines; empty at what is the end for now. The file is open only meanwhile: a run may have more
    /// logs than a process may have files.
    package mutating func next() -> [LogLine] { next(pieceBytes: Self.pieceBytes) }

    private mutating func next(pieceBytes: Int) -> [LogLine] {
        while true {
            let lines = rest(pieceBytes)
            if !lines.isEmpty { return lines }
            // What an attempt wrote is read to its end before a newer one's log is begun.
            guard let newest = newest(), newest != attempt else { return [] }
            let begun = attempt == nil ? [] : finish()
            (attempt, offset, parser) = (newest, 0, LogParser())
            if !begun.isEmpty { return begun }
        }
    }

    /// The time of the next line, which is not taken; nil if there is none for now.
    package func peek() -> String? {
        var ahead = self
        return ahead.next(pieceBytes: 1 << 12).first?.time
    }

    /// What was begun and will not end any more.
    package mutating func finish() -> [LogLine] { wanted(parser.finish()) }

    /// The last lines of the newest attempt. The file is read from its end, so that this costs as much as the lines are
    /// long, not as the log is; afterwards `next` goes on behind them.
    /// - Parameters:
    ///   - isOver: nothing more is written, so that a line that was begun counts.
    ///   - isShown: which lines count.
    package mutating func last(_ count: Int, isOver: Bool, where isShown: (LogLine) -> Bool) -> [LogLine] {
        guard let newest = newest() else { return [] }
        attempt = newest
        let file = open("\(directory)/\(newest)/log", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        var span = off_t(Self.pieceBytes)
        while true {
            let start = max(0, size - span)
            var kept = lines(of: file, from: start, to: size, count + Self.spareLines, isShown)
            if start == 0 || kept.count >= count + Self.spareLines {
                if isOver { kept += finish().filter(isShown) }
                return kept.suffix(count)
            }
            span *= 8
        }
    }

    /// Reads from one place to another.
    /// - Returns: the last `count` lines of them that are shown.
    private mutating func lines(
        of file: Int32, from start: off_t, to end: off_t, _ count: Int, _ isShown: (LogLine) -> Bool
    ) -> [LogLine] {
        (offset, parser) = (start, LogParser())
        var isInside = start > 0
        var kept: [LogLine] = []
        var keptBytes = 0
        while offset < end {
            var piece = Self.piece(of: file, at: offset, min(Self.pieceBytes, Int(end - offset)))
            guard !piece.isEmpty else { break }
            offset += off_t(piece.count)
            if isInside {
                // The record that the place is in the middle of belongs to what is left out.
                guard let newline = piece.firstIndex(of: 0x0A) else { continue }
                piece.removeFirst(newline + 1)
                isInside = false
            }
            for line in wanted(parser.take(piece)) where isShown(line) {
                kept.append(line)
                keptBytes += line.text.utf8.count
            }
            // Dropping the old lines in bulk costs less than one by one.
            if kept.count > 2 * count + 1_000 || keptBytes > 2 * Self.lastBytes {
                kept.removeFirst(max(0, kept.count - count))
                keptBytes = kept.reduce(0) { $0 + $1.text.utf8.count }
                while keptBytes > Self.lastBytes, kept.count > 1 {
                    let half = kept.count / 2
                    kept.removeFirst(half)
                    keptBytes = kept.reduce(0) { $0 + $1.text.utf8.count }
                }
            }
        }
        return kept.suffix(count)
    }

    /// The next lines of the attempt that is being read.
    private mutating func rest(_ pieceBytes: Int) -> [LogLine] {
        guard let attempt else { return [] }
        let file = open("\(directory)/\(attempt)/log", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        while true {
            let piece = Self.piece(of: file, at: offset, pieceBytes)
            guard !piece.isEmpty else { return [] }
            offset += off_t(piece.count)
            let lines = wanted(parser.take(piece))
            if !lines.isEmpty { return lines }
        }
    }

    private static func piece(of file: Int32, at offset: off_t, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var length = pread(file, buffer.baseAddress, count, offset)
            while length < 0, errno == EINTR { length = pread(file, buffer.baseAddress, count, offset) }
            filled = max(0, length)
        }
    }

    private func wanted(_ lines: [LogLine]) -> [LogLine] {
        lines.filter { containers.contains($0.container) }
    }

    /// The latest attempt that has a log.
    private func newest() -> Int? {
        let attempts = (Disk.list(directory) ?? []).compactMap { Int($0) }.sorted(by: >)
        return attempts.first { Disk.exists("\(directory)/\($0)/log") }
    }
}
