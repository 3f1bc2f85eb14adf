// What is kept of groups and what goes, as `podGC` has it, and what a later process knows of those that ended.

import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

extension GroupExecutorTests {
    private static let jobs = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml")
    private static let services = ObjectPlace(resource: "services", namespace: "ml")

    private static func collected(_ podGC: JSONValue, labels: JSONValue = [:]) -> Launch {
        var launch = launch(labels: labels)
        launch.podSettings = ["podGC": podGC]
        return launch
    }

    private static func names(_ world: ExecutorWorld, _ place: ObjectPlace) -> [String] {
        world.server.objects.list(place, labels: LabelTerms("")).items.compactMap {
            $0["metadata"]?["name"]?.stringValue
        }
    }

    private func runToEnd(_ world: ExecutorWorld, _ groups: GroupExecutor, _ launch: Launch) async throws {
        var reports = groups.reports.makeAsyncIterator()
        await groups.launch(launch, values: LaunchValues())
        for name in try await pods(world, 3) { try world.setStatus(name, ExecutorWorld.succeeded) }
        #expect(await outcome(&reports)?.phase == .succeeded)
    }

    @Test("A group that podGC's selector does not take stays")
    func keepsWhatIsNotSelected() async throws {
        try await withWorld { world, groups in
            let launch = Self.collected(
                ["strategy": "OnPodCompletion", "labelSelector": ["matchLabels": ["keep": "no"]]],
                labels: ["keep": "yes"])
            try await runToEnd(world, groups, launch)
            await groups.remove(workflowUID: "u-1", nodeID: launch.key.nodeID)
            #expect(Self.names(world, Self.jobs) == ["w-step-1"])
            #expect(Self.names(world, Self.services) == ["w-step-1"])
        }
    }

    @Test("podGC's delay is kept for a group, also by a process that began after it had ended")
    func delaysRemoval() async throws {
        try await withWorld(role: Self.role()) { world, groups in
            let launch = Self.collected(["strategy": "OnPodCompletion", "deleteDelayDuration": "60s"])
            try await runToEnd(world, groups, launch)
            await groups.remove(workflowUID: "u-1", nodeID: launch.key.nodeID)
            #expect(Self.names(world, Self.jobs) == ["w-step-1"])
            let pods = try world.restarted()
            let next = GroupExecutor(base: pods, pods: pods)
            // It learns of the group when it looks at the namespace for another.
            var other = Self.launch()
            other.key.nodeID = "w-2"
            other.podName = "w-step-2"
            await next.launch(other, values: LaunchValues())
            await world.server.objects.wait { Self.names(world, Self.jobs).count == 2 }
            #expect(Self.names(world, Self.jobs).sorted() == ["w-step-1", "w-step-2"])
            world.clock.advance(.seconds(61))
            await world.server.objects.wait {
                Self.names(world, Self.jobs) == ["w-step-2"]
                    && Self.names(world, Self.services) == ["w-step-2"]
            }
            #expect(Self.names(world, Self.jobs) == ["w-step-2"])
            #expect(Self.names(world, Self.services) == ["w-step-2"])
            await next.shutDown()
        }
    }

    @Test("A group that ended is not run again by a later process, though its Job is gone")
    func tellsAgain() async throws {
        try await withWorld { world, groups in
            try await runToEnd(world, groups, Self.launch())
            var place = Self.jobs
            place.name = "w-step-1"
            try world.server.objects.delete(place, options: [:])
            let pods = try world.restarted()
            let next = GroupExecutor(base: pods, pods: pods)
            var reports = next.reports.makeAsyncIterator()
            await next.launch(Self.launch(), values: LaunchValues())
            #expect(await outcome(&reports)?.phase == .succeeded)
            #expect(Self.names(world, Self.jobs).isEmpty)
            await next.shutDown()
        }
    }

    @Test("A watch of groups that is refused is told to those that wait", arguments: ["jobs", "pods"])
    func tellsOfRefusedWatch(resource: String) async throws {
        try await withWorld { world, groups in
            world.server.setFaults { request in
                guard request.verb == "list", request.place?.resource == resource else { return nil }
                return .refuse(Refusal(403, "Forbidden", "may not list \(resource)"), retryAfter: nil)
            }
            var reports = groups.reports.makeAsyncIterator()
            await groups.launch(Self.launch(), values: LaunchValues())
            let told = await KubernetesExecutor.next(&reports) {
                $0.waitingMessage?.contains("cannot be watched") == true
            }
            #expect(told?.waitingMessage?.contains("may not list \(resource)") == true)
        }
    }
}
