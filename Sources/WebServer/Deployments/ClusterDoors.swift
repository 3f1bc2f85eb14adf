// Where the deployments of a cluster answer: asked for once in a while, since a request for one should not cost
// another to the cluster's API.

import Controller
import Executors
import Synchronization

final class ClusterDoors: Sendable {
    /// So long an answer of the cluster holds, also that there is none of a name.
    private static let lifetime = Duration.seconds(5)
    private static let nameLimit = 1_000

    private struct Entry {
        var found: [ClusterDeployment]
        var until: Duration
    }

    private let cluster: ClusterDeploymentOperations
    private let now: @Sendable () -> Duration
    private let entries = Mutex<[String: Entry]>([:])

    /// - Parameter now: a clock that never goes back.
    init(_ cluster: ClusterDeploymentOperations, now: @escaping @Sendable () -> Duration) {
        self.cluster = cluster
        self.now = now
    }

    /// Those of a name, one in each namespace at most.
    /// - Throws: `OperationError` when the cluster does not answer.
    func named(_ name: String) async throws -> [ClusterDeployment] {
        let moment = now()
        if let entry = entries.withLock({ $0[name] }), entry.until > moment { return entry.found }
        let found = try await cluster.named(name)
        entries.withLock { entries in
            if entries.count >= Self.nameLimit { entries.removeAll() }
            entries[name] = Entry(found: found, until: moment + Self.lifetime)
        }
        return found
    }
}
