// Where the lines of a log file are, sparsely: any line of a log of gigabytes is found by reading a small part of it.

import Artifacts
import Glibc

/// A line with its number, as pages and clients get it.
package struct IndexedLine: Sendable, Hashable {
    /// From 0.
    package var number: Int
    package var line: LogLine
    /// Whether the text is only the beginning of the line.
    package var isCut: Bool
}

/// The places of every thousandth line or so. All calls read the file, and belong on threads of their own.
package struct LogIndex: Sendable {
    private struct Checkpoint: Sendable {
        var offset: Int
        var line: Int
        /// Lines that were begun before and end behind the place.
        var begun: [LogScanner.Begun]
        /// The latest time of the lines before it.
        var latest: [UInt8]
    }

    /// A place is kept when so many lines or so many bytes lie behind the one before.
    package static let linesApart = 1_000
    package static let bytesApart = 256 << 10
    /// Longer lines are cut when they are read.
    package static let textLimit = LogScanner.textLimit
    /// What of lines that were begun is kept at all places together: no log can make an index large.
    private static let begunLimit = 1 << 20
    static let pieceBytes = 1 << 20

    package let path: String
    /// Only this container's lines are counted; nil for all.
    package let container: String?
    private var scanner: LogScanner
    private var checkpoints: [Checkpoint]
    private var begunBytes = 0

    package init(path: String, container: String?) {
        self.path = path
        self.container = container
        scanner = LogScanner(container: container)
        checkpoints = [Checkpoint(offset: 0, line: 0, begun: [], latest: [])]
    }

    /// Whole lines that are known.
    package var lines: Int { scanner.line }
    /// Bytes of the file that were looked at.
    package var bytes: Int { scanner.offset }
    /// Lines that were begun and have not ended; they count as lines once nothing more can be written.
    package var begunLines: Int { scanner.begun.reduce(0) { $0 + ($1.text.isEmpty ? 0 : 1) } }
    /// About what the index takes in memory.
    package var memoryBytes: Int { checkpoints.count * 96 + begunBytes }

    // MARK: Growing

    /// Looks at what the file has more than is known. A file that became shorter is read anew.
    /// - Parameter limitBytes: at most so much at one time.
    /// - Returns: whether the end was reached.
    package mutating func extend(limitBytes: Int = .max) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return true }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        if size < scanner.offset { self = LogIndex(path: path, container: container) }
        var left = limitBytes
        var places = checkpoints
        var begunBytes = begunBytes
        let isAtEnd = LogReading.walk(file, &scanner) { scanner, count in
            left -= count
            return left > 0
        } each: { _ in
            true
        } between: { scanner in
            guard !scanner.isSkipping, let last = places.last,
                scanner.line - last.line >= Self.linesApart || scanner.offset - last.offset >= Self.bytesApart
            else { return }
            var begun = scanner.begun
            begunBytes += begun.reduce(0) { $0 + $1.text.count }
            if begunBytes > Self.begunLimit { for index in begun.indices { begun[index].text = [] } }
            places.append(
                Checkpoint(
                    offset: scanner.offset, line: scanner.line, begun: begun, latest: scanner.latest))
        }
        checkpoints = places
        self.begunBytes = min(begunBytes, Self.begunLimit)
        return isAtEnd
    }

    // MARK: Reading

    /// Lines from a number on, as far as they are known.
    /// - Parameters:
    ///   - complete: nothing more will be written, so that lines that were begun count at the end.
    package func read(from first: Int, count: Int, complete: Bool) -> [IndexedLine] {
        guard count > 0, first < lines + (complete ? begunLines : 0) else { return [] }
        var found: [IndexedLine] = []
        if first < lines {
            let end = min(lines, first + count)
            scan(from: first, upTo: end) { view in
                if view.number >= first { found.append(LogReading.line(view)) }
                return view.number + 1 < end
            }
        }
        if complete, found.count < count {
            found += rest().filter { $0.number >= first }.prefix(count - found.count)
        }
        return found
    }

    /// Lines that were begun and never ended, by time.
    package func rest() -> [IndexedLine] {
        scanner.begun.filter { !$0.text.isEmpty }
            .sorted { $0.time.lexicographicallyPrecedes($1.time) }.enumerated()
            .map { LogReading.line($1, number: lines + $0) }
    }

    /// Hands out the lines from one number to before another.
    /// - Parameter keptBytes: of a line that came in several records.
    func scan(
        from first: Int, upTo end: Int, keptBytes: Int = LogScanner.textLimit,
        _ body: (LogScanner.View) -> Bool
    ) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        var scanner = scanner(at: first)
        scanner.keptBytes = keptBytes
        // What was not indexed has no number for others yet.
        LogReading.walk(file, &scanner, limit: bytes) { scanner, _ in
            scanner.line < end
        } each: { view in
            view.number >= end ? false : body(view)
        } between: { _ in
        }
    }

    /// The number of the first line whose time, or that of a line before it, is at least this; `lines` if there is
    /// none.
    package func firstLine(from time: String) -> Int {
        let wanted = Array(time.utf8)
        // All lines before the last place that is earlier are earlier, too.
        var low = 0
        var high = checkpoints.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if checkpoints[middle].latest.lexicographicallyPrecedes(wanted) {
                low = middle
            } else {
                high = middle
            }
        }
        var first = lines
        scan(from: checkpoints[low].line, upTo: lines) { view in
            guard view.time.lexicographicallyPrecedes(wanted) else {
                first = view.number
                return false
            }
            return true
        }
        return first
    }

    /// The latest time of the lines before a number; empty before the first.
    package func latest(before line: Int) -> String {
        let place = scanner(at: line)
        var latest = place.latest
        scan(from: place.line, upTo: line) { view in
            if latest.lexicographicallyPrecedes(view.time) { latest = Array(view.time) }
            return true
        }
        return String(decoding: latest, as: UTF8.self)
    }

    /// The latest time of a line; empty without lines.
    package var latest: String { String(decoding: scanner.latest, as: UTF8.self) }

    private func scanner(at line: Int) -> LogScanner {
        var low = 0
        var high = checkpoints.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if checkpoints[middle].line <= line { low = middle } else { high = middle }
        }
        var scanner = LogScanner(container: container)
        (scanner.offset, scanner.line) = (checkpoints[low].offset, checkpoints[low].line)
        (scanner.begun, scanner.latest) = (checkpoints[low].begun, checkpoints[low].latest)
        return scanner
    }
}
