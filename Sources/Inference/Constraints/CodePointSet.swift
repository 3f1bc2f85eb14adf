// Sets of characters as patterns describe them, and the bytes that UTF-8 writes them with.

/// A set of code points: ranges in order, neither overlapping nor touching.
struct CodePointSet: Hashable {
    private(set) var ranges: [ClosedRange<UInt32>]

    init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound &+ 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    static let all = CodePointSet([0...0x10FFFF])

    func union(_ other: CodePointSet) -> CodePointSet { CodePointSet(ranges + other.ranges) }

    var complement: CodePointSet {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return CodePointSet(result)
    }

    /// The members by a property. It looks at every code point, so the results are worth keeping.
    static func matching(_ test: (Unicode.Scalar.Properties) -> Bool) -> CodePointSet {
        var ranges: [ClosedRange<UInt32>] = []
        var first: UInt32?
        for value in UInt32(0)...0x110000 {
            let isMember = Unicode.Scalar(value).map { test($0.properties) } ?? false
            if isMember, first == nil { first = value }
            if !isMember, let start = first {
                ranges.append(start...(value - 1))
                first = nil
            }
        }
        return CodePointSet(ranges)
    }
}

// MARK: UTF-8

extension CodePointSet {
    /// The same code points by the number of bytes they take, without the surrogates, which UTF-8 does not
    /// have.
    private static let lengths: [ClosedRange<UInt32>] = [
        0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
    ]

    /// Sequences of byte ranges that together are exactly the set's UTF-8.
    var byteSequences: [[ClosedRange<UInt8>]] {
        var result: [[ClosedRange<UInt8>]] = []
        for range in ranges {
            for length in Self.lengths where range.overlaps(length) {
                Self.appendSequences(of: range.clamped(to: length), to: &result)
            }
        }
        return result
    }

    /// Splits a range until each piece is a product of byte ranges: its last bytes run from the lowest
    /// continuation to the highest, or its ends share all but the last byte.
    private static func appendSequences(
        of range: ClosedRange<UInt32>, to result: inout [[ClosedRange<UInt8>]]
    ) {
        for bits in [UInt32(6), 12, 18] where range.upperBound > 0x7F {
            let mask = (UInt32(1) << bits) - 1
            guard range.lowerBound & ~mask != range.upperBound & ~mask else { continue }
            if range.lowerBound & mask != 0 {
                appendSequences(of: range.lowerBound...(range.lowerBound | mask), to: &result)
                appendSequences(of: ((range.lowerBound | mask) + 1)...range.upperBound, to: &result)
                return
            }
            if range.upperBound & mask != mask {
                appendSequences(of: range.lowerBound...((range.upperBound & ~mask) - 1), to: &result)
                appendSequences(of: (range.upperBound & ~mask)...range.upperBound, to: &result)
                return
            }
        }
        result.append(zip(bytes(of: range.lowerBound), bytes(of: range.upperBound)).map { $0...$1 })
    }

    private static func bytes(of value: UInt32) -> [UInt8] {
        guard let scalar = Unicode.Scalar(value) else { return [] }
        return Array(UTF8.encode(scalar) ?? .init())
    }
}

/// The states and edges that read one character of a set. Making them takes long for sets such as all
/// letters, so they are made once and copied.
struct CharacterTemplate {
    struct Edge {
        var source: Int32
        var bytes: ClosedRange<UInt8>
        var target: Int32
    }

    /// Between the states 0, the start, and 1, the end. Equal endings share their states.
    private(set) var edges: [Edge] = []
    private(set) var stateCount: Int32 = 2

    init(_ set: CodePointSet) {
        var shared: [[ClosedRange<UInt8>]: Int32] = [:]
        for sequence in set.byteSequences {
            var state: Int32 = 1
            for index in sequence.indices.dropFirst().reversed() {
                let ending = Array(sequence[index...])
                if let known = shared[ending] {
                    state = known
                    continue
                }
                edges.append(Edge(source: stateCount, bytes: sequence[index], target: state))
                shared[ending] = stateCount
                state = stateCount
                stateCount += 1
            }
            if let first = sequence.first { edges.append(Edge(source: 0, bytes: first, target: state)) }
        }
    }
}

extension AutomatonBuilder {
    /// Adds the characters of a set between two states.
    mutating func addCharacter(
        of set: CodePointSet, from source: Int32, to target: Int32
    ) throws(ConstraintError) {
        let template = templates[set] ?? CharacterTemplate(set)
        templates[set] = template
        var names = [source, target]
        for _ in 2..<template.stateCount { names.append(try addState()) }
        for edge in template.edges {
            addEdge(
                from: names[Int(edge.source)], edge.bytes.lowerBound, edge.bytes.upperBound,
                to: names[Int(edge.target)])
        }
    }
}
