// Deterministic automata over bytes: what patterns, numbers and keys are compiled to, and set operations on
// them.

/// The way from a state by any byte of a range.
struct ByteEdge: Hashable {
    var low: UInt8
    var high: UInt8
    var target: Int32
}

/// The way from a state by a whole text of another rule of the grammar.
struct CallEdge: Hashable {
    var rule: Int32
    var target: Int32
}

/// A deterministic automaton whose start is state 0. As a rule of a grammar its states may call other rules.
struct ByteAutomaton {
    struct State {
        /// In the order of their bytes, without overlap.
        var edges: [ByteEdge] = []
        var calls: [CallEdge] = []
        var isFinal = false
        /// Of a state between two characters of a string with limited length: the index of its limit.
        var bounds: Int32 = -1

        func target(of byte: UInt8) -> Int32? {
            edges.first { $0.low <= byte && byte <= $0.high }?.target
        }
    }

    var states: [State]

    /// Nothing is accepted.
    static let nothing = ByteAutomaton(states: [State()])

    /// Whether no text is accepted. Only for automata without calls.
    var isEmpty: Bool { !statesThatReachFinal()[0] }

    /// Whether the bytes are accepted. Only for automata without calls.
    func accepts(_ bytes: some Sequence<UInt8>) -> Bool {
        var state = 0
        for byte in bytes {
            guard let target = states[state].target(of: byte) else { return false }
            state = Int(target)
        }
        return states[state].isFinal
    }

    /// The same language without states from which no end can be reached. Only for automata without calls.
    func trimmed() -> ByteAutomaton {
        let isUseful = statesThatReachFinal()
        guard isUseful[0] else { return .nothing }
        var names: [Int32] = []
        var count: Int32 = 0
        for useful in isUseful {
            names.append(useful ? count : -1)
            if useful { count += 1 }
        }
        var result: [State] = []
        result.reserveCapacity(Int(count))
        for index in states.indices where isUseful[index] {
            var state = states[index]
            state.edges = state.edges.compactMap { edge in
                let target = names[Int(edge.target)]
                return target < 0 ? nil : ByteEdge(low: edge.low, high: edge.high, target: target)
            }
            result.append(state)
        }
        return ByteAutomaton(states: result)
    }

    private func statesThatReachFinal() -> [Bool] {
        var sources: [[Int32]] = Array(repeating: [], count: states.count)
        var reaches = Array(repeating: false, count: states.count)
        var pending: [Int] = []
        for index in states.indices {
            for edge in states[index].edges {
                sources[Int(edge.target)].append(Int32(truncatingIfNeeded: index))
            }
            if states[index].isFinal {
                reaches[index] = true
                pending.append(index)
            }
        }
        while let index = pending.popLast() {
            for source in sources[index] where !reaches[Int(source)] {
                reaches[Int(source)] = true
                pending.append(Int(source))
            }
        }
        return reaches
    }
}

// MARK: Set operations

extension ByteAutomaton {
    /// What both accept.
    func intersection(_ other: ByteAutomaton) throws(ConstraintError) -> ByteAutomaton {
        try product(other, keepsDeadRight: false) { $0 && $1 }
    }

    /// What this one accepts and the other does not.
    func subtracting(_ other: ByteAutomaton) throws(ConstraintError) -> ByteAutomaton {
        try product(other, keepsDeadRight: true) { $0 && !$1 }
    }

    private struct Pair: Hashable {
        var left: Int32
        /// -1 after a byte that the right automaton does not take.
        var right: Int32
    }

    private func product(
        _ other: ByteAutomaton, keepsDeadRight: Bool, isFinal: (Bool, Bool) -> Bool
    ) throws(ConstraintError) -> ByteAutomaton {
        var names: [Pair: Int32] = [Pair(left: 0, right: 0): 0]
        var pairs = [Pair(left: 0, right: 0)]
        var result: [State] = []
        while result.count < pairs.count {
            let pair = pairs[result.count]
            let left = states[Int(pair.left)]
            let right = pair.right < 0 ? State() : other.states[Int(pair.right)]
            var state = State(isFinal: isFinal(left.isFinal, right.isFinal))
            for edge in left.edges {
                for piece in Self.pieces(of: edge, by: right.edges) where keepsDeadRight || piece.right >= 0 {
                    let next = Pair(left: edge.target, right: piece.right)
                    var name = names[next]
                    if name == nil {
                        name = Int32(truncatingIfNeeded: pairs.count)
                        names[next] = name
                        pairs.append(next)
                    }
                    state.edges.append(ByteEdge(low: piece.low, high: piece.high, target: name ?? 0))
                }
            }
            result.append(state)
            guard pairs.count <= ConstraintLimits.deterministicStates else { throw .tooLarge("an automaton") }
        }
        return ByteAutomaton(states: result).trimmed()
    }

    /// Cuts an edge's range where the other edges begin and end; -1 stands for a part without such an edge.
    private static func pieces(of edge: ByteEdge, by others: [ByteEdge])
        -> [(low: UInt8, high: UInt8, right: Int32)]
    {
        var pieces: [(low: UInt8, high: UInt8, right: Int32)] = []
        var low = Int(edge.low)
        for other in others where other.high >= edge.low && other.low <= edge.high {
            if Int(other.low) > low {
                pieces.append((UInt8(low), other.low - 1, -1))
                low = Int(other.low)
            }
            let high = min(other.high, edge.high)
            pieces.append((UInt8(low), high, other.target))
            low = Int(high) + 1
        }
        if low <= Int(edge.high) { pieces.append((UInt8(low), edge.high, -1)) }
        return pieces
    }
}

// MARK: Construction

extension ByteAutomaton {
    /// The automaton whose states are all values that `step` reaches from a start by bytes of an alphabet.
    static func exploring<Value: Hashable>(
        from start: Value, alphabet: [UInt8], step: (Value, UInt8) -> Value?, isFinal: (Value) -> Bool
    ) throws(ConstraintError) -> ByteAutomaton {
        var names: [Value: Int32] = [start: 0]
        var values = [start]
        var result: [State] = []
        while result.count < values.count {
            let value = values[result.count]
            var state = State(isFinal: isFinal(value))
            for byte in alphabet {
                guard let next = step(value, byte) else { continue }
                var name = names[next]
                if name == nil {
                    name = Int32(truncatingIfNeeded: values.count)
                    names[next] = name
                    values.append(next)
                }
                state.append(low: byte, high: byte, target: name ?? 0)
            }
            result.append(state)
            guard values.count <= ConstraintLimits.deterministicStates else { throw .tooLarge("a number") }
        }
        return ByteAutomaton(states: result).trimmed()
    }

    /// Texts by their number of characters: a character is counted at its first byte, and what follows it is
    /// left to the automaton that this one is intersected with.
    static func characterCount(minimum: Int, maximum: Int?) throws(ConstraintError) -> ByteAutomaton {
        let last = maximum ?? minimum
        guard last < ConstraintLimits.deterministicStates else {
            throw .tooLarge("a string with pattern or format and a length limit")
        }
        let states = (0...last).map { count in
            let next = count < last ? Int32(count + 1) : maximum == nil ? Int32(count) : -1
            var state = State(isFinal: count >= minimum)
            if next >= 0 { state.edges.append(ByteEdge(low: 0, high: 0x7F, target: next)) }
            state.edges.append(ByteEdge(low: 0x80, high: 0xBF, target: Int32(count)))
            if next >= 0 { state.edges.append(ByteEdge(low: 0xC0, high: 0xFF, target: next)) }
            return state
        }
        return ByteAutomaton(states: states)
    }
}

extension ByteAutomaton.State {
    /// Adds an edge behind the others, or widens the last one.
    mutating func append(low: UInt8, high: UInt8, target: Int32) {
        if let last = edges.last, last.target == target, Int(last.high) + 1 == Int(low) {
            edges[edges.count - 1].high = high
        } else {
            edges.append(ByteEdge(low: low, high: high, target: target))
        }
    }
}

extension ConstraintError {
    static func tooLarge(_ what: String) -> ConstraintError {
        ConstraintError(
            place: "", problem: "\(what) of the constraint becomes too large",
            remedy: "use smaller repetition counts and length limits, or fewer alternatives")
    }
}
