// What is looked at once a second while something runs: progress, metrics, daemons that are not ready yet.

import Artifacts
import Glibc
import Scheduling
import Synchronization

extension LocalExecutor {
    /// Returns whether there is anything left to look at.
    func tick() -> Bool {
        let running = state.withLock { state -> [(AttemptKey, Attempt)] in
            state.ticks += 1
            return state.attempts.filter { $0.value.stage == .running }.map { ($0.key, $0.value) }
        }
        for (key, attempt) in running {
            guard let plan = attempt.plan else { continue }
            takeProgress(key, attempt, plan)
            takeMetrics(key, plan, isOver: false)
            if let probe = attempt.probe, !attempt.isProbing { ask(probe, key, attempt) }
        }
        return state.withLock { state in state.attempts.contains { $0.value.stage == .running } }
    }

    private func takeProgress(_ key: AttemptKey, _ attempt: Attempt, _ plan: StepPlan) {
        guard let progress = MetricsTail.progress(root: plan.root), progress != attempt.progress else {
            return
        }
        state.withLock { $0.attempts[key]?.progress = progress }
        reporter.yield(.progress(key, progress))
    }

    func takeMetrics(_ key: AttemptKey, _ plan: StepPlan, isOver: Bool) {
        guard Disk.exists(plan.metricsFile) else { return }
        guard var offset = takeOffset(key, plan, waits: isOver) else { return }
        MetricsTail(key: key, root: plan.root).read(from: &offset, isOver: isOver) { sample in
            if case .enqueued = sampler.yield(sample) { return true }
            return false
        }
        state.withLock { state in
            state.attempts[key]?.metricsOffset = offset
            state.attempts[key]?.isReadingMetrics = false
        }
    }

    /// The ticker and a collecting thread may meet at a file: who takes the offset away has it to itself. The
    /// last look waits for its turn, which takes as long as reading a few lines.
    private func takeOffset(_ key: AttemptKey, _ plan: StepPlan, waits: Bool) -> Int? {
        for _ in 0..<Self.offsetWaits {
            let (offset, isTaken) = state.withLock { state -> (Int?, Bool) in
                guard let attempt = state.attempts[key], !attempt.isReadingMetrics else { return (nil, true) }
                state.attempts[key]?.isReadingMetrics = true
                return (attempt.metricsOffset, false)
            }
            if !isTaken { return offset ?? MetricsTail.keptOffset(attemptDirectory: plan.directory) }
            if !waits { return nil }
            usleep(1000)
        }
        return nil
    }

    /// In milliseconds.
    private static let offsetWaits = 2000

    private func ask(_ probe: ReadinessProbe, _ key: AttemptKey, _ attempt: Attempt) {
        let seconds = state.withLock { $0.ticks } - attempt.startedTick
        guard Duration.seconds(seconds) > probe.initialDelay else { return }
        state.withLock { $0.attempts[key]?.isProbing = true }
        submitTransfer { executor in
            let isReady = probe.isReady()
            let isStillWanted = executor.state.withLock { state in
                state.attempts[key]?.isProbing = false
                guard isReady, state.attempts[key]?.probe != nil else { return false }
                state.attempts[key]?.probe = nil
                return true
            }
            if isStillWanted { executor.reporter.yield(.ready(key, address: ReadinessProbe.address)) }
        }
    }
}
