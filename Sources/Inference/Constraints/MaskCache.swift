// Masks that were computed once: most states of a constraint are met again with the next token.

/// A set of tokens, kept in whichever form is smaller.
enum StoredMask: Sendable {
    case words([UInt32])
    case tokens([Int32])

    init(_ words: [UInt32]) {
        let count = words.reduce(0) { $0 + $1.nonzeroBitCount }
        guard count < words.count else {
            self = .words(words)
            return
        }
        var tokens: [Int32] = []
        tokens.reserveCapacity(count)
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                tokens.append(Int32(truncatingIfNeeded: index << 5 + rest.trailingZeroBitCount))
                rest &= rest - 1
            }
        }
        self = .tokens(tokens)
    }

    /// Adds the tokens to those in the words, as many as there is room for.
    func formUnion(into target: UnsafeMutableBufferPointer<UInt32>) {
        switch self {
        case .words(let words):
            let count = min(words.count, target.count)
            words.withUnsafeBufferPointer { words in
                for index in 0..<count { target[index] |= words[index] }
            }
        case .tokens(let tokens):
            for token in tokens where Int(token >> 5) < target.count {
                target[Int(token >> 5)] |= 1 << UInt32(token & 31)
            }
        }
    }
}

/// What the topmost frame says of the next token, whatever is below it.
struct FrameMask: Sendable {
    struct Key: Hashable, Sendable {
        var state: Int32
        /// Characters of a bounded string to come, at least and at most, as far as a token reaches.
        var minimum: Int32 = 0
        var maximum: Int32 = 0
    }

    /// Tokens that stay inside of the frame's rule, or end with it.
    var mask: StoredMask
    /// Nodes of the trie at which the rule may end and the frame below has to go on.
    var escapes: [Int32]
}

/// A cache of bounded size: two generations, the older of which is dropped when the newer is full.
struct GenerationalCache<Key: Hashable, Value> {
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]
    private let capacity: Int

    /// - Parameter capacity: of each generation.
    init(capacity: Int) { self.capacity = capacity }

    subscript(key: Key) -> Value? {
        mutating get {
            if let value = young[key] { return value }
            guard let value = old[key] else { return nil }
            insert(value, for: key)
            return value
        }
    }

    mutating func insert(_ value: Value, for key: Key) {
        if young.count >= capacity {
            old = young
            young = [:]
        }
        young[key] = value
    }
}
