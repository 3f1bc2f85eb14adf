// Runs a grammar over bytes: all parses of an ambiguous text beside each other, over a text or over the whole
// trie.

/// A frame of the pushdown automaton: where to go on once the rule above ends.
struct ConstraintFrame: Hashable {
    var state: Int32
    /// The frame below, -1 at the bottom.
    var below: Int32
    /// How many frames there are, with this one.
    var depth: Int32
}

/// One way to read the text so far.
struct ConstraintParse: Hashable {
    var state: Int32
    /// The topmost frame, -1 for none.
    var frame: Int32
    /// Characters of the bounded string that is being read.
    var characters: Int32
}

/// The parses after each byte of a path through the trie, and the frames they share. Both are stacks: going
/// back to a node drops what came behind it.
struct ConstraintWalk {
    private let grammar: ConstraintGrammar
    private var frames: [ConstraintFrame] = []
    private var parses: [ConstraintParse] = []
    /// Where the parses of each level end, and how many frames there were.
    private var parseEnds: [Int] = []
    private var frameEnds: [Int] = []
    /// Whether depth matters; not for the masks that are shared by all depths.
    private let checksDepth: Bool

    init(_ grammar: ConstraintGrammar, checksDepth: Bool) {
        self.grammar = grammar
        self.checksDepth = checksDepth
    }

    /// Adds a parse to the first level.
    mutating func add(state: Int32, characters: Int32, returns: ArraySlice<Int32>) {
        var frame: Int32 = -1
        for (index, state) in returns.enumerated() {
            frame = push(state, on: frame, depth: Int32(index + 1), since: 0)
        }
        parses.append(ConstraintParse(state: state, frame: frame, characters: characters))
        parseEnds = [parses.count]
        frameEnds = [frames.count]
    }

    /// The parses of the last level, with their frames from the bottom up.
    var lastParses: [(parse: ConstraintParse, returns: [Int32])] {
        let first = parseEnds.count > 1 ? parseEnds[parseEnds.count - 2] : 0
        return parses[first...].map { parse in
            var returns: [Int32] = []
            var frame = parse.frame
            while frame >= 0 {
                returns.append(frames[Int(frame)].state)
                frame = frames[Int(frame)].below
            }
            return (parse, returns.reversed())
        }
    }

    private mutating func push(_ state: Int32, on below: Int32, depth: Int32, since: Int) -> Int32 {
        // Equal frames are one, so that equal parses are seen to be equal.
        for index in since..<frames.count where frames[index].state == state && frames[index].below == below {
            return Int32(truncatingIfNeeded: index)
        }
        frames.append(ConstraintFrame(state: state, below: below, depth: depth))
        return Int32(truncatingIfNeeded: frames.count - 1)
    }

    // MARK: One byte

    /// Goes from the last level to a new one.
    /// - Returns: whether any parse is left; without one there is no new level.
    mutating func step(_ byte: UInt8) -> Bool {
        let first = parseEnds.count > 1 ? parseEnds[parseEnds.count - 2] : 0
        let end = parses.count
        let framesStart = frames.count
        for index in first..<end { advance(parses[index], byte, levelStart: end, framesStart: framesStart) }
        guard parses.count > end else { return false }
        parseEnds.append(parses.count)
        frameEnds.append(frames.count)
        return true
    }

    private mutating func advance(_ parse: ConstraintParse, _ byte: UInt8, levelStart: Int, framesStart: Int)
    {
        let state = Int(parse.state)
        let flags = grammar.flags[state]
        var next = parse
        var isBlocked = false
        if flags & ConstraintGrammar.Flag.hasBounds != 0 {
            isBlocked = !grammar.count(byte, of: &next)
        }
        let column = Int(grammar.classes[Int(byte)])
        let target = grammar.table[state * grammar.classCount + column]
        if target >= 0, !isBlocked, fits(target, above: parse.frame) {
            next.state = target
            append(next, levelStart: levelStart)
        }
        if flags & ConstraintGrammar.Flag.isFinal != 0, parse.frame >= 0 {
            let frame = frames[Int(parse.frame)]
            let caller = ConstraintParse(state: frame.state, frame: frame.below, characters: 0)
            advance(caller, byte, levelStart: levelStart, framesStart: framesStart)
        }
        guard flags & ConstraintGrammar.Flag.hasCalls != 0 else { return }
        for index in Int(grammar.firstCalls[state])..<Int(grammar.firstCalls[state + 1]) {
            let call = grammar.calls[index]
            // Most calls can be told from the byte.
            guard
                grammar.table[Int(call.start) * grammar.classCount + column] >= 0
                    || grammar.flags[Int(call.start)] & ConstraintGrammar.Flag.hasCalls != 0
            else { continue }
            let depth = (parse.frame < 0 ? 0 : frames[Int(parse.frame)].depth) + 1
            if checksDepth, depth + grammar.needs[Int(call.start)] > ConstraintLimits.depth { continue }
            guard fits(call.behind, above: parse.frame) else { continue }
            let frame = push(call.behind, on: parse.frame, depth: depth, since: framesStart)
            let callee = ConstraintParse(state: call.start, frame: frame, characters: 0)
            advance(callee, byte, levelStart: levelStart, framesStart: framesStart)
        }
    }

    /// Whether enough frames are left to come from a state to the end.
    private func fits(_ state: Int32, above frame: Int32) -> Bool {
        guard checksDepth else { return true }
        let depth = frame < 0 ? 0 : frames[Int(frame)].depth
        return depth + grammar.needs[Int(state)] <= ConstraintLimits.depth
    }

    private mutating func append(_ parse: ConstraintParse, levelStart: Int) {
        for index in levelStart..<parses.count where parses[index] == parse { return }
        guard parses.count - levelStart < ConstraintLimits.parsesInsideToken else { return }
        parses.append(parse)
    }

    // MARK: The trie

    /// Walks through the subtrees below a node and marks the tokens whose bytes can be read.
    /// - Parameters:
    ///   - words: a bit for each token.
    ///   - escapes: nodes at which a parse without frames comes to the end of its rule, and which have nodes
    ///     below; nil if nobody asks.
    mutating func mark(
        below node: Int, of trie: VocabularyTrie, in words: inout [UInt32], escapes: inout [Int32]?
    ) {
        let baseDepth = Int(trie.depths[node]) + 1
        var index = node + 1
        let end = Int(trie.subtreeEnds[node])
        while index < end {
            let level = Int(trie.depths[index]) - baseDepth
            truncate(to: level)
            guard step(trie.bytes[index]) else {
                index = Int(trie.subtreeEnds[index])
                continue
            }
            markTokens(of: index, trie, &words)
            if escapes != nil, index + 1 < Int(trie.subtreeEnds[index]), endsRuleAtBottom {
                escapes?.append(Int32(truncatingIfNeeded: index))
            }
            index += 1
        }
        truncate(to: 0)
    }

    private mutating func truncate(to level: Int) {
        guard parseEnds.count > level + 1 || parses.count > parseEnds[level] else { return }
        parses.removeSubrange(parseEnds[level]...)
        frames.removeSubrange(frameEnds[level]...)
        parseEnds.removeSubrange((level + 1)...)
        frameEnds.removeSubrange((level + 1)...)
    }

    private func markTokens(of node: Int, _ trie: VocabularyTrie, _ words: inout [UInt32]) {
        let (first, end) = (Int(trie.firstTokens[node]), Int(trie.firstTokens[node + 1]))
        guard first < end, isSpellable else { return }
        for index in first..<end {
            let token = trie.tokens[index]
            words[Int(token >> 5)] |= 1 << UInt32(token & 31)
        }
    }

    private var lastLevel: ArraySlice<ConstraintParse> {
        parses[(parseEnds.count > 1 ? parseEnds[parseEnds.count - 2] : 0)...]
    }

    /// Whether tokens lead to the end from any parse of the last level.
    private var isSpellable: Bool {
        lastLevel.contains { grammar.isSpellable($0.state) }
    }

    private var endsRuleAtBottom: Bool {
        lastLevel.contains { $0.frame < 0 && grammar.isFinal($0.state) }
    }
}
