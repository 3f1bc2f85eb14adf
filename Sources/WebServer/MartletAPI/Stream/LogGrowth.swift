// Whether any log of a run has grown, for a reader who sees them all as one.

import Executors
import NIOPosix
import Persistence
import Scheduling

/// Watches the sizes of the logs of the nodes that run.
struct LogGrowth: Sendable {
    /// Nodes that are looked at; of more at once the first ones speak for the others.
    private static let nodeLimit = 64
    /// The newest lines are given only when no earlier one can come: a reader is called once more behind them.
    private static let settling = Duration.milliseconds(700)

    private var revision: Int64 = -1
    private var running: [NodeID] = []
    private var bytes = 0
    private var grewAt: Duration?

    /// - Parameter revision: of the run, as far as the reader knows; nodes are asked for only when it has changed.
    /// - Returns: the bytes of the logs that grow, if there is something for the reader to fetch.
    mutating func look(
        _ uid: String, revision: Int64, _ hub: StreamHub, at now: Duration
    ) async throws -> Int? {
        if self.revision != revision {
            self.revision = revision
            running = try await hub.context.store.runningPods(uid, limit: Self.nodeLimit)
        }
        let (nodes, logs) = (running, hub.logs.logs)
        let sum = try await NIOThreadPool.singleton.runIfActive {
            nodes.reduce(0) { $0 + (logs.attempt(NodeLog(workflowUID: uid, nodeID: $1))?.bytes ?? 0) }
        }
        if sum != bytes {
            bytes = sum
            grewAt = now
            return sum
        }
        guard let moment = grewAt, now - moment >= Self.settling else { return nil }
        grewAt = nil
        return sum
    }
}
