// Options of `--executor kubernetes`: which cluster, and where its pods reach this process.

import ArgumentParser
import Artifacts
import CLinux
import Executors
import Kubernetes
import Synchronization
import Text
import WebServer

struct KubernetesOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Cluster, user and namespace; else $KUBECONFIG, ~/.kube/config, or a pod's own files.",
            valueName: "FILE"))
    var kubeconfig: String?

    @Option(help: ArgumentHelp("Context of the kubeconfig.", valueName: "NAME"))
    var context: String?

    @Option(
        help: ArgumentHelp(
            "Where pods reach artifacts; with it alone, that address is also what pods are told.",
            valueName: "HOST:PORT"))
    var stepListen: String?

    @OptionGroup var pods: PodOptions

    var settings: KubernetesSettings {
        KubernetesSettings(
            kubeconfig: kubeconfig, context: context, stepListen: stepListen, pods: pods.settings)
    }

    func validate() throws {
        guard let stepListen else { return }
        guard let address = ListenAddress(stepListen) else {
            throw ValidationError("--step-listen: \"\(stepListen)\" is not HOST:PORT")
        }
        if ["0.0.0.0", "::"].contains(address.host) && pods.stepUrl == nil {
            throw ValidationError(
                "--step-listen \(stepListen) is no address for pods; say it by --step-url, too")
        }
    }
}

/// The same as plain values.
struct KubernetesSettings: Sendable, Hashable {
    var kubeconfig: String?
    var context: String?
    var stepListen: String?
    /// Those that differ from what is usual; nil otherwise, so that a run without a cluster makes none.
    private var unusualPods: PodSettings?
    /// Closed while another server may act; nil: there is no other.
    var fence: LeaseFence?

    var pods: PodSettings {
        get { unusualPods ?? Self.usualPods }
        set { unusualPods = newValue == Self.usualPods ? nil : newValue }
    }

    private static var usualPods: PodSettings { PodSettings(stepImage: "martlet:\(BuildInfo.version)") }

    init() {}

    init(kubeconfig: String?, context: String?, stepListen: String?, pods: PodSettings) {
        self.kubeconfig = kubeconfig
        self.context = context
        self.stepListen = stepListen
        self.pods = pods
    }
}

/// The executor for a cluster with the door that its pods come to.
enum ClusterExecution {
    static func executor(
        _ settings: KubernetesSettings, grace: Int, local: LocalExecutor, store: LocalArtifactStore,
        dataDirectory: String, warn: (String) -> Void = Output.warning
    ) throws -> DeployExecutor {
        // Thousands of pods are tables of megabytes that grow by being copied.
        martlet_keep_large_blocks_apart()
        var pods = settings.pods
        pods.graceSeconds = grace
        if let warning = pods.security.warning { warn(warning) }
        do {
            let access = try Kubeconfig.access(
                path: settings.kubeconfig, context: settings.context, environment: Environment.all)
            var door: StepDoor?
            if let listen = settings.stepListen ?? (pods.serverURL == nil ? nil : "0.0.0.0:2747") {
                let opened = try StepDoor(listen)
                pods.serverURL = pods.serverURL ?? opened.url
                door = opened
            }
            let client = try KubernetesClient(
                access, now: Environment.now, mayAct: { [fence = settings.fence] in fence?.isOpen ?? true })
            let executor = try KubernetesExecutor(
                client: client, settings: pods, store: store, dataDirectory: dataDirectory,
                now: Environment.now)
            door?.open(for: executor.exchange)
            let single = SplitExecutor(pods: executor, local: local, keeping: door)
            let groups = GroupExecutor(base: single, pods: executor)
            return DeployExecutor(base: groups, pods: executor)
        } catch {
            throw CommandError("\(error)", status: 2)
        }
    }
}

extension ClusterExecution {
    /// Deletes what deleted runs have in a cluster, where no server does.
    static func remove(_ runs: [DeletedRun], _ settings: KubernetesSettings) async throws {
        guard !runs.isEmpty else { return }
        let client: KubernetesClient
        do {
            let access = try Kubeconfig.access(
                path: settings.kubeconfig, context: settings.context, environment: Environment.all)
            client = try KubernetesClient(access, now: Environment.now)
        } catch {
            throw CommandError("\(error)", status: 2)
        }
        let remover = RunRemover(client: client, settings: settings.pods)
        for run in runs {
            do {
                try await remover.remove(run)
            } catch {
                Output.warning(
                    "objects of \(run.workflowName) stay in the cluster: \(error); a server on this data directory "
                        + "deletes them when it starts")
            }
        }
        await client.shutDown()
    }
}

/// The gateway on a thread-safe handle: it listens before the first pod is told where.
final class StepDoor: Sendable {
    let url: String
    private let host: String
    private let port: Int
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// - Throws: when the address cannot be used.
    init(_ listen: String) throws {
        guard let address = ListenAddress(listen) else {
            throw CommandError("--step-listen: \"\(listen)\" is not HOST:PORT", status: 64)
        }
        host = address.host
        port = try address.port == 0 ? Self.freePort(at: address.host) : address.port
        url = "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    deinit { task.withLock { $0?.cancel() } }

    private static func freePort(at host: String) throws -> Int {
        do throws(FreePort.Problem) {
            return try FreePort.find(host: host)
        } catch {
            throw CommandError("--step-listen: \(error)", status: 2)
        }
    }

    /// Serves for as long as the process lives; a door that cannot be opened is said once and tried again.
    func open(for exchange: StepExchange) {
        let (host, port) = (host, port)
        let serving = Task {
            let gateway = StepGateway(
                host: host, port: port, bodyLimitBytes: StepExchange.pieceLimitBytes,
                admits: { exchange.admits($0) }
            ) { request in
                let answer = exchange.answer(
                    .init(
                        method: request.method, path: request.path, offset: request.offset,
                        authorization: request.authorization, body: request.body))
                switch answer.content {
                case .bytes(let bytes): return .init(status: answer.status, bytes: bytes)
                case .pipe(let pipe): return .init(status: answer.status, pipe: pipe)
                }
            }
            while !Task.isCancelled {
                do {
                    try await gateway.run(onReady: { _ in })
                } catch {
                    Output.warning("pods cannot reach artifacts: cannot listen at \(host):\(port): \(error)")
                }
                try? await Task.sleep(for: .seconds(5))
            }
        }
        task.withLock { $0 = serving }
    }
}
