// A constraint made ready for a vocabulary: which tokens may come next, and where a text may end.

import Synchronization

/// Where a text is in a constraint. A value: keep a copy to go back.
package struct ConstraintState: Sendable, Hashable {
    struct Parse: Sendable, Hashable {
        var state: Int32
        /// Characters of a bounded string so far.
        var characters: Int32 = 0
        /// Where to go on behind the rules that have not ended yet, the outermost first.
        var returns: [Int32] = []
    }

    /// All ways to read the text so far, of which none is empty.
    var parses: [Parse]
    /// Whether an end-of-sequence token has come.
    package internal(set) var hasEnded = false
}

/// A constraint for one vocabulary. Copies share the storage, which also keeps masks; it may be used from
/// several threads.
package struct CompiledConstraint: Sendable {
    private let storage: Storage

    /// Compiles a specification. That takes about a millisecond for usual schemas; what takes a hundred times
    /// as long is refused.
    /// - Throws: a `ConstraintError` that names the place in the specification, if it is malformed, uses what
    ///   cannot be generated exactly, allows nothing, is too large, or cannot be written with the
    ///   vocabulary's tokens.
    package init(
        _ specification: ConstraintSpecification, vocabulary: ConstraintVocabulary
    ) throws(ConstraintError) {
        do throws(ConstraintError) {
            let rules: GrammarRules
            switch specification {
            case .jsonSchema(let text):
                let library = try SchemaLibrary(text)
                var compiler = SchemaCompiler(library: library)
                rules = try compiler.compile(library.reference(to: library.document, path: "#"))
            case .jsonObject:
                let library = try SchemaLibrary("{\"type\":\"object\"}")
                var compiler = SchemaCompiler(library: library)
                rules = try compiler.compile(library.reference(to: library.document, path: "#"))
            case .regex(let pattern):
                rules = GrammarRules(root: try ByteAutomaton(pattern: pattern, isSearch: false))
            case .choice(let choices):
                rules = GrammarRules(root: try Self.automaton(of: choices))
            }
            storage = Storage(try ConstraintGrammar(rules, vocabulary: vocabulary.trie), vocabulary.trie)
        } catch {
            throw error.located(at: Self.place(of: specification))
        }
    }

    private static func place(of specification: ConstraintSpecification) -> String {
        switch specification {
        case .jsonSchema: "#"
        case .jsonObject: "json_object"
        case .regex: "regex"
        case .choice: "choice"
        }
    }

    private static func automaton(of choices: [String]) throws(ConstraintError) -> ByteAutomaton {
        guard !choices.isEmpty else {
            throw ConstraintError(place: "", problem: "the list is empty", remedy: "give at least one text")
        }
        guard choices.reduce(0, { $0 + $1.utf8.count }) <= ConstraintLimits.choiceBytes else {
            throw .tooLarge("the list of texts")
        }
        return try ByteAutomaton(texts: choices.map { Array($0.utf8) })
    }

    /// The state before the first token.
    package func start() -> ConstraintState {
        ConstraintState(parses: [.init(state: storage.grammar.start)])
    }

    /// Says which tokens may come next: their bits are set, all others cleared. End-of-sequence tokens are
    /// among them exactly where the text may end. Some bit is always set.
    /// - Parameter words: a bit for each token, token 0 in the lowest of the first word. Words behind the
    ///   vocabulary's become zero; of fewer words, the tokens that fit count.
    package func mask(_ state: ConstraintState, into words: UnsafeMutableBufferPointer<UInt32>) {
        words.update(repeating: 0)
        if !state.hasEnded { storage.mask(of: state).formUnion(into: words) }
        guard state.hasEnded || mayEnd(state) else { return }
        StoredMask.tokens(storage.trie.endOfSequence).formUnion(into: words)
    }

    /// Goes on by a token.
    /// - Returns: false, and leaves the state as it is, if the token is not allowed.
    package func advance(_ state: inout ConstraintState, _ id: Int32) -> Bool {
        if storage.trie.endOfSequence.contains(id) {
            guard state.hasEnded || mayEnd(state) else { return false }
            state.hasEnded = true
            return true
        }
        let text = storage.trie.text(of: id)
        guard !state.hasEnded, !text.isEmpty, let parses = storage.parses(of: state, after: text) else {
            return false
        }
        state.parses = parses
        return true
    }

    /// Whether the text so far is complete, though it may be possible to go on.
    package func mayEnd(_ state: ConstraintState) -> Bool {
        state.parses.contains { parse in
            storage.grammar.isFinal(parse.state) && parse.returns.allSatisfy(storage.grammar.isFinal)
        }
    }
}

/// What copies of a constraint share.
private final class Storage: Sendable {
    let grammar: ConstraintGrammar
    let trie: VocabularyTrie
    private let caches: Mutex<Caches>

    private struct Caches {
        /// Of a vocabulary of 150,000 tokens, the largest masks take 19 kB each.
        var states = GenerationalCache<ConstraintState, StoredMask>(capacity: 64)
        var frames = GenerationalCache<FrameMask.Key, FrameMask>(capacity: 512)
    }

    init(_ grammar: ConstraintGrammar, _ trie: VocabularyTrie) {
        self.grammar = grammar
        self.trie = trie
        caches = Mutex(Caches())
    }

    func parses(of state: ConstraintState, after text: ArraySlice<UInt8>) -> [ConstraintState.Parse]? {
        var walk = ConstraintWalk(grammar, checksDepth: true)
        for parse in state.parses {
            walk.add(state: parse.state, characters: parse.characters, returns: parse.returns[...])
        }
        for byte in text { guard walk.step(byte) else { return nil } }
        var parses: [ConstraintState.Parse] = []
        for (parse, returns) in walk.lastParses where grammar.isSpellable(parse.state) {
            let next = ConstraintState.Parse(
                state: parse.state, characters: parse.characters, returns: returns)
            if !parses.contains(next) { parses.append(next) }
            if parses.count == ConstraintLimits.parses { break }
        }
        return parses.isEmpty ? nil : parses
    }

    // MARK: Masks

    func mask(of state: ConstraintState) -> StoredMask {
        if let known = caches.withLock({ $0.states[state] }) { return known }
        var words = Array(repeating: UInt32(0), count: (trie.size + 31) / 32)
        for parse in state.parses { add(parse, to: &words) }
        let mask = StoredMask(words)
        caches.withLock { $0.states.insert(mask, for: state) }
        return mask
    }

    private func add(_ parse: ConstraintState.Parse, to words: inout [UInt32]) {
        var parse = parse
        // Near the limit of depth every frame counts, and masks are made for exactly this state.
        if parse.returns.count + trie.maximumNesting + grammar.maximumNeed > ConstraintLimits.depth {
            var walk = ConstraintWalk(grammar, checksDepth: true)
            walk.add(state: parse.state, characters: parse.characters, returns: parse.returns[...])
            var escapes: [Int32]?
            walk.mark(below: 0, of: trie, in: &words, escapes: &escapes)
            return
        }
        while true {
            let frame = frameMask(state: parse.state, characters: parse.characters)
            words.withUnsafeMutableBufferPointer { frame.mask.formUnion(into: $0) }
            guard let caller = parse.returns.last else { return }
            if !frame.escapes.isEmpty {
                var walk = ConstraintWalk(grammar, checksDepth: false)
                walk.add(state: caller, characters: 0, returns: parse.returns.dropLast())
                var escapes: [Int32]?
                for node in frame.escapes {
                    walk.mark(below: Int(node), of: trie, in: &words, escapes: &escapes)
                }
            }
            // Where the rule may have ended already, the caller's tokens are allowed as well.
            guard grammar.isFinal(parse.state) else { return }
            parse = .init(state: caller, returns: Array(parse.returns.dropLast()))
        }
    }

    private func frameMask(state: Int32, characters: Int32) -> FrameMask {
        let key = key(state: state, characters: characters)
        let isShared = Int(state) < grammar.sharedStateCount && !grammar.hasGaps
        if isShared {
            if let known = trie.sharedMasks.withLock({ $0[key] }) { return known }
        } else if let known = caches.withLock({ $0.frames[key] }) {
            return known
        }
        let frame = ConstraintWalk.frameMask(grammar, state: state, characters: characters, trie: trie)
        if isShared {
            trie.sharedMasks.withLock { $0[key] = frame }
        } else {
            caches.withLock { $0.frames.insert(frame, for: key) }
        }
        return frame
    }

    private func key(state: Int32, characters: Int32) -> FrameMask.Key {
        guard let bounds = grammar.boundsInRule(of: state) else { return .init(state: state) }
        // No token has more characters than bytes.
        let reach = Int32(clamping: trie.maximumDepth + 1)
        return .init(
            state: state, minimum: min(max(0, bounds.minimum - characters), reach),
            maximum: bounds.maximum == .max ? reach : min(bounds.maximum - characters, reach))
    }
}
