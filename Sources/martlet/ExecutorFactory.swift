// Making the executor that the options ask for.

import Artifacts
import Executors
import Glibc
import Scheduling
import Text

enum ExecutorFactory {
    static func artifactStore(_ data: DataOptions) throws -> LocalArtifactStore {
        try LocalArtifactStore(directory: data.path + "/artifacts")
    }

    static func executor(_ options: ExecutionOptions, _ data: DataOptions, _ artifacts: LocalArtifactStore) throws
        -> any Executor
    {
        switch options.executor {
        case .noop: return NoOpExecutor(now: Environment.now)
        case .local: return try LocalExecutor(settings: settings(options, data), store: artifacts)
        }
    }

    private static func settings(_ options: ExecutionOptions, _ data: DataOptions) -> LocalExecutorSettings {
        var settings = LocalExecutorSettings(
            dataDirectory: data.path, martletExecutablePath: Environment.executablePath)
        settings.maxParallel = options.maxParallel
        settings.gpuCount = options.gpus
        settings.graceSeconds = options.gracePeriod
        settings.sandboxMode = .init(rawValue: options.sandbox) ?? .auto
        return settings
    }
}

extension Environment {
    /// The path of this program.
    static var executablePath: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        return length > 0 ? String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self) : "martlet"
    }
}
