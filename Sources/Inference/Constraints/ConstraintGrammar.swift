// A grammar laid out for speed: all rules' states in one table over classes of bytes, and what is known of
// each.

/// A pushdown automaton over bytes. A state goes on by a byte, by calling a rule (and going on behind it),
/// or, at the end of its rule, by returning to the caller.
final class ConstraintGrammar: Sendable {
    enum Flag {
        static let isFinal: UInt8 = 1
        static let hasCalls: UInt8 = 2
        static let hasBounds: UInt8 = 4
        /// Some text of tokens leads from here to the end.
        static let isSpellable: UInt8 = 8
    }

    struct Call {
        /// The first state of the called rule.
        var start: Int32
        /// Where to go on behind it.
        var behind: Int32
    }

    let start: Int32
    /// Bytes of one class are the same to every state.
    let classes: [UInt8]
    let classCount: Int
    /// The target of each state and class, -1 for none.
    let table: [Int32]
    let flags: [UInt8]
    /// The calls of a state are those from its first up to the next state's first.
    let firstCalls: [Int32]
    let calls: [Call]
    /// How many frames a state needs above its own to come to the end of its rule.
    let needs: [Int32]
    let maximumNeed: Int
    /// Of states between the characters of a bounded string: its bounds.
    let boundsOfStates: [Int32]
    let bounds: [GrammarRules.Bounds]
    /// The bounds that hold in each state of a bounded string's rule, between characters or not; -1
    /// elsewhere.
    private let boundsOfRules: [Int32]
    /// Whether the vocabulary lacks bytes that the grammar uses.
    let hasGaps: Bool
    /// The states of rule 0, any string, come first.
    let sharedStateCount: Int

    init(_ rules: GrammarRules, vocabulary: VocabularyTrie) throws(ConstraintError) {
        var firsts: [Int32] = []
        var states: [ByteAutomaton.State] = []
        for rule in rules.rules {
            firsts.append(Int32(states.count))
            let first = Int32(states.count)
            states += rule.states.map { state in
                var moved = state
                for index in moved.edges.indices { moved.edges[index].target += first }
                for index in moved.calls.indices { moved.calls[index].target += first }
                return moved
            }
        }
        guard states.count <= ConstraintLimits.grammarStates else { throw .tooLarge("the grammar") }
        start = firsts[rules.root]
        boundsOfRules = rules.rules.flatMap { rule in
            let bounds = rule.states.map(\.bounds).max() ?? -1
            return rule.states.map { _ in bounds }
        }
        sharedStateCount = rules.rules[0].states.count
        bounds = rules.bounds
        let needs = Self.needs(of: states, firsts: firsts)
        guard let rootNeed = needs[Int(start)] else {
            throw ConstraintError(
                place: "", problem: "no text can satisfy the constraint",
                remedy: "look for bounds, types or required properties that contradict each other")
        }
        guard rootNeed < ConstraintLimits.depth else {
            throw ConstraintError(
                place: "", problem: "values nest more than \(ConstraintLimits.depth) deep",
                remedy: "flatten them")
        }
        Self.removeDeadEnds(&states, firsts: firsts, needs: needs)
        let spelling = Spelling(states: states, firsts: firsts, vocabulary: vocabulary)
        let isSpellable = try spelling.spellableStates(from: start)
        hasGaps = isSpellable.contains(false)
        self.needs = needs.map { $0 ?? Int32.max / 2 }
        maximumNeed = Int(needs.compactMap { $0 }.max() ?? 0)
        boundsOfStates = states.map(\.bounds)
        (classes, classCount) = Self.byteClasses(of: states)
        guard states.count * classCount <= ConstraintLimits.tableEntries else {
            throw .tooLarge("the grammar")
        }
        table = Self.table(of: states, classes: classes, classCount: classCount)
        (flags, firstCalls, calls) = Self.callsAndFlags(of: states, firsts: firsts, isSpellable: isSpellable)
    }

    /// Whether a state may be the end of its rule.
    func isFinal(_ state: Int32) -> Bool { flags[Int(state)] & Flag.isFinal != 0 }

    func isSpellable(_ state: Int32) -> Bool { flags[Int(state)] & Flag.isSpellable != 0 }

    /// Between two characters of any string: the second state of rule 0.
    var insideString: Int32 { 1 }

    /// Whether a string of limited length is being read.
    func isBounded(_ state: Int32) -> Bool { boundsOfRules[Int(state)] >= 0 }

    /// Counts a character of a bounded string at its first byte.
    /// - Returns: false if the string has to go on or to end instead.
    func count(_ byte: UInt8, of parse: inout ConstraintParse) -> Bool {
        let bounds = bounds[Int(boundsOfStates[Int(parse.state)])]
        if byte == UInt8(ascii: "\"") { return parse.characters >= bounds.minimum }
        guard parse.characters < bounds.maximum else { return false }
        // Without a maximum nothing above the minimum makes a difference.
        let last = bounds.maximum == .max ? bounds.minimum : bounds.maximum
        parse.characters = min(parse.characters + 1, last)
        return true
    }

    /// The limits of the string that is being read in a state.
    func boundsInRule(of state: Int32) -> GrammarRules.Bounds? {
        let index = boundsOfRules[Int(state)]
        return index < 0 ? nil : bounds[Int(index)]
    }

    /// The least number of frames above its own with which each state comes to the end of its rule; nil if it
    /// never does.
    private static func needs(of states: [ByteAutomaton.State], firsts: [Int32]) -> [Int32?] {
        let never = Int32.max
        var needs = Array(repeating: never, count: states.count)
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            // States mostly lead to later ones, so that few rounds are enough from the back.
            for index in states.indices.reversed() where needs[index] > 0 {
                var need = states[index].isFinal ? 0 : never
                for edge in states[index].edges { need = min(need, needs[Int(edge.target)]) }
                for call in states[index].calls {
                    let inside = needs[Int(firsts[Int(call.rule)])]
                    let behind = needs[Int(call.target)]
                    if inside < never, behind < never { need = min(need, max(inside + 1, behind)) }
                }
                if need < needs[index] {
                    needs[index] = need
                    hasChanged = true
                }
            }
        }
        return needs.map { $0 == never ? nil : $0 }
    }

    private static func removeDeadEnds(
        _ states: inout [ByteAutomaton.State], firsts: [Int32], needs: [Int32?]
    ) {
        for index in states.indices {
            states[index].edges.removeAll { needs[Int($0.target)] == nil }
            states[index].calls.removeAll { call in
                needs[Int(call.target)] == nil || needs[Int(firsts[Int(call.rule)])] == nil
            }
        }
    }

    private static func byteClasses(of states: [ByteAutomaton.State]) -> ([UInt8], Int) {
        var isCut = Array(repeating: false, count: 257)
        for state in states {
            for edge in state.edges {
                isCut[Int(edge.low)] = true
                isCut[Int(edge.high) + 1] = true
            }
        }
        var classes: [UInt8] = []
        var current = 0
        for byte in 0..<256 {
            if byte > 0, isCut[byte] { current += 1 }
            classes.append(UInt8(current))
        }
        return (classes, current + 1)
    }

    private static func table(
        of states: [ByteAutomaton.State], classes: [UInt8], classCount: Int
    ) -> [Int32] {
        var table = Array(repeating: Int32(-1), count: states.count * classCount)
        for (index, state) in states.enumerated() {
            for edge in state.edges {
                for value in classes[Int(edge.low)]...classes[Int(edge.high)] {
                    table[index * classCount + Int(value)] = edge.target
                }
            }
        }
        return table
    }

    private static func callsAndFlags(
        of states: [ByteAutomaton.State], firsts: [Int32], isSpellable: [Bool]
    ) -> ([UInt8], [Int32], [Call]) {
        var flags: [UInt8] = []
        var firstCalls: [Int32] = []
        var calls: [Call] = []
        for (index, state) in states.enumerated() {
            firstCalls.append(Int32(calls.count))
            for call in state.calls {
                let start = firsts[Int(call.rule)]
                if isSpellable[Int(start)], isSpellable[Int(call.target)] {
                    calls.append(Call(start: start, behind: call.target))
                }
            }
            var flag: UInt8 = 0
            if state.isFinal { flag |= Flag.isFinal }
            if calls.count > Int(firstCalls[index]) { flag |= Flag.hasCalls }
            if state.bounds >= 0 { flag |= Flag.hasBounds }
            if isSpellable[index] { flag |= Flag.isSpellable }
            flags.append(flag)
        }
        firstCalls.append(Int32(calls.count))
        return (flags, firstCalls, calls)
    }
}
