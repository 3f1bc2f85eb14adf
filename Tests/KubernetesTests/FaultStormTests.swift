// The executor under a seeded fault layer: watches cut, doubled, late, out of order and too old, requests refused,
// failed, or carried out without an answer. Each step runs once, and none is stuck.

import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Steps as pods in a storm", .timeLimit(.minutes(10)))
struct FaultStormTests {
    private static let count = 12

    @Test("Each step runs once, and none is stuck, though each kind of fault happens")
    func storms() async throws {
        var happened: [String: Int] = [:]
        try await withThrowingTaskGroup(of: [String: Int].self) { group in
            for seed in 1...16 as ClosedRange<UInt64> { group.addTask { try await Self.storm(seed: seed) } }
            for try await counts in group { happened.merge(counts, uniquingKeysWith: +) }
        }
        for kind in ["expired", "failed", "cut", "put off", "lost", "late", "twice", "swapped"] {
            #expect(
                happened[kind, default: 0] > 0, "nothing was \(kind), so that was not tested: \(happened)")
        }
    }

    /// - Returns: the faults that happened.
    private static func storm(seed: UInt64) async throws -> [String: Int] {
        let world = try ExecutorWorld()
        // There are few watches, and over the seeds each kind of harm must come to some of them.
        var rates = FaultRates()
        (rates.expiries, rates.cuts) = (50, 50)
        let layer = FaultLayer(seed: seed, rates: rates)
        world.server.setFaults(layer.judge)
        PlayedNode(world.server.objects).start()
        var waiting: Set<String> = []
        for index in 0..<count {
            var launch = PodRendererTests.launch([
                "name": "step", "container": ["image": "busybox", "command": ["true"]],
            ])
            launch.key.nodeID = "w-\(index)"
            launch.podName = "w-step-\(index)"
            waiting.insert(launch.key.nodeID)
            await world.executor.launch(launch, values: LaunchValues())
        }
        for await report in world.executor.reports {
            guard let outcome = report.outcome else { continue }
            #expect(outcome.phase == .succeeded, "seed \(seed): \(outcome.message)")
            #expect(
                waiting.remove(report.key.nodeID) != nil, "seed \(seed): \(report.key.nodeID) ended twice")
            if waiting.isEmpty { break }
        }
        let created = world.server.objects.createCounts.filter { $0.key.resource == "pods" }
        #expect(created.count == count && created.values.allSatisfy { $0 == 1 }, "seed \(seed): \(created)")
        for index in 0..<count {
            await world.executor.removeWorkingFiles(workflowUID: "u-1", nodeID: "w-\(index)")
        }
        await world.server.objects.wait { world.podNames.isEmpty }
        #expect(world.podNames.isEmpty, "seed \(seed)")
        await world.close()
        return layer.happened
    }

    @Test("Events that come twice or after a newer one say nothing")
    func seenVersions() {
        var seen = SeenVersions()
        func isNew(_ pod: JSONValue) -> Bool { seen.isNew(pod) }
        func pod(_ version: String, uid: String = "a") -> JSONValue {
            ["metadata": ["uid": .string(uid), "resourceVersion": .string(version)]]
        }
        #expect(isNew(pod("9")))
        #expect(!isNew(pod("9")))
        #expect(!isNew(pod("8")))
        #expect(isNew(pod("10")))
        #expect(isNew(pod("3", uid: "b")))
        seen.forget(pod("10"))
        #expect(isNew(pod("4")))
        // Versions are only compared where they are numbers.
        #expect(isNew(pod("x")) && isNew(pod("x")))
    }
}
