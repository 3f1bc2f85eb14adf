// The masks of single frames: the one walk over a whole vocabulary that cannot be avoided, so it is kept
// tight.

extension ConstraintWalk {
    /// The tokens that a state takes within its rule.
    /// - Parameter characters: those of a bounded string so far.
    static func frameMask(
        _ grammar: ConstraintGrammar, state: Int32, characters: Int32, trie: VocabularyTrie
    ) -> FrameMask {
        var words = Array(repeating: UInt32(0), count: (trie.size + 31) / 32)
        var escapes: [Int32] = []
        let flags = grammar.flags[Int(state)]
        if grammar.hasGaps || flags & ConstraintGrammar.Flag.hasCalls != 0 {
            markWithCalls(grammar, state, characters, below: 0, of: trie, in: &words, escapes: &escapes)
        } else if grammar.isBounded(state) {
            // Inside of a character the string's limits matter as soon as the character ends.
            guard flags & ConstraintGrammar.Flag.hasBounds == 0 else {
                return boundedMask(grammar, state: state, characters: characters, trie: trie)
            }
            markWithCalls(grammar, state, characters, below: 0, of: trie, in: &words, escapes: &escapes)
        } else {
            markWithoutCalls(grammar, state, of: trie, in: &words, escapes: &escapes)
        }
        return FrameMask(mask: StoredMask(words), escapes: escapes)
    }

    /// Between the characters of a string that may have so many more, the mask is that of any string without
    /// the tokens that are too long or end it too early. Walking the trie at every length would take
    /// milliseconds.
    private static func boundedMask(
        _ grammar: ConstraintGrammar, state: Int32, characters: Int32, trie: VocabularyTrie
    ) -> FrameMask {
        guard let bounds = grammar.boundsInRule(of: state) else {
            return FrameMask(mask: .tokens([]), escapes: [])
        }
        let profile = trie.stringProfile {
            StringProfile(grammar, trie: trie)
        }
        return profile.mask(
            minimum: max(0, bounds.minimum - characters),
            maximum: bounds.maximum == .max ? .max : bounds.maximum - characters)
    }

    private static func markWithCalls(
        _ grammar: ConstraintGrammar, _ state: Int32, _ characters: Int32, below node: Int,
        of trie: VocabularyTrie, in words: inout [UInt32], escapes: inout [Int32]
    ) {
        var walk = ConstraintWalk(grammar, checksDepth: false)
        walk.add(state: state, characters: characters, returns: [])
        var found: [Int32]? = []
        walk.mark(below: node, of: trie, in: &words, escapes: &found)
        escapes += found ?? []
    }

    /// As long as no rule is called there is one parse, without frames: its state for each depth is all there
    /// is to know. Subtrees behind a call are left to the general walk.
    private static func markWithoutCalls(
        _ grammar: ConstraintGrammar, _ start: Int32, of trie: VocabularyTrie, in words: inout [UInt32],
        escapes: inout [Int32]
    ) {
        let bytes = trie.bytes
        let depths = trie.depths
        let ends = trie.subtreeEnds
        let classes = grammar.classes
        let table = grammar.table
        let flags = grammar.flags
        let classCount = Int32(grammar.classCount)
        // Where the row of each depth's state begins in the table.
        var rows = Array(repeating: start * classCount, count: trie.maximumDepth + 1)
        let special = ConstraintGrammar.Flag.isFinal | ConstraintGrammar.Flag.hasCalls
        var node = 1
        // Tokens are in the order of the nodes, so those of a path without refusals are one run.
        var run = 0
        while node < bytes.count {
            let depth = Int(depths[node])
            let target = table[Int(rows[depth - 1]) + Int(classes[Int(bytes[node])])]
            guard target >= 0 else {
                trie.mark(nodes: run..<node, in: &words)
                node = Int(ends[node])
                run = node
                continue
            }
            rows[depth] = target * classCount
            node += 1
            let next = flags[Int(target)]
            guard next & special != 0, Int(ends[node - 1]) > node else { continue }
            if next & ConstraintGrammar.Flag.isFinal != 0 {
                escapes.append(Int32(truncatingIfNeeded: node - 1))
            }
            if next & ConstraintGrammar.Flag.hasCalls != 0 {
                trie.mark(nodes: run..<node, in: &words)
                markWithCalls(grammar, target, 0, below: node - 1, of: trie, in: &words, escapes: &escapes)
                node = Int(ends[node - 1])
                run = node
            }
        }
        trie.mark(nodes: run..<bytes.count, in: &words)
    }
}

extension VocabularyTrie {
    /// Sets the bits of all tokens that end at some nodes.
    func mark(nodes: Range<Int>, in words: inout [UInt32]) {
        guard !nodes.isEmpty else { return }
        let (first, end) = (Int(firstTokens[nodes.lowerBound]), Int(firstTokens[nodes.upperBound]))
        guard first < end else { return }
        tokens.withUnsafeBufferPointer { tokens in
            words.withUnsafeMutableBufferPointer { words in
                for index in first..<end {
                    let token = tokens[index]
                    words[Int(token >> 5)] |= 1 << UInt32(token & 31)
                }
            }
        }
    }
}
