// Which rows of a source are trained on and which validate: a pure function of counts and a seed.

/// Where a row comes from.
struct RecordReference: Sendable, Hashable {
    /// The number of the file in the data set.
    var file: UInt32
    var record: UInt32
}

enum RowSelection {
    /// Numbers of rows of one source, as ms-swift chooses them: the rows that validate are set apart first, so
    /// that none of them is trained on, then as many as wanted are taken. Fewer than there are come by chance
    /// (from the beginning, without `shuffles`); more repeat all rows before some come once more by chance.
    /// - Parameters:
    ///   - count: rows of the source.
    ///   - sampleCount: rows wanted, those that validate included; nil for all.
    ///   - source: the number of the source, so that each has chances of its own.
    static func select(
        count: Int, sampleCount: Int?, validationRatio: Double, shuffles: Bool, seed: UInt64, source: Int
    ) -> (training: [UInt32], validation: [UInt32]) {
        let wanted = sampleCount ?? count
        var validation: [UInt32] = []
        var training = [UInt32](0..<UInt32(count))
        if validationRatio > 0, count > 1 {
            let share = min(max(Int(Double(wanted) * validationRatio), 1), count - 1)
            let order =
                shuffles
                ? SeededPermutation.order(count: count, seed: seed, .split, number: source)
                : training.reversed()
            validation = order.prefix(share).sorted()
            let isChosen = Set(validation)
            training.removeAll { isChosen.contains($0) }
        }
        guard sampleCount != nil, !training.isEmpty else { return (training, validation) }
        let rows = max(wanted - validation.count, 1)
        let (repeats, rest) = rows.quotientAndRemainder(dividingBy: training.count)
        var chosen: [UInt32] = []
        chosen.reserveCapacity(rows)
        for _ in 0..<repeats { chosen += training }
        if rest > 0 {
            let order =
                shuffles
                ? SeededPermutation.order(count: training.count, seed: seed, .sample, number: source)
                : [UInt32](0..<UInt32(training.count))
            chosen += order.prefix(rest).map { training[Int($0)] }
        }
        return (chosen, validation)
    }
}
