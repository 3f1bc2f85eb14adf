// What must hold however requests come, end and vanish: a batch gives what each request would get alone.

import Inference
import Testing

@Suite("Simulated batching")
struct BatchSimulationTests {
    @Test(
        "Every output is that of the request alone, every limit holds, and every block comes back",
        arguments: 0..<30 as Range<UInt64>, [true, false])
    func simulation(seed: UInt64, sharesPrefixes: Bool) {
        var engine = SimulatedEngine(seed: seed, sharesPrefixes: sharesPrefixes)
        engine.run()
        #expect(engine.problems == [], "seed \(seed), prefix cache \(sharesPrefixes)")
        #expect(!engine.requests.isEmpty)
    }

    @Test("The simulated worlds reach what they are there for")
    func coverage() {
        var (preemptions, hits, refusals, finished) = (0, 0, 0, 0)
        for seed in 0..<20 as Range<UInt64> {
            var engine = SimulatedEngine(seed: seed, sharesPrefixes: true)
            engine.run()
            preemptions += engine.preemptions
            hits += engine.scheduler.statistics.prefixHitTokens
            refusals += engine.refusals
            finished += engine.finished.count
        }
        #expect(preemptions > 20 && hits > 1_000 && refusals > 10 && finished > 200)
    }

    @Test("The fake model notices a wrong block")
    func modelNotices() {
        var scheduler = BatchSchedulerTests.scheduler()
        let request = BatchSchedulerTests.request(1, 20, first: 1)
        #expect(throws: Never.self) { try scheduler.add(request) }
        var plan = scheduler.plan()
        var model = SimulatedModel()
        _ = model.run(plan, histories: [request.id: request.promptIDs])
        #expect(model.problems == [])
        plan.entries[0].blockTable[1] = 30
        _ = model.run(plan, histories: [request.id: request.promptIDs])
        #expect(model.problems.count == 4)
    }

    @Test("Of equal priority, each begins no later than those that came after it", arguments: 1...5)
    func bounded(running: Int) throws {
        var scheduler = BatchSchedulerTests.scheduler(running: running, tokens: 40, waiting: 100, blocks: 8)
        for id in 1...40 as ClosedRange<UInt64> {
            try scheduler.add(BatchSchedulerTests.request(id, 1 + Int(id * 13 % 60), max: 3))
        }
        var begun: [UInt64] = []
        var outputs: [RequestID: Int] = [:]
        for _ in 0..<1_000 where !scheduler.isIdle {
            for entry in BatchSchedulerTests.step(&scheduler).entries {
                if !begun.contains(entry.id.number) { begun.append(entry.id.number) }
                if entry.samples { outputs[entry.id, default: 0] += 1 }
                if outputs[entry.id] == 3 { scheduler.finish(entry.id) }
            }
        }
        #expect(begun == Array(1...40))
        #expect(scheduler.isIdle)
    }
}
