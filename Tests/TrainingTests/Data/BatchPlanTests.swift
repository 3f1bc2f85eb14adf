// Plans of steps: every row once an epoch, the same again for the same seed, packs that are never too long.
import TestSupport
import Testing
import Text

@testable import Training

@Suite("Batch plans")
struct BatchPlanTests {
    private static func plan(
        _ lengths: [Int], order: BatchOrder? = nil, _ change: (inout BatchPlan.Settings) -> Void = { _ in }
    ) throws -> BatchPlan {
        var settings = BatchPlan.Settings()
        change(&settings)
        return try BatchPlan(lengths: lengths, settings: settings, order: order)
    }

    private static func lengths(_ count: Int, upTo longest: Int, seed: UInt64) -> [Int] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Int.random(in: 1...longest, using: &generator) }
    }

    @Test("Rows without chance come in their order, and the last step of an epoch is smaller")
    func inOrder() throws {
        let plan = try Self.plan([1, 1, 1, 1, 1, 1, 1]) {
            ($0.shuffles, $0.microBatchSize, $0.accumulation, $0.epochs) = (false, 2, 2, 2)
        }
        #expect(plan.stepsPerEpoch == 2 && plan.stepCount == 4)
        let steps = (0..<4).map { plan.microBatches(step: $0) }
        #expect(steps == [[[0, 1], [2, 3]], [[4, 5], [6]], [[0, 1], [2, 3]], [[4, 5], [6]]])
        #expect((0...4).map { plan.epoch(afterSteps: $0) } == [0, 0.5, 1, 1.5, 2])
        #expect(plan.microBatches(step: 4).isEmpty && plan.microBatches(step: -1).isEmpty)
    }

    @Test("Every row comes exactly once in each epoch, in another order each time", arguments: 0..<24)
    func everyRowOnce(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let count = Int.random(in: 1...90, using: &generator)
        let lengths = Self.lengths(count, upTo: 30, seed: UInt64(seed))
        let (size, accumulation) = (
            Int.random(in: 1...4, using: &generator), Int.random(in: 1...5, using: &generator)
        )
        let plan = try Self.plan(lengths) {
            ($0.microBatchSize, $0.accumulation, $0.epochs, $0.seed) = (size, accumulation, 3, UInt64(seed))
            if seed % 3 == 1 { $0.packingLength = 32 }
            if seed % 3 == 2 { $0.groupsByLength = true }
        }
        #expect(plan.stepCount == 3 * plan.stepsPerEpoch)
        var orders: [[Int]] = []
        for epoch in 0..<3 {
            let steps = (0..<plan.stepsPerEpoch).map {
                plan.microBatches(step: epoch * plan.stepsPerEpoch + $0)
            }
            #expect(
                steps.allSatisfy { !$0.isEmpty && $0.count <= accumulation && $0.allSatisfy { !$0.isEmpty } })
            #expect(steps.dropLast().allSatisfy { $0.count == accumulation })
            orders.append(steps.flatMap { $0.flatMap { $0 } })
            #expect(orders[epoch].sorted() == Array(0..<count))
        }
        if count > 8 { #expect(Set(orders).count == 3) }
    }

    @Test("A step alone is what it is among the others, for the same seed")
    func anyStep() throws {
        let lengths = Self.lengths(100, upTo: 50, seed: 1)
        func plan(_ seed: UInt64) throws -> BatchPlan {
            try Self.plan(lengths) {
                ($0.microBatchSize, $0.accumulation, $0.epochs, $0.packingLength, $0.seed) = (
                    1, 3, 4, 64, seed
                )
            }
        }
        let (one, other) = (try plan(42), try plan(42))
        let steps = (0..<one.stepCount).map { one.microBatches(step: $0) }
        for step in (0..<one.stepCount).reversed() { #expect(other.microBatches(step: step) == steps[step]) }
        let different = try plan(43)
        #expect((0..<one.stepCount).map { different.microBatches(step: $0) } != steps)
    }

    @Test("Chance is the same with every version: the first permutation is written down here")
    func fixedChance() {
        #expect(SeededPermutation.order(count: 10, seed: 42, .epoch) == [2, 4, 9, 3, 5, 1, 7, 6, 0, 8])
        #expect(SeededPermutation.order(count: 0, seed: 42, .epoch) == [])
        #expect(SeededPermutation.order(count: 1, seed: 42, .epoch) == [0])
    }

    @Test("A packed row never is longer than the packing length", arguments: 0..<20)
    func packs(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let capacity = Int.random(in: 1...200, using: &generator)
        let lengths = Self.lengths(
            Int.random(in: 1...200, using: &generator), upTo: capacity, seed: UInt64(seed))
        let packs = Packing.pack(
            (0..<UInt32(lengths.count)).map { $0 }, lengths: lengths.map { UInt32($0) }, capacity: capacity)
        #expect(packs.flatMap { $0 }.sorted() == (0..<UInt32(lengths.count)).map { $0 })
        let sums = packs.map { $0.reduce(0) { $0 + lengths[Int($1)] } }
        #expect(sums.allSatisfy { $0 <= capacity })
        // Johnson's bound for first and best fit decreasing.
        let fewest = (lengths.reduce(0, +) + capacity - 1) / capacity
        #expect(
            Double(packs.count) <= 11.0 / 9 * Double(max(fewest, Self.optimumBound(lengths, capacity))) + 4)
        // No two packs fit together.
        if let least = sums.min(), let index = sums.firstIndex(of: least) {
            for (other, sum) in sums.enumerated() where other != index { #expect(sum + least > capacity) }
        }
    }

    /// Rows longer than half a pack need one each.
    private static func optimumBound(_ lengths: [Int], _ capacity: Int) -> Int {
        lengths.filter { 2 * $0 > capacity }.count
    }

    @Test("The best fit is the fullest pack that has room, as plain search finds it", arguments: 0..<6)
    func bestFit(seed: Int) {
        // Beyond 4,096, so that the search goes through all its levels.
        let capacity = 10_000
        let lengths = Self.lengths(300, upTo: 6000, seed: UInt64(seed)).map { UInt32($0) }
        let order = (0..<UInt32(300)).map { $0 }
        var rooms: [Int] = []
        for row in order.sorted(by: { (lengths[Int($1)], $0) < (lengths[Int($0)], $1) }) {
            let length = Int(lengths[Int(row)])
            if let best = rooms.indices.filter({ rooms[$0] >= length }).min(by: { rooms[$0] < rooms[$1] }) {
                rooms[best] -= length
            } else {
                rooms.append(capacity - length)
            }
        }
        let packs = Packing.pack(order, lengths: lengths, capacity: capacity)
        let found = packs.map { capacity - $0.reduce(0) { $0 + Int(lengths[Int($1)]) } }
        #expect(found.sorted() == rooms.sorted())
    }

    @Test("A row longer than a pack is refused")
    func tooLongForPack() {
        let error = #expect(throws: TrainingError.self) { try Self.plan([3, 9, 4]) { $0.packingLength = 8 } }
        #expect(error?.problem == "packing_length: row 1 has 9 tokens, more than 8")
    }

    @Test("Without chance, packs come in the order of their first rows")
    func packsInOrder() throws {
        let plan = try Self.plan([5, 3, 2, 5, 1, 4]) { ($0.shuffles, $0.packingLength) = (false, 6) }
        let batches = (0..<plan.stepCount).flatMap { plan.microBatches(step: $0) }
        #expect(batches == [[0], [1], [2, 5], [3, 4]])
    }

    @Test("Groups by length put like lengths together and the longest row first")
    func groups() throws {
        let lengths = Self.lengths(400, upTo: 1000, seed: 3)
        let plan = try Self.plan(lengths) {
            ($0.microBatchSize, $0.accumulation, $0.groupsByLength) = (4, 1, true)
        }
        let batches = (0..<plan.stepCount).flatMap { plan.microBatches(step: $0) }
        #expect(lengths[batches[0][0]] == lengths.max())
        let spreads = batches.dropFirst().map { batch in
            let own = batch.map { lengths[$0] }
            return (own.max() ?? 0) - (own.min() ?? 0)
        }
        // Four of 100 sorted rows: about 30 apart; of rows by chance, about 600.
        #expect(spreads.reduce(0, +) / spreads.count < 100)
    }

    @Test(
        "Epochs may be fractions, and max_steps counts more",
        arguments: [(1.0, nil, 5), (0.5, nil, 3), (2.5, nil, 13), (3.0, 4, 4), (1.0, 12, 12), (0.01, nil, 1)]
            as [(Double, Int?, Int)])
    func steps(epochs: Double, maxSteps: Int?, count: Int) throws {
        let plan = try Self.plan([Int](repeating: 1, count: 10)) {
            ($0.epochs, $0.maxSteps, $0.microBatchSize) = (epochs, maxSteps, 2)
        }
        #expect(plan.stepCount == count)
        #expect(!plan.microBatches(step: count - 1).isEmpty)
    }

    @Test("Settings that make no plan are refused by their names")
    func badSettings() {
        let changes: [(String, (inout BatchPlan.Settings) -> Void)] = [
            ("per_device_train_batch_size: 0", { $0.microBatchSize = 0 }),
            ("gradient_accumulation_steps: -1", { $0.accumulation = -1 }),
            ("packing_length: 0", { $0.packingLength = 0 }), ("num_train_epochs: 0.0", { $0.epochs = 0 }),
            ("num_train_epochs: 1e+300", { $0.epochs = 1e300 }),
            ("num_train_epochs: nan", { $0.epochs = .nan }),
        ]
        for (problem, change) in changes {
            let error = #expect(throws: TrainingError.self) { try Self.plan([1], change) }
            #expect(error?.kind == .badParameters && error?.problem.hasPrefix(problem) == true)
        }
        #expect(throws: TrainingError.self) { try Self.plan([]) }
    }

    @Test(
        "Accumulation makes 16 rows a step where nothing is said",
        arguments: [(1, nil, 16), (4, nil, 4), (5, nil, 4), (32, nil, 1), (2, 3, 3)] as [(Int, Int?, Int)])
    func accumulation(size: Int, given: Int?, expected: Int) {
        var parameters = TrainingParameters()
        (parameters.perDeviceTrainBatchSize, parameters.gradientAccumulationSteps) = (size, given)
        #expect(BatchPlan.Settings(parameters, maxLength: 10).accumulation == expected)
        #expect(BatchPlan.Settings(parameters, maxLength: 10).packingLength == nil)
        parameters.packing = true
        #expect(BatchPlan.Settings(parameters, maxLength: 10).packingLength == 10)
    }

    @Test("A stream's rows come one after another, and need max_steps")
    func stream() throws {
        var settings = BatchPlan.Settings()
        (settings.microBatchSize, settings.accumulation) = (2, 2)
        #expect(throws: TrainingError.self) { try BatchPlan(streaming: 8, settings: settings) }
        settings.maxSteps = 3
        let plan = try BatchPlan(streaming: 8, settings: settings)
        #expect(
            (0..<3).map { plan.microBatches(step: $0) } == [
                [[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]],
            ])
        #expect(plan.epoch(afterSteps: 3) == 1.5)
        settings.packingLength = 4
        #expect(throws: TrainingError.self) { try BatchPlan(streaming: 8, settings: settings) }
    }

    @Test("A file fixes the rows of each step, with or without micro batches")
    func fixedOrder() throws {
        let files = ["a.json": #"{"order": [[[3, 1], [0]], [[2, 2]]]}"#, "b.json": "[[3, 1, 0], [2]]"]
        try DataFixture.withFiles(files) { directory in
            let first = try BatchOrder(path: "\(directory)/a.json", microBatchSize: 9, rowCount: 4)
            let plan = try Self.plan([1, 1, 1, 1], order: first)
            #expect(plan.stepCount == 2)
            #expect(plan.microBatches(step: 0) == [[3, 1], [0]] && plan.microBatches(step: 1) == [[2, 2]])
            #expect(plan.epoch(afterSteps: 1) == 0.75 && plan.epoch(afterSteps: 2) == 1.25)
            #expect(try Self.plan([1, 1, 1, 1], order: first) { $0.maxSteps = 1 }.stepCount == 1)
            #expect(throws: TrainingError.self) {
                try Self.plan([1, 1, 1, 1], order: first) { $0.maxSteps = 3 }
            }
            let second = try BatchOrder(path: "\(directory)/b.json", microBatchSize: 2, rowCount: 4)
            #expect(second.steps == [[[3, 1], [0]], [[2]]])
            #expect(throws: TrainingError.self) {
                try BatchOrder(path: "\(directory)/c.json", microBatchSize: 2, rowCount: 4)
            }
        }
    }

    @Test(
        "A wrong order is named with its step and row",
        arguments: [
            ("{}", "there is no list of steps"), ("[]", "there is no list of steps"),
            ("[1]", "step 0: not a list"),
            ("[[[0]],[[0],7]]", "step 1: micro batch 1: not a list"),
            ("[[0],[1,4]]", "step 1: row 1: 4 is not a row of the data set"),
            ("[[[0],[-1]]]", "step 0: micro batch 1: row 0: -1 is not a row of the data set"),
            ("[[0,\"x\"]]", "step 0: row 1: \"x\" is not a number"), ("[[]]", "step 0: there are no rows"),
            ("[[[]]]", "step 0: micro batch 0: there are no rows"),
            ("[", "invalid JSON at line 1, column 2: the text ends where a value should be"),
        ])
    func wrongOrder(text: String, problem: String) throws {
        try DataFixture.withFiles(["o.json": text]) { directory in
            let path = "\(directory)/o.json"
            let error = #expect(throws: TrainingError.self) {
                try BatchOrder(path: path, microBatchSize: 1, rowCount: 4)
            }
            #expect(error?.kind == .badData && error?.problem == "batch_order: \(path): \(problem)")
        }
    }
}
