// Groups against an API server that enforces the rules and the role that is shipped, first with a node that
// the test plays, then with one that runs their commands.

import Artifacts
import Executors
import FakeCluster
import Glibc
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Groups as Jobs", .timeLimit(.minutes(5)))
struct GroupExecutorTests {
    /// A cluster whose controller of Jobs runs for as long as the body does.
    func withWorld(
        role: JSONValue? = nil, _ body: @Sendable (ExecutorWorld, GroupExecutor) async throws -> Void
    ) async throws {
        let world = try ExecutorWorld(role: role)
        let groups = GroupExecutor(base: world.executor, pods: world.executor)
        let controller = FakeJobController(
            objects: world.server.objects, now: { [clock = world.clock] in clock.now })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await controller.run() }
            try await body(world, groups)
            tasks.cancelAll()
        }
        await groups.shutDown()
        await world.close()
    }

    static func launch(labels: JSONValue = [:], attempt: Int = 0) -> Launch {
        GroupRendererTests.launch(GroupRendererTests.template(labels: labels), attempt: attempt)
    }

    /// The roles' own files as one: a verb that they lack is refused, as in a cluster.
    static func role(_ files: [String] = ["role.yaml"]) throws -> JSONValue {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let rules = try files.flatMap { file -> [JSONValue] in
            let path = "\(root)/deploy/kubernetes/\(file)"
            let (documents, _) = ManifestReader.read(try Disk.read(path, limitBytes: 1 << 20), file: path)
            return try #require(documents.first { $0.kind == "Role" }).json["rules"]?.arrayValue ?? []
        }
        return ["rules": .array(rules)]
    }

    private static let running: JSONValue = [
        "phase": "Running", "containerStatuses": [["name": "main", "state": ["running": [:]]]],
    ]

    /// The names of the group's pods, by rank, when all are there.
    func pods(_ world: ExecutorWorld, _ count: Int, job: String = "w-step-1") async throws -> [String] {
        // Rank and drawn letters follow the Job's name; another Job's name may begin with this one's.
        @Sendable func members() -> [String] {
            world.podNames.filter { name in
                name.hasPrefix(job + "-") && name.dropFirst(job.count + 1).split(separator: "-").count == 2
            }.sorted()
        }
        await world.server.objects.wait { members().count == count }
        let names = members()
        try #require(names.count == count)
        return names
    }

    func outcome(_ reports: inout AsyncStream<ExecutorReport>.Iterator) async -> AttemptOutcome? {
        await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
    }

    @Test("A group begins when all its pods run, and ends when all have ended well, under the shipped role")
    func runs() async throws {
        try await withWorld(role: Self.role()) { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            await groups.launch(Self.launch(), values: LaunchValues())
            let names = try await pods(world, 3)
            try world.setStatus(names[0], Self.running)
            let waiting = await KubernetesExecutor.next(&reports) {
                $0.waitingMessage?.hasPrefix("1 of 3") == true || $0.isStart
            }
            #expect(waiting?.isStart == false, "a third of a group is no group")
            for name in names.dropFirst() { try world.setStatus(name, Self.running) }
            #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
            for name in names { try world.setStatus(name, ExecutorWorld.succeeded) }
            #expect(await outcome(&reports)?.phase == .succeeded)
            #expect(world.server.objects.createCounts.values.allSatisfy { $0 == 1 })
            await groups.removeWorkingFiles(workflowUID: "u-1", nodeID: "w-1")
            let objects = world.server.objects
            let services = ObjectPlace(resource: "services", namespace: "ml")
            await objects.wait {
                world.podNames.isEmpty && objects.list(services, labels: LabelTerms("")).items.isEmpty
            }
            #expect(world.podNames.isEmpty)
            let used = world.server.usedVerbs
            for verb in [
                "create jobs", "list jobs", "watch jobs", "get jobs", "delete jobs", "create services",
            ] {
                #expect(used[verb] != nil, "\(verb) is not used")
            }
            #expect(used["delete services"] != nil)
        }
    }

    @Test("What a manifest's documents define is there before the group, which is led to it")
    func values() async throws {
        try await withWorld { world, groups in
            var template = GroupRendererTests.template().objectValue ?? [:]
            template["container"] = [
                "image": "x", "command": ["train"], "envFrom": [["secretRef": ["name": "keys"]]],
            ]
            let keys: JSONValue = ["kind": "Secret", "metadata": ["name": "keys"], "stringData": ["b": "x"]]
            await groups.launch(
                GroupRendererTests.launch(.object(template)),
                values: LaunchValues(secrets: ["keys": KeyedValues(keys)]))
            _ = try await pods(world, 3)
            let secrets = world.server.objects.list(
                ObjectPlace(resource: "secrets", namespace: "ml"), labels: LabelTerms("")
            ).items
            let name = try #require(secrets.first?["metadata"]?["name"])
            #expect(secrets.count == 1 && name != "keys")
            let place = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml", name: "w-step-1")
            let job = try world.server.objects.get(place)
            let containers = job["spec"]?["template"]?["spec"]?["containers"]?.arrayValue
            #expect(containers?.first?["envFrom"] == [["secretRef": ["name": name]]])
        }
    }

    @Test("One that fails takes the group with it, and the step says which and how")
    func fails() async throws {
        try await withWorld { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            let names = try await pods(world, 3)
            for name in names { try world.setStatus(name, Self.running) }
            #expect(await KubernetesExecutor.next(&reports, where: \.isStart) != nil)
            try world.setStatus(names[1], ExecutorWorld.failed(7))
            let outcome = await outcome(&reports)
            #expect(outcome?.phase == .failed && outcome?.message == "rank 1: Error (exit code 7)")
            #expect(world.podNames == [names[1]], "the others were ended")
            // The next attempt is another Job, beside which nothing of the first runs.
            await groups.launch(Self.launch(attempt: 1), values: LaunchValues())
            let next = try await pods(world, 3, job: "w-step-1-1")
            #expect(next.count == 3)
        }
    }

    @Test("A group in a queue is pending and no failure, however long it waits")
    func queued() async throws {
        try await withWorld { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(
                Self.launch(labels: ["kueue.x-k8s.io/queue-name": "team"]), values: LaunchValues())
            let waiting = await KubernetesExecutor.next(&reports) {
                $0.waitingMessage != nil || $0.outcome != nil
            }
            #expect(waiting?.waitingMessage == "queued in team: Kueue has not admitted the group yet")
            world.clock.advance(.seconds(100_000))
            #expect(world.podNames.isEmpty)
            let place = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml", name: "w-step-1")
            _ = try world.server.objects.update(place) { job throws(Refusal) in
                StrategicMerge.apply(["spec": ["suspend": false]], to: job)
            }
            for name in try await pods(world, 3) { try world.setStatus(name, ExecutorWorld.succeeded) }
            #expect(await outcome(&reports)?.phase == .succeeded)
        }
    }

    @Test("Creates whose answers are lost make one Service and one Job, and another's Job is left alone")
    func adopts() async throws {
        try await withWorld { world, groups in
            let lost = Mutex(0)
            world.server.setFaults { request in
                guard request.method == "POST", ["services", "jobs"].contains(request.place?.resource ?? "")
                else {
                    return nil
                }
                return lost.withLock { count in
                    count += 1
                    return count <= 3 ? .loseAnswer : nil
                }
            }
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            for name in try await pods(world, 3) { try world.setStatus(name, ExecutorWorld.succeeded) }
            #expect(await outcome(&reports)?.phase == .succeeded)
            #expect(world.server.objects.createCounts.values.allSatisfy { $0 == 1 })
            var other = Self.launch()
            other.key.workflowUID = "u-2"
            other.podSettings = ["podGC": ["strategy": "OnPodCompletion"]]
            await groups.launch(other, values: LaunchValues())
            let refused = await outcome(&reports)
            #expect(
                refused?.phase == .error && refused?.message.contains("belongs to something else") == true)
            await groups.remove(workflowUID: "u-2", nodeID: other.key.nodeID)
            let place = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml", name: "w-step-1")
            let services = ObjectPlace(resource: "services", namespace: "ml", name: "w-step-1")
            #expect(try PodMarks.key(of: world.server.objects.get(place))?.workflowUID == "u-1")
            _ = try world.server.objects.get(services)
        }
    }

    @Test("A later process finds the group at work and runs nothing again")
    func restarted() async throws {
        let world = try ExecutorWorld()
        let controller = FakeJobController(
            objects: world.server.objects, now: { [clock = world.clock] in clock.now })
        let first = GroupExecutor(base: world.executor, pods: world.executor)
        await first.launch(Self.launch(), values: LaunchValues())
        let objects = world.server.objects
        await objects.wait { objects.createCounts.keys.contains { $0.resource == "jobs" } }
        controller.step()
        await first.shutDown()
        for name in world.podNames { try world.setStatus(name, ExecutorWorld.succeeded) }
        controller.step()
        let again = try world.anotherExecutor()
        let second = GroupExecutor(base: again, pods: again)
        var reports = second.reports.makeAsyncIterator()
        await second.launch(Self.launch(), values: LaunchValues())
        #expect(await outcome(&reports)?.phase == .succeeded)
        #expect(world.server.objects.createCounts.values.allSatisfy { $0 == 1 })
        await second.shutDown()
        await world.close()
    }

    @Test("Cancelling takes the Job and its pods away; deleting the Job by hand uses up no attempt")
    func deleted() async throws {
        try await withWorld { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            _ = try await pods(world, 3)
            await groups.cancel(Self.launch().key, immediately: false)
            let cancelled = await outcome(&reports)
            #expect(cancelled?.phase == .failed && cancelled?.message == "terminated")
            #expect(world.podNames.isEmpty)
            await groups.launch(Self.launch(attempt: 1), values: LaunchValues())
            _ = try await pods(world, 3, job: "w-step-1-1")
            let place = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml", name: "w-step-1-1")
            try world.server.objects.delete(place, options: [:])
            let lost = await outcome(&reports)
            #expect(lost?.isLost == true && lost?.message.contains("Job was deleted") == true)
        }
    }

    @Test("A group of which only a part finds room gives it back after a while")
    func partial() async throws {
        try await withWorld { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            let names = try await pods(world, 3)
            var status = Self.running.objectValue ?? [:]
            status["startTime"] = .string(world.clock.now.rfc3339)
            try world.setStatus(names[0], .object(status))
            let waiting = await KubernetesExecutor.next(&reports) {
                $0.waitingMessage?.hasPrefix("1 of 3") == true
            }
            #expect(waiting != nil)
            world.clock.advance(GroupVerdict.startPatience + .seconds(1))
            let outcome = await outcome(&reports)
            #expect(outcome?.isLost == true && outcome?.message.hasPrefix("1 of 3 nodes have begun") == true)
            #expect(world.podNames.isEmpty)
        }
    }

    @Test("Steps of one node and annotations that make no sense go their own ways")
    func others() async throws {
        try await withWorld { world, groups in
            var reports = groups.reports.makeAsyncIterator()
            let single: JSONValue = [
                "name": "step", "metadata": ["annotations": ["martlet.dev/nodes": "1"]],
                "container": ["image": "x", "command": ["true"]],
            ]
            await groups.launch(GroupRendererTests.launch(single), values: LaunchValues())
            await world.server.objects.wait { world.podNames.contains("w-step-1") }
            try world.setStatus("w-step-1", ExecutorWorld.succeeded)
            #expect(await outcome(&reports)?.phase == .succeeded)
            var wrong = single.objectValue ?? [:]
            wrong["metadata"] = ["annotations": ["martlet.dev/nodes": "none"]]
            await groups.launch(GroupRendererTests.launch(.object(wrong), attempt: 1), values: LaunchValues())
            let refused = await outcome(&reports)
            #expect(refused?.phase == .error && refused?.message.contains("\"none\" is no number") == true)
        }
    }

    // MARK: With a node

    private static let programs = (try? SupervisorClient.locateSupervisor()).map { path in
        path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    }

    @Test(
        "Commands of a group really run, on a node, and their lines come into one log with their ranks",
        .enabled(if: programs != nil, "needs the Supervisor program beside the tests"))
    func commands() async throws {
        let world = try ExecutorWorld()
        let groups = GroupExecutor(base: world.executor, pods: world.executor)
        let controller = FakeJobController(
            objects: world.server.objects, now: { [clock = world.clock] in clock.now })
        var access = ClusterAccess(server: world.server.url)
        access.credentials.token = "kubelet"
        let client = try KubernetesClient(access, now: { [clock = world.clock] in clock.now })
        let kubelet = try FakeKubelet(
            client: client,
            settings: .init(directory: world.directory + "/pods", programs: Self.programs ?? ""))
        world.server.setLogs { kubelet.logPath(uid: $0, container: $1) }
        let script = """
            i=0; while [ $i -lt 3 ]; do echo $NODE_RANK of $NNODES at $MASTER_ADDR: $i; i=$((i+1)); done
            while [ $NODE_RANK != 2 ] || [ ! -e /gate/go ]; do sleep 0.02; done; exit 5
            """
        var template = GroupRendererTests.template().objectValue ?? [:]
        template["volumes"] = [["name": "gate", "emptyDir": [:]]]
        template["container"] = [
            "image": "x", "command": ["sh", "-c", .string(script)],
            "volumeMounts": [["name": "gate", "mountPath": "/gate"]],
        ]
        var launch = GroupRendererTests.launch(.object(template))
        launch.volumes = launch.template.volumes
        let log = StepLog(path: world.executor.logs.path(launch.key))
        let growth = try FileGrowth(of: log.path)
        var end: AttemptOutcome?
        await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await controller.run() }
            tasks.addTask { await kubelet.run() }
            // Nothing fails before all lines have come, which they do while the pods run.
            tasks.addTask {
                try await growth.wait { log.lines().count == 9 }
                for uid in Disk.list(world.directory + "/pods") ?? [] where !uid.hasPrefix(".") {
                    try Disk.write([], to: "\(world.directory)/pods/\(uid)/volumes/gate/go")
                }
            }
            await groups.launch(launch, values: LaunchValues())
            for await report in groups.reports {
                guard let outcome = report.outcome else { continue }
                end = outcome
                break
            }
            tasks.cancelAll()
        }
        #expect(end?.phase == .failed && end?.message == "rank 2: Error (exit code 5)")
        let lines = log.lines()
        for rank in 0..<3 {
            let own = lines.map(\.text).filter { $0.hasPrefix("[rank \(rank)] ") }
            let expected = (0..<3).map { "[rank \(rank)] \(rank) of 3 at w-step-1-0.w-step-1: \($0)" }
            #expect(own == expected)
        }
        #expect(lines.count == 9)
        await groups.shutDown()
        await client.shutDown()
        await world.close()
    }
}

extension ExecutorWorld {
    /// A process after this one, on the same files.
    func anotherExecutor() throws -> KubernetesExecutor {
        var access = ClusterAccess(server: server.url)
        access.credentials.token = "martlet"
        return try KubernetesExecutor(
            client: try KubernetesClient(access, now: { [clock] in clock.now }),
            settings: PodSettings(stepImage: "martlet:test"),
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory,
            now: { [clock] in clock.now })
    }
}
