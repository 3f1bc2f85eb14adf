// What the executor has given out, as metrics.

package import Executors

extension ExecutorUsage {
    package var families: [MetricFamily] {
        func pair(_ name: String, _ help: String, _ used: Double, _ all: Double) -> MetricFamily {
            MetricFamily(
                .gauge, name, help,
                [.init([.init("state", "total")], all), .init([.init("state", "used")], used)])
        }
        return [
            pair(
                "martlet_executor_slots", "Steps that run at a time, and how many may.", Double(running),
                Double(slots)),
            MetricFamily(
                .gauge, "martlet_executor_waiting", "Steps that wait for a place or for resources.",
                Double(waiting)),
            pair(
                "martlet_executor_cpus", "Processors that steps asked for, and what there is.",
                Double(cpuMillisUsed) / 1_000, Double(cpuMillis) / 1_000),
            pair(
                "martlet_executor_memory_bytes", "Memory that steps asked for, and what there is.",
                Double(memoryBytesUsed), Double(memoryBytes)),
            pair(
                "martlet_executor_gpus", "GPUs that steps hold, and what there is.", Double(gpusUsed),
                Double(gpus)),
        ]
    }
}

extension WorkflowController {
    /// What the executor has given out; nil for one that gives nothing out itself.
    package nonisolated var executorUsage: ExecutorUsage? { executor.usage }

    /// `local` or `kubernetes`.
    package nonisolated var executorName: String { executor.name }
}
