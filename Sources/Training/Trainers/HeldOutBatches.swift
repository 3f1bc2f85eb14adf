// The rows that an evaluation goes through, a batch in memory at a time.

/// Rows 0..<count in batches, each read when it is asked for.
final class HeldOutBatches: Sequence, IteratorProtocol {
    private let count: Int
    private let size: Int
    private let row: (Int) throws -> NumberedRow
    private var first = 0
    /// Why the batches ended before the last one: a sequence has no other way to say it.
    private(set) var failure: (any Error)?

    init(count: Int, size: Int, row: @escaping (Int) throws -> NumberedRow) {
        self.count = count
        self.size = Swift.max(1, size)
        self.row = row
    }

    var batchCount: Int { (count + size - 1) / size }

    func next() -> [NumberedRow]? {
        guard failure == nil, first < count else { return nil }
        let range = first..<Swift.min(first + size, count)
        first = range.upperBound
        do {
            return try range.map(row)
        } catch {
            failure = error
            return nil
        }
    }
}
