// Which bytes of a file are there: a set of numbers, kept as its ranges.

/// Ascending ranges that neither overlap nor touch.
struct ByteRanges: Sendable, Equatable {
    private(set) var ranges: [Range<Int>] = []

    init() {}

    init(_ ranges: [Range<Int>]) {
        for range in ranges { insert(range) }
    }

    /// How many bytes are there.
    var count: Int { ranges.reduce(0) { $0 + $1.count } }

    var isEmpty: Bool { ranges.isEmpty }

    /// Bytes from the first one of the file on, without a gap.
    var prefixCount: Int {
        guard let first = ranges.first, first.lowerBound == 0 else { return 0 }
        return first.upperBound
    }

    func contains(_ range: Range<Int>) -> Bool {
        range.isEmpty
            || ranges.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
    }

    mutating func insert(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        // The first range that touches the new one, and the first one behind it.
        let first = firstIndex { $0.upperBound >= range.lowerBound }
        let last = firstIndex { $0.lowerBound > range.upperBound }
        var merged = range
        if first < last {
            merged =
                min(
                    range.lowerBound, ranges[first].lowerBound)..<max(
                    range.upperBound, ranges[last - 1].upperBound)
        }
        ranges.replaceSubrange(first..<last, with: CollectionOfOne(merged))
    }

    mutating func remove(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let first = firstIndex { $0.upperBound > range.lowerBound }
        let last = firstIndex { $0.lowerBound >= range.upperBound }
        guard first < last else { return }
        let before = ranges[first].lowerBound..<max(ranges[first].lowerBound, range.lowerBound)
        let after = min(range.upperBound, ranges[last - 1].upperBound)..<ranges[last - 1].upperBound
        ranges.replaceSubrange(first..<last, with: [before, after].filter { !$0.isEmpty })
    }

    /// The first gap at or behind `start` and before `end`, at most `limit` long.
    func firstMissing(from start: Int = 0, to end: Int, limit: Int = .max) -> Range<Int>? {
        var position = start
        for range in ranges[firstIndex(where: { $0.upperBound > start })...] {
            if range.lowerBound > position { break }
            position = range.upperBound
        }
        guard position < end else { return nil }
        let next = firstIndex { $0.lowerBound > position }
        let bound = next < ranges.count ? min(end, ranges[next].lowerBound) : end
        return position..<(bound - position > limit ? position + limit : bound)
    }

    func union(_ other: ByteRanges) -> ByteRanges {
        var result = self
        for range in other.ranges { result.insert(range) }
        return result
    }

    /// Without what lies at or behind `end`.
    func clipped(to end: Int) -> ByteRanges {
        var result = self
        result.remove(max(0, end)..<Int.max)
        return result
    }

    /// Binary search: the predicate is false, then true.
    private func firstIndex(where isBehind: (Range<Int>) -> Bool) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(ranges[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
