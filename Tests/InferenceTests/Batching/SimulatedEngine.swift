// A world for the batcher: a model whose next token is a hash of all it reads from its cache, and clients
// that come and go by chance.

import Inference
import TestSupport

/// A model that reads everything from the blocks it is told of, so that a wrong block changes its output.
struct SimulatedModel {
    /// What is stored for a token: itself, its position, and what else keys and values depend on.
    private struct Cell: Equatable {
        var token: Int32
        var position: Int
        var adapter: String?
    }

    static let endID: Int32 = 0
    private var memory: [Int32: Cell] = [:]
    /// Reads of something else than the sequence's own tokens.
    var problems: [String] = []

    static func nextToken(after tokens: [Int32], adapter: String?) -> Int32 {
        var hash: UInt64 = adapter == nil ? 1 : 2
        for token in tokens {
            hash = (hash ^ UInt64(bitPattern: Int64(token))) &* 0x100_0000_01B3 &+ (hash >> 29)
        }
        // A few different tokens, one of which ends the output.
        return Int32(truncatingIfNeeded: (hash >> 13) % 23)
    }

    /// All that a request gets when it is alone.
    static func output(of request: SequenceRequest) -> [Int32] {
        var tokens = request.promptIDs
        for _ in 0..<request.maxTokens {
            tokens.append(nextToken(after: tokens, adapter: request.adapter))
            if tokens.last == endID { break }
        }
        return Array(tokens[request.promptIDs.count...])
    }

    /// Runs a step: stores what is new, then reads the whole context.
    mutating func run(_ plan: BatchPlan, histories: [RequestID: [Int32]]) -> [Int32?] {
        for entry in plan.entries {
            for (index, (token, slot)) in zip(entry.tokenIDs, entry.slots).enumerated() {
                memory[slot] = Cell(token: token, position: entry.start + index, adapter: entry.adapter)
            }
        }
        return plan.entries.map { entry in
            let cells = (0..<entry.contextLength).map {
                memory[entry.blockTable[$0 / 16] * 16 + Int32($0 % 16)]
            }
            for (position, cell) in cells.enumerated() {
                let token = histories[entry.id]?[position]
                let expected = token.map { Cell(token: $0, position: position, adapter: entry.adapter) }
                if cell != expected {
                    problems.append("\(entry.id) reads \(String(describing: cell)) at \(position)")
                }
            }
            return entry.samples
                ? Self.nextToken(after: cells.map { $0?.token ?? -1 }, adapter: entry.adapter) : nil
        }
    }
}

/// Settings and chances of one run.
struct SimulatedEngine {
    var scheduler: BatchScheduler
    private var model = SimulatedModel()
    private var generator: SeededGenerator
    private(set) var requests: [RequestID: SequenceRequest] = [:]
    private(set) var outputs: [RequestID: [Int32]] = [:]
    private(set) var finished: Set<RequestID> = []
    private var alive: [RequestID] = []
    private var ratings: [RequestID: [Int]] = [:]
    private(set) var refusals = 0
    private(set) var preemptions = 0
    private(set) var steps = 0
    private(set) var problems: [String] = []
    private let limits: BatchLimits
    private let blockCount: Int

    init(seed: UInt64, sharesPrefixes: Bool) {
        var generator = SeededGenerator(seed: seed)
        func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
        let running = random(1...6)
        limits = BatchLimits(
            maxRunning: running, maxBatchedTokens: running + random(0...60),
            maxPrefillChunk: random(0...1) == 0 ? nil : random(1...20), maxWaiting: random(2...20),
            maxModelLength: 120)
        blockCount = random(4...24)
        scheduler = BatchScheduler(limits: limits, blockCount: blockCount, sharesPrefixes: sharesPrefixes)
        self.generator = generator
    }

    private mutating func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    /// Lets requests come for a while, then runs until all are done.
    mutating func run() {
        for _ in 0..<120 {
            if random(3) == 0 { arrive() }
            step()
        }
        // Every request needs at most a step for each of its tokens, and again for each time it is preempted;
        // far more than that means that somebody waits for ever.
        let limit = steps + 20_000
        while !scheduler.isIdle && steps < limit { step() }
        if !scheduler.isIdle { problems.append("the batcher does not come to an end") }
        if scheduler.statistics.usedBlocks != 0 { problems.append("blocks are still held at the end") }
        problems += scheduler.violations() + model.problems
        checkOutputs()
    }

    private mutating func arrive() {
        let id = RequestID(UInt64(requests.count + 1))
        // A few beginnings of whole blocks and a few tokens, so that prompts often begin alike.
        let beginning = Int32(1 + random(3))
        let length = 16 * random(4)
        let rest = (0..<(1 + random(30))).map { _ in Int32(random(3)) }
        let prompt = Array(repeating: beginning, count: length) + rest
        let request = SequenceRequest(
            id: id, promptIDs: prompt, maxTokens: 1 + random(50), adapter: random(4) == 0 ? "lora" : nil,
            priority: random(5) == 0 ? -1 : 0, needsPromptLogits: random(6) == 0)
        do {
            try scheduler.add(request)
            requests[id] = request
            outputs[id] = []
            alive.append(id)
        } catch {
            refusals += 1
        }
    }

    private mutating func step() {
        steps += 1
        if random(25) == 0 { abortOne() }
        let wasIdle = scheduler.isIdle
        let plan = scheduler.plan()
        check(plan, wasIdle: wasIdle)
        preemptions += plan.preempted.count
        if random(25) == 0 { abortOne() }
        if random(30) == 0 { return scheduler.discard(plan) }
        let histories = requests.mapValues { $0.promptIDs + (outputs[$0.id] ?? []) }
        var tokens = model.run(plan, histories: histories)
        // Now and then a token cannot be chosen, and its sequence tries again.
        for index in tokens.indices where random(40) == 0 { tokens[index] = nil }
        scheduler.complete(plan, tokens: tokens)
        for (entry, token) in zip(plan.entries, tokens) where alive.contains(entry.id) {
            ratings[entry.id, default: []] += entry.promptLogits.map { $0 + entry.start }
            guard let token, let request = requests[entry.id] else { continue }
            outputs[entry.id]?.append(token)
            if token == SimulatedModel.endID || outputs[entry.id]?.count == request.maxTokens {
                scheduler.finish(entry.id)
                finished.insert(entry.id)
                alive.removeAll { $0 == entry.id }
            }
        }
    }

    private mutating func abortOne() {
        guard !alive.isEmpty else { return }
        let id = alive.remove(at: random(alive.count))
        if !scheduler.abort(id) { problems.append("\(id) was not there to be aborted") }
    }

    private mutating func check(_ plan: BatchPlan, wasIdle: Bool) {
        problems += scheduler.violations()
        if plan.tokenCount > limits.maxBatchedTokens {
            problems.append("a step has \(plan.tokenCount) tokens")
        }
        if plan.entries.count > limits.maxRunning { problems.append("\(plan.entries.count) sequences run") }
        if plan.isEmpty && !wasIdle { problems.append("nothing runs although something waits") }
        let slots = plan.entries.flatMap(\.slots)
        if Set(slots).count != slots.count { problems.append("two tokens have the same place") }
        if slots.contains(where: { $0 < 0 || $0 >= Int32(blockCount * 16) }) {
            problems.append("a place is outside of the cache")
        }
    }

    private mutating func checkOutputs() {
        for (id, request) in requests {
            let (output, alone) = (outputs[id] ?? [], SimulatedModel.output(of: request))
            if output != Array(alone.prefix(output.count)) { problems.append("\(id) is not as alone") }
            guard finished.contains(id) else { continue }
            if output.count != alone.count { problems.append("\(id) has \(output.count) tokens") }
            let expected = request.needsPromptLogits ? Array(0..<(request.promptIDs.count - 1)) : []
            if ratings[id, default: []] != expected { problems.append("\(id) is rated wrongly") }
        }
    }
}
