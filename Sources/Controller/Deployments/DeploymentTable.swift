// Which replicas answer for which deployment at this moment, and how many requests each has: shared by the
// loop that looks after them and by whoever sends requests there.

package import Scheduling
import Synchronization

/// A request's hold on a replica: it is not ended before all of these are given back.
package final class ReplicaLease: Sendable {
    package let id: ReplicaID
    package let port: Int
    private let giveBack: @Sendable () -> Void

    fileprivate init(id: ReplicaID, port: Int, giveBack: @escaping @Sendable () -> Void) {
        self.id = id
        self.port = port
        self.giveBack = giveBack
    }

    deinit { giveBack() }
}

/// A replica as it is shown to people.
package struct ReplicaView: Sendable, Hashable {
    package var replica: ObservedReplica
    package var port: Int?

    package init(replica: ObservedReplica, port: Int?) {
        self.replica = replica
        self.port = port
    }
}

package final class DeploymentTable: Sendable {
    /// What a deployment has done since this process began.
    package struct Counts: Sendable, Hashable {
        package var requests = 0
        /// Requests that no replica could answer.
        package var failures = 0
        package var inFlight = 0
    }

    package enum Choice: Sendable {
        case replica(ReplicaLease)
        /// The deployment is there, and none of its replicas can take a request now.
        case noneReady
        case unknown
    }

    private struct Load {
        var inFlight = 0
        var isDraining = false
    }

    private struct Entry {
        var namespace: String
        var active: Int?
        var views: [ReplicaView] = []
        var loads: [ReplicaID: Load] = [:]
        var counts = Counts()
        /// Turns among replicas of equal load.
        var turn = 0
    }

    private let entries = Mutex<[String: Entry]>([:])

    package init() {}

    // MARK: For the loop

    /// Says what is there now. Requests under way keep their counts.
    package func publish(_ deployment: Deployment, _ views: [ReplicaView]) {
        entries.withLock { entries in
            var entry = entries[deployment.name] ?? Entry(namespace: deployment.namespace)
            entry.namespace = deployment.namespace
            entry.active = deployment.isDeleted ? nil : deployment.active
            entry.views = views
            let known = Set(views.map(\.replica.id))
            entry.loads = entry.loads.filter { known.contains($0.key) || $0.value.inFlight > 0 }
            entries[deployment.name] = entry
        }
    }

    /// Forgets all deployments but these.
    package func keep(_ names: Set<String>) {
        entries.withLock { entries in entries = entries.filter { names.contains($0.key) } }
    }

    /// No request goes there any more.
    package func drain(_ name: String, _ id: ReplicaID) {
        entries.withLock { $0[name]?.loads[id, default: Load()].isDraining = true }
    }

    package func inFlight(_ name: String, _ id: ReplicaID) -> Int {
        entries.withLock { $0[name]?.loads[id]?.inFlight ?? 0 }
    }

    /// Names of all deployments.
    var names: [String] { entries.withLock { Array($0.keys) } }

    // MARK: For requests

    /// The namespace of a deployment; nil if there is none.
    package func namespace(of name: String) -> String? { entries.withLock { $0[name]?.namespace } }

    package func views(of name: String) -> [ReplicaView] { entries.withLock { $0[name]?.views ?? [] } }

    package func counts(of name: String) -> Counts { entries.withLock { $0[name]?.counts ?? Counts() } }

    /// The replica of the active revision that has the fewest requests.
    /// - Parameter excluded: those that this request has found silent.
    package func choose(_ name: String, excluding excluded: Set<ReplicaID> = []) -> Choice {
        entries.withLock { entries in
            guard var entry = entries[name] else { return .unknown }
            entry.turn &+= 1
            let turn = entry.turn
            let fit = entry.views.filter { view in
                view.replica.id.revision == entry.active && view.replica.isReady && view.port != nil
                    && !excluded.contains(view.replica.id) && entry.loads[view.replica.id]?.isDraining != true
            }
            let loads = fit.map { entry.loads[$0.replica.id]?.inFlight ?? 0 }
            let lightest = zip(fit, loads).filter { $0.1 == loads.min() }.map(\.0)
            guard !lightest.isEmpty else { return .noneReady }
            let chosen = lightest[turn % lightest.count]
            guard let port = chosen.port else { return .noneReady }
            let id = chosen.replica.id
            entry.loads[id, default: Load()].inFlight += 1
            entry.counts.inFlight += 1
            entries[name] = entry
            return .replica(ReplicaLease(id: id, port: port) { [weak self] in self?.release(name, id) })
        }
    }

    private func release(_ name: String, _ id: ReplicaID) {
        entries.withLock { entries in
            guard entries[name] != nil else { return }
            entries[name]?.loads[id]?.inFlight -= 1
            entries[name]?.counts.inFlight -= 1
        }
    }

    /// Counts a request that has ended.
    package func count(_ name: String, failed: Bool) {
        entries.withLock { entries in
            entries[name]?.counts.requests += 1
            if failed { entries[name]?.counts.failures += 1 }
        }
    }
}
