// Decides what is computed next: continuous batching (Yu et al., "Orca", OSDI 2022) with chunked prefill
// (Agrawal et al., arXiv:2308.16369) over a paged cache, as a pure state machine.

/// The requests of an engine, and which of them run.
///
///     state      event                                          then
///     (none)     add                                            waiting, or refused
///     waiting    plan: a place in the batch, and blocks         running
///     running    plan: blocks needed by one further ahead       waiting, to be computed again
///     running    complete: its tokens were run                  running, some tokens further
///     any        finish, abort                                  (none), its blocks free
///
/// Sequences are ordered by priority, then arrival, waiting ones and running ones, and a preempted one takes
/// its old place. Only the last of those that run is preempted, so the first always gets on: there is no
/// livelock. The first that waits is never passed by one behind it, so of equal priority each begins at
/// the latest when those before it have ended. In a step the sequences that decode come first, each with a
/// token; prefill shares what is left.
package struct BatchScheduler: Sendable {
    private struct Sequence: Sendable {
        let request: SequenceRequest
        let arrival: UInt64
        /// Prompt and output.
        var tokens: [Int32]
        /// How many of the first tokens have their keys and values in the cache.
        var computed = 0
        var table: BlockTable
        /// Tokens to run in the step that is being planned.
        var scheduled = 0
        /// Of the prompt, when it first ran.
        var cachedTokens: Int?
        /// Positions of the prompt whose logits were delivered; a sequence computed again delivers none
        /// twice.
        var ratedPositions = 0

        var remaining: Int { tokens.count - computed }
        var promptCount: Int { request.promptIDs.count }
        var isComplete: Bool { tokens.count - promptCount >= request.maxTokens }
        /// Whether no logits of its prompt are owed. Those of the prompt's last token rate nothing in it.
        var isRated: Bool { !request.needsPromptLogits || ratedPositions >= promptCount - 1 }

        func goes(before other: Sequence) -> Bool {
            (request.priority, arrival) < (other.request.priority, other.arrival)
        }
    }

    package let limits: BatchLimits
    private var allocator: BlockAllocator
    /// Both in order of priority and arrival.
    private var waiting: [Sequence] = []
    private var running: [Sequence] = []
    private var arrivals: UInt64 = 0
    private var steps: UInt64 = 0
    /// The plan that is being computed.
    private var openStep: UInt64?
    private var preemptions = 0
    /// Waiting sequences that ran before.
    private var preemptedCount = 0

    package init(limits: BatchLimits, blockCount: Int, sharesPrefixes: Bool = true) {
        precondition(limits.maxRunning >= 1 && limits.maxPrefillChunk >= 1, "a batch needs room for one")
        precondition(
            limits.maxBatchedTokens >= limits.maxRunning, "every running sequence needs a token a step")
        self.limits = limits
        allocator = BlockAllocator(blockCount: blockCount, sharesPrefixes: sharesPrefixes)
    }

    /// Whether there is nothing to do until a request comes.
    package var isIdle: Bool { waiting.isEmpty && running.isEmpty }

    package var statistics: BatchStatistics {
        BatchStatistics(
            running: running.count, waiting: waiting.count, blockCount: allocator.blockCount,
            usedBlocks: allocator.usedCount, preemptions: preemptions,
            prefixQueriedTokens: allocator.queriedTokens, prefixHitTokens: allocator.hitTokens)
    }

    // MARK: Events

    /// A request arrived. It is refused if it could never run, or if too many wait.
    package mutating func add(_ request: SequenceRequest) throws(AdmissionError) {
        let prompt = request.promptIDs.count
        guard prompt > 0 else { throw .emptyPrompt }
        precondition(request.maxTokens >= 1, "a sequence has at least one token of output")
        let (total, isTooLong) = prompt.addingReportingOverflow(request.maxTokens)
        guard !isTooLong && total <= limits.maxModelLength else {
            throw .tooLong(
                promptTokens: prompt, maxTokens: request.maxTokens, limit: limits.maxModelLength)
        }
        // The last token is never run.
        guard BlockAllocator.blocks(for: total - 1) <= allocator.blockCount else {
            throw .neverFits(tokens: total - 1, capacity: allocator.blockCount * BlockAllocator.blockSize)
        }
        let isHere = (waiting + running).contains { $0.request.id == request.id }
        guard !isHere else { throw .duplicate(request.id) }
        guard waiting.count - preemptedCount < limits.maxWaiting else {
            throw .queueFull(limit: limits.maxWaiting)
        }
        let scope = CacheScope(
            adapter: request.adapter, adapterVersion: request.adapterVersion, salt: request.cacheSalt)
        let sequence = Sequence(
            request: request, arrival: arrivals, tokens: request.promptIDs, table: BlockTable(scope: scope))
        arrivals += 1
        Self.insert(sequence, into: &waiting)
    }

    /// The next step. It is open until `complete` or `discard`; requests may come and go meanwhile.
    package mutating func plan() -> BatchPlan {
        precondition(openStep == nil, "the step before is not completed")
        precondition(!running.contains(where: \.isComplete), "a sequence of full length was not finished")
        var budget = limits.maxBatchedTokens
        let preempted = scheduleDecodes(&budget)
        schedulePrefills(&budget)
        // What was just preempted must not come back at once, nor anything behind it go first.
        if preempted.isEmpty { admit(&budget) }
        steps += 1
        openStep = steps
        let entries = running.filter { $0.scheduled > 0 }.map(Self.entry)
        return BatchPlan(step: steps, entries: entries, preempted: preempted)
    }

    /// The step was computed. Sequences that end with their new token, at the latest those that have
    /// `maxTokens` of output, have to be finished before the next plan.
    ///
    /// - Parameter tokens: for each of the plan's entries the token that was chosen. nil for entries that do
    ///   not sample; nil for one that does runs its last token again, unless it is finished or aborted.
    package mutating func complete(_ plan: BatchPlan, tokens: [Int32?]) {
        precondition(tokens.count == plan.entries.count, "a token or nil is needed for each entry")
        close(plan)
        for (entry, token) in zip(plan.entries, tokens) {
            // It may have been aborted meanwhile.
            guard let index = running.firstIndex(where: { $0.request.id == entry.id }) else { continue }
            precondition(entry.samples || token == nil, "sequence \(entry.id) was not to be sampled")
            let isRepeated = entry.samples && token == nil
            running[index].computed = entry.contextLength - (isRepeated ? 1 : 0)
            allocator.offer(
                &running[index].table, tokens: running[index].tokens, computed: running[index].computed)
            if !entry.promptLogits.isEmpty {
                running[index].ratedPositions = entry.start + entry.promptLogits.upperBound
            }
            if let token { running[index].tokens.append(token) }
        }
    }

    /// The step was not computed, or nothing of it may be used. The same tokens will be planned again.
    package mutating func discard(_ plan: BatchPlan) { close(plan) }

    /// The sequence has its last token. False if it is not here.
    @discardableResult
    package mutating func finish(_ id: RequestID) -> Bool { remove(id) }

    /// Nobody waits for the sequence any more. May come at any time. False if it is not here.
    @discardableResult
    package mutating func abort(_ id: RequestID) -> Bool { remove(id) }
}

// MARK: Planning

extension BatchScheduler {
    /// Gives a token to each running sequence that lacks just one. A sequence for which no block is free
    /// takes those of the last.
    private mutating func scheduleDecodes(_ budget: inout Int) -> [RequestID] {
        var preempted: [RequestID] = []
        var index = 0
        while index < running.count {
            guard running[index].remaining == 1 else {
                index += 1
                continue
            }
            let needed = running[index].tokens.count
            if allocator.extend(&running[index].table, toHold: needed) {
                running[index].scheduled = 1
                budget -= 1
                index += 1
            } else {
                precondition(running.count > 1, "a sequence that was admitted does not fit alone")
                preempted.append(preemptLast())
            }
        }
        return preempted
    }

    /// Every running sequence has blocks for all its tokens but the newest, so that prefill needs none.
    private mutating func schedulePrefills(_ budget: inout Int) {
        for index in running.indices where running[index].remaining > 1 {
            schedulePrefill(index, &budget)
        }
    }

    private mutating func schedulePrefill(_ index: Int, _ budget: inout Int) {
        let count = min(running[index].remaining, budget, limits.maxPrefillChunk)
        running[index].scheduled = count
        budget -= count
    }

    /// Lets waiting sequences in, in order, as long as one whole sequence more fits and something is left for
    /// the others to grow: a sequence that is preempted soon after costs more than one that waits.
    private mutating func admit(_ budget: inout Int) {
        while budget > 0, running.count < limits.maxRunning, let first = waiting.first {
            let reserve = running.isEmpty ? 0 : min(running.count, allocator.blockCount / 100)
            let table = allocator.allocate(
                first.tokens, scope: first.table.scope, mayShare: first.isRated, reserve: reserve)
            guard let table else { return }
            var sequence = waiting.removeFirst()
            if sequence.cachedTokens != nil { preemptedCount -= 1 }
            sequence.table = table
            sequence.computed = table.cachedBlocks * BlockAllocator.blockSize
            sequence.cachedTokens = sequence.cachedTokens ?? sequence.computed
            schedulePrefill(Self.insert(sequence, into: &running), &budget)
        }
    }

    private mutating func preemptLast() -> RequestID {
        var victim = running.removeLast()
        allocator.free(&victim.table)
        victim.computed = 0
        victim.scheduled = 0
        preemptions += 1
        preemptedCount += 1
        Self.insert(victim, into: &waiting)
        return victim.request.id
    }

    private static func entry(_ sequence: Sequence) -> BatchPlan.Entry {
        let range = sequence.computed..<(sequence.computed + sequence.scheduled)
        var rated = 0..<0
        if sequence.request.needsPromptLogits {
            let wanted = (sequence.ratedPositions..<(sequence.promptCount - 1)).clamped(to: range)
            rated = (wanted.lowerBound - range.lowerBound)..<(wanted.upperBound - range.lowerBound)
        }
        return BatchPlan.Entry(
            id: sequence.request.id, adapter: sequence.request.adapter,
            adapterVersion: sequence.request.adapterVersion, tokenIDs: Array(sequence.tokens[range]),
            start: range.lowerBound, slots: range.map(sequence.table.slot),
            blockTable: sequence.table.blocks, contextLength: range.upperBound, promptLogits: rated,
            samples: range.upperBound == sequence.tokens.count, cachedTokens: sequence.cachedTokens ?? 0)
    }

    @discardableResult
    private static func insert(_ sequence: Sequence, into list: inout [Sequence]) -> Int {
        // Most come last.
        let index = (list.lastIndex { $0.goes(before: sequence) } ?? -1) + 1
        list.insert(sequence, at: index)
        return index
    }

    private mutating func close(_ plan: BatchPlan) {
        precondition(openStep == plan.step, "step \(plan.step) is not the one that was planned last")
        openStep = nil
        for index in running.indices { running[index].scheduled = 0 }
    }

    private mutating func remove(_ id: RequestID) -> Bool {
        if let index = running.firstIndex(where: { $0.request.id == id }) {
            var sequence = running.remove(at: index)
            // The step that is being computed may still write there, but none is planned before it ends.
            allocator.free(&sequence.table)
            return true
        }
        if let index = waiting.firstIndex(where: { $0.request.id == id }) {
            if waiting.remove(at: index).cachedTokens != nil { preemptedCount -= 1 }
            return true
        }
        return false
    }
}

// MARK: Checks

extension BatchScheduler {
    /// What does not hold although it always should; empty if all is well. For tests: it looks at everything.
    package func violations() -> [String] {
        var wrong = allocator.violations(tables: (waiting + running).map(\.table))
        if running.count > limits.maxRunning { wrong.append("\(running.count) sequences are running") }
        if waiting.count - preemptedCount > limits.maxWaiting {
            wrong.append("\(waiting.count) sequences are waiting, \(preemptedCount) of them preempted")
        }
        for (name, list) in [("waiting", waiting), ("running", running)] {
            for (first, second) in zip(list, list.dropFirst()) where !first.goes(before: second) {
                wrong.append("\(name) sequences are out of order")
            }
        }
        if Set((waiting + running).map(\.request.id)).count != waiting.count + running.count {
            wrong.append("a sequence is here twice")
        }
        for sequence in waiting where sequence.computed > 0 || !sequence.table.blocks.isEmpty {
            wrong.append("waiting sequence \(sequence.request.id) has blocks")
        }
        for sequence in running {
            let id = sequence.request.id
            if sequence.remaining < 1 { wrong.append("running sequence \(id) has nothing left to run") }
            if sequence.table.capacity < sequence.tokens.count - 1 {
                wrong.append("running sequence \(id) lacks blocks")
            }
            if sequence.table.cachedBlocks * BlockAllocator.blockSize > sequence.computed {
                wrong.append("running sequence \(id) offers what it has not computed")
            }
        }
        return wrong
    }
}
