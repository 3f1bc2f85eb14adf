// `FakeCluster DIR PROGRAMS [KUBECONFIG]`: an API server and a node, or only a node for the cluster of
// KUBECONFIG. Writes DIR/kubeconfig and runs until it is ended. As a node for another's cluster it makes itself known
// with a Node that is Ready and a Lease, places pods that no scheduler has placed, and has a door for their logs.

import Artifacts
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

@main
enum FakeClusterCommand {
    private static let usage = """
        usage: FakeCluster DIR PROGRAMS [KUBECONFIG] [option]...
          --role FILE     the token `martlet` may do only what the first Role in FILE says
          --played        pods run without processes, for the milliseconds of their annotation
                          \(PlayedNode.annotation), or for ever
          --no-node       nobody runs pods, until a node comes by itself
          --faults SEED   requests and watches go wrong by this seed
          --port N        listen there

        """

    private struct Options {
        var directory = ""
        var programs = ""
        var kubeconfig: String?
        var role: JSONValue?
        var isPlayed = false
        var hasNode = true
        var seed: UInt64?
        var port = 0
    }

    @Sendable static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    static func main() async throws {
        signal(SIGPIPE, SIG_IGN)
        guard let options = try options(Array(CommandLine.arguments.dropFirst())) else {
            FileHandleText.error(usage)
            exit(64)
        }
        try Disk.makeDirectories(options.directory)
        guard let path = options.kubeconfig else { return try await runCluster(options) }
        try await runNode(try Kubeconfig(paths: [path]).access(context: nil), options)
    }

    /// A node for a cluster that is there already.
    private static func runNode(_ access: ClusterAccess, _ options: Options) async throws {
        let kubelet = try kubelet(access, options)
        let logs = try await KubeletLogs(kubelet)
        let node = NodeObject(
            client: kubelet.client, name: kubelet.settings.node, logPort: logs.port, now: now)
        try await node.register()
        FileHandleText.error("ready: \(access.server)\n")
        await withDiscardingTaskGroup { group in
            group.addTask { await node.run(onTrouble: { FileHandleText.error($0 + "\n") }) }
            await kubelet.run()
            group.cancelAll()
        }
        await logs.stop()
    }

    private static func options(_ words: [String]) throws -> Options? {
        var options = Options()
        var plain: [String] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--played": options.isPlayed = true
            case "--no-node": options.hasNode = false
            case "--role":
                guard let path = rest.popFirst() else { return nil }
                options.role = try role(path, with: options.role)
            case "--faults": options.seed = rest.popFirst().flatMap { UInt64($0) }
            case "--port": options.port = rest.popFirst().flatMap { Int($0) } ?? 0
            case _ where word.hasPrefix("--"): return nil
            default: plain.append(word)
            }
        }
        guard (2...3).contains(plain.count) else { return nil }
        (options.directory, options.programs) = (plain[0], plain[1])
        if plain.count > 2 { options.kubeconfig = plain[2] }
        return options
    }

    /// All Roles of a file as one, with what was allowed before.
    private static func role(_ path: String, with known: JSONValue?) throws -> JSONValue? {
        let (documents, _) = ManifestReader.read(try Disk.read(path, limitBytes: 1 << 20), file: path)
        let roles = [known].compactMap { $0 } + documents.filter { $0.kind == "Role" }.map(\.json)
        return ["rules": .array(roles.flatMap { $0["rules"]?.arrayValue ?? [] })]
    }

    private static func runCluster(_ options: Options) async throws {
        let server = try FakeAPIServer(role: options.role, port: options.port, now: now)
        if let seed = options.seed {
            let layer = FaultLayer(seed: seed)
            // The node's own requests would only make the same test slower.
            server.setFaults { $0.token == "martlet" ? layer.judge($0) : nil }
        }
        server.start()
        var access = ClusterAccess(server: server.url)
        access.credentials.token = "kubelet"
        try Disk.replace(
            options.directory + "/kubeconfig", with: Array(kubeconfig(server.url).utf8), durable: false)
        guard options.hasNode else {
            FileHandleText.error("ready: \(access.server)\n")
            return await runControllers(server.objects)
        }
        if options.isPlayed {
            PlayedNode(server.objects).start()
            let log = options.directory + "/log"
            try Disk.write(Array("2026-01-01T00:00:00Z stdout F played\n".utf8), to: log)
            server.setLogs { _, _ in log }
            FileHandleText.error("ready: \(access.server)\n")
            // Nothing is left to do here; the threads of the server do the rest.
            while (try? await Task.sleep(for: .seconds(3600))) != nil {}
            return
        }
        let kubelet = try kubelet(access, options)
        server.setLogs { kubelet.logPath(uid: $0, container: $1) }
        FileHandleText.error("ready: \(access.server)\n")
        await withDiscardingTaskGroup { group in
            group.addTask { await runControllers(server.objects) }
            await kubelet.run()
            group.cancelAll()
        }
    }

    /// Jobs have pods; Deployments, of which no pod is made here, say that theirs came up.
    private static func runControllers(_ objects: FakeObjects) async {
        let jobs = FakeJobController(objects: objects, now: now)
        let deployments = FakeDeploymentController(objects: objects, pause: .milliseconds(250)) { _ in true }
        await withDiscardingTaskGroup { group in
            group.addTask { await jobs.run() }
            group.addTask { await deployments.run() }
        }
    }

    private static func kubelet(_ access: ClusterAccess, _ options: Options) throws -> FakeKubelet {
        try FakeKubelet(
            client: try KubernetesClient(access, now: now),
            settings: .init(directory: options.directory + "/pods", programs: options.programs))
    }

    static func kubeconfig(_ url: String) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: fake
        clusters:
        - name: fake
          cluster: {server: "\(url)"}
        users:
        - name: martlet
          user: {token: martlet}
        contexts:
        - name: fake
          context: {cluster: fake, user: martlet, namespace: default}

        """
    }
}

enum FileHandleText {
    static func error(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}
