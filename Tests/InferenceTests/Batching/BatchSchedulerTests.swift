// The batcher step by step: what runs, with which positions and places, and who waits.

import Inference
import Testing

@Suite("Batch scheduler")
struct BatchSchedulerTests {
    static func scheduler(
        running: Int = 4, tokens: Int = 64, chunk: Int? = nil, waiting: Int = 10, length: Int = 1_000,
        blocks: Int = 40, shares: Bool = true
    ) -> BatchScheduler {
        let limits = BatchLimits(
            maxRunning: running, maxBatchedTokens: tokens, maxPrefillChunk: chunk, maxWaiting: waiting,
            maxModelLength: length)
        return BatchScheduler(limits: limits, blockCount: blocks, sharesPrefixes: shares)
    }

    static func request(
        _ id: UInt64, _ prompt: Int, max: Int = 10, first: Int32? = nil, priority: Int = 0,
        rated: Bool = false
    ) -> SequenceRequest {
        // Prompts differ from their first token on, unless told otherwise.
        let start = first ?? Int32(id) * 10_000
        return SequenceRequest(
            id: RequestID(id), promptIDs: (0..<Int32(prompt)).map { start + $0 }, maxTokens: max,
            priority: priority, needsPromptLogits: rated)
    }

    /// Plans a step and completes it with the token 7 wherever one is sampled.
    @discardableResult
    static func step(_ scheduler: inout BatchScheduler) -> BatchPlan {
        let plan = scheduler.plan()
        scheduler.complete(plan, tokens: plan.entries.map { $0.samples ? 7 : nil })
        #expect(scheduler.violations() == [])
        return plan
    }

    /// Sequences of a plan as "id: first position + tokens", with a star where one is sampled.
    static func summary(_ plan: BatchPlan) -> [String] {
        plan.entries.map { "\($0.id.number): \($0.start)+\($0.tokenIDs.count)\($0.samples ? "*" : "")" }
    }

    @Test("A prompt is computed in chunks, then a token a step")
    func chunks() throws {
        var scheduler = Self.scheduler(tokens: 16)
        try scheduler.add(Self.request(1, 40))
        let steps = (0..<5).map { _ in Self.summary(Self.step(&scheduler)) }
        #expect(steps == [["1: 0+16"], ["1: 16+16"], ["1: 32+8*"], ["1: 40+1*"], ["1: 41+1*"]])
        #expect(scheduler.finish(RequestID(1)) == true)
        #expect(scheduler.isIdle && scheduler.statistics.usedBlocks == 0)
        #expect(Self.step(&scheduler).isEmpty)
    }

    @Test("An entry says which tokens run, where they are kept, and what they see")
    func entries() throws {
        var scheduler = Self.scheduler(tokens: 20)
        try scheduler.add(Self.request(1, 18, first: 100))
        let plan = Self.step(&scheduler)
        let entry = try #require(plan.entries.first)
        #expect(entry.tokenIDs == Array(100..<118))
        #expect(entry.blockTable.count == 2 && entry.contextLength == 18 && entry.start == 0)
        let slots: [Int32] = (0..<18).map { entry.blockTable[$0 / 16] * 16 + Int32($0 % 16) }
        #expect(entry.slots == slots)
        #expect(entry.samples && entry.promptLogits.isEmpty && entry.cachedTokens == 0)
        let next = try #require(Self.step(&scheduler).entries.first)
        #expect(next.tokenIDs == [7] && next.start == 18 && next.contextLength == 19)
        #expect(next.slots == [entry.blockTable[1] * 16 + 2])
    }

    @Test("Sequences that decode come first; prompts share what is left of the budget")
    func mixing() throws {
        var scheduler = Self.scheduler(tokens: 20, chunk: 12)
        try scheduler.add(Self.request(1, 4))
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 0+4*"])
        try scheduler.add(Self.request(2, 30))
        try scheduler.add(Self.request(3, 9))
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 4+1*", "2: 0+12", "3: 0+7"])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 5+1*", "2: 12+12", "3: 7+2*"])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 6+1*", "2: 24+6*", "3: 9+1*"])
    }

    @Test("A long prompt delays no token of those that decode")
    func fairness() throws {
        var scheduler = Self.scheduler(tokens: 8, blocks: 100)
        for id in 1...3 { try scheduler.add(Self.request(UInt64(id), 2, max: 200)) }
        Self.step(&scheduler)
        try scheduler.add(Self.request(4, 500))
        for step in 0..<100 {
            let plan = Self.step(&scheduler)
            #expect(plan.entries.prefix(3).allSatisfy { $0.samples }, "step \(step)")
            #expect(plan.tokenCount == 8)
            if plan.entries[3].samples { return #expect(step == 99) }
        }
    }

    @Test("Known beginnings are skipped, but for the last token")
    func prefixHits() throws {
        var scheduler = Self.scheduler()
        try scheduler.add(Self.request(1, 40, first: 0))
        Self.step(&scheduler)
        try scheduler.add(Self.request(2, 32, first: 0))
        try scheduler.add(Self.request(3, 50, first: 0))
        let plan = Self.step(&scheduler)
        #expect(Self.summary(plan) == ["1: 40+1*", "2: 16+16*", "3: 32+18*"])
        #expect(plan.entries.map(\.cachedTokens) == [0, 16, 32])
        #expect(plan.entries[2].blockTable[..<2] == plan.entries[0].blockTable[..<2])
        let statistics = scheduler.statistics
        #expect(statistics.prefixQueriedTokens == 122 && statistics.prefixHitTokens == 48)
    }

    @Test("Lower priorities go first, then those that came first")
    func order() throws {
        var scheduler = Self.scheduler(running: 1)
        for (id, priority) in [(1, 5), (2, 0), (3, -1), (4, 0)] {
            try scheduler.add(Self.request(UInt64(id), 3, max: 1, priority: priority))
        }
        var begun: [UInt64] = []
        while !scheduler.isIdle {
            for entry in Self.step(&scheduler).entries {
                begun.append(entry.id.number)
                scheduler.finish(entry.id)
            }
        }
        #expect(begun == [3, 2, 4, 1])
    }

    @Test("When blocks run out the last gives up its own, and goes on later where it was")
    func preemption() throws {
        // Two sequences of 16 tokens fit exactly; the second block of either is the third of two.
        var scheduler = Self.scheduler(blocks: 3, shares: false)
        try scheduler.add(Self.request(1, 15, max: 30))
        try scheduler.add(Self.request(2, 31, max: 10))
        try scheduler.add(Self.request(3, 3, max: 10))
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 0+15*", "2: 0+31*"])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 15+1*", "2: 31+1*"])
        let plan = Self.step(&scheduler)
        #expect(Self.summary(plan) == ["1: 16+1*"])
        #expect(plan.preempted == [RequestID(2)])
        // One block is free and 3 would fit, but it came after 2.
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 17+1*"])
        #expect(scheduler.statistics.waiting == 2 && scheduler.statistics.preemptions == 1)
        scheduler.finish(RequestID(1))
        #expect(Self.summary(Self.step(&scheduler)) == ["2: 0+33*"])
        scheduler.abort(RequestID(2))
        #expect(Self.summary(Self.step(&scheduler)) == ["3: 0+3*"])
    }

    @Test(
        "What can never run is refused, with the reason",
        arguments: [
            (request(1, 0), AdmissionError.emptyPrompt),
            (request(9, 5), .duplicate(RequestID(9))),
            (request(1, 90, max: 11), .tooLong(promptTokens: 90, maxTokens: 11, limit: 100)),
            (request(1, 5, max: .max), .tooLong(promptTokens: 5, maxTokens: .max, limit: 100)),
            (request(1, 60, max: 22), .neverFits(tokens: 81, capacity: 80)),
            (request(1, 60, max: 21), .queueFull(limit: 1)),
        ])
    func refusals(request: SequenceRequest, error: AdmissionError) throws {
        var scheduler = Self.scheduler(waiting: 1, length: 100, blocks: 5)
        try scheduler.add(Self.request(9, 5))
        #expect(throws: error) { try scheduler.add(request) }
        #expect(!error.description.isEmpty)
        #expect(scheduler.statistics.waiting == 1)
        #expect(scheduler.violations() == [])
    }

    @Test("An abort between plan and completion frees the blocks and breaks nothing")
    func abortInFlight() throws {
        var scheduler = Self.scheduler()
        try scheduler.add(Self.request(1, 20))
        try scheduler.add(Self.request(2, 20))
        let plan = scheduler.plan()
        #expect(scheduler.abort(RequestID(1)) == true)
        #expect(scheduler.abort(RequestID(1)) == false)
        // The same number may come again before the step is done.
        try scheduler.add(Self.request(1, 5))
        scheduler.complete(plan, tokens: [7, 7])
        #expect(scheduler.violations() == [])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 0+5*", "2: 20+1*"].reversed())
    }

    @Test("A discarded step is planned again as it was; an unanswered token runs again")
    func repeats() throws {
        var scheduler = Self.scheduler(tokens: 16)
        try scheduler.add(Self.request(1, 20))
        let first = scheduler.plan()
        scheduler.discard(first)
        let second = scheduler.plan()
        #expect(second.entries == first.entries && second.step != first.step)
        scheduler.complete(second, tokens: [nil])
        let third = scheduler.plan()
        #expect(Self.summary(third) == ["1: 16+4*"])
        scheduler.complete(third, tokens: [nil])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 19+1*"])
        #expect(Self.summary(Self.step(&scheduler)) == ["1: 20+1*"])
    }

    @Test("Each token of a prompt that is to be rated is computed, and delivered once")
    func promptLogits() throws {
        var scheduler = Self.scheduler(tokens: 16)
        try scheduler.add(Self.request(1, 20, first: 0))
        Self.step(&scheduler)
        Self.step(&scheduler)
        scheduler.finish(RequestID(1))
        try scheduler.add(Self.request(2, 20, first: 0, rated: true))
        let first = try #require(Self.step(&scheduler).entries.first)
        #expect(first.start == 0 && first.promptLogits == 0..<16)
        let second = try #require(Self.step(&scheduler).entries.first)
        // Logits of the last position rate no token of the prompt: they choose the first of the output.
        #expect(second.start == 16 && second.promptLogits == 0..<3 && second.samples)
        #expect(try #require(Self.step(&scheduler).entries.first).promptLogits.isEmpty)
    }
}
