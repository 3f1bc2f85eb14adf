// Shared beginnings: nothing is computed twice, nothing is read before it is computed, and every target is
// found.

import Models
import TestSupport
import Testing

@testable import Evaluation

@Suite("Rows with shared beginnings")
struct PrefixPlanTests {
    /// Rows as few-shot questions make them: a tree of a few common beginnings and many short ends.
    private static func rows(_ random: inout SeededGenerator) -> [RatedTokens] {
        func ids(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32.random(in: 0...2, using: &random) } }
        let stems = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            ids(Int.random(in: 0...70, using: &random))
        }
        return (0..<Int.random(in: 1...25, using: &random)).map { _ in
            let row =
                stems[Int.random(in: 0..<stems.count, using: &random)]
                + ids(Int.random(in: 2...30, using: &random))
            return RatedTokens(ids: row, ratedCount: Int.random(in: 1..<min(row.count, 12), using: &random))
        }
    }

    @Test("Every rated token is a target once, behind its own row's tokens", arguments: 0..<60)
    func targets(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let rows = Self.rows(&random)
        let plan = PrefixPlan(rows, blockSize: 16)
        var found = rows.map { Set($0.firstRated..<$0.ids.count) }
        for leaf in plan.leaves {
            #expect(leaf.start % 16 == 0 && leaf.start < leaf.ids.count)
            for target in leaf.targets {
                let row = rows[target.row].ids
                #expect(target.position >= leaf.start && target.position < leaf.ids.count)
                #expect(Array(leaf.ids[...target.position]) == Array(row[...target.position]))
                #expect(row[target.position + 1] == target.id)
                #expect(found[target.row].remove(target.position + 1) != nil)
            }
        }
        #expect(found.allSatisfy { $0.isEmpty })
    }

    @Test(
        "Each step reads what it or an earlier one has stored, and no more blocks than there are",
        arguments: 0..<60)
    func steps(seed: UInt64) {
        var random = SeededGenerator(seed: 1000 + seed)
        let plan = PrefixPlan(Self.rows(&random), blockSize: 16)
        let stepTokens = Int.random(in: 1...64, using: &random)
        // As few blocks as can be, and as many as the rater takes.
        let blocks =
            Bool.random(using: &random)
            ? plan.longest / 16 + 1
            : PrefixSteps.blockCount(longest: plan.longest, stepTokens: stepTokens, blockSize: 16)
        var steps = PrefixSteps(plan, stepTokens: stepTokens, blockCount: blocks, blockSize: 16)
        var stored: [Int32: Int32] = [:]
        var computed = 0
        var targets = 0
        while let step = steps.next() {
            let batch = step.batch
            #expect(batch.count <= stepTokens)
            #expect(Set(batch.slots).count == batch.count, "two tokens of a step have the same place")
            for (slot, id) in zip(batch.slots, batch.tokenIDs) { stored[slot] = id }
            #expect(batch.slots.allSatisfy { $0 >= 0 && Int($0) < blocks * 16 })
            for sequence in batch.sequences {
                let read = (0..<sequence.contextLength).map { position in
                    stored[sequence.blockTable[position / 16] * 16 + Int32(position % 16)] ?? -1
                }
                #expect(
                    plan.leaves.contains { $0.ids.starts(with: read) }, "a step reads another row's tokens")
            }
            computed += batch.count
            targets += step.targets.reduce(0) { $0 + $1.count }
            #expect(
                batch.outputRows == batch.outputRows.sorted() && batch.outputRows.count == step.targets.count)
        }
        #expect(computed == plan.computedCount)
        #expect(targets == plan.leaves.reduce(0) { $0 + $1.targets.count })
    }

    @Test("Answers that differ in their last token are read once, and a shared beginning is, too")
    func sharing() {
        let stem = (0..<64).map { Int32($0) }
        let letters = (0..<4).map { RatedTokens(ids: stem + [100 + $0], ratedCount: 1) }
        let once = PrefixPlan(letters, blockSize: 16)
        #expect(once.leaves.count == 1 && once.computedCount == 64)
        #expect(once.leaves[0].targets.count == 4)
        let texts = (0..<4).map { RatedTokens(ids: stem + [100 + $0, 1, 2], ratedCount: 3) }
        let shared = PrefixPlan(texts, blockSize: 16)
        #expect(shared.leaves.count == 4 && shared.computedCount == 64 + 4 * 2)
        // The first token of each answer is judged in the row that read the question.
        #expect(shared.leaves[0].targets.filter { $0.position == 63 }.count == 4)
    }

    @Test("A row that another one begins with costs nothing")
    func beginnings() {
        let rows = [[1, 2, 3], [1, 2, 3, 4], [1, 2], [1, 2, 3, 4, 5, 6]].map {
            RatedTokens(ids: $0, ratedCount: 1)
        }
        let plan = PrefixPlan(rows, blockSize: 16)
        #expect(plan.leaves.map(\.ids) == [[1, 2, 3, 4, 5]])
        #expect(plan.leaves[0].targets.map(\.position) == [0, 1, 2, 4])
    }
}
