// The threads that share a computation: every chunk once, whoever runs it.

import CKernels
import Testing

/// A pool, to be destroyed by the caller.
func makePool(_ threads: Int32) throws -> OpaquePointer {
    let pool: OpaquePointer? = ck_pool_create(threads)
    return try #require(pool)
}

/// What the chunks of one computation write. Each chunk has a place of its own, and each worker too.
private struct Tally {
    var runs: UnsafeMutablePointer<Int32>
    var byWorker: UnsafeMutablePointer<Int64>
    /// Rounds of idle arithmetic in every third chunk, so that chunks differ in length.
    var rounds: Int32
}

private let countRun: ck_task = { context, chunk, worker in
    guard let tally = context?.assumingMemoryBound(to: Tally.self).pointee else { return }
    var number = UInt32(truncatingIfNeeded: chunk)
    for _ in 0..<(chunk % 3 == 0 ? tally.rounds : 0) { number = number &* 1_664_525 &+ 1_013_904_223 }
    tally.runs[Int(chunk)] += number == .max ? 0 : 1
    tally.byWorker[Int(worker)] += 1
}

@Suite("Thread pool")
struct ThreadPoolTests {
    /// Runs of each chunk, and chunks of each worker, after `times` computations.
    private func tally(_ pool: OpaquePointer?, chunks: Int, times: Int, rounds: Int32 = 0)
        -> (runs: [Int32], byWorker: [Int64])
    {
        var runs = [Int32](repeating: 0, count: chunks)
        var byWorker = [Int64](repeating: 0, count: Int(ck_pool_threads(pool)))
        runs.withUnsafeMutableBufferPointer { runs in
            byWorker.withUnsafeMutableBufferPointer { byWorker in
                // With no chunks there is nothing to point to, and nobody asks.
                guard let workers = byWorker.baseAddress else { return }
                let spare = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
                defer { spare.deallocate() }
                var tally = Tally(runs: runs.baseAddress ?? spare, byWorker: workers, rounds: rounds)
                for _ in 0..<times { ck_pool_run(pool, Int64(chunks), countRun, &tally) }
            }
        }
        return (runs, byWorker)
    }

    @Test(
        "Every chunk of every computation runs once",
        arguments: [1, 2, 3, 5], [0, 1, 2, 3, 64, 1000])
    func everyChunkOnce(threads: Int32, chunks: Int) throws {
        let pool = try makePool(threads)
        defer { ck_pool_destroy(pool) }
        #expect(ck_pool_threads(pool) == threads)
        let (runs, byWorker) = tally(pool, chunks: chunks, times: 100)
        #expect(runs.allSatisfy { $0 == 100 })
        // Were a worker's number shared at any time, increments would be lost.
        #expect(byWorker.reduce(0, +) == Int64(chunks * 100))
    }

    @Test("Without a pool the calling thread runs everything, in order")
    func noPool() {
        #expect(ck_pool_threads(nil) == 1)
        let (runs, byWorker) = tally(nil, chunks: 17, times: 3)
        #expect(runs.allSatisfy { $0 == 3 } && byWorker == [51])
    }

    @Test("Chunks of unequal length, and pauses in which threads fall asleep, lose nothing")
    func unequalChunksAndPauses() throws {
        let pool = try makePool(3)
        defer { ck_pool_destroy(pool) }
        for pause in 0..<20 {
            let (runs, byWorker) = tally(pool, chunks: 40, times: 2, rounds: 500)
            #expect(runs.allSatisfy { $0 == 2 } && byWorker.reduce(0, +) == 80)
            // Far longer than the spin of a waiting thread, without a look at the clock.
            let (alone, _) = tally(nil, chunks: 1, times: 1 + pause % 2, rounds: 20_000)
            #expect(alone.count == 1)
        }
    }

    @Test("Pools come and go, used or not")
    func manyPools() throws {
        for round in 0..<50 {
            let pool = try makePool(Int32(1 + round % 4))
            if round % 2 == 0 {
                let (runs, _) = tally(pool, chunks: 9, times: 1)
                #expect(runs.allSatisfy { $0 == 1 })
            }
            ck_pool_destroy(pool)
        }
    }

    @Test("A count below one means one thread; no pool is destroyed without harm")
    func fewThreads() throws {
        let pool = try makePool(0)
        #expect(ck_pool_threads(pool) == 1)
        ck_pool_destroy(pool)
        ck_pool_destroy(nil)
    }
}
