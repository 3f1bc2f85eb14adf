// What groups share with single pods: values of the run, nodes to keep away from, Jobs of an earlier process, lines.

import Artifacts
import Executors
import FakeCluster
import Glibc
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Groups are treated as pods are", .timeLimit(.minutes(5)))
struct GroupValueTests {
    private static let jobs = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml")

    private func withGroups(_ body: @Sendable (ExecutorWorld, GroupExecutor) async throws -> Void)
        async throws
    {
        let world = try ExecutorWorld(role: GroupExecutorTests.role())
        let groups = GroupExecutor(base: world.executor, pods: world.executor)
        try await body(world, groups)
        await groups.shutDown()
        await world.close()
    }

    private func job(_ world: ExecutorWorld, _ name: String) async throws -> JSONValue {
        var place = Self.jobs
        place.name = name
        let wanted = place
        let objects = world.server.objects
        await objects.wait { (try? objects.get(wanted)) != nil }
        return try objects.get(wanted)
    }

    @Test("ConfigMaps and Secrets of the manifest are laid into the cluster for a group, too")
    func values() async throws {
        try await withGroups { world, groups in
            let variable: JSONValue = [
                "name": "KEY", "valueFrom": ["secretKeyRef": ["name": "keys", "key": "k"]],
            ]
            let container: JSONValue = ["image": "x", "command": ["t"], "env": [variable]]
            let keys: JSONValue = ["kind": "Secret", "metadata": ["name": "keys"], "stringData": ["k": "v"]]
            await groups.launch(
                GroupRendererTests.launch(GroupRendererTests.template(["container": container])),
                values: LaunchValues(configMaps: [:], secrets: ["keys": KeyedValues(keys)]))
            let job = try await job(world, "w-step-1")
            let main = job["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?.first
            let reference = main?["env"]?.arrayValue?.first { $0["name"] == "KEY" }
            let name = reference?["valueFrom"]?["secretKeyRef"]?["name"]?.stringValue ?? ""
            let place = ObjectPlace(resource: "secrets", namespace: "ml", name: name)
            #expect(name.hasPrefix("keys-"))
            let owners = try world.server.objects.get(place)["metadata"]?["ownerReferences"]?.arrayValue
            #expect(owners?.first?["kind"] == "ConfigMap", "the run's object owns it")
        }
    }

    @Test("A group that is to go elsewhere after a failure keeps away from the node that it failed on")
    func avoidance() async throws {
        try await withGroups { world, groups in
            let retry: JSONValue = ["affinity": ["nodeAntiAffinity": [:]]]
            let template = GroupRendererTests.template(["retryStrategy": retry])
            var launch = GroupRendererTests.launch(template, attempt: 1)
            launch.retryOrdinal = 1
            launch.checkpointNodeID = "w-retry"
            // What the first attempt left: a pod that failed by itself, on a node.
            var first = launch
            first.key = AttemptKey(workflowUID: "u-1", nodeID: "w-0", attempt: 0)
            let group = try #require(try NodeGroup(first.template))
            let earlier = try GroupRenderer(PodSettings(stepImage: "x")).objects(
                for: first, group: group, owner: nil, token: "t"
            ).job["spec"]?["template"]
            var metadata = earlier?["metadata"]?.objectValue ?? [:]
            metadata["name"] = "w-step-0-1-abcde"
            var spec = earlier?["spec"]?.objectValue ?? [:]
            spec["nodeName"] = "sick"
            _ = try world.server.objects.create(
                ExecutorWorld.place(""),
                ["kind": "Pod", "metadata": .object(metadata), "spec": .object(spec)])
            try world.setStatus("w-step-0-1-abcde", ExecutorWorld.failed(1))
            await groups.launch(launch, values: LaunchValues())
            let job = try await job(world, "w-step-1-1")
            let affinity = job["spec"]?["template"]?["spec"]?["affinity"]?.compactText ?? ""
            #expect(affinity.contains(#""operator":"NotIn","values":["sick"]"#), "\(affinity)")
        }
    }

    @Test("Jobs and Services of a run's nodes that ended before this process began are deleted all the same")
    func recalled() async throws {
        try await withGroups { world, groups in
            for (node, pod) in [("w-1", "w-step-1"), ("w-2", "w-step-2")] {
                var launch = GroupRendererTests.launch(GroupRendererTests.template())
                launch.key.nodeID = node
                launch.podName = pod
                let group = try #require(try NodeGroup(launch.template))
                let (service, job) = try GroupRenderer(PodSettings(stepImage: "x")).objects(
                    for: launch, group: group, owner: nil, token: "t")
                _ = try world.server.objects.create(
                    ObjectPlace(resource: "services", namespace: "ml"), service)
                _ = try world.server.objects.create(Self.jobs, job)
            }
            // The run is still at work in this process, with another node.
            var alive = GroupRendererTests.launch(GroupRendererTests.template())
            (alive.key.nodeID, alive.podName) = ("w-3", "w-step-3")
            await groups.launch(alive, values: LaunchValues())
            _ = try await job(world, "w-step-3")
            await groups.removeWorkingFiles(workflowUID: "u-1", nodeID: "w-1")
            await groups.removeWorkingFiles(workflowUID: "u-1", nodeID: "w-2")
            let objects = world.server.objects
            @Sendable func names(_ place: ObjectPlace) -> [String] {
                objects.list(place, labels: LabelTerms("")).items.compactMap {
                    $0["metadata"]?["name"]?.stringValue
                }
            }
            let services = ObjectPlace(resource: "services", namespace: "ml")
            await objects.wait { names(Self.jobs) == ["w-step-3"] && names(services) == ["w-step-3"] }
            #expect(names(Self.jobs) == ["w-step-3"] && names(services) == ["w-step-3"])
        }
    }

    @Test("Lines of one time are told apart by their number, also when a log is read again from a file")
    func sameTimes() async throws {
        let world = try ExecutorWorld()
        let client = try RoleScenarios.client(world)
        _ = try world.server.objects.create(
            ExecutorWorld.place(""), ["metadata": ["name": "p"], "spec": ["containers": [["name": "main"]]]])
        try world.setStatus("p", ExecutorWorld.succeeded)
        let file = world.directory + "/node"
        try Disk.makeDirectories(world.directory)
        world.server.setLogs { _, _ in file }
        let all = ["a", "b", "c", "d"]
        func write(_ count: Int) throws {
            let text = all.prefix(count).map { "2026-01-01T00:00:00.5Z stdout F \($0)\n" }.joined()
            try Disk.replace(file, with: Array(text.utf8), durable: false)
        }
        let path = world.directory + "/log"
        for count in [2, 3, 4] {
            try write(count)
            // Another process each time: what is there is read from the file.
            let log = GroupLog(client: client, path: path)
            await log.follow(namespace: "ml", pod: "p", rank: 0) { true }
        }
        #expect(StepLog(path: path).lines().map(\.text) == all.map { "[rank 0] \($0)" })
        await client.shutDown()
        await world.close()
    }
}
