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
        case .local: throw CommandError("local executor is being built")
        }
    }
}
