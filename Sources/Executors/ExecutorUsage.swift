// How much of the machine an executor has given out.

import Synchronization

/// Places, processors, memory and GPUs: what there is, and what steps hold.
package struct ExecutorUsage: Sendable, Hashable {
    /// Steps that run, and how many may.
    package var running: Int
    package var slots: Int
    /// Steps that wait for a place or for resources.
    package var waiting: Int
    package var cpuMillisUsed: Int
    package var cpuMillis: Int
    package var memoryBytesUsed: Int
    package var memoryBytes: Int
    package var gpusUsed: Int
    package var gpus: Int
}

extension Executor {
    /// nil for executors that give nothing out themselves.
    package var usage: ExecutorUsage? { nil }
}

extension LocalExecutor {
    /// As it is at this moment.
    package var usage: ExecutorUsage? { state.withLock { $0.admission.usage } }
}
