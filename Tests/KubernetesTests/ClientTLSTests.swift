// The client's ways to a cluster over TLS: authorities, client certificates of every form, names, proxies, and the
// files that a pod finds of its cluster.

import Artifacts
import FakeCluster
import Glibc
import Testing
import Text

@testable import Kubernetes

@Suite("The way to a cluster over TLS", .timeLimit(.minutes(5)))
struct ClientTLSTests {
    private static let path = "/api/v1/namespaces/ml/configmaps"

    private static func now() -> Timestamp { Timestamp(seconds: 0) }

    /// An API server behind TLS.
    private func withCluster(
        _ chain: String = TLSFixtures.addressChain, _ key: String = TLSFixtures.addressKey,
        asksClients: Bool = false,
        role: JSONValue? = nil, _ body: (Int) async throws -> Void
    ) async throws {
        let server = try FakeAPIServer(role: role, now: Self.now)
        server.start()
        let front = try await TLSFront(
            chain: Array(chain.utf8), key: Array(key.utf8),
            clientAuthority: asksClients ? Array(TLSFixtures.authority.utf8) : nil, target: server.port)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(front.port))
        } catch {
            outcome = .failure(error)
        }
        await front.stop()
        server.stop()
        try outcome.get()
    }

    private func access(_ port: Int, authority: String? = TLSFixtures.authority) -> ClusterAccess {
        var access = ClusterAccess(server: "https://127.0.0.1:\(port)")
        access.authority = authority.map { Array($0.utf8) }
        return access
    }

    /// Nil when the cluster answered, else why it did not.
    private func problem(_ access: ClusterAccess) async -> String? {
        guard let client = try? KubernetesClient(access, now: Self.now) else { return "the client refuses" }
        let outcome: String?
        do {
            _ = try await client.bytes("GET", Self.path, [], mayRepeat: false)
            outcome = nil
        } catch {
            outcome = "\(error)"
        }
        await client.shutDown()
        return outcome
    }

    @Test("Only a server that the given authority vouches for is spoken to, unless nobody is to be asked")
    func authorities() async throws {
        try await withCluster { port in
            #expect(await problem(access(port)) == nil)
            #expect(await problem(access(port, authority: TLSFixtures.otherAuthority)) != nil)
            #expect(await problem(access(port, authority: nil)) != nil)
            var careless = access(port, authority: nil)
            careless.skipsVerification = true
            #expect(await problem(careless) == nil)
        }
    }

    @Test(
        "A client's key is read in each of its forms",
        arguments: [
            (TLSFixtures.rsaChain, TLSFixtures.rsaPKCS1), (TLSFixtures.rsaChain, TLSFixtures.rsaPKCS8),
            (TLSFixtures.ecChain, TLSFixtures.ecSEC1), (TLSFixtures.ecChain, TLSFixtures.ecPKCS8),
        ])
    func certificates(chain: String, key: String) async throws {
        try await withCluster(asksClients: true) { port in
            let text = """
                apiVersion: v1
                current-context: a
                clusters: [{name: c, cluster: {server: "https://127.0.0.1:\(port)", \
                certificate-authority-data: \(Base64Text.text(Array(TLSFixtures.authority.utf8)))}}]
                users: [{name: u, user: {client-certificate-data: \(Base64Text.text(Array(chain.utf8))), \
                client-key-data: \(Base64Text.text(Array(key.utf8)))}}]
                contexts: [{name: a, context: {cluster: c, user: u}}]
                """
            let path = "/tmp/martlet-kubeconfig-\(Disk.uniqueSuffix())"
            defer { unlink(path) }
            try Disk.write(Array(text.utf8), to: path)
            var access = try Kubeconfig(paths: [path]).access(context: nil)
            #expect(await problem(access) == nil)
            access.credentials.certificate = nil
            #expect(await problem(access) != nil, "a server that asks for a certificate took none")
        }
    }

    @Test(
        "tls-server-name is the name that the certificate must have, and the address stays that of the server"
    )
    func serverName() async throws {
        try await withCluster(TLSFixtures.namedChain, TLSFixtures.namedKey) { port in
            #expect(await problem(access(port)) != nil)
            var named = access(port)
            named.tlsServerName = "api.cluster.test"
            #expect(await problem(named) == nil)
            named.tlsServerName = "other.cluster.test"
            #expect(await problem(named) != nil)
        }
    }

    @Test("A proxy is asked for the server's address, with its own credentials, also under another name")
    func proxy() async throws {
        try await withCluster(TLSFixtures.namedChain, TLSFixtures.namedKey) { port in
            let proxy = try await ConnectProxy()
            var access = access(port)
            access.tlsServerName = "api.cluster.test"
            access.proxy = "http://me:secret@127.0.0.1:\(proxy.port)"
            #expect(await problem(access) == nil)
            #expect(proxy.requests.map { $0.target } == ["127.0.0.1:\(port)"])
            #expect(
                proxy.requests.first?.authorization == "Basic \(Base64Text.text(Array("me:secret".utf8)))")
            await proxy.stop()
        }
    }

    @Test("A proxy that wants TLS itself is refused by name, and not spoken to in the clear")
    func tlsProxy() {
        var access = access(1)
        access.proxy = "https://proxy:443"
        #expect { try KubernetesClient(access, now: Self.now) } throws: {
            "\($0)".contains("use one of http://")
        }
    }

    @Test("A pod finds its cluster in its own files, and shows the token that is in them now")
    func inCluster() async throws {
        // Who shows no token, or another's, may do anything here: so what is refused came with the right one.
        try await withCluster(role: ["rules": []]) { port in
            let directory = "/tmp/martlet-pod-files-\(Disk.uniqueSuffix())"
            defer { Disk.removeTree(directory) }
            let files = InClusterFiles(directory: directory)
            let environment = [
                "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT_HTTPS": "\(port)",
            ]
            #expect(try files.access(environment: environment) == nil)
            try Disk.makeDirectories(directory)
            try Disk.write(Array("martlet\n".utf8), to: directory + "/token")
            try Disk.write(Array(TLSFixtures.authority.utf8), to: directory + "/ca.crt")
            try Disk.write(Array("ml\n".utf8), to: directory + "/namespace")
            #expect(try files.access(environment: [:]) == nil)
            let access = try #require(try files.access(environment: environment))
            #expect(access.namespace == "ml")
            #expect(await problem(access)?.contains("403") == true)
            try Disk.write(Array("another\n".utf8), to: directory + "/token")
            #expect(await problem(access) == nil)
        }
    }
}
