// Reads an attempt's log, which is in the format of Kubernetes' container logs: time, stream, F or P, text.

import Artifacts
import Glibc
package import Text

/// The log of one attempt. It may still grow, and is absent until something was written.
package struct StepLog: Sendable {
    package enum Stream: Sendable { case standardOutput, standardError }

    /// One line as the step wrote it, however many pieces it came in.
    package struct Line: Sendable, Equatable {
        /// When its last piece was read.
        package var time: Timestamp
        package var stream: Stream
        package var container: String
        package var text: String
    }

    /// What is wanted of a log.
    package struct Filter: Sendable {
        /// Only the last so many lines that pass the rest of the filter.
        package var tail: Int?
        package var since: Timestamp?
        package var container: String?
        package var matches: (@Sendable (String) -> Bool)?

        package init() {}

        func accepts(_ line: Line) -> Bool {
            if let since, line.time < since { return false }
            if let container, line.container != container { return false }
            return matches?(line.text) ?? true
        }
    }

    package let path: String

    package init(path: String) { self.path = path }

    /// What is there now.
    package func lines(_ filter: Filter = Filter()) -> [Line] {
        var follower = Follower(path: path, filter: filter)
        return follower.next() + follower.rest()
    }

    /// Hands out lines as they are written, those already there first. Looks four times a second, and ends
    /// after `isOver` has said so and the rest was read.
    package func follow(
        _ filter: Filter = Filter(), isOver: @Sendable () async -> Bool, each: @Sendable (Line) async -> Void
    ) async throws {
        var follower = Follower(path: path, filter: filter)
        while true {
            // Asked first: what is written between reading and asking would be missed the other way round.
            let ended = await isOver()
            for line in follower.next() { await each(line) }
            if ended {
                for line in follower.rest() { await each(line) }
                return
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// The end of the file as text; nil when there is none.
    static func lastBytes(_ path: String, count: Int) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        lseek(file, max(0, size - off_t(count)), SEEK_SET)
        guard let bytes = try? Disk.read(descriptor: file, path: path, limitBytes: 2 * count + 65536) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension StepLog {
    /// Lines since the last look; remembers where it was.
    package struct Follower: Sendable {
        private var reader: Reader
        private var filter: Filter
        private var open: [String: [UInt8]] = [:]
        private var last: [String: Reader.Piece] = [:]

        package init(path: String, filter: Filter = Filter()) {
            reader = Reader(path: path)
            self.filter = filter
            if let tail = filter.tail, filter.container == nil, filter.matches == nil {
                reader.seek(lines: tail)
            }
        }

        /// New whole lines. The first call reads all that is there; with `tail`, it keeps only the last of
        /// it.
        package mutating func next() -> [Line] {
            var lines: [Line] = []
            while true {
                let pieces = reader.pieces()
                if pieces.isEmpty { break }
                for piece in pieces {
                    if let line = take(piece), filter.accepts(line) { lines.append(line) }
                }
                // Twice the limit, so that each line is moved once at most.
                if let tail = filter.tail, lines.count > 2 * tail + 1024 {
                    lines.removeFirst(lines.count - tail)
                }
            }
            if let tail = filter.tail {
                lines.removeFirst(max(0, lines.count - tail))
                filter.tail = nil
            }
            return lines
        }

        /// Lines that were never ended: the last words of a program.
        package mutating func rest() -> [Line] {
            let lines = last.values.sorted { $0.time < $1.time }.map { piece in
                line(piece, bytes: open[piece.tag] ?? [])
            }
            open = [:]
            last = [:]
            return lines.filter { filter.accepts($0) }
        }

        private mutating func take(_ piece: Reader.Piece) -> Line? {
            guard piece.endsLine else {
                open[piece.tag, default: []].append(contentsOf: piece.bytes)
                last[piece.tag] = piece
                return nil
            }
            last[piece.tag] = nil
            guard let begun = open.removeValue(forKey: piece.tag) else {
                return line(piece, bytes: piece.bytes)
            }
            return line(piece, bytes: begun + piece.bytes)
        }

        private func line(_ piece: Reader.Piece, bytes: [UInt8]) -> Line {
            Line(
                time: piece.time, stream: piece.isError ? .standardError : .standardOutput,
                container: piece.container, text: String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Reads the file piece by piece.
    struct Reader: Sendable {
        struct Piece: Sendable {
            var time: Timestamp
            /// `stdout`, `stderr:NAME` and so on.
            var tag: String
            var bytes: [UInt8]
            var endsLine: Bool

            var isError: Bool { tag.hasPrefix("stderr") }
            var container: String {
                tag.firstIndex(of: ":").map { String(tag[tag.index(after: $0)...]) } ?? "main"
            }
        }

        private static let chunkBytes = 256 << 10

        private let path: String
        private var offset: off_t = 0
        private var pending: [UInt8] = []

        init(path: String) { self.path = path }

        /// Goes to where the last so many lines of the file begin, at the latest.
        mutating func seek(lines: Int) {
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return }
            defer { close(file) }
            var start = lseek(file, 0, SEEK_END)
            var buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
            var ends = 0
            while start > 0 {
                let length = min(off_t(buffer.count), start)
                guard pread(file, &buffer, Int(length), start - length) == Int(length) else { return }
                for index in (0..<Int(length)).reversed() where buffer[index] == 10 {
                    ends += 1
                    // One end more than lines: the byte after it begins the first line wanted.
                    guard ends > lines else { continue }
                    offset = start - length + off_t(index) + 1
                    return
                }
                start -= length
            }
        }

        /// The next complete pieces, empty at the end of what is there.
        mutating func pieces() -> [Piece] {
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return [] }
            defer { close(file) }
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            var pieces: [Piece] = []
            while pieces.isEmpty {
                let length = pread(file, &chunk, chunk.count, offset)
                if length < 0 && errno == EINTR { continue }
                if length <= 0 { break }
                offset += off_t(length)
                pending.append(contentsOf: chunk[..<length])
                var start = 0
                while let end = pending[start...].firstIndex(of: 10) {
                    if let piece = Self.piece(pending[start..<end]) { pieces.append(piece) }
                    start = end + 1
                }
                pending.removeFirst(start)
            }
            return pieces
        }

        private static func piece(_ line: ArraySlice<UInt8>) -> Piece? {
            guard let first = line.firstIndex(of: 32), let second = line[(first + 1)...].firstIndex(of: 32),
                second + 2 <= line.endIndex,
                let time = Timestamp(rfc3339: String(decoding: line[..<first], as: UTF8.self))
            else { return nil }
            let textStart = min(second + 3, line.endIndex)
            return Piece(
                time: time, tag: String(decoding: line[(first + 1)..<second], as: UTF8.self),
                bytes: Array(line[textStart...]), endsLine: line[second + 1] == UInt8(ascii: "F"))
        }
    }
}
