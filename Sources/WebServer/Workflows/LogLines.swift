// The lines of a run's logs, merged, chosen and counted: once through for what is there, or on as they are written.

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
    private var merge: LogMerge
    /// The last lines of each pod, where only those are asked for.
    private var kept: ArraySlice<Entry>?
    private var sentBytes: [String: Int] = [:]

    init(_ run: LoggedRun, _ logs: StepLogs) {
        options = run.options
        let files = run.pods.map { run.file($0, logs) }
        guard let tail = options.tail else {
            merge = LogMerge(files)
            return
        }
        merge = LogMerge([])
        let last = files.flatMap { Self.last(tail, of: $0, options) }
        kept =
            last.enumerated().sorted {
                ($0.element.line.time, $0.offset) < ($1.element.line.time, $1.offset)
            }.map(\.element)[...]
    }

    static func last(_ count: Int, of file: LogFile, _ options: LogOptions) -> [Entry] {
        var merge = LogMerge([file])
        var kept: [Entry] = []
        while let (pod, line) = merge.next() {
            guard options.shows(line) else { continue }
            kept.append(Entry(podName: pod, line: line))
            // Dropping the old lines in bulk costs less than one by one.
            if kept.count > 2 * count + 1_000 { kept.removeFirst(kept.count - count) }
        }
        return kept.suffix(count)
    }

    /// The next lines, about so many bytes of them; nil behind the last.
    mutating func next(bytes limit: Int) -> [Entry]? {
        var entries: [Entry] = []
        var bytes = 0
        while bytes < limit {
            guard let entry = take() else { return entries.isEmpty ? nil : entries }
            let size = entry.line.text.utf8.count + 1
            bytes += size + 64
            if let most = options.limitBytes {
                sentBytes[entry.podName, default: 0] += size
                if sentBytes[entry.podName, default: 0] > most { continue }
            }
            entries.append(entry)
        }
        return entries
    }

    private mutating func take() -> Entry? {
        if kept != nil { return kept?.popFirst() }
        while let (pod, line) = merge.next() {
            if options.shows(line) { return Entry(podName: pod, line: line) }
        }
        return nil
    }
}

/// The lines of a run that goes on, as they are written.
struct LogFollower: Sendable {
    private var files: [NodeID: LogFile] = [:]
    private var done: Set<NodeID> = []
    private let logs: StepLogs
    /// What was read and not yet handed out.
    private var waiting: [LogLines.Entry] = []
    private var sentBytes: [String: Int] = [:]
    private(set) var hasMore = false
    private var isFirst = true

    init(_ run: LoggedRun, _ logs: StepLogs) { self.logs = logs }

    /// Whether the pods that are asked for by name have ended. Without a name more may come until the run ends.
    func hasEnded(_ run: LoggedRun) -> Bool {
        guard run.options.podName != nil else { return false }
        let pods = run.pods
        return !pods.isEmpty && pods.allSatisfy(\.phase.isFulfilled)
    }

    /// What has come since the last call, by time, about so many bytes of it from each pod.
    mutating func next(_ run: LoggedRun, bytes limit: Int) -> [LogLines.Entry] {
        hasMore = false
        if isFirst {
            isFirst = false
            if let tail = run.options.tail { skip(to: tail, run) }
        }
        for node in run.pods where !done.contains(node.id) {
            var file = files[node.id] ?? run.file(node, logs)
            var bytes = 0
            var isAtEnd = false
            while bytes < limit {
                let lines = file.next()
                if lines.isEmpty {
                    isAtEnd = true
                    break
                }
                bytes += lines.reduce(0) { $0 + $1.text.utf8.count + 64 }
                take(lines, file.podName, run.options)
            }
            if !isAtEnd {
                hasMore = true
            } else if node.phase.isFulfilled || run.isFinished {
                // The phase was known before the log was read, so that an ended node's log is complete by now.
                take(file.finish(), file.podName, run.options)
                done.insert(node.id)
                files[node.id] = nil
                continue
            }
            files[node.id] = file
        }
        defer { waiting = [] }
        return waiting.enumerated().sorted {
            ($0.element.line.time, $0.offset) < ($1.element.line.time, $1.offset)
        }.map(\.element)
    }

    private mutating func take(_ lines: [LogLine], _ podName: String, _ options: LogOptions) {
        for line in lines where options.shows(line) {
            if let most = options.limitBytes {
                sentBytes[podName, default: 0] += line.text.utf8.count + 1
                if sentBytes[podName, default: 0] > most { continue }
            }
            waiting.append(LogLines.Entry(podName: podName, line: line))
        }
    }

    /// Reads each log to its present end and keeps only its last lines.
    private mutating func skip(to tail: Int, _ run: LoggedRun) {
        for node in run.pods {
            var file = run.file(node, logs)
            var kept: [LogLine] = []
            while case let lines = file.next(), !lines.isEmpty {
                kept += lines.filter(run.options.shows)
                if kept.count > 2 * tail + 1_000 { kept.removeFirst(kept.count - tail) }
            }
            take(kept.suffix(tail), file.podName, run.options)
            files[node.id] = file
        }
    }
}

extension LogFollower {
    private mutating func take(_ lines: ArraySlice<LogLine>, _ podName: String, _ options: LogOptions) {
        take(Array(lines), podName, options)
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
