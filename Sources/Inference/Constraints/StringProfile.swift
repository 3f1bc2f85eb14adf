// The tokens that can stand in a JSON string, by how many characters they have.

/// What a vocabulary's tokens do inside of a string, between two characters. A token's characters are those
/// that begin in it, up to the quote that closes the string if there is one.
final class StringProfile: Sendable {
    private struct Entry {
        var characters: Int32
        /// A token, or a node of the trie.
        var item: Int32
    }

    /// All tokens that are possible in strings of any length.
    private let words: [UInt32]
    /// The longest first.
    private let tokens: [Entry]
    /// Those that close the string, the shortest first.
    private let closing: [Entry]
    /// Nodes right behind a closing quote, the shortest first.
    private let escapes: [Entry]

    /// - Parameter grammar: any; all have the same rule for strings.
    init(_ grammar: ConstraintGrammar, trie: VocabularyTrie) {
        let start = grammar.insideString
        var states = Array(repeating: start, count: trie.maximumDepth + 1)
        var counts = Array(repeating: Int32(0), count: trie.maximumDepth + 1)
        var words = Array(repeating: UInt32(0), count: (trie.size + 31) / 32)
        var (tokens, closing, escapes): ([Entry], [Entry], [Entry]) = ([], [], [])
        var node = 1
        while node < trie.bytes.count {
            let depth = Int(trie.depths[node])
            let state = states[depth - 1]
            let column = Int(grammar.classes[Int(trie.bytes[node])])
            let target = grammar.table[Int(state) * grammar.classCount + column]
            guard target >= 0 else {
                node = Int(trie.subtreeEnds[node])
                continue
            }
            let isClosed = grammar.isFinal(target)
            let count = counts[depth - 1] + (state == start && !isClosed ? 1 : 0)
            states[depth] = target
            counts[depth] = count
            for index in Int(trie.firstTokens[node])..<Int(trie.firstTokens[node + 1]) {
                let entry = Entry(characters: count, item: trie.tokens[index])
                tokens.append(entry)
                if isClosed { closing.append(entry) }
            }
            trie.mark(nodes: node..<(node + 1), in: &words)
            if isClosed, Int(trie.subtreeEnds[node]) > node + 1 {
                escapes.append(Entry(characters: count, item: Int32(truncatingIfNeeded: node)))
            }
            node += 1
        }
        self.words = words
        self.tokens = tokens.sorted { $0.characters > $1.characters }
        self.closing = closing.sorted { $0.characters < $1.characters }
        self.escapes = escapes.sorted { ($0.characters, $0.item) < ($1.characters, $1.item) }
    }

    /// - Parameters:
    ///   - minimum: how many characters have to come before the string may be closed.
    ///   - maximum: how many may come.
    func mask(minimum: Int32, maximum: Int32) -> FrameMask {
        var words = words
        for entry in tokens {
            guard entry.characters > maximum else { break }
            words[Int(entry.item >> 5)] &= ~(1 << UInt32(entry.item & 31))
        }
        for entry in closing {
            guard entry.characters < minimum else { break }
            words[Int(entry.item >> 5)] &= ~(1 << UInt32(entry.item & 31))
        }
        let open = escapes.filter { minimum <= $0.characters && $0.characters <= maximum }.map(\.item)
        return FrameMask(mask: StoredMask(words), escapes: open)
    }
}
