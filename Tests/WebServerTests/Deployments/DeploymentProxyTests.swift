// Requests for a deployment, handed to replicas that answer, refuse, die or dawdle.

import Controller
import Executors
import Logging
import Scheduling
import Synchronization
import Testing
import Text

@testable import WebServer

/// A replica that a test plays.
private enum FakeReplica {
    /// Runs servers beside `body`, which gets their ports.
    static func with(
        _ count: Int, _ respond: @escaping @Sendable (Int, HTTPCall) async throws -> HTTPReply,
        _ body: @escaping @Sendable ([Int]) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var ports: [Int] = []
            for number in 0..<count {
                let (stream, found) = AsyncStream<Int>.makeStream()
                let server = HTTPServer(
                    settings: .init(
                        host: "127.0.0.1", port: 0, maxConnections: 100, idleTimeout: .seconds(60),
                        bodyTimeout: .seconds(60), drainTimeout: .seconds(1)),
                    logger: Logger(label: "test"), surroundings: .system, onDrain: {},
                    respond: { try await respond(number, $0) })
                group.addTask {
                    defer { found.finish() }
                    try await server.run { found.yield($0) }
                }
                for await port in stream {
                    ports.append(port)
                    break
                }
            }
            defer { group.cancelAll() }
            try await body(ports)
        }
    }

    static func json(_ text: String, status: Int = 200) -> HTTPReply {
        .json(["text": .string(text)], status: status)
    }
}

@Suite("Requests for a deployment", .timeLimit(.minutes(5)))
struct DeploymentProxyTests {
    private static let now = Timestamp(seconds: 1_000_000)

    /// A table with a ready replica at each port.
    private static func table(_ ports: [Int], namespace: String = "default") -> DeploymentTable {
        let table = DeploymentTable()
        publish(ports, in: table, namespace: namespace)
        return table
    }

    private static func publish(_ ports: [Int], in table: DeploymentTable, namespace: String = "default") {
        var deployment = Deployment(
            name: "chat", namespace: namespace, replicas: max(1, ports.count), at: now)
        _ = deployment.prepare(DeploymentSpec(name: "chat"), DeploymentOrigin(launch: "a"), at: now)
        deployment.begin(1, at: now)
        deployment.activate(1, at: now)
        let views = ports.enumerated().map { slot, port in
            var replica = ObservedReplica(
                id: ReplicaID(revision: 1, slot: slot, attempt: 1), process: .running)
            replica.health = .ready(since: now)
            return ReplicaView(replica: replica, port: port)
        }
        table.publish(deployment, views)
    }

    private static func service(
        _ table: DeploymentTable, tokens: Bool = false, patience: Duration = .seconds(60)
    )
        throws -> ServiceHarness
    {
        try ServiceHarness(
            configure: { if tokens { $0.authentication = .token } },
            groups: { context in
                var proxy = DeploymentProxy(table: table, surroundings: context.surroundings)
                proxy.patience = patience
                return [DeploymentProxyRoutes(proxy: proxy)]
            })
    }

    private static let path = "/deployments/chat/v1/chat/completions"

    @Test("Method, path, query and body arrive, what is the server's own does not")
    func passesOn() async throws {
        let seen = Mutex<[HTTPCall]>([])
        let body = Mutex<[UInt8]>([])
        try await FakeReplica.with(1) { _, call in
            seen.withLock { $0.append(call) }
            let bytes = try await call.readBody(1 << 20)
            body.withLock { $0 = bytes }
            return FakeReplica.json("hello")
        } _: { ports in
            let table = Self.table(ports)
            let service = try Self.service(table)
            let answer = try await service.call(
                "POST", Self.path + "?a=b%20c", body: Array("{\"x\":1}".utf8),
                headers: ["Cookie": "secret=1", "X-Own": "kept", "Authorization": "Bearer x"])
            #expect(answer.status == 200)
            #expect(answer.json["text"] == "hello")
            let call = seen.withLock { $0.first }
            #expect(call?.method == "POST")
            #expect(call?.path == "/v1/chat/completions")
            #expect(call?.query == "a=b%20c")
            #expect(call?.headers["x-own"] == "kept")
            #expect(call?.headers["cookie"] == nil)
            #expect(call?.headers["authorization"] == nil)
            #expect(body.withLock { $0 } == Array("{\"x\":1}".utf8))
            let counts = table.counts(of: "chat")
            #expect((counts.requests, counts.failures, counts.inFlight) == (1, 0, 0))
        }
    }

    @Test("A replica that is gone, and one that refuses, fail no request while another answers")
    func tries() async throws {
        let asked = Mutex<[Int]>([])
        try await FakeReplica.with(2) { number, _ in
            asked.withLock { $0.append(number) }
            return number == 0 ? FakeReplica.json("no", status: 503) : FakeReplica.json("yes")
        } _: { ports in
            // Port 1 has no server on any machine that tests run on.
            let service = try Self.service(Self.table([1] + ports))
            for _ in 0..<10 {
                let answer = try await service.send("POST", Self.path)
                #expect(answer.json["text"] == "yes")
            }
            #expect(asked.withLock { $0.contains(0) && $0.filter { $0 == 1 }.count == 10 })
        }
    }

    @Test("A replica that breaks off before its answer is complete is as good as none")
    func brokenOff() async throws {
        let count = Mutex(0)
        try await FakeReplica.with(1) { _, _ in
            let isFirst = count.withLock { count in
                count += 1
                return count == 1
            }
            guard isFirst else { return FakeReplica.json("whole") }
            // More is announced than comes.
            return HTTPReply(
                headers: [("Content-Length", "100")],
                body: .stream { sink in
                    try await sink.write(Array("half".utf8))
                    throw FileEnded()
                })
        } _: { ports in
            let answer = try await Self.service(Self.table(ports)).send("POST", Self.path)
            #expect(answer.json["text"] == "whole")
        }
    }

    @Test("A stream comes piece by piece, and a client that goes away ends the work behind it")
    func streams() async throws {
        let (ended, end) = AsyncStream<Void>.makeStream()
        try await FakeReplica.with(1) { _, call in
            HTTPReply(
                headers: [("Content-Type", "text/event-stream")],
                body: .stream { sink in
                    let registration = call.connection.whenGone { end.finish() }
                    defer { registration.cancel() }
                    var number = 0
                    while true {
                        number += 1
                        try await sink.write(Array("data: \(number)\n\n".utf8))
                        try await Task.sleep(for: .milliseconds(1))
                    }
                })
        } _: { ports in
            let table = Self.table(ports)
            let answer = try await Self.service(table).call(
                "POST", Self.path, body: [], stopWhen: { $0.contains("data: 20\n") })
            #expect(answer.headers["content-type"] == "text/event-stream")
            #expect(answer.events.starts(with: (1...20).map(String.init)))
            for await _ in ended {}
            #expect(table.counts(of: "chat").inFlight == 0)
        }
    }

    @Test("A request waits for a replica that is not ready yet")
    func waits() async throws {
        try await FakeReplica.with(1) { _, _ in
            FakeReplica.json("late")
        } _: { ports in
            let table = Self.table([])
            let service = try Self.service(table)
            async let answer = service.send("POST", Self.path)
            Self.publish(ports, in: table)
            #expect(try await answer.json["text"] == "late")
        }
    }

    @Test("Where none becomes ready the client is told to come back")
    func unavailable() async throws {
        let table = Self.table([])
        let answer = try await Self.service(table, patience: .milliseconds(20)).send("POST", Self.path)
        #expect(answer.status == 503)
        #expect(answer.headers["retry-after"] == "2")
        #expect(table.counts(of: "chat").failures == 1)
    }

    @Test("Whoever may not see the namespace does not learn that there is a deployment")
    func rights() async throws {
        try await FakeReplica.with(1) { _, _ in
            FakeReplica.json("hello")
        } _: { ports in
            let service = try Self.service(Self.table(ports, namespace: "ml"), tokens: true)
            let (viewer, other) = (
                try await service.token(["ml": .viewer]), try await service.token(["else": .admin])
            )
            #expect(try await service.send("POST", Self.path, token: viewer).status == 200)
            #expect(try await service.send("POST", Self.path, token: other).status == 404)
            #expect(try await service.send("POST", Self.path).status == 401)
            #expect(try await service.get("/deployments/none/v1/models", token: viewer).status == 404)
            let adapter = "/deployments/chat/v1/load_lora_adapter"
            #expect(try await service.send("POST", adapter, token: viewer).status == 403)
        }
    }

    // MARK: Clusters

    /// A cluster whose deployment `far` answers at a port of this machine.
    private final class Cluster: ClusterDeployments {
        let port: Int
        let asksForKey: Bool
        let lookUps = Mutex(0)
        let moment = Mutex(Duration.zero)

        init(port: Int, asksForKey: Bool = false) {
            self.port = port
            self.asksForKey = asksForKey
        }

        func deployments(named name: String?) async throws -> [ClusterDeployment] {
            lookUps.withLock { $0 += 1 }
            guard name == "far" else { return [] }
            let moment = Timestamp(seconds: 1)
            var revision = ClusterDeployment.Revision()
            revision.url = "http://far.ml.svc:8000/v1"
            var found = ClusterDeployment(
                name: "far", namespace: "ml", state: "ready", replicas: 1, ready: 1, revision: revision,
                createdAt: moment, updatedAt: moment)
            found.door = .init(host: "127.0.0.1", port: port, asksForKey: asksForKey)
            return [found]
        }

        func scale(_ name: String, namespace: String, to count: Int) async throws -> String? { nil }

        func delete(_ name: String, namespace: String) async throws {}
    }

    private static func service(_ cluster: Cluster, patience: Duration = .seconds(60)) throws
        -> ServiceHarness
    {
        try ServiceHarness(
            configure: { $0.authentication = .token },
            groups: { context in
                var proxy = DeploymentProxy(table: DeploymentTable(), surroundings: context.surroundings)
                proxy.patience = patience
                let operations = ClusterDeploymentOperations(cluster)
                let doors = operations.map { operations in
                    ClusterDoors(operations) { cluster.moment.withLock { $0 } }
                }
                return [DeploymentProxyRoutes(proxy: proxy, doors: doors)]
            })
    }

    private static let far = "/deployments/far/v1/models"

    @Test("A cluster's deployment is asked at its Service by those who may, and looked up once for many")
    func clusterService() async throws {
        let refusals = Mutex(2)
        try await FakeReplica.with(1) { _, call in
            let isRefused = refusals.withLock { left in
                left -= 1
                return left >= 0
            }
            return FakeReplica.json(call.path, status: isRefused ? 503 : 200)
        } _: { ports in
            let cluster = Cluster(port: ports[0])
            let service = try Self.service(cluster)
            let viewer = try await service.token(["ml": .viewer])
            let other = try await service.token(["else": .admin])
            for _ in 0..<5 {
                #expect(try await service.get(Self.far, token: viewer).json["text"] == "/v1/models")
            }
            #expect(try await service.get(Self.far, token: other).status == 404)
            #expect(try await service.get("/deployments/near/v1/models", token: viewer).status == 404)
            let adapter = "/deployments/far/v1/load_lora_adapter"
            #expect(try await service.send("POST", adapter, [:], token: viewer).status == 403)
            #expect(cluster.lookUps.withLock { $0 } == 2)
            cluster.moment.withLock { $0 += .seconds(6) }
            _ = try await service.get(Self.far, token: viewer)
            #expect(cluster.lookUps.withLock { $0 } == 3)
        }
    }

    @Test("A Service that nobody answers at is named, and so is a key that the server does not have")
    func clusterTrouble() async throws {
        let silent = try Self.service(Cluster(port: 1), patience: .zero)
        let gone = try await silent.get(Self.far, token: try await silent.token(["ml": .viewer]))
        #expect(gone.status == 503 && gone.text.contains("127.0.0.1:1"), "\(gone.text)")
        let locked = try Self.service(Cluster(port: 1, asksForKey: true))
        let refused = try await locked.get(Self.far, token: try await locked.token(["ml": .viewer]))
        #expect(
            refused.status == 403 && refused.text.contains("http://far.ml.svc:8000/v1"), "\(refused.text)")
    }
}
