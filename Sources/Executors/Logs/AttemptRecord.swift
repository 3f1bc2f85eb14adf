// What an attempt's directory says of how it went, for people who look at a node.

import Artifacts
import Scheduling
package import Text

/// The times, the end and the use of one attempt, as far as its files tell.
package struct AttemptRecord: Sendable, Hashable {
    package var startedAt: Timestamp?
    package var finishedAt: Timestamp?
    package var exitCode: Int?
    /// Of processors, by all its processes.
    package var cpuSeconds: Double?
    /// The most that one of its processes held.
    package var maxMemoryBytes: Int?
    /// Nothing more is written to its log.
    package var isOver = false

    private static let limitBytes = 64 << 20

    /// Reads small files; blocks.
    /// - Parameter directory: the attempt's, in which its log lies.
    package init(directory: String) {
        if let bytes = try? Disk.read(directory + "/result", limitBytes: Self.limitBytes),
            let result = try? SupervisorClient.parseResult(bytes)
        {
            isOver = true
            startedAt = Self.known(result.startedAt)
            finishedAt = Self.known(result.finishedAt)
            exitCode = Int(result.exitCode)
            let containers = result.containers.isEmpty ? [result.deciding] : result.containers
            let time = containers.reduce(Duration.zero) { $0 + $1.userTime + $1.systemTime }
            cpuSeconds = time.inSeconds
            maxMemoryBytes = containers.map(\.maxRSSBytes).max()
        }
        if let bytes = try? Disk.read(directory + "/outcome", limitBytes: Self.limitBytes),
            let outcome = AttemptOutcome(fileContent: bytes)
        {
            isOver = true
            exitCode = exitCode ?? outcome.exitCode
            finishedAt = finishedAt ?? outcome.finishedAt
        }
        startedAt = startedAt ?? Self.beginning(directory)
    }

    private static func known(_ moment: Timestamp) -> Timestamp? { moment.nanoseconds > 0 ? moment : nil }

    /// What the supervisor is told is written just before the step begins.
    private static func beginning(_ directory: String) -> Timestamp? {
        Disk.status(directory + "/spec").map { Timestamp(nanoseconds: $0.modifiedNanoseconds) }
    }

    /// Whether the attempt's log can grow no more.
    package static func isOver(_ directory: String) -> Bool {
        Disk.exists(directory + "/result") || Disk.exists(directory + "/outcome")
    }
}

extension StepLogs.Attempt {
    package var directory: String { Disk.parent(of: path) }
    package var record: AttemptRecord { AttemptRecord(directory: directory) }
    /// Whether the log can grow no more.
    package var isOver: Bool { AttemptRecord.isOver(directory) }
}
