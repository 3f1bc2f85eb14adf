// The election under a virtual clock: whatever the network does, two servers never act at a time, and when it is
// well again somebody does.

import FakeCluster
import Testing
import Text

@testable import Kubernetes

@Suite("Which server acts")
struct LeaseElectionTests {
    private static func settings(_ name: String) -> LeaseSettings {
        LeaseSettings(namespace: "ml", name: "martlet", identity: name)
    }

    private static func record(_ holder: String, _ version: String = "1") -> LeaseRecord {
        LeaseRecord(holder: holder, durationSeconds: 15, transitions: 0, resourceVersion: version)
    }

    /// The machine after it took the Lease at 0.
    private static func leader() -> LeaseElection {
        var election = LeaseElection(settings("a"))
        _ = election.handle(.read(nil), at: .zero)
        _ = election.handle(.written(record("a")), at: .zero)
        return election
    }

    @Test("A Lease that is not there is made, and one of another is waited for by our own clock")
    func taking() {
        var election = LeaseElection(Self.settings("a"))
        #expect(election.handle(.woke, at: .zero) == .read)
        #expect(election.handle(.read(Self.record("b")), at: .seconds(1)) == .wait(.seconds(2)))
        #expect(election.standing == .standby(holder: "b"))
        // It was renewed: the waiting begins anew.
        #expect(election.handle(.read(Self.record("b", "2")), at: .seconds(10)) == .wait(.seconds(2)))
        #expect(election.handle(.read(Self.record("b", "2")), at: .seconds(24)) == .wait(.seconds(2)))
        var mine = Self.record("a", "2")
        mine.transitions = 1
        #expect(election.handle(.read(Self.record("b", "2")), at: .seconds(25)) == .write(mine))
        #expect(election.handle(.refused, at: .seconds(25)) == .wait(.seconds(2)))
        #expect(election.validUntil == nil)
    }

    @Test("One that was given back is taken at once")
    func givenBack() {
        var election = LeaseElection(Self.settings("a"))
        var mine = Self.record("a")
        mine.transitions = 1
        #expect(election.handle(.read(Self.record("")), at: .zero) == .write(mine))
    }

    @Test(
        "A holder stops when it cannot renew, or when the Lease is no longer its own",
        arguments: [
            (event: LeaseElection.Event.failed, at: 9, stops: false), (.failed, 10, true), (.woke, 11, true),
            (.read(nil), 1, true), (.read(LeaseElectionTests.record("b", "3")), 1, true),
            (.read(LeaseElectionTests.record("", "3")), 1, true),
            (.read(LeaseElectionTests.record("a", "3")), 1, false), (.refused, 1, false),
            (.written(LeaseElectionTests.record("a", "2")), 12, true),
        ])
    func losing(event: LeaseElection.Event, at second: Int, stops: Bool) {
        var election = Self.leader()
        let step = election.handle(event, at: .seconds(second))
        if case .stop = step { #expect(stops) } else { #expect(!stops) }
        #expect((election.standing == .over) == stops)
        #expect((election.validUntil == nil) == stops)
    }

    @Test("An answer that took longer than the deadline makes nobody the holder")
    func lateAnswer() {
        var election = LeaseElection(Self.settings("a"))
        _ = election.handle(.read(nil), at: .zero)
        #expect(election.handle(.written(Self.record("a")), at: .seconds(10)) == .wait(.seconds(2)))
        #expect(election.standing != .leading)
        // What it wrote is its own, and is written once more.
        #expect(election.handle(.read(Self.record("a")), at: .seconds(12)) == .write(Self.record("a")))
    }

    @Test("Times that cannot hold are refused")
    func times() {
        var settings = Self.settings("a")
        #expect(settings.problem == nil)
        settings.renewDeadline = .seconds(15)
        #expect(settings.problem != nil)
        settings.renewDeadline = .seconds(1)
        #expect(settings.problem != nil)
    }

    // MARK: Simulation

    /// Four servers and one Lease under a virtual clock in milliseconds. Requests and answers take their time, get
    /// lost or come very late, servers stand still for a while, die and come back.
    private struct World {
        struct Server {
            var election: LeaseElection
            /// What it waits for: when, and which event; nil: it is dead.
            var next: (at: Int, event: LeaseElection.Event?, step: LeaseElection.Step?)?
            /// It does nothing before this.
            var frozenUntil = 0
        }

        var dice: FaultDice
        var now = 0
        var servers: [Server] = []
        var lease: LeaseRecord?
        var version = 1
        /// Requests on their way: when they arrive, who sent them, which life, what.
        var arriving: [(at: Int, server: Int, life: Int, step: LeaseElection.Step)] = []
        var lives: [Int] = []
        var isCalm = false

        init(seed: UInt64, count: Int) {
            dice = FaultDice(seed: seed)
            lives = Array(repeating: 0, count: count)
            servers = (0..<count).map { _ in Server(election: LeaseElection(settings("")), next: nil) }
            for index in servers.indices { restart(index) }
        }

        mutating func restart(_ index: Int) {
            lives[index] += 1
            let identity = "s\(index)-\(lives[index])"
            servers[index] = Server(election: LeaseElection(settings(identity)), next: (now, .woke, nil))
        }

        private func settings(_ name: String) -> LeaseSettings { LeaseElectionTests.settings(name) }

        /// Those whose fence is open.
        var acting: [Int] {
            servers.indices.filter {
                servers[$0].election.validUntil.map { .milliseconds(now) < $0 } ?? false
            }
        }

        mutating func tick() {
            now += 50
            for request in arriving.filter({ $0.at <= now }) { carryOut(request) }
            arriving.removeAll { $0.at <= now }
            for index in servers.indices {
                if !isCalm && dice.roll(2000) == 0 { servers[index].frozenUntil = now + dice.roll(30_000) }
                if !isCalm && dice.roll(3000) == 0 { restart(index) }
                guard now >= servers[index].frozenUntil, let next = servers[index].next, next.at <= now,
                    let event = next.event
                else { continue }
                proceed(index, event)
            }
        }

        private mutating func proceed(_ index: Int, _ event: LeaseElection.Event) {
            let step = servers[index].election.handle(event, at: .milliseconds(now))
            switch step {
            case .stop: restart(index)
            case .wait(let span):
                servers[index].next = (now + Int(span.wholeNanoseconds / 1_000_000), .woke, nil)
            case .read, .write:
                let delay = isCalm ? 10 : dice.roll(10) == 0 ? dice.roll(40_000) : dice.roll(500)
                arriving.append((now + delay, index, lives[index], step))
                // Its own patience; an answer that comes before replaces it.
                servers[index].next = (now + 5000, .failed, step)
            }
        }

        private mutating func carryOut(_ request: (at: Int, server: Int, life: Int, step: LeaseElection.Step))
        {
            if !isCalm && dice.roll(12) == 0 { return }
            var event = LeaseElection.Event.read(lease)
            if case .write(let record) = request.step {
                if record.resourceVersion == (lease?.resourceVersion ?? "") {
                    version += 1
                    var stored = record
                    stored.resourceVersion = String(version)
                    lease = stored
                    event = .written(stored)
                } else {
                    event = .refused
                }
            }
            // The answer may be lost, or its asker dead, or no longer waiting for it.
            if !isCalm && dice.roll(12) == 0 { return }
            guard lives[request.server] == request.life,
                servers[request.server].next?.step == request.step
            else { return }
            servers[request.server].next = (now, event, nil)
        }
    }

    @Test("Never do two act, and in calm somebody does", arguments: 1...30 as ClosedRange<UInt64>)
    func simulation(seed: UInt64) {
        var world = World(seed: seed, count: 4)
        var hasActed = false
        for _ in 0..<12_000 {
            world.tick()
            let acting = world.acting
            hasActed = hasActed || !acting.isEmpty
            if acting.count > 1 {
                Issue.record("seed \(seed): \(acting) act at \(world.now) ms")
                return
            }
        }
        #expect(hasActed)
        world.isCalm = true
        for _ in 0..<1_600 { world.tick() }
        #expect(world.acting.count == 1, "seed \(seed): nobody acts though all is well")
    }
}
