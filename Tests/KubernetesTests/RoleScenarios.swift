// What else the server does with the rights of the shipped role, beside running a step: one function for each part.

import FakeCluster
import Testing
import Text

@testable import Kubernetes

enum RoleScenarios {
    /// Each acts as the token that the role binds.
    static let all: [@Sendable (ExecutorWorld) async throws -> Void] = [lease, groups, deploys]

    static func client(_ world: ExecutorWorld) throws -> KubernetesClient {
        var access = ClusterAccess(server: world.server.url)
        access.credentials.token = "martlet"
        return try KubernetesClient(access, now: { world.clock.now })
    }

    /// Takes a Lease, renews it once, and gives it back.
    @Sendable private static func lease(_ world: ExecutorWorld) async throws {
        let client = try client(world)
        var settings = LeaseSettings(namespace: "ml", name: "martlet", identity: "a")
        settings.retry = .milliseconds(1)
        let keeper = LeaseKeeper(client: client, settings: settings, now: { world.clock.now })
        try await keeper.acquire(onStandby: { _, _ in })
        #expect(keeper.fence.isOpen)
        await keeper.release()
        #expect(!keeper.fence.isOpen)
        let place = ObjectPlace(
            group: "coordination.k8s.io", resource: "leases", namespace: "ml", name: "martlet")
        #expect(try world.server.objects.get(place)["spec"]?["holderIdentity"] == "")
        await client.shutDown()
    }
}
