// Jobs of one kind that wait until one of a few tasks is free for them.

import Scheduling

/// A queue, and how many tasks empty it.
struct JobLane<Job: Sendable>: Sendable {
    private let limit: Int
    private var runners = 0
    private var waiting = FIFO<Job>()

    /// - Parameter limit: of tasks at a time.
    init(limit: Int) { self.limit = limit }

    /// - Returns: whether the caller must start one more task, which asks for `next` until there is nothing.
    mutating func enter(_ job: Job) -> Bool {
        waiting.append(job)
        guard runners < limit else { return false }
        runners += 1
        return true
    }

    /// In the order in which they came; nil ends the task that asks.
    mutating func next() -> Job? {
        if let job = waiting.popFirst() { return job }
        runners -= 1
        return nil
    }
}
