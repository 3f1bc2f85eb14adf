// One log for all pods of a group, written as they write: each line shows the rank that it came from.

import Artifacts
import Executors
import Glibc
import Synchronization
import Text
import WorkflowLanguage

/// The log of one attempt. After a restart it goes on where it stood.
final class GroupLog: Sendable {
    /// A log is kept up to here, like a local step's.
    private static let limitBytes = 4 << 30
    private static let chunkBytes = 256 << 10
    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(10)
    /// How often a log is asked for again when its pod is over.
    private static let lastTries = 5

    private struct State {
        var file: Int32 = -1
        var size = 0
        /// How far each rank's lines go.
        var marks: [Int: PodLogs.Mark] = [:]
        var isRead = false
    }

    private let client: KubernetesClient
    private let path: String
    private let state = Mutex(State())

    init(client: KubernetesClient, path: String) {
        self.client = client
        self.path = path
    }

    deinit { state.withLock { if $0.file >= 0 { close($0.file) } } }

    /// Brings a pod's log in until the pod is over and all of it was read.
    /// - Parameter isOver: whether nothing more will be written.
    func follow(
        namespace: String, pod: String, rank: Int, isOver: @escaping @Sendable () -> Bool
    ) async {
        try? await BlockingCall.run { self.open() }
        var pause = Self.firstPause
        var lastTries = 0
        while !Task.isCancelled {
            // Asked first: what is written between reading and asking would be missed the other way round.
            let wasOver = isOver()
            var filter = LineFilter(mark: state.withLock { $0.marks[rank] } ?? PodLogs.Mark())
            do {
                try await client.log(
                    namespace: namespace, pod: pod, container: "main", follows: true, since: filter.since
                ) { line in
                    if filter.takes(line) { try self.take(line, rank, filter.mark) }
                }
                if wasOver { return }
            } catch is CancellationError {
                return
            } catch let error as KubernetesError where error.isNotFound {
                return
            } catch {
                if wasOver { lastTries += 1 }
                if lastTries >= Self.lastTries { return }
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// - Parameter mark: how far the rank's lines go with this one.
    private func take(_ line: ArraySlice<UInt8>, _ rank: Int, _ mark: PodLogs.Mark) throws {
        let space = line.firstIndex(of: 32) ?? line.endIndex
        let text = line[min(space + 1, line.endIndex)...]
        let record =
            Array(line[..<space]) + Array(" stdout#\(rank) F \(NodeGroup.prefix(rank: rank))".utf8)
            + Array(text)
            + [10]
        try state.withLock { state in
            guard state.file >= 0, state.size + record.count <= Self.limitBytes else { return }
            try Disk.append(record, to: state.file, path: path)
            state.size += record.count
            state.marks[rank] = mark
        }
    }

    // MARK: What is there

    /// Opens the file, and reads how far each rank's lines go in it.
    private func open() {
        state.withLock { state in
            guard !state.isRead else { return }
            state.isRead = true
            try? Disk.makeDirectories(Disk.parent(of: path))
            state.file = Glibc.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            guard state.file >= 0 else { return }
            var parser = LogParser()
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            while true {
                let length = pread(state.file, &chunk, chunk.count, off_t(state.size))
                if length < 0 && errno == EINTR { continue }
                if length <= 0 { return }
                state.size += length
                for line in parser.take(Array(chunk[..<length])) {
                    guard let rank = Self.rank(of: line.text), let time = Timestamp(rfc3339: line.time) else {
                        continue
                    }
                    state.marks[rank, default: PodLogs.Mark()].note(time)
                }
            }
        }
    }

    /// Of `[rank 3] text`.
    private static func rank(of text: String) -> Int? {
        let mark = "[rank "
        guard text.hasPrefix(mark), let end = text.firstIndex(of: "]") else { return nil }
        return Int(text[text.index(text.startIndex, offsetBy: mark.count)..<end])
    }
}
