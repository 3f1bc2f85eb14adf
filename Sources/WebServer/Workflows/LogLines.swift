// The lines of a run's logs, merged, chosen and counted: once through for what is there, or on as they are
// written.

import Executors
import Scheduling
import Synchronization

/// The lines that are there, by time. Its calls read files, and belong on threads of their own.
struct LogLines: Sendable {
    struct Entry: Sendable {
        var podName: String
        var line: LogLine
    }

    private let options: LogOptions
    private var merge = LogMerge()
    private var sentBytes: [String: Int] = [:]

    init(_ run: LoggedRun, _ logs: StepLogs) {
        options = run.options
        for pod in run.pods {
            var file = run.file(pod, logs)
            if let tail = options.tail {
                let lines = file.last(tail, isOver: true, where: options.shows)
                merge.add(file, isOver: true, lines: lines, isRead: true)
            } else {
                merge.add(file, isOver: true)
            }
        }
    }

    /// The next lines, about so many bytes of them; nil behind the last.
    mutating func next(bytes limit: Int) -> [Entry]? {
        var entries: [Entry] = []
        var bytes = 0
        while bytes < limit {
            guard let (pod, line) = merge.next() else { return entries.isEmpty ? nil : entries }
            guard options.shows(line) else { continue }
            bytes += line.text.utf8.count + 65
            if options.takes(line, of: pod, &sentBytes) { entries.append(Entry(podName: pod, line: line)) }
        }
        return entries
    }
}

/// The lines of a run that goes on, as they are written, by time over all of its logs.
struct LogFollower: Sendable {
    private let logs: StepLogs
    private var merge = LogMerge()
    /// Which log of the merge is whose.
    private var places: [NodeID: Int] = [:]
    private var sentBytes: [String: Int] = [:]
    private var isFirst = true
    /// Later lines are left for the next look; nil for none.
    private var horizon: String?

    init(_ logs: StepLogs) { self.logs = logs }

    /// Whether the pods that are asked for by name have ended. Without a name more may come until the run
    /// ends.
    func hasEnded(_ run: LoggedRun) -> Bool {
        guard run.options.podName != nil else { return false }
        let pods = run.pods
        return !pods.isEmpty && pods.allSatisfy(\.phase.isFulfilled)
    }

    /// Looks for logs that have begun and lines that have come.
    /// - Parameter horizon: now, as log files have it; nil to get what there is because no further look comes.
    mutating func look(_ run: LoggedRun, horizon: String?) {
        self.horizon = horizon
        // What waits has written nothing; the phase is known before the log is read, so that an ended node's log is
        // complete.
        for node in run.pods where node.phase != .pending || run.isFinished {
            let isOver = node.phase.isFulfilled || run.isFinished
            if let place = places[node.id] {
                if isOver { merge.end(place) }
                continue
            }
            var file = run.file(node, logs)
            var lines: [LogLine] = []
            if isFirst, let tail = run.options.tail {
                lines = file.last(tail, isOver: false, where: run.options.shows)
            }
            places[node.id] = merge.add(file, isOver: isOver, lines: lines)
        }
        isFirst = false
        merge.refresh()
    }

    /// Some of what was found, about so many bytes; empty behind the last.
    mutating func next(_ options: LogOptions, bytes limit: Int) -> [LogLines.Entry] {
        var entries: [LogLines.Entry] = []
        var bytes = 0
        while bytes < limit, let (pod, line) = merge.next(notAfter: horizon) {
            guard options.shows(line) else { continue }
            bytes += line.text.utf8.count + 65
            guard options.takes(line, of: pod, &sentBytes) else { continue }
            entries.append(LogLines.Entry(podName: pod, line: line))
        }
        return entries
    }
}

extension LogOptions {
    /// Whether a pod's line is still within `limitBytes`.
    fileprivate func takes(_ line: LogLine, of pod: String, _ sentBytes: inout [String: Int]) -> Bool {
        guard let limitBytes else { return true }
        sentBytes[pod, default: 0] += line.text.utf8.count + 1
        return sentBytes[pod, default: 0] <= limitBytes
    }
}

/// Tells one task that something happened since it last looked.
final class ChangeFlag: Sendable {
    private let isRaised = Mutex(false)

    func raise() { isRaised.withLock { $0 = true } }

    /// Whether it was raised, and no longer is.
    func lower() -> Bool {
        isRaised.withLock { value in
            defer { value = false }
            return value
        }
    }
}
