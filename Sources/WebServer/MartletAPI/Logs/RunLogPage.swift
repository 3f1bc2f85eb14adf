// The logs of all nodes of a run as one, a page at a time. The place between two pages is a moment and a line, so that
// it stays right while the logs grow and new ones begin.

import Executors
import NIOPosix
import Scheduling
import Text

/// Behind which line a page begins: lines are in the order of their time, then of their nodes, then of their numbers.
struct RunLogCursor: Sendable, Hashable {
    var time: String
    var sequence: Int
    var number: Int

    var text: String { "\(time)_\(sequence)_\(number)" }

    init(time: String, sequence: Int, number: Int) {
        self.time = time
        self.sequence = sequence
        self.number = number
    }

    /// nil for what `text` did not give.
    init?(_ text: String) {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, let sequence = Int(parts[1]), let number = Int(parts[2]), number >= 0,
            Timestamp(rfc3339: String(parts[0])) != nil
        else { return nil }
        self.init(time: String(parts[0]), sequence: sequence, number: number)
    }
}

struct RunLogPage: Sendable {
    /// How late a line may be in its file.
    private static let settling = Duration.milliseconds(500)
    /// By how much the clocks of nodes and ours may differ.
    private static let clockError = Duration.seconds(60)

    struct Line: Sendable {
        var node: NodeID
        var line: IndexedLine
    }

    var lines: [Line] = []
    /// Where the next page begins: also at the end of what there is now. nil before the first line.
    var next: RunLogCursor?
    /// The page's first line, before which the page before it ends; nil for none.
    var first: RunLogCursor?

    private init(_ candidates: ArraySlice<Candidate>, orElse cursor: RunLogCursor?) {
        lines = candidates.map { Line(node: $0.node, line: $0.line) }
        next = candidates.last?.cursor ?? cursor
        first = candidates.first?.cursor
    }

    // MARK: Onward

    /// Reads the lines behind a cursor.
    /// - Parameters:
    ///   - nodes: those that ran something.
    ///   - now: lines of the last moment are left for the next page, because other logs may still get earlier ones.
    static func read(
        _ nodes: [Node], uid: String, after cursor: RunLogCursor?, count: Int, _ library: LogLibrary,
        now: Timestamp
    ) async throws -> RunLogPage {
        let horizon = String((now + (.zero - settling)).milliText.dropLast())
        var candidates: [Candidate] = []
        for node in nodes.sorted(by: {
            ($0.startedAt ?? now, $0.sequence) < ($1.startedAt ?? now, $1.sequence)
        }) {
            if let cursor, isOver(node, before: cursor.time) { continue }
            // The logs of nodes that began later have nothing for a page that is full.
            if candidates.count >= count, let last = candidates.last,
                began(node, after: last.time)
            {
                break
            }
            guard let log = NodeLog(node, workflowUID: uid),
                let snapshot = try await library.snapshot(log), snapshot.lines > 0
            else { continue }
            let part = try await NIOThreadPool.singleton.runIfActive {
                Self.lines(of: snapshot, node, after: cursor, count: count, horizon)
            }
            guard !part.isEmpty else { continue }
            candidates = Array((candidates + part).sorted().prefix(count))
        }
        return RunLogPage(candidates[...], orElse: cursor)
    }

    /// A line with the latest time of the lines before it in its log: a clock that goes back reorders nothing.
    private struct Candidate: Comparable, Sendable {
        var time: String
        var sequence: Int
        var node: NodeID
        var line: IndexedLine

        var cursor: RunLogCursor { RunLogCursor(time: time, sequence: sequence, number: line.number) }

        static func < (left: Candidate, right: Candidate) -> Bool {
            (left.time, left.sequence, left.line.number) < (right.time, right.sequence, right.line.number)
        }

        static func == (left: Candidate, right: Candidate) -> Bool {
            (left.time, left.sequence, left.line.number) == (right.time, right.sequence, right.line.number)
        }
    }

    private static func lines(
        of snapshot: LogSnapshot, _ node: Node, after cursor: RunLogCursor?, count: Int, _ horizon: String
    ) -> [Candidate] {
        var first = 0
        if let cursor {
            first = snapshot.index.firstLine(from: cursor.time)
            // Of the same moment, lines of earlier nodes were given, and of this node those before the cursor.
            if node.sequence == cursor.sequence { first = max(first, cursor.number + 1) }
        }
        var latest = cursor?.time ?? ""
        var found: [Candidate] = []
        while found.count < count {
            let lines = snapshot.index.read(from: first, count: count, complete: snapshot.isComplete)
            guard let last = lines.last else { break }
            for line in lines {
                latest = max(latest, line.line.time)
                if !snapshot.isComplete, latest > horizon { return found }
                if let cursor, latest == cursor.time, node.sequence < cursor.sequence { continue }
                found.append(Candidate(time: latest, sequence: node.sequence, node: node.id, line: line))
            }
            first = last.number + 1
        }
        return Array(found.prefix(count))
    }

    // MARK: Back

    /// Reads the last lines before a cursor, or of all there are.
    static func readBack(
        _ nodes: [Node], uid: String, before cursor: RunLogCursor?, count: Int, _ library: LogLibrary,
        now: Timestamp
    ) async throws -> RunLogPage {
        let horizon = String((now + (.zero - settling)).milliText.dropLast())
        var candidates: [Candidate] = []
        // Those that go on come first, then those that ended last.
        for node in nodes.sorted(by: {
            ($0.finishedAt ?? now, $0.sequence) > ($1.finishedAt ?? now, $1.sequence)
        }) {
            if let cursor, began(node, after: cursor.time) { continue }
            if candidates.count >= count, let first = candidates.first, isOver(node, before: first.time) {
                break
            }
            guard let log = NodeLog(node, workflowUID: uid),
                let snapshot = try await library.snapshot(log), snapshot.lines > 0
            else { continue }
            let part = try await NIOThreadPool.singleton.runIfActive {
                Self.lines(of: snapshot, node, before: cursor, count: count, horizon)
            }
            guard !part.isEmpty else { continue }
            candidates = Array((candidates + part).sorted().suffix(count))
        }
        return RunLogPage(candidates[...], orElse: cursor)
    }

    private static func lines(
        of snapshot: LogSnapshot, _ node: Node, before cursor: RunLogCursor?, count: Int, _ horizon: String
    ) -> [Candidate] {
        // Lines with the cursor's own time lie behind this number; they are few, or of one burst.
        var end = snapshot.lines
        if let cursor {
            end = snapshot.index.firstLine(from: cursor.time)
            if node.sequence == cursor.sequence {
                end = max(end, cursor.number)
            } else if node.sequence < cursor.sequence {
                end = Self.end(of: cursor.time, in: snapshot, from: end)
            }
        }
        var found: [Candidate] = []
        // What is too new to be given is left out, and may be more than a page.
        while found.count < count, end > 0 {
            let first = max(0, end - count)
            let lines = snapshot.index.read(from: first, count: end - first, complete: snapshot.isComplete)
            var latest = snapshot.index.latest(before: first)
            var part: [Candidate] = []
            for line in lines {
                latest = max(latest, line.line.time)
                if cursor == nil, !snapshot.isComplete, latest > horizon { break }
                part.append(Candidate(time: latest, sequence: node.sequence, node: node.id, line: line))
            }
            found = part + found
            end = first
        }
        return found.suffix(count)
    }

    /// Behind the last line of a moment.
    private static func end(of time: String, in snapshot: LogSnapshot, from first: Int) -> Int {
        var end = first
        while true {
            let lines = snapshot.index.read(from: end, count: 1_000, complete: snapshot.isComplete)
            for line in lines {
                if line.line.time > time { return end }
                end = line.number + 1
            }
            if lines.isEmpty { return end }
        }
    }

    // MARK: Whose turn it is

    /// Whether a node had ended long before a moment.
    private static func isOver(_ node: Node, before time: String) -> Bool {
        guard let end = node.finishedAt, let moment = Timestamp(rfc3339: time) else { return false }
        return end + clockError < moment
    }

    /// Whether a node began long after a moment.
    private static func began(_ node: Node, after time: String) -> Bool {
        guard let start = node.startedAt, let moment = Timestamp(rfc3339: time) else { return false }
        return moment + clockError < start
    }
}
