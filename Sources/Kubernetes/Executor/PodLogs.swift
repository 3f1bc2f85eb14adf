// Brings the logs of pods to where those of local steps lie, so that they outlive their pods and are read the
// same way: line by line while a step runs, and what is missing when it has ended.

import Artifacts
import Executors
import Glibc
import Scheduling
import Synchronization
import Text

final class PodLogs: Sendable {
    /// How far one container's log has come: lines are told apart by their times.
    struct Mark: Sendable, Hashable {
        var last = Timestamp(nanoseconds: .min)
        /// Lines with just that time.
        var count = 0

        /// Takes a line more; one that is late among others does not take the mark back.
        mutating func note(_ time: Timestamp) {
            if time == last {
                count += 1
            } else if time > last {
                (last, count) = (time, 1)
            }
        }
    }

    /// A log that is written while its pod runs.
    private struct Live: Sendable {
        var marks: [String: Mark]
        var stop: AsyncStream<Void>.Continuation
        var isFollowing = true
    }

    private static let tries = 5
    /// Seconds between two looks at a stream that ended while its container may run; twice as many after each that
    /// brought nothing.
    private static let firstPause = 1
    private static let longestPause = 30
    private static let flushInterval = Duration.milliseconds(250)
    /// So long a stream may take to end after its container.
    private static let endPatience = 100
    private static let endPause = Duration.milliseconds(50)

    let client: KubernetesClient
    let dataDirectory: String
    private let lives = Mutex<[AttemptKey: Live]>([:])

    init(client: KubernetesClient, dataDirectory: String) {
        self.client = client
        self.dataDirectory = dataDirectory
    }

    func path(_ key: AttemptKey) -> String { AttemptPaths.log(dataDirectory, key: key) }

    /// Writes behind what is there; makes the file and its directory.
    static func append(_ bytes: [UInt8], to path: String) throws {
        try Disk.makeDirectories(Disk.parent(of: path))
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "write") }
        defer { close(file) }
        try Disk.append(bytes, to: file, path: path)
    }

    // MARK: While it runs

    /// Writes what the containers say as they say it, until they have ended or `keep` takes over.
    /// - Parameter isWanted: false once the step has ended.
    func follow(
        _ pod: String, _ namespace: String, key: AttemptKey, containers: [String],
        isWanted: @escaping @Sendable () -> Bool
    ) async {
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let isNew = lives.withLock { lives in
            guard lives[key] == nil else { return false }
            lives[key] = Live(marks: [:], stop: stop)
            return true
        }
        guard isNew else { return }
        defer { lives.withLock { $0[key]?.isFollowing = false } }
        guard let marks = await snapshot(containers, of: pod, namespace, key) else {
            // Nothing is there to go on from: the end reads the whole.
            lives.withLock { $0[key] = nil }
            return
        }
        lives.withLock { $0[key]?.marks = marks }
        guard let sink = try? LogSink(path: path(key)) else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stops {} }
            group.addTask {
                for await _ in sink.news {
                    guard (try? await Task.sleep(for: Self.flushInterval)) != nil else { return }
                    sink.flush()
                }
            }
            group.addTask { [self] in
                await withDiscardingTaskGroup { inner in
                    for container in containers {
                        inner.addTask { [self] in
                            await follow(container, of: pod, namespace, key, sink, while: isWanted)
                        }
                    }
                }
                stop.finish()
            }
            await group.next()
            group.cancelAll()
        }
        sink.flush()
    }

    private func follow(
        _ container: String, of pod: String, _ namespace: String, _ key: AttemptKey, _ sink: LogSink,
        while isWanted: @Sendable () -> Bool
    ) async {
        var pause = Self.firstPause
        while isWanted(), !Task.isCancelled {
            let before = mark(of: container, key)
            await follow(container, of: pod, namespace, key, sink)
            pause =
                mark(of: container, key) == before ? min(pause * 2, Self.longestPause) : Self.firstPause
            // The end of the step is not to wait for the whole of it.
            for _ in 0..<pause where isWanted() {
                if (try? await Task.sleep(for: .seconds(1))) == nil { return }
            }
        }
    }

    private func follow(
        _ container: String, of pod: String, _ namespace: String, _ key: AttemptKey, _ sink: LogSink
    ) async {
        var filter = LineFilter(mark: mark(of: container, key))
        try? await client.log(
            namespace: namespace, pod: pod, container: container, follows: true, since: filter.since
        ) { line in
            guard filter.takes(line) else { return }
            sink.write(line, of: container)
            let mark = filter.mark
            lives.withLock { $0[key]?.marks[container] = mark }
        }
    }

    private func mark(of container: String, _ key: AttemptKey) -> Mark {
        lives.withLock { $0[key]?.marks[container] } ?? Mark()
    }

    /// What has been said so far, whoever saw it before.
    /// - Returns: how far each container's log goes; nil when it cannot be read now.
    private func snapshot(
        _ containers: [String], of pod: String, _ namespace: String, _ key: AttemptKey
    ) async -> [String: Mark]? {
        let path = path(key)
        do {
            try Disk.makeDirectories(Disk.parent(of: path))
            unlink(path + ".new")
            let sink = try LogSink(path: path + ".new")
            var marks: [String: Mark] = [:]
            for container in containers {
                guard let mark = try await copy(container, of: pod, namespace, to: sink, from: Mark()) else {
                    continue
                }
                marks[container] = mark
            }
            sink.flush()
            guard !Task.isCancelled else { return nil }
            rename(path + ".new", path)
            return marks
        } catch {
            unlink(path + ".new")
            return nil
        }
    }

    // MARK: When it has ended

    /// Reads what is missing of the logs of all containers that ran, in the order in which they stand in the
    /// pod, and gives up after `limit`.
    func keep(_ pod: JSONValue, key: AttemptKey, limit: Duration) async {
        await stopFollowing(key)
        let live = lives.withLock { $0.removeValue(forKey: key) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in await complete(pod, key, live?.marks) }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Stops following a pod that has gone; what was read stays.
    func abandon(_ key: AttemptKey) {
        lives.withLock { $0.removeValue(forKey: key) }?.stop.finish()
    }

    /// Streams end with their containers; those that do not are cut.
    private func stopFollowing(_ key: AttemptKey) async {
        for round in 0..<2 {
            for _ in 0..<Self.endPatience {
                guard lives.withLock({ $0[key]?.isFollowing }) == true else { return }
                try? await Task.sleep(for: Self.endPause)
            }
            if round == 0 { lives.withLock { $0[key]?.stop }?.finish() }
        }
    }

    private func complete(_ pod: JSONValue, _ key: AttemptKey, _ marks: [String: Mark]?) async {
        let names = Self.containers(of: pod)
        guard let name = pod["metadata"]?["name"]?.stringValue,
            let namespace = pod["metadata"]?["namespace"]?.stringValue, !names.isEmpty
        else { return }
        guard let marks else {
            _ = await snapshot(names, of: name, namespace, key)
            return
        }
        guard let sink = try? LogSink(path: path(key)) else { return }
        for container in names {
            _ = try? await copy(container, of: name, namespace, to: sink, from: marks[container] ?? Mark())
        }
        sink.flush()
    }

    /// Writes one container's log behind what is there. An answer that breaks off is asked for again, from
    /// where it broke.
    /// - Returns: how far it goes; nil for a container that has no log.
    private func copy(
        _ container: String, of pod: String, _ namespace: String, to sink: LogSink, from mark: Mark
    ) async throws -> Mark? {
        var mark = mark
        for attempt in 1...Self.tries {
            var filter = LineFilter(mark: mark)
            do {
                try await client.log(
                    namespace: namespace, pod: pod, container: container, follows: false, since: filter.since
                ) { line in
                    if filter.takes(line) { sink.write(line, of: container) }
                }
                return filter.mark
            } catch let error as KubernetesError {
                // A container that never was has no log.
                guard error.isPassing else { return nil }
                if attempt == Self.tries { throw error }
                mark = filter.mark
                try await Task.sleep(for: .milliseconds(200 * attempt))
            }
        }
        return mark
    }

    /// The manifest's containers that have begun; ours only when they failed.
    private static func containers(of pod: JSONValue) -> [String] {
        ["initContainerStatuses", "containerStatuses"].flatMap { list in
            (pod["status"]?[list]?.arrayValue ?? []).compactMap { status -> String? in
                guard let name = status["name"]?.stringValue else { return nil }
                let ended = status["state"]?["terminated"]
                guard ended != nil || status["state"]?["running"] != nil else { return nil }
                if name.hasPrefix("martlet-") && (ended?["exitCode"]?.intValue ?? 0) == 0 { return nil }
                return name
            }
        }
    }
}

/// Leaves out lines that were taken before: the API gives logs from a whole second on.
struct LineFilter: Sendable {
    private let start: PodLogs.Mark
    private(set) var mark: PodLogs.Mark
    private var seen = 0
    private var isPast: Bool

    init(mark: PodLogs.Mark) {
        start = mark
        self.mark = mark
        isPast = mark.last.nanoseconds == .min
    }

    /// Nil: from the beginning.
    var since: String? { start.last.nanoseconds == .min ? nil : start.last.rfc3339 }

    mutating func takes(_ line: ArraySlice<UInt8>) -> Bool {
        let text = String(decoding: line.prefix { $0 != 32 }, as: UTF8.self)
        let time = Timestamp(rfc3339: text) ?? mark.last
        if !isPast {
            if time < start.last { return false }
            if time == start.last {
                seen += 1
                if seen <= start.count { return false }
            }
            isPast = true
        }
        mark.note(time)
        return true
    }
}

/// The file of one attempt's log, which several containers write whole lines to.
final class LogSink: Sendable {
    /// A log is kept up to here, like a local step's.
    private static let limitBytes = 4 << 30
    private static let bufferBytes = 256 << 10

    private struct State {
        var buffer: [UInt8] = []
        var size: Int
    }

    private let path: String
    private let state: Mutex<State>
    /// Says that there is something to flush; for one reader.
    let news: AsyncStream<Void>
    private let teller: AsyncStream<Void>.Continuation

    init(path: String) throws {
        self.path = path
        (news, teller) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        // What an empty log is made of is there from the beginning.
        try PodLogs.append([], to: path)
        state = Mutex(State(size: Disk.status(path)?.sizeBytes ?? 0))
    }

    /// - Parameter line: its time, a blank, and its text.
    func write(_ line: ArraySlice<UInt8>, of container: String) {
        let tag = container == "main" ? " stdout F " : " stdout:\(container) F "
        let space = line.firstIndex(of: 32) ?? line.endIndex
        let isFull = state.withLock { state in
            guard state.size < Self.limitBytes else { return false }
            state.buffer += line[..<space]
            state.buffer += Array(tag.utf8)
            state.buffer += line[min(space + 1, line.endIndex)...]
            state.buffer.append(10)
            state.size += line.count
            return state.buffer.count > Self.bufferBytes
        }
        if isFull { flush() } else { teller.yield() }
    }

    /// What a full disk does not take is lost; the pod still has it.
    func flush() {
        state.withLock { state in
            guard !state.buffer.isEmpty else { return }
            try? PodLogs.append(state.buffer, to: path)
            state.buffer.removeAll(keepingCapacity: true)
        }
    }
}
