// Which replica a request gets, and what holds one back from being ended.

import Scheduling
import Testing
import Text

@testable import Controller

@Suite("Which replica answers")
struct DeploymentTableTests {
    private static let now = Timestamp(seconds: 1_000_000)

    private static func id(_ revision: Int, _ slot: Int) -> ReplicaID {
        ReplicaID(revision: revision, slot: slot, attempt: 1)
    }

    private static func view(_ revision: Int, _ slot: Int, isReady: Bool = true) -> ReplicaView {
        var replica = ObservedReplica(id: id(revision, slot), process: .running)
        if isReady { replica.health = .ready(since: now) }
        return ReplicaView(replica: replica, port: 1_000 * revision + slot)
    }

    /// Serves revision 1, or 2 after that was rolled out.
    private static func deployment(active: Int) -> Deployment {
        var deployment = Deployment(name: "chat", namespace: "default", replicas: 2, at: now)
        for number in 1...active {
            _ = deployment.prepare(
                DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "\(number)"), at: now)
            deployment.begin(number, at: now)
            deployment.activate(number, at: now)
        }
        return deployment
    }

    private static func chosen(_ choice: DeploymentTable.Choice) -> ReplicaLease? {
        if case .replica(let lease) = choice { return lease }
        return nil
    }

    @Test("The one with the fewest requests is taken, in turns among equals")
    func leastLoaded() {
        let table = DeploymentTable()
        table.publish(Self.deployment(active: 1), [Self.view(1, 0), Self.view(1, 1)])
        var leases = (0..<4).compactMap { _ in Self.chosen(table.choose("chat")) }
        #expect(leases.filter { $0.id.slot == 0 }.count == 2)
        leases.removeAll { $0.id.slot == 1 }
        // Slot 1 has none now: it gets the next two.
        let next = (0..<2).compactMap { _ in Self.chosen(table.choose("chat")) }
        #expect(next.map(\.id.slot) == [1, 1])
        #expect(table.counts(of: "chat").inFlight == 4)
    }

    @Test("Only what is ready, of the active revision and not draining is taken")
    func fit() {
        let table = DeploymentTable()
        table.publish(
            Self.deployment(active: 2), [Self.view(1, 0), Self.view(2, 0, isReady: false), Self.view(2, 1)])
        #expect(Self.chosen(table.choose("chat"))?.id == Self.id(2, 1))
        table.drain("chat", Self.id(2, 1))
        #expect(Self.chosen(table.choose("chat")) == nil)
        guard case .noneReady = table.choose("chat"), case .unknown = table.choose("none") else {
            Issue.record("what is draining was chosen")
            return
        }
    }

    @Test("Each deployment has its numbers as metrics")
    func metrics() {
        let table = DeploymentTable()
        #expect(table.families.isEmpty)
        table.publish(Self.deployment(active: 1), [Self.view(1, 0), Self.view(1, 1, isReady: false)])
        table.count("chat", failed: true)
        let values = Dictionary(uniqueKeysWithValues: table.families.map { ($0.name, $0.series) })
        let labels = [MetricFamily.Label("deployment", "chat")]
        #expect(values["martlet_deployment_failures_total"] == [.init(labels, 1)])
        #expect(values["martlet_deployment_ready_replicas"] == [.init(labels, 1)])
    }

    @Test("What a request found silent is left out for it")
    func excluded() {
        let table = DeploymentTable()
        table.publish(Self.deployment(active: 1), [Self.view(1, 0), Self.view(1, 1)])
        for _ in 0..<5 {
            #expect(Self.chosen(table.choose("chat", excluding: [Self.id(1, 0)]))?.id == Self.id(1, 1))
        }
    }

    @Test("A request counts until its lease goes, though its replica is no longer listed")
    func leases() {
        let table = DeploymentTable()
        table.publish(Self.deployment(active: 1), [Self.view(1, 0)])
        var lease = Self.chosen(table.choose("chat"))
        #expect(lease != nil)
        table.publish(Self.deployment(active: 2), [Self.view(2, 0)])
        #expect(table.inFlight("chat", Self.id(1, 0)) == 1)
        lease = nil
        #expect(table.inFlight("chat", Self.id(1, 0)) == 0)
        table.keep([])
        #expect(table.namespace(of: "chat") == nil)
    }
}
