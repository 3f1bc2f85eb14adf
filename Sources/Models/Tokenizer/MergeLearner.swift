// The learning of merges from counted words.

/// Words as rows of token ids, and for each pair of neighbors how often it occurs and where. A merge changes
/// only the words that have the pair, and the counts of the pairs beside it.
struct MergeLearner {
    typealias Pair = UInt64

    private(set) var tokens: [[UInt8]] = []
    private var idByToken: [[UInt8]: Int32] = [:]
    private(set) var merges: [(Int32, Int32)] = []
    /// All words in a row; a word that becomes shorter leaves room behind it.
    private var symbols: [Int32] = []
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    private let counts: [Int]
    private var pairCounts: [Pair: Int] = [:]
    private var queue = CandidateHeap()

    /// - Parameter specialTokens: as they are; the other tokens are kept in visible characters.
    init(words: WordCounter, specialTokens: [String]) {
        counts = words.counts
        for token in specialTokens { addToken(Array(token.utf8)) }
        // The alphabet is in the order of its visible characters.
        let bytesInOrder = (0..<256).sorted { ByteAlphabet.scalars[$0] < ByteAlphabet.scalars[$1] }
        var idByByte = [Int32](repeating: 0, count: 256)
        for byte in bytesInOrder {
            var text: [UInt8] = []
            text.append(scalar: ByteAlphabet.scalars[byte])
            idByByte[byte] = addToken(text)
        }
        symbols.reserveCapacity(words.byteCount)
        for word in 0..<words.count {
            starts.append(symbols.count)
            words.table.withBytes(of: word) { bytes in
                for byte in bytes { symbols.append(idByByte[Int(byte)]) }
                lengths.append(Int32(bytes.count))
            }
        }
    }

    @discardableResult
    private mutating func addToken(_ token: [UInt8]) -> Int32 {
        if let id = idByToken[token] { return id }
        let id = Int32(tokens.count)
        idByToken[token] = id
        tokens.append(token)
        return id
    }

    mutating func learn(
        vocabularySize: Int, minimumFrequency: Int, progress: (Int) -> Bool
    ) -> (tokens: [[UInt8]], merges: [(Int32, Int32)]) {
        countPairs()
        while tokens.count < vocabularySize, var best = queue.pop() {
            let count = pairCounts[best.pair] ?? 0
            if best.count != count {
                // Other merges took away from the pair since it was put in the queue.
                best.count = count
                queue.push(best)
                continue
            }
            if count < 1 || count < minimumFrequency { break }
            merge(best)
            if tokens.count % 256 == 0, !progress(tokens.count) { break }
        }
        return (tokens, merges)
    }

    private mutating func countPairs() {
        var places: [Pair: [Int32]] = [:]
        for word in starts.indices {
            let start = starts[word]
            for index in start..<max(start, start + Int(lengths[word]) - 1) {
                let pair = MergeTable.pair(symbols[index], symbols[index + 1])
                pairCounts[pair, default: 0] += counts[word]
                Self.note(Int32(word), in: &places[pair, default: []])
            }
        }
        for (pair, words) in places {
            queue.push(Candidate(pair: pair, count: pairCounts[pair] ?? 0, words: words))
        }
    }

    /// Words come in order, so that one which is there already is the last.
    private static func note(_ word: Int32, in places: inout [Int32]) {
        if places.last != word { places.append(word) }
    }

    private mutating func merge(_ best: Candidate) {
        let (left, right) = (Int32(truncatingIfNeeded: best.pair >> 32), Int32(truncatingIfNeeded: best.pair))
        let new = addToken(tokens[Int(left)] + tokens[Int(right)])
        merges.append((left, right))
        var places: [Pair: [Int32]] = [:]
        var changes: [(pair: Pair, change: Int)] = []
        for word in best.words {
            changes.removeAll(keepingCapacity: true)
            mergeInWord(Int(word), left, right, new, &changes)
            for (pair, change) in changes {
                pairCounts[pair, default: 0] += change * counts[Int(word)]
                guard change > 0 else { continue }
                Self.note(word, in: &places[pair, default: []])
            }
        }
        for (pair, words) in places {
            let count = pairCounts[pair] ?? 0
            if count > 0 { queue.push(Candidate(pair: pair, count: count, words: words)) }
        }
    }

    /// Joins the pair wherever it stands in a word, from left to right, and reports each pair that comes or
    /// goes beside it.
    private mutating func mergeInWord(
        _ word: Int, _ left: Int32, _ right: Int32, _ new: Int32,
        _ changes: inout [(pair: Pair, change: Int)]
    ) {
        let start = starts[word]
        let count = Int(lengths[word])
        var read = 0
        var written = 0
        while read < count {
            let symbol = symbols[start + read]
            guard symbol == left, read + 1 < count, symbols[start + read + 1] == right else {
                symbols[start + written] = symbol
                read += 1
                written += 1
                continue
            }
            if written > 0 {
                let before = symbols[start + written - 1]
                changes.append((MergeTable.pair(before, left), -1))
                changes.append((MergeTable.pair(before, new), 1))
            }
            if read + 2 < count {
                let after = symbols[start + read + 2]
                changes.append((MergeTable.pair(right, after), -1))
                changes.append((MergeTable.pair(new, after), 1))
            }
            symbols[start + written] = new
            read += 2
            written += 1
        }
        lengths[word] = Int32(written)
    }
}

/// A pair that may be joined next.
struct Candidate {
    var pair: MergeLearner.Pair
    /// As it was when the candidate was put in the queue.
    var count: Int
    /// The words that have the pair.
    var words: [Int32]

    /// Whether this one is to be joined before another.
    func comes(before other: Candidate) -> Bool {
        count != other.count ? count > other.count : pair < other.pair
    }
}

/// A binary heap with the candidate to be joined next on top.
struct CandidateHeap {
    private var items: [Candidate] = []

    mutating func push(_ item: Candidate) {
        items.append(item)
        var index = items.count - 1
        while index > 0, items[index].comes(before: items[(index - 1) / 2]) {
            items.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop() -> Candidate? {
        guard let last = items.popLast() else { return nil }
        guard let first = items.first else { return last }
        items[0] = last
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < items.count else { return first }
            if child + 1 < items.count, items[child + 1].comes(before: items[child]) { child += 1 }
            guard items[child].comes(before: items[index]) else { return first }
            items.swapAt(index, child)
            index = child
        }
    }
}
