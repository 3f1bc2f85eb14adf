// The storm over all kinds of steps that are pods or objects: outputs, groups, resources, and a server that begins anew
// in the middle of it.

import Executors
import FakeCluster
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("All kinds of steps in a storm", .timeLimit(.minutes(10)))
struct FaultStormKindsTests {
    private static let each = 3

    private static func launches() -> [Launch] {
        let says = #"{"exitCode":0,"result":"said","parameters":{"loss":"0.5"},"complete":true}"#
        var launches: [Launch] = []
        for index in 0..<each {
            var step = PodRendererTests.launch([
                "name": "step", "container": ["image": "x", "command": ["run"]],
                "outputs": ["parameters": [["name": "loss", "valueFrom": ["path": "/loss"]]]],
            ])
            step.podSettings = ["podMetadata": ["annotations": [PlayedNode.says: .string(says)]]]
            launches.append(named(step, "outputs", index))
            launches.append(named(GroupRendererTests.launch(GroupRendererTests.template()), "group", index))
            let manifest = """
                {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "set-\(index)"},
                 "spec": {}}
                """
            let resource = PodRendererTests.launch([
                "name": "step",
                "resource": [
                    "action": "create", "manifest": .string(manifest),
                    "successCondition": "status.terminalState == Completed",
                ],
            ])
            launches.append(named(resource, "resource", index))
        }
        return launches
    }

    private static func named(_ launch: Launch, _ kind: String, _ index: Int) -> Launch {
        var launch = launch
        launch.key.nodeID = "\(kind)-\(index)"
        launch.nodeName = "w.\(kind)-\(index)"
        launch.podName = "w-\(kind)-\(index)"
        return launch
    }

    /// Does what the controller of JobSets would.
    private static func complete(_ change: FakeObjects.Change, _ objects: FakeObjects) {
        guard change.place.resource == "jobsets", change.kind == "ADDED" else { return }
        var place = change.place
        place.subresource = "status"
        _ = try? objects.update(place) { object throws(Refusal) in
            StrategicMerge.apply(["status": ["terminalState": "Completed"]], to: object)
        }
    }

    @Test("Each runs once, also over a restart, and says what it gave")
    func storms() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for seed in 1...4 as ClosedRange<UInt64> { group.addTask { try await Self.storm(seed: seed) } }
            try await group.waitForAll()
        }
    }

    private static func storm(seed: UInt64) async throws {
        let world = try ExecutorWorld()
        world.server.setFaults(FaultLayer(seed: seed).judge)
        world.server.objects.attach(complete)
        PlayedNode(world.server.objects).start()
        let jobs = FakeJobController(
            objects: world.server.objects, now: { [clock = world.clock] in clock.now })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await jobs.run() }
            var open = Dictionary(uniqueKeysWithValues: launches().map { ($0.key.nodeID, $0) })
            // The first server ends in the middle of it, and what it had not told yet is launched by the next.
            let count = open.count
            var pods = world.executor
            for left in [count / 2, 0] {
                let groups = GroupExecutor(base: pods, pods: pods)
                for launch in open.values { await groups.launch(launch, values: LaunchValues()) }
                for await report in groups.reports {
                    guard let outcome = report.outcome else { continue }
                    let node = report.key.nodeID
                    #expect(outcome.phase == .succeeded, "seed \(seed), \(node): \(outcome.message)")
                    #expect(open.removeValue(forKey: node) != nil, "seed \(seed): \(node) ended twice")
                    if node.hasPrefix("outputs") {
                        #expect(outcome.outputs.parameter("loss")?.value == "0.5", "seed \(seed): \(node)")
                    }
                    if open.count <= left { break }
                }
                await groups.shutDown()
                await pods.shutDown()
                if left > 0 { pods = try world.restarted() }
            }
            #expect(open.isEmpty)
            tasks.cancelAll()
        }
        let created = world.server.objects.createCounts.filter { $0.key.resource != "configmaps" }
        #expect(created.values.allSatisfy { $0 == 1 }, "seed \(seed): \(created)")
        func made(_ resource: String) -> Int { created.keys.filter { $0.resource == resource }.count }
        #expect(
            made("pods") == each + 3 * each && made("jobs") == each && made("jobsets") == each, "\(created)")
        await world.close()
    }
}
