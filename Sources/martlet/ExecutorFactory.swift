// Making the executor that the options ask for.

import Artifacts
import Controller
import Executors
import Glibc
import Kubernetes
import Persistence
import Scheduling
import Text

/// What runs steps on this machine.
struct LocalParts: Sendable {
    var executor: LocalExecutor
    var artifacts: LocalArtifactStore
}

enum ExecutorFactory {
    /// What a run needs on this machine, made before its manifest has been looked at; nil where steps run elsewhere.
    static func localParts(_ options: ExecutionSettings, _ data: DataLocation) throws -> LocalParts? {
        guard options.executor == .local else { return nil }
        let artifacts = try artifactStore(data)
        let executor = try LocalExecutor(settings: settings(options, data), store: artifacts)
        return LocalParts(executor: executor, artifacts: artifacts)
    }

    static func artifactStore(_ data: DataLocation) throws -> LocalArtifactStore {
        try LocalArtifactStore(directory: data.path + "/artifacts")
    }

    /// A controller that runs steps as the options say.
    static func controller(
        _ store: Store, _ options: ExecutionSettings, _ data: DataLocation, parts: LocalParts? = nil,
        settings controllerSettings: ControllerSettings = ControllerSettings()
    ) throws -> WorkflowController {
        let artifacts = try parts?.artifacts ?? artifactStore(data)
        var controllerSettings = controllerSettings
        controllerSettings.codeVersion = { CodeVersion.text }
        switch options.executor {
        case .noop:
            return WorkflowController(
                store: store, executor: NoOpExecutor(now: Environment.now), artifacts: artifacts,
                dataDirectory: data.path, settings: controllerSettings, now: Environment.now)
        case .kubernetes:
            let local = try LocalExecutor(settings: settings(options, data), store: artifacts)
            let executor = try ClusterExecution.executor(
                options.kubernetes, grace: options.gracePeriod, local: local, store: artifacts,
                dataDirectory: data.path)
            controllerSettings.clusterDeployments = executor.deployments
            return WorkflowController(
                store: store, executor: executor, artifacts: artifacts,
                metrics: MetricsSource(samples: executor.metrics, acknowledge: { executor.acknowledge($0) }),
                dataDirectory: data.path, settings: controllerSettings, now: Environment.now)
        case .local:
            let executor =
                try parts?.executor ?? LocalExecutor(settings: settings(options, data), store: artifacts)
            if let reason = executor.plainReason {
                Output.warning("steps run without a sandbox and see this machine's own files: \(reason)")
            }
            var controllerSettings = controllerSettings
            controllerSettings.deployments = try deployments(store, artifacts, data)
            return WorkflowController(
                store: store, executor: executor, artifacts: artifacts,
                metrics: MetricsSource(samples: executor.metrics, acknowledge: { executor.acknowledge($0) }),
                dataDirectory: data.path, settings: controllerSettings, now: Environment.now)
        }
    }

    /// Who looks after the models that are served on this machine.
    static func deployments(_ store: Store, _ artifacts: LocalArtifactStore, _ data: DataLocation) throws
        -> DeploymentRunner
    {
        let host = try ReplicaHost(
            dataDirectory: data.path, martletExecutablePath: Environment.executablePath)
        return try DeploymentRunner(
            registry: models(store, artifacts, data), host: host, now: Environment.now)
    }

    static func models(_ store: Store, _ artifacts: LocalArtifactStore, _ data: DataLocation)
        -> ModelOperations
    {
        ModelOperations(
            store: store, artifacts: artifacts, dataDirectory: data.path, version: BuildInfo.version,
            now: Environment.now)
    }

    private static func settings(_ options: ExecutionSettings, _ data: DataLocation) -> LocalExecutorSettings
    {
        var settings = LocalExecutorSettings(
            dataDirectory: data.path, martletExecutablePath: Environment.executablePath)
        settings.maxParallel = options.maxParallel
        settings.gpuCount = options.gpus
        settings.graceSeconds = options.gracePeriod
        settings.backends = options.backends
        settings.sandboxMode = .init(rawValue: options.sandbox) ?? .auto
        return settings
    }
}

extension Environment {
    /// The path of this program.
    static var executablePath: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        return length > 0
            ? String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self) : "martlet"
    }
}
