// Automata put together piece by piece, and made deterministic by the subset construction.

/// A nondeterministic automaton in the making. Each adding function goes on from a given state and returns
/// the state in which the added piece ends.
struct AutomatonBuilder {
    private enum Kind {
        case bytes, epsilon, call, textBegin, textEnd
    }

    private struct Edge {
        var kind: Kind
        var low: UInt8 = 0
        var high: UInt8 = 0
        /// The called rule.
        var rule: Int32 = 0
        var target: Int32
        /// The next edge of the same state, -1 at the last.
        var next: Int32
    }

    private var edges: [Edge] = []
    private var firstEdge: [Int32] = []
    var templates: [CodePointSet: CharacterTemplate] = [:]

    /// A state from which every text is accepted: what else could be in the same set is no matter any more.
    /// It must be met between characters only.
    var absorbing: Int32?

    mutating func addState() throws(ConstraintError) -> Int32 {
        guard firstEdge.count < ConstraintLimits.nondeterministicStates else { throw .tooLarge("a part") }
        firstEdge.append(-1)
        return Int32(truncatingIfNeeded: firstEdge.count - 1)
    }

    private mutating func add(
        _ kind: Kind, low: UInt8 = 0, high: UInt8 = 0, rule: Int32 = 0, _ ends: (source: Int32, target: Int32)
    ) {
        let (source, target) = ends
        edges.append(
            Edge(kind: kind, low: low, high: high, rule: rule, target: target, next: firstEdge[Int(source)]))
        firstEdge[Int(source)] = Int32(truncatingIfNeeded: edges.count - 1)
    }

    mutating func addEpsilon(from source: Int32, to target: Int32) { add(.epsilon, (source, target)) }

    mutating func addEdge(from source: Int32, _ low: UInt8, _ high: UInt8, to target: Int32) {
        add(.bytes, low: low, high: high, (source, target))
    }

    mutating func addBytes(_ bytes: some Sequence<UInt8>, from source: Int32) throws(ConstraintError) -> Int32
    {
        var state = source
        for byte in bytes {
            let next = try addState()
            addEdge(from: state, byte, byte, to: next)
            state = next
        }
        return state
    }

    mutating func addCall(_ rule: Int32, from source: Int32) throws(ConstraintError) -> Int32 {
        let target = try addState()
        add(.call, rule: rule, (source, target))
        return target
    }

    /// Passable only before the first byte.
    mutating func addTextBegin(from source: Int32) throws(ConstraintError) -> Int32 {
        let target = try addState()
        add(.textBegin, (source, target))
        return target
    }

    /// Passable only behind the last byte.
    mutating func addTextEnd(from source: Int32) throws(ConstraintError) -> Int32 {
        let target = try addState()
        add(.textEnd, (source, target))
        return target
    }

    /// Adds a copy of an automaton without calls.
    mutating func addCopy(of automaton: ByteAutomaton, from source: Int32) throws(ConstraintError) -> Int32 {
        let end = try addState()
        let first = try addCopiedStates(of: automaton, from: source, end: end)
        for (index, state) in automaton.states.enumerated() {
            for edge in state.edges {
                addEdge(from: first + Int32(index), edge.low, edge.high, to: first + edge.target)
            }
        }
        return end
    }

    /// - Returns: the copy of state 0.
    mutating func addCopiedStates(
        of automaton: ByteAutomaton, from source: Int32, end: Int32
    ) throws(ConstraintError) -> Int32 {
        let first = try addState()
        for _ in automaton.states.dropFirst() { _ = try addState() }
        addEpsilon(from: source, to: first)
        for (index, state) in automaton.states.enumerated() where state.isFinal {
            addEpsilon(from: first + Int32(index), to: end)
        }
        return first
    }
}

// MARK: Subset construction

extension AutomatonBuilder {
    /// What is known of the position beside the state: a set's member is the state times four plus these
    /// bits.
    private static let atBegin: Int32 = 1
    private static let ended: Int32 = 2

    private struct Construction {
        var names: [[Int32]: Int32] = [:]
        var sets: [[Int32]] = []
        var result: [ByteAutomaton.State] = []
        /// When a member was last put into a set, which makes clearing free.
        var stamps: [Int32]
        var stamp: Int32 = 0
        var steps = 0

        mutating func name(of set: [Int32]) -> Int32 {
            if let name = names[set] { return name }
            let name = Int32(truncatingIfNeeded: sets.count)
            names[set] = name
            sets.append(set)
            return name
        }
    }

    func determinized(start: Int32, end: Int32) throws(ConstraintError) -> ByteAutomaton {
        var construction = Construction(stamps: Array(repeating: 0, count: firstEdge.count * 4))
        let first = closure(of: [start << 2 | Self.atBegin], end: end, &construction)
        _ = construction.name(of: first)
        while construction.result.count < construction.sets.count {
            let set = construction.sets[construction.result.count]
            let state = try expand(set, end: end, &construction)
            construction.result.append(state)
            guard construction.sets.count <= ConstraintLimits.deterministicStates,
                construction.steps <= ConstraintLimits.constructionSteps
            else { throw .tooLarge("a part") }
        }
        return ByteAutomaton(states: construction.result)
    }

    /// Follows the ways that take no byte. Only members that matter are kept, so that equal sets look equal.
    private func closure(of members: [Int32], end: Int32, _ construction: inout Construction) -> [Int32] {
        construction.stamp += 1
        let stamp = construction.stamp
        var pending = members
        var kept: [Int32] = []
        while let member = pending.popLast() {
            guard construction.stamps[Int(member)] != stamp else { continue }
            construction.stamps[Int(member)] = stamp
            construction.steps += 1
            let (state, phase) = (member >> 2, member & 3)
            if state == absorbing, phase & Self.ended == 0 { return [state << 2] }
            var matters = state == end
            var index = firstEdge[Int(state)]
            while index >= 0 {
                let edge = edges[Int(index)]
                switch edge.kind {
                case .epsilon: pending.append(edge.target << 2 | phase)
                case .textBegin: if phase & Self.atBegin != 0 { pending.append(edge.target << 2 | phase) }
                case .textEnd: pending.append(edge.target << 2 | phase | Self.ended)
                case .bytes, .call: matters = matters || phase & Self.ended == 0
                }
                index = edge.next
            }
            // Behind the closure only the end's mark counts, not the first byte's.
            if matters { kept.append(state << 2 | phase & Self.ended) }
        }
        kept.sort()
        return Self.withoutRepetition(kept)
    }

    private static func withoutRepetition(_ sorted: [Int32]) -> [Int32] {
        var result: [Int32] = []
        result.reserveCapacity(sorted.count)
        for member in sorted where member != result.last { result.append(member) }
        return result
    }

    private func expand(
        _ set: [Int32], end: Int32, _ construction: inout Construction
    ) throws(ConstraintError) -> ByteAutomaton.State {
        var state = ByteAutomaton.State()
        var ways: [Edge] = []
        var calls: [Edge] = []
        for member in set {
            if member >> 2 == end { state.isFinal = true }
            guard member & Self.ended == 0 else { continue }
            var index = firstEdge[Int(member >> 2)]
            while index >= 0 {
                let edge = edges[Int(index)]
                if edge.kind == .bytes { ways.append(edge) }
                if edge.kind == .call { calls.append(edge) }
                index = edge.next
            }
        }
        addByteEdges(ways, to: &state, end: end, &construction)
        calls.sort { ($0.rule, $0.target) < ($1.rule, $1.target) }
        var index = 0
        while index < calls.count {
            let rule = calls[index].rule
            var targets: [Int32] = []
            while index < calls.count, calls[index].rule == rule {
                targets.append(calls[index].target << 2)
                index += 1
            }
            let target = construction.name(of: closure(of: targets, end: end, &construction))
            state.calls.append(CallEdge(rule: rule, target: target))
        }
        return state
    }

    /// Cuts the bytes where any edge begins or ends; within a cut all bytes lead to the same set.
    private func addByteEdges(
        _ ways: [Edge], to state: inout ByteAutomaton.State, end: Int32, _ construction: inout Construction
    ) {
        guard !ways.isEmpty else { return }
        var isCut = Array(repeating: false, count: 257)
        for way in ways {
            isCut[Int(way.low)] = true
            isCut[Int(way.high) + 1] = true
        }
        let sorted = ways.sorted { $0.low < $1.low }
        var active: [Edge] = []
        var nextWay = 0
        var low = 0
        while low < 256 {
            var high = low
            while high < 255, !isCut[high + 1] { high += 1 }
            active.removeAll { Int($0.high) < low }
            while nextWay < sorted.count, Int(sorted[nextWay].low) <= low {
                active.append(sorted[nextWay])
                nextWay += 1
            }
            if !active.isEmpty {
                let members = active.map { $0.target << 2 }
                construction.steps += members.count
                let target = construction.name(of: closure(of: members, end: end, &construction))
                state.append(low: UInt8(low), high: UInt8(high), target: target)
            }
            low = high + 1
        }
    }
}
