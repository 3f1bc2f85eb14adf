// A controller that serves a whole data directory: what it takes up, in which order, and what it keeps.

import Executors
import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Controller as a server", .timeLimit(.minutes(5)))
struct ServingTests {
    @Test("Runs that were there, and those that another process stores, are driven; ended ones are forgotten")
    func servesAll() async throws {
        let world = try ControllerWorld()
        let outside = try world.operations(nil)
        let manifest = try ControllerWorld.json(ControllerWorld.oneStep)
        var uids: [String] = []
        for _ in 0..<5 { uids.append(try await outside.create(manifest, namespace: "default").uid) }
        let saves = Tally()
        let controller = world.controller(
            NoOpExecutor(now: world.clock.now), servesAll: true, onSaved: { saves.next() })
        let before = uids
        try await world.serving(controller) {
            for uid in before { try await world.until { try await world.phase(uid) == "Succeeded" } }
            for _ in 0..<3 {
                let uid = try await outside.create(manifest, namespace: "default").uid
                try await world.until { try await world.phase(uid) == "Succeeded" }
            }
            try await world.until { await controller.counts.driven == 0 }
            #expect(controller.watchers.counts.streams == 0)
            #expect(controller.watchers.counts.outcomes == 0)
        }
        #expect(saves.value > 0)
        for uid in uids {
            #expect(try await world.store.loadRun(uid)?.effects.isEmpty == true)
            #expect(!DriverLock.isHeld(runDirectory: "\(world.directory)/runs/\(uid)"))
        }
        try world.remove()
    }

    @Test("A run whose driver lets go of it is taken over")
    func adopts() async throws {
        let world = try ControllerWorld()
        let outside = try world.operations(nil)
        let uid = try await outside.create(
            ControllerWorld.json(ControllerWorld.oneStep), namespace: "default"
        ).uid
        let lock = Shared(try DriverLock.take(runDirectory: "\(world.directory)/runs/\(uid)"))
        let controller = world.controller(NoOpExecutor(now: world.clock.now), servesAll: true)
        try await world.serving(controller) {
            try await world.until { await controller.counts.foreign == 1 }
            #expect(try await world.phase(uid) == "Pending")
            lock.value = nil
            try await world.until { try await world.phase(uid) == "Succeeded" }
        }
        try world.remove()
    }

    @Test("Beyond the limits runs wait and say so; the highest priority goes first, then the oldest")
    func limits() async throws {
        let world = try ControllerWorld()
        let executor = HeldExecutor()
        let controller = world.controller(
            executor, servesAll: true, limits: RunLimits(parallelism: 2, namespaceParallelism: 1))
        let operations = try world.operations(controller)
        try await world.serving(controller) {
            func submit(_ namespace: String, _ priority: Int) async throws -> String {
                world.clock.advance(seconds: 1)
                var options = SubmissionOptions()
                options.priority = priority
                return try await operations.create(
                    ControllerWorld.json(ControllerWorld.oneStep), namespace: namespace, options: options
                ).uid
            }
            let first = try await submit("a", 0)
            try await world.until { executor.running.map(\.workflowUID) == [first] }
            let second = try await submit("a", 0)
            let urgent = try await submit("a", 9)
            try await world.until { await controller.counts.waiting == 2 }
            let other = try await submit("b", 0)
            try await world.until { executor.running.count == 2 }
            let waiting = try await operations.state(second)
            #expect(waiting.phase == .pending)
            try await world.until {
                try await operations.state(second).message.contains("1 workflows of namespace a")
            }
            executor.finish(first)
            try await world.until { executor.running.map(\.workflowUID).contains(urgent) }
            #expect(!executor.launched.map(\.workflowUID).contains(second))
            // A run that waits can be ended like any other.
            _ = try await operations.control(second, .terminate)
            try await world.until { try await world.phase(second) == "Failed" }
            executor.finish(urgent)
            executor.finish(other)
            for uid in [first, urgent, other] {
                try await world.until { try await world.phase(uid) == "Succeeded" }
            }
            #expect(await controller.counts.waiting == 0)
        }
        try world.remove()
    }

    @Test("A run that is deleted behind the controller's back is ended and forgotten")
    func deleted() async throws {
        let world = try ControllerWorld()
        let executor = HeldExecutor()
        let controller = world.controller(executor, servesAll: true)
        let operations = try world.operations(controller)
        try await world.serving(controller) {
            let manifest = try ControllerWorld.json(ControllerWorld.oneStep)
            let doomed = try await operations.create(manifest, namespace: "default").uid
            let other = try await operations.create(manifest, namespace: "default").uid
            try await world.until { executor.running.count == 2 }
            try await world.store.deleteWorkflow(doomed)
            try await world.until { executor.cancelled.map(\.workflowUID) == [doomed] }
            executor.finish(other)
            try await world.until { try await world.phase(other) == "Succeeded" }
            try await world.until { await controller.counts.driven == 0 }
        }
        try world.remove()
    }

    @Test("Many runs that wait for one mutex go one after the other, the oldest first")
    func mutex() async throws {
        let world = try ControllerWorld()
        let executor = HeldExecutor()
        let controller = world.controller(executor, servesAll: true)
        let operations = try world.operations(controller)
        let manifest = try ControllerWorld.json(
            """
            {"metadata": {"generateName": "lock-"}, "spec": {"entrypoint": "main",
             "synchronization": {"mutexes": [{"name": "m"}]}, "templates": [
              {"name": "main", "container": {"image": "x", "command": ["true"]}}]}}
            """)
        try await world.serving(controller) {
            var uids: [String] = []
            for index in 0..<6 {
                world.clock.advance(seconds: 1)
                uids.append(try await operations.create(manifest, namespace: "default").uid)
                let held = index + 1
                try await world.until { await controller.counts.driven == held }
            }
            for uid in uids {
                try await world.until { executor.running.map(\.workflowUID) == [uid] }
                executor.finish(uid)
            }
            try await world.until { await controller.counts.driven == 0 }
        }
        try world.remove()
    }

    @Test("Runs go first by priority, then by age; namespaces have limits of their own")
    func admission() {
        var admission = RunAdmission(limits: RunLimits(parallelism: 3, namespaceParallelism: 2))
        func run(_ uid: String, _ namespace: String, _ priority: Int, _ seconds: Int) -> WaitingRun {
            WaitingRun(
                uid: uid, namespace: namespace, priority: priority, createdAt: Timestamp(seconds: seconds))
        }
        for _ in 0..<2 { admission.began("a") }
        #expect(admission.blocked("a")?.contains("namespace a") == true)
        #expect(admission.hasRoom("b"))
        admission.began("b")
        #expect(admission.blocked("b")?.contains("3 workflows") == true)
        for waiting in [run("x", "a", 0, 1), run("y", "b", 0, 3), run("z", "b", 5, 9), run("w", "b", 0, 2)] {
            admission.wait(waiting)
        }
        admission.withdraw("w")
        #expect(admission.popReady().isEmpty)
        admission.ended("b")
        #expect(admission.popReady().map(\.uid) == ["z"])
        admission.began("b")
        admission.ended("a")
        #expect(admission.popReady().map(\.uid) == ["x"])
        #expect(admission.waitingCount == 1 && admission.isWaiting("y"))
    }

    @Test("Due runs come in order, and a cleared or changed moment does not count")
    func dueRuns() {
        var due = DueRuns()
        for index in 0..<100 { due.set("r\(index)", Timestamp(seconds: (index * 37) % 100)) }
        due.set("r0", nil)
        due.set("r1", Timestamp(seconds: 500))
        var order: [Int] = []
        while let uid = due.popDue(at: Timestamp(seconds: 100)) {
            order.append((Int(uid.dropFirst()) ?? 0) * 37 % 100)
        }
        #expect(order == order.sorted())
        #expect(order.count == 98)
        #expect(due.next == Timestamp(seconds: 500))
        for index in 0..<5_000 { due.set("s", Timestamp(seconds: 1_000 + index)) }
        #expect(due.popDue(at: Timestamp(seconds: 600)) == "r1")
        #expect(due.popDue(at: Timestamp(seconds: 5_998)) == nil)
        #expect(due.popDue(at: Timestamp(seconds: 5_999)) == "s")
    }
}
