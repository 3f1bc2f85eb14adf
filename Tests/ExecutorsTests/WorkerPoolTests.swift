// The pool of threads: jobs begin at once while the limit allows it, none is lost, and none begins after the end.

import Glibc
import Synchronization
import Testing

@testable import Executors

/// Jobs that all wait until so many of them run at the same time.
private final class Meeting: Sendable {
    private let here = Mutex(0)
    private let most = Mutex(0)
    private let wanted: Int

    init(of wanted: Int) { self.wanted = wanted }

    var largest: Int { most.withLock { $0 } }

    /// Returns when enough have come, and whether they have.
    func wait(milliseconds: Int) -> Bool {
        let count = here.withLock { count in
            count += 1
            return count
        }
        most.withLock { $0 = max($0, count) }
        for _ in 0..<milliseconds {
            if largest >= wanted { return true }
            usleep(1000)
        }
        here.withLock { $0 -= 1 }
        return false
    }
}

@Suite struct WorkerPoolTests {
    @Test("Jobs that come one after the other run beside each other up to the limit", arguments: [1, 2, 4])
    func parallel(limit: Int) async throws {
        let pool = try WorkerPool(threads: limit)
        defer { pool.stop() }
        let meeting = Meeting(of: limit)
        let (answers, continuation) = AsyncStream.makeStream(of: Bool.self)
        for _ in 0..<limit {
            pool.submit { continuation.yield(meeting.wait(milliseconds: 60_000)) }
        }
        var count = 0
        for await didMeet in answers {
            #expect(didMeet)
            count += 1
            if count == limit { break }
        }
    }

    @Test("There are never more threads than the limit, and each job runs once") func limited() async throws {
        let pool = try WorkerPool(threads: 3)
        defer { pool.stop() }
        let running = Mutex(0)
        let (answers, continuation) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<1000 {
            pool.submit {
                let count = running.withLock { count in
                    count += 1
                    return count
                }
                #expect(count <= 3)
                running.withLock { $0 -= 1 }
                continuation.yield(number)
            }
        }
        var seen: Set<Int> = []
        for await number in answers {
            #expect(seen.insert(number).inserted)
            if seen.count == 1000 { break }
        }
    }

    @Test("A job given after the end is dropped") func stopped() async throws {
        let pool = try WorkerPool(threads: 2)
        pool.stop()
        let (answers, continuation) = AsyncStream.makeStream(of: Int.self)
        // The job goes unrun, and with it the last that could add to the answers.
        pool.submit { continuation.yield(1) }
        continuation.finish()
        var count = 0
        for await _ in answers { count += 1 }
        #expect(count == 0)
    }
}
