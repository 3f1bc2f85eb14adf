// What the server does with the rights of the shipped role for steps on several nodes and for models that it
// serves.

import Executors
import FakeCluster
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

extension RoleScenarios {
    /// A group is made, its Service found, watched to its end, and cleared away.
    @Sendable static func groups(_ world: ExecutorWorld) async throws {
        let pods = try world.anotherExecutor()
        let groups = GroupExecutor(base: pods, pods: pods)
        let controller = FakeJobController(
            objects: world.server.objects, now: { [clock = world.clock] in clock.now })
        var launch = GroupRendererTests.launch(GroupRendererTests.template())
        // Another step of the same run has ended before.
        launch.key.nodeID = "w-7"
        launch.podSettings = ["podGC": ["strategy": "OnPodCompletion", "deleteDelayDuration": "60s"]]
        let group = try #require(try NodeGroup(launch.template))
        // Made by an earlier life of the server.
        let (service, job) = try GroupRenderer(PodSettings(stepImage: "x")).objects(
            for: launch, group: group, owner: nil, token: "")
        let services = ObjectPlace(resource: "services", namespace: "ml")
        _ = try world.server.objects.create(services, service)
        let jobs = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml")
        _ = try world.server.objects.create(jobs, job)
        var reports = groups.reports.makeAsyncIterator()
        await groups.launch(launch, values: LaunchValues())
        let server = world.server
        @Sendable func count(_ place: ObjectPlace) -> Int {
            server.objects.list(place, labels: LabelTerms("")).items.count
        }
        await world.server.objects.wait { count(jobs) == 1 }
        controller.step()
        for name in world.podNames { try world.setStatus(name, ExecutorWorld.succeeded) }
        controller.step()
        let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
        #expect(outcome?.phase == .succeeded)
        await groups.remove(workflowUID: "u-1", nodeID: "w-7")
        world.clock.advance(.seconds(61))
        await world.server.objects.wait { count(jobs) == 0 && count(services) == 0 }
        #expect(count(jobs) == 0 && count(services) == 0)
        await groups.shutDown()
    }

    /// A deployment with all that may stand beside it is made, changed, and made without.
    @Sendable static func deploys(_ world: ExecutorWorld) async throws {
        let pods = try world.anotherExecutor()
        let deploys = DeployExecutor(base: pods, pods: pods, pause: .milliseconds(5))
        let controller = FakeDeploymentController(objects: world.server.objects) { _ in true }
        let task = Task { await controller.run() }
        var reports = deploys.reports.makeAsyncIterator()
        let everything: JSONValue = [
            "martlet.dev/ingress-host": "chat.example.com", "martlet.dev/api-key-secret": "keys",
            "martlet.dev/max-replicas": "4",
        ]
        let launches = [
            DeployTests.launch(["name": "chat", "model": "a", "replicas": 2], annotations: everything),
            DeployTests.launch(
                ["name": "chat", "model": "b", "replicas": 2], annotations: everything, attempt: 1),
            DeployTests.launch(["name": "chat", "model": "c"], attempt: 2),
        ]
        for launch in launches {
            await deploys.launch(launch, values: LaunchValues())
            let outcome = await KubernetesExecutor.next(&reports) { $0.outcome != nil }?.outcome
            #expect(outcome?.phase == .succeeded, "\(outcome?.message ?? "")")
        }
        let served = deploys.deployments
        #expect(try await served.deployments(named: nil).map(\.name) == ["chat"])
        #expect(try await served.deployments(named: "chat").count == 1)
        #expect(try await served.scale("chat", namespace: "ml", to: 2) == nil)
        try await served.delete("chat", namespace: "ml")
        #expect(try await served.deployments(named: nil).isEmpty)
        task.cancel()
        await task.value
        await deploys.shutDown()
    }
}
