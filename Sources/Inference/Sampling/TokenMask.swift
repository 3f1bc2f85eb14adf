// Which tokens may come next, a bit each: what a constraint says to the sampler.

/// A set of token ids, as words of 32 bits from the lowest id up; a set bit allows its token.
package struct TokenMask: Sendable, Hashable {
    package var words: [UInt32]

    /// Words for ids below `vocabularySize`, all forbidden or all allowed. Bits past the last id may be set:
    /// no token has them.
    package init(vocabularySize: Int, allowing: Bool = false) {
        words = Array(repeating: allowing ? .max : 0, count: (vocabularySize + 31) / 32)
    }

    /// Allows the given ids only; ids outside of the vocabulary are left out.
    package init(vocabularySize: Int, ids: [Int32]) {
        self.init(vocabularySize: vocabularySize)
        for id in ids where id >= 0 && Int(id) < vocabularySize {
            words[Int(id) / 32] |= 1 << UInt32(Int(id) % 32)
        }
    }

    package func contains(_ id: Int32) -> Bool {
        guard id >= 0, Int(id) / 32 < words.count else { return false }
        return words[Int(id) / 32] >> UInt32(Int(id) % 32) & 1 == 1
    }

    /// Sets the logits of forbidden tokens to minus infinity. Tokens past the mask's end are forbidden:
    /// models pad their vocabularies with tokens that no tokenizer knows.
    func apply<Logit: BinaryFloatingPoint>(to logits: UnsafeMutableBufferPointer<Logit>) {
        words.withUnsafeBufferPointer { words in
            var start = 0
            for word in words where start < logits.count {
                let end = min(start + 32, logits.count)
                if word != .max {
                    var bits = word
                    for id in start..<end {
                        if bits & 1 == 0 { logits[id] = -.infinity }
                        bits >>= 1
                    }
                }
                start = end
            }
            for id in start..<logits.count { logits[id] = -.infinity }
        }
    }
}
