// What is done about deployments, as tables: a deployment and what is seen of it, and the actions.

import Testing
import Text

@testable import Scheduling

@Suite("What is done about a deployment")
struct DeploymentPlanTests {
    private static let start = Timestamp(seconds: 1_000_000)
    private static let plan = DeploymentPlan()

    private static func at(_ seconds: Int) -> Timestamp { start + .seconds(seconds) }

    /// A deployment with as many revisions as asked for, of which some may be active or wanted.
    private static func deployment(
        _ revisions: Int, active: Int? = nil, wanted: Int? = nil, replicas: Int = 1, minReady: Double = 0
    ) -> Deployment {
        var deployment = Deployment(name: "chat", namespace: "default", replicas: replicas, at: start)
        for number in 1...revisions {
            var spec = DeploymentSpec(name: "chat")
            spec.replicas = replicas
            spec.minReadySeconds = minReady
            _ = deployment.prepare(spec, DeploymentOrigin(launch: "run/node/\(number)"), at: start)
            guard number == active || number == wanted || active != nil else { continue }
            deployment.begin(number, at: start)
            if number != wanted { deployment.activate(number, at: start) }
        }
        return deployment
    }

    private static func replica(
        _ revision: Int, slot: Int = 0, attempt: Int = 1, _ process: ObservedReplica.Process = .running,
        ready: Int? = nil, test: ObservedReplica.SmokeTest = .none
    ) -> ObservedReplica {
        var replica = ObservedReplica(
            id: ReplicaID(revision: revision, slot: slot, attempt: attempt), process: process)
        if let ready { replica.health = .ready(since: at(ready)) }
        replica.test = test
        return replica
    }

    private static func id(_ revision: Int, slot: Int = 0, attempt: Int = 1) -> ReplicaID {
        ReplicaID(revision: revision, slot: slot, attempt: attempt)
    }

    private static func draining(_ replica: ObservedReplica, since: Int, inFlight: Int) -> ObservedReplica {
        var replica = replica
        replica.drainingSince = at(since)
        replica.inFlight = inFlight
        return replica
    }

    private static func silent(_ replica: ObservedReplica, since: Int) -> ObservedReplica {
        var replica = replica
        replica.health = .silent(since: at(since))
        return replica
    }

    private static let ended = ObservedReplica.Process.ended(
        reason: "exit code 1", at: start, lived: .seconds(1))
    private static let endedLate = ObservedReplica.Process.ended(
        reason: "killed", at: start, lived: .seconds(3_600))

    private struct Case: Sendable {
        var words: String
        var deployment: Deployment
        var replicas: [ObservedReplica]
        var seconds = 10
        var actions: [DeploymentAction]
    }

    private static let cases: [Case] = [
        Case(
            words: "a new revision is started in each slot",
            deployment: deployment(1, wanted: 1, replicas: 2),
            replicas: [], actions: [.start(id(1), failures: 0), .start(id(1, slot: 1), failures: 0)]),
        Case(
            words: "a start that was cut off is done again", deployment: deployment(1, wanted: 1),
            replicas: [replica(1, .notStarted)], actions: [.start(id(1), failures: 0)]),
        Case(
            words: "one that loads is waited for", deployment: deployment(1, wanted: 1),
            replicas: [replica(1)],
            actions: []),
        Case(
            words: "one that answers is tested", deployment: deployment(1, wanted: 1),
            replicas: [replica(1, ready: 5)], actions: [.smokeTest(id(1))]),
        Case(
            words: "a test is made once", deployment: deployment(1, wanted: 1),
            replicas: [replica(1, ready: 5, test: .running)], actions: []),
        Case(
            words: "one that passed takes the place", deployment: deployment(2, active: 1, wanted: 2),
            replicas: [replica(1, ready: 0), replica(2, ready: 5, test: .passed)], actions: [.activate(2)]),
        Case(
            words: "all replicas must have passed", deployment: deployment(1, wanted: 1, replicas: 2),
            replicas: [replica(1, ready: 5, test: .passed), replica(1, slot: 1)], actions: []),
        Case(
            words: "one must stay ready as long as was asked for",
            deployment: deployment(1, wanted: 1, minReady: 6),
            replicas: [replica(1, ready: 5, test: .passed)], actions: []),
        Case(
            words: "and takes the place then", deployment: deployment(1, wanted: 1, minReady: 5),
            replicas: [replica(1, ready: 5, test: .passed)], actions: [.activate(1)]),
        Case(
            words: "a failed test rolls back", deployment: deployment(2, active: 1, wanted: 2),
            replicas: [replica(1, ready: 0), replica(2, ready: 5, test: .failed("no text"))],
            actions: [.fail(2, reason: "the smoke test failed: no text")]),
        Case(
            words: "a first end is tried again", deployment: deployment(1, wanted: 1),
            replicas: [replica(1, ended)], actions: [.start(id(1, attempt: 2), failures: 1)]),
        Case(
            words: "but not before its pause is over", deployment: deployment(1, wanted: 1),
            replicas: [replica(1, ended)], seconds: 0, actions: []),
        Case(
            words: "the time of a roll-out is limited", deployment: deployment(1, wanted: 1),
            replicas: [replica(1)], seconds: 901,
            actions: [.fail(1, reason: "it was not ready after 900 seconds")]),
        Case(
            words: "what served before gets no requests any more", deployment: deployment(2, active: 2),
            replicas: [replica(1, ready: 0), replica(2, ready: 0)], actions: [.drain(id(1))]),
        Case(
            words: "its requests are waited for", deployment: deployment(2, active: 2),
            replicas: [draining(replica(1, ready: 0), since: 0, inFlight: 1), replica(2, ready: 0)],
            actions: []),
        Case(
            words: "for some time", deployment: deployment(2, active: 2),
            replicas: [draining(replica(1, ready: 0), since: 0, inFlight: 1), replica(2, ready: 0)],
            seconds: 601, actions: [.stop(id(1))]),
        Case(
            words: "without requests it is ended", deployment: deployment(2, active: 2),
            replicas: [draining(replica(1, ready: 0), since: 0, inFlight: 0), replica(2, ready: 0)],
            actions: [.stop(id(1))]),
        Case(
            words: "an active one that dies is started again, however often",
            deployment: deployment(1, active: 1), replicas: [replica(1, endedLate)],
            actions: [.start(id(1, attempt: 2), failures: 1)]),
        Case(
            words: "one that is silent for a moment is left alone", deployment: deployment(1, active: 1),
            replicas: [silent(replica(1), since: 0)], actions: []),
        Case(
            words: "one that stays silent is ended", deployment: deployment(1, active: 1),
            replicas: [silent(replica(1), since: 0)], seconds: 61, actions: [.stop(id(1))]),
        Case(
            words: "what is left of an earlier try goes", deployment: deployment(1, active: 1),
            replicas: [replica(1, ended), replica(1, attempt: 2, ready: 0)], actions: [.remove(id(1))]),
    ]

    @Test("Each case asks for its actions", arguments: cases.indices)
    func actions(index: Int) {
        let row = Self.cases[index]
        let actions = Self.plan.actions(for: row.deployment, row.replicas, at: Self.at(row.seconds))
        #expect(actions == row.actions, "\(row.words)")
    }

    @Test("A new revision that ends twice is given up with what it said")
    func givesUp() {
        var replica = Self.replica(1, Self.ended)
        replica.failures = 1
        let actions = Self.plan.actions(for: Self.deployment(1, wanted: 1), [replica], at: Self.at(10))
        #expect(actions == [.fail(1, reason: "replica 0 ended before it was ready: exit code 1")])
    }

    @Test("Fewer replicas end the surplus, more start what is missing")
    func scaling() throws {
        var deployment = Self.deployment(1, active: 1, replicas: 2)
        let both = [Self.replica(1, ready: 0), Self.replica(1, slot: 1, ready: 0)]
        #expect(Self.plan.actions(for: deployment, both, at: Self.at(1)).isEmpty)
        try deployment.scale(to: 1, at: Self.at(1))
        #expect(Self.plan.actions(for: deployment, both, at: Self.at(1)) == [.drain(Self.id(1, slot: 1))])
        try deployment.scale(to: 3, at: Self.at(1))
        #expect(
            Self.plan.actions(for: deployment, both, at: Self.at(1)) == [
                .start(Self.id(1, slot: 2), failures: 0)
            ])
        #expect(throws: DeploymentProblem.self) { try deployment.scale(to: 0, at: Self.start) }
    }

    @Test("A deleted deployment is forgotten when nothing of it is left")
    func deletion() {
        var deployment = Self.deployment(1, active: 1)
        deployment.delete(at: Self.start)
        let plan = Self.plan
        #expect(plan.actions(for: deployment, [Self.replica(1)], at: Self.start) == [.drain(Self.id(1))])
        #expect(
            plan.actions(for: deployment, [Self.replica(1, Self.ended)], at: Self.start) == [
                .remove(Self.id(1))
            ])
        #expect(plan.actions(for: deployment, [], at: Self.start) == [.forget])
    }

    @Test("Pauses between restarts grow up to a limit", arguments: zip([1, 2, 3, 7, 50], [1, 2, 4, 60, 60]))
    func pauses(failures: Int, seconds: Int) {
        #expect(Self.plan.pause(after: failures) == .seconds(seconds))
    }

    @Test("Whatever is killed when, driving a roll-out to its end needs no more than looking again")
    func simulation() {
        // A world that does what it is told, one action a turn, and forgets the rest: a driver killed in
        // between.
        for skipped in 0..<6 {
            var deployment = Self.deployment(2, active: 1, wanted: 2, replicas: 2)
            var replicas = [0, 1].map { Self.replica(1, slot: $0, ready: 0) }
            var turn = 0
            while turn < 200 {
                let actions = Self.plan.actions(for: deployment, replicas, at: Self.at(turn))
                if actions.isEmpty && deployment.wanted == nil { break }
                let done = actions.enumerated().filter { ($0.offset + turn) % (skipped + 1) == 0 }.map(
                    \.element)
                for action in done { Self.apply(action, &deployment, &replicas, at: Self.at(turn)) }
                turn += 1
            }
            #expect(deployment.active == 2)
            #expect(replicas.filter(\.isRunning).map(\.id.revision) == [2, 2])
            #expect(deployment.state(replicas) == "ready")
        }
    }

    private static func apply(
        _ action: DeploymentAction, _ deployment: inout Deployment, _ replicas: inout [ObservedReplica],
        at now: Timestamp
    ) {
        func change(_ id: ReplicaID, _ body: (inout ObservedReplica) -> Void) {
            for index in replicas.indices where replicas[index].id == id { body(&replicas[index]) }
        }
        switch action {
        case .start(let id, _):
            replicas.removeAll { $0.id == id }
            replicas.append(replica(id.revision, slot: id.slot, attempt: id.attempt, ready: 0))
        case .smokeTest(let id): change(id) { $0.test = .passed }
        case .activate(let number): deployment.activate(number, at: now)
        case .fail(let number, let reason): deployment.fail(number, reason, at: now)
        case .drain(let id): change(id) { $0.drainingSince = now }
        case .stop(let id): change(id) { $0.process = .ended(reason: "", at: now, lived: .seconds(100)) }
        case .remove(let id): replicas.removeAll { $0.id == id }
        case .forget: break
        }
    }
}
