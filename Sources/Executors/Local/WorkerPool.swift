// Threads for what blocks: files, locks, processes, networks. The cooperative pool has a thread a core and
// must never wait.

import Artifacts
import Glibc
import Synchronization

/// A limited number of threads that take jobs in order; each is started when there is a job that no other is free
/// for. The queue needs no limit of its own: an executor hands in a few jobs for each launch it holds, never more.
final class WorkerPool: Sendable {
    typealias Job = @Sendable () -> Void

    private struct State {
        var jobs: [Job] = []
        /// Index of the next job; taken ones are dropped in bulk.
        var next = 0
        var isStopped = false
        var started = 0
        /// Threads that wait for a job, or will as soon as they have begun.
        var free = 0

        var waiting: Int { jobs.count - next }

        mutating func count() {
            started += 1
            free += 1
        }

        mutating func discount() {
            started -= 1
            free -= 1
        }
    }

    private let state = Mutex(State())
    private let reader: Int32
    private let writer: Int32
    private let threadLimit: Int

    /// - Throws: when the system refuses a pipe or the first thread.
    init(threads: Int) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw SupervisorClient.Failure(
                description: "no pipe can be made: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        (reader, writer) = (ends[0], ends[1])
        threadLimit = threads
        state.withLock { $0.count() }
        let error = SystemThread.start(run)
        guard error == 0 else {
            throw SupervisorClient.Failure(
                description: "no thread can be started: \(String(cString: strerror(error)))")
        }
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// Jobs given after `stop` are dropped.
    func submit(_ job: @escaping Job) {
        let (isTaken, needsThread) = state.withLock { state in
            guard !state.isStopped else { return (false, false) }
            state.jobs.append(job)
            guard state.waiting > state.free, state.started < threadLimit else { return (true, false) }
            state.count()
            return (true, true)
        }
        // Without another thread the job waits for one of those that there are.
        if needsThread, SystemThread.start(run) != 0 { state.withLock { $0.discount() } }
        // A full pipe refuses the byte, and may: whoever wakes up takes jobs until there is none.
        if isTaken { wake(1) }
    }

    /// Threads end after the jobs they are at; queued jobs are dropped.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.jobs = []
            state.next = 0
        }
        wake(threadLimit)
    }

    private func wake(_ count: Int) {
        let bytes = [UInt8](repeating: 0, count: count)
        _ = write(writer, bytes, count)
    }

    @Sendable private func run() {
        var byte: UInt8 = 0
        while true {
            let length = read(reader, &byte, 1)
            if length < 0 && errno == EINTR { continue }
            if length <= 0 { return }
            state.withLock { $0.free -= 1 }
            while let job = state.withLock({ Self.take(&$0) }) { job() }
            let isStopped = state.withLock { state in
                state.free += 1
                return state.isStopped
            }
            if isStopped { return }
        }
    }

    private static func take(_ state: inout State) -> Job? {
        guard state.next < state.jobs.count else { return nil }
        let job = state.jobs[state.next]
        state.next += 1
        if state.next == state.jobs.count || state.next > 4096 {
            state.jobs.removeFirst(state.next)
            state.next = 0
        }
        return job
    }
}
