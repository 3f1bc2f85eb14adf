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

    struct Line: Sendable {
        var node: NodeID
        var line: IndexedLine
    }

    var lines: [Line] = []
    /// Where the next page begins: also at the end of what there is now. nil before the first line.
    var next: RunLogCursor?

    /// Reads the lines behind a cursor.
    /// - Parameters:
    ///   - nodes: those that ran something, by sequence.
    ///   - now: lines of the last moment are left for the next page, because other logs may still get earlier ones.
    static func read(
        _ nodes: [Node], uid: String, after cursor: RunLogCursor?, count: Int, _ library: LogLibrary,
        now: Timestamp
    ) async throws -> RunLogPage {
        let horizon = String((now + (.zero - settling)).milliText.dropLast())
        var candidates: [Candidate] = []
        for node in nodes {
            if let cursor, isOver(node, before: cursor.time) { continue }
            guard let log = NodeLog(node, workflowUID: uid),
                let snapshot = try await library.snapshot(log), snapshot.lines > 0
            else { continue }
            let part = try await NIOThreadPool.singleton.runIfActive {
                Self.lines(of: snapshot, node, after: cursor, count: count, horizon)
            }
            candidates += part
            // Of many nodes no more is kept than a page may need.
            if candidates.count > 4 * count + 1_000 { candidates = Array(candidates.sorted().prefix(count)) }
        }
        let chosen = candidates.sorted().prefix(count)
        let last = chosen.last.map {
            RunLogCursor(time: $0.time, sequence: $0.sequence, number: $0.line.number)
        }
        return RunLogPage(lines: chosen.map { Line(node: $0.node, line: $0.line) }, next: last ?? cursor)
    }

    /// A line with the latest time of the lines before it in its log: a clock that goes back reorders nothing.
    private struct Candidate: Comparable, Sendable {
        var time: String
        var sequence: Int
        var node: NodeID
        var line: IndexedLine

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

    /// Whether a node had ended long before a moment; its clock and ours may differ by less.
    private static func isOver(_ node: Node, before time: String) -> Bool {
        guard let end = node.finishedAt, let moment = Timestamp(rfc3339: time) else { return false }
        return end + .seconds(60) < moment
    }
}
