// Watches of which nothing more is heard: somebody on the way has forgotten the connection.

import FakeCluster
import Synchronization
import Testing
import Text

@testable import Kubernetes

@Suite("A silent watch", .timeLimit(.minutes(5)))
struct WatchSilenceTests {
    @Test("It is begun anew without a word of trouble, and loses nothing")
    func silence() async throws {
        // The server's bookmarks come once a second, so each of its watches is silent for long.
        let server = try FakeAPIServer(role: nil, now: { Timestamp(seconds: 1_800_000_000) })
        server.start()
        defer { server.stop() }
        let client = try KubernetesClient(
            ClusterAccess(server: server.url), now: { Timestamp(seconds: 1_800_000_000) },
            watchSilence: .milliseconds(100))
        let troubles = Mutex(0)
        let watch = ResourceWatch(
            client: client, path: "/api/v1/namespaces/ml/configmaps", labelSelector: "",
            onTrouble: { error in if error != nil { troubles.withLock { $0 += 1 } } })
        let (names, teller) = AsyncStream<String>.makeStream()
        let lists = Mutex(0)
        let tell: @Sendable (ListChange) async -> Void = { change in
            switch change {
            case .all:
                let count = lists.withLock { lists in
                    lists += 1
                    return lists
                }
                if count == 3 { teller.yield("") }
            case .part(let list):
                for object in list { teller.yield(object["metadata"]?["name"]?.stringValue ?? "") }
            case .changed(let object): teller.yield(object["metadata"]?["name"]?.stringValue ?? "")
            case .deleted: break
            }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await watch.run(tell) }
            var heard = names.makeAsyncIterator()
            #expect(await heard.next() == "")
            _ = try? await client.create(
                "/api/v1/namespaces/ml/configmaps", ["metadata": ["name": "late", "namespace": "ml"]])
            #expect(await heard.next() == "late")
            group.cancelAll()
        }
        #expect(troubles.withLock { $0 } == 0)
        await client.shutDown()
    }
}
