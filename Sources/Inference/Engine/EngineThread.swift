// The one thread that an engine's actor runs on: its kernels would block the pool that all other tasks share.

import Glibc
import Synchronization

/// A serial executor with a thread of its own, which sleeps while there is nothing to do.
final class EngineThread: SerialExecutor {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var isStopping = false
    }

    private let queue: Mutex<Queue>
    /// Counts the jobs that the thread has not taken yet.
    private let available: Semaphore

    init() {
        queue = Mutex(Queue())
        available = Semaphore()
        var thread = pthread_t()
        // The thread keeps the executor until `stop`.
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<EngineThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "the engine's thread cannot be made")
        pthread_detach(thread)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.withLock { $0.jobs.append(job) }
        available.signal()
    }

    /// Ends the thread once it has run what is queued. Nothing may be enqueued afterwards.
    func stop() {
        queue.withLock { $0.isStopping = true }
        available.signal()
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    private func run() {
        while true {
            available.wait()
            let (jobs, isStopping) = queue.withLock { queue in
                defer { queue.jobs = [] }
                return (queue.jobs, queue.isStopping)
            }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            if isStopping && jobs.isEmpty { return }
        }
    }
}

/// A counting semaphore of the system.
// The semaphore's address never changes, and its functions are made to be called from any thread.
private final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }
}
