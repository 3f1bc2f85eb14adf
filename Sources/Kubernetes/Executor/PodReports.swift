// What a running step says of itself: metrics and progress that its companion sends, kept and passed on.

import Artifacts
import Executors
import Glibc
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

/// Metrics files as they come from pods, and the samples in them.
final class PodReports: Sendable {
    /// A step that writes more has its metrics cut.
    private static let fileLimitBytes = 1 << 30
    /// Samples that wait to be kept; more stay in their files.
    static let sampleLimit = 10_000

    let samples: AsyncStream<MetricSample>
    private let sampler: AsyncStream<MetricSample>.Continuation
    private let dataDirectory: String
    /// How far the samples of each attempt were handed on, in bytes; also keeps readers apart.
    private let offsets = Mutex<[AttemptKey: Int]>([:])

    init(dataDirectory: String) {
        self.dataDirectory = dataDirectory
        (samples, sampler) = AsyncStream.makeStream(
            of: MetricSample.self, bufferingPolicy: .bufferingOldest(Self.sampleLimit))
    }

    /// The directory that stands for the pod's root.
    private func root(_ key: AttemptKey) -> String {
        AttemptPaths.attempt(dataDirectory, key: key) + "/pod/live"
    }

    private func metricsPath(_ key: AttemptKey) -> String {
        root(key) + "\(PodRenderer.directory)/metrics.jsonl"
    }

    /// - Returns: how long the file is now; the piece is taken where it fits, so that one that comes twice
    ///   changes nothing. Nil when it begins behind the end.
    func take(_ bytes: [UInt8], at offset: Int, _ key: AttemptKey) throws -> Int? {
        let path = metricsPath(key)
        try Disk.makeDirectories(Disk.parent(of: path))
        let size = Disk.status(path)?.sizeBytes ?? 0
        guard offset >= 0, offset <= size else { return nil }
        guard offset + bytes.count <= Self.fileLimitBytes else { return offset + bytes.count }
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        defer { close(file) }
        lseek(file, off_t(offset), SEEK_SET)
        try Disk.append(bytes, to: file, path: path)
        handOn(key, isOver: false)
        return max(size, offset + bytes.count)
    }

    /// Hands on what has come; at the end a last line without newline, too.
    func handOn(_ key: AttemptKey, isOver: Bool) {
        offsets.withLock { offsets in
            var offset =
                offsets[key]
                ?? MetricsTail.keptOffset(attemptDirectory: AttemptPaths.attempt(dataDirectory, key: key))
            MetricsTail(key: key, root: root(key)).read(from: &offset, isOver: isOver) { sample in
                if case .enqueued = sampler.yield(sample) { return true }
                return false
            }
            offsets[key] = isOver ? nil : offset
        }
    }

    func acknowledge(_ sample: MetricSample) {
        let directory = AttemptPaths.attempt(dataDirectory, key: sample.key)
        MetricsTail.keep(offset: sample.endOffset, attemptDirectory: directory)
    }

    func finish() { sampler.finish() }
}
