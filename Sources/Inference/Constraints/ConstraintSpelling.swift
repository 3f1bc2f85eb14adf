// Whether a vocabulary can write what a grammar asks for: most have every byte as a token, but small ones may
// not.

/// Finds the states from which tokens lead to the end. A state outside of them may only be passed inside a
/// token, so that a text which was begun can always be ended.
struct Spelling {
    let states: [ByteAutomaton.State]
    let firsts: [Int32]
    let vocabulary: VocabularyTrie

    /// How many nodes of the trie may be looked at for states that single bytes do not lead away from.
    private static let maximumVisits = 20_000_000

    func spellableStates(from start: Int32) throws(ConstraintError) -> [Bool] {
        guard let missing = firstMissingByte(from: start) else {
            return Array(repeating: true, count: states.count)
        }
        var isSpellable = Array(repeating: false, count: states.count)
        var visits = 0
        repeat { spread(&isSpellable) } while tryTokens(&isSpellable, visits: &visits)
        guard isSpellable[Int(start)] else {
            let shown = missing >= 0x20 && missing < 0x7F ? " (\(Unicode.Scalar(missing)))" : ""
            throw ConstraintError(
                place: "",
                problem: "the vocabulary cannot write what the constraint asks for: no token is the byte "
                    + "0x\(String(missing, radix: 16, uppercase: true))\(shown), for example",
                remedy: "use a model whose tokenizer has all bytes, or another constraint")
        }
        return isSpellable
    }

    /// A byte that some state asks for and that is no token by itself.
    private func firstMissingByte(from start: Int32) -> UInt8? {
        var isAsked = Array(repeating: false, count: 256)
        var isReached = Array(repeating: false, count: states.count)
        var pending = [Int(start)]
        isReached[Int(start)] = true
        while let index = pending.popLast() {
            var next: [Int32] = []
            for edge in states[index].edges {
                for byte in edge.low...edge.high { isAsked[Int(byte)] = true }
                next.append(edge.target)
            }
            for call in states[index].calls { next += [firsts[Int(call.rule)], call.target] }
            for state in next where !isReached[Int(state)] {
                isReached[Int(state)] = true
                pending.append(Int(state))
            }
        }
        return (UInt8(0)...255).first { isAsked[Int($0)] && !vocabulary.singleBytes[Int($0)] }
    }

    /// Marks the states that lead to marked ones by single bytes and calls.
    private func spread(_ isSpellable: inout [Bool]) {
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for index in states.indices.reversed() where !isSpellable[index] {
                let state = states[index]
                let goesOn =
                    state.isFinal
                    || state.edges.contains { edge in
                        isSpellable[Int(edge.target)]
                            && (edge.low...edge.high).contains { vocabulary.singleBytes[Int($0)] }
                    }
                    || state.calls.contains { call in
                        isSpellable[Int(call.target)] && isSpellable[Int(firsts[Int(call.rule)])]
                    }
                if goesOn {
                    isSpellable[index] = true
                    hasChanged = true
                }
            }
        }
    }

    /// Marks states from which a longer token leads to a marked one within the rule.
    /// - Returns: whether there was any.
    private func tryTokens(_ isSpellable: inout [Bool], visits: inout Int) -> Bool {
        var hasChanged = false
        for index in states.indices where !isSpellable[index] {
            guard visits < Self.maximumVisits else { return false }
            if hasToken(from: index, isSpellable, &visits) {
                isSpellable[index] = true
                hasChanged = true
            }
        }
        return hasChanged
    }

    private func hasToken(from start: Int, _ isSpellable: [Bool], _ visits: inout Int) -> Bool {
        var path = Array(repeating: start, count: vocabulary.maximumDepth + 1)
        var node = 1
        while node < vocabulary.bytes.count {
            visits += 1
            let depth = Int(vocabulary.depths[node])
            guard let target = states[path[depth - 1]].target(of: vocabulary.bytes[node]) else {
                node = Int(vocabulary.subtreeEnds[node])
                continue
            }
            path[depth] = Int(target)
            let hasTokens = vocabulary.firstTokens[node] < vocabulary.firstTokens[node + 1]
            if hasTokens, isSpellable[Int(target)] { return true }
            node += 1
        }
        return false
    }
}
