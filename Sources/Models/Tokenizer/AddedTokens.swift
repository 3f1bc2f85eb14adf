// Tokens that are cut out of a text before anything else is done with it: "<|im_start|>", "</s>".

/// A token beside the model's vocabulary, with the flags of `tokenizers.AddedToken`.
struct AddedToken: Sendable, Hashable {
    var content: [UInt8]
    var id: Int32 = -1
    /// What it is decoded to: its content, normalized if it is looked for in normalized text.
    var decoded: [UInt8] = []
    /// Only where neither a letter nor a digit stands beside it.
    var isSingleWord = false
    /// Takes the white space before it with it.
    var stripsLeft = false
    /// Takes the white space behind it with it.
    var stripsRight = false
    /// Looked for in the normalized text rather than in the text as it came.
    var isNormalized = false
    /// Left out of decoded text on demand.
    var isSpecial = false
}

/// All added tokens of a tokenizer; agrees with `AddedVocabulary` of the tokenizers library.
struct AddedTokens: Sendable {
    /// Longer ones are refused: looking for tokens takes time in proportion to the longest.
    static let maximumLength = 4096

    private(set) var tokens: [AddedToken] = []
    /// Places in `tokens`.
    private var byContent: [[UInt8]: Int] = [:]
    private var byID: [Int32: Int] = [:]
    private var plain = TokenTrie()
    private var normalized = TokenTrie()
    /// Whether special tokens in a text are text (`split_special_tokens`).
    var splitsSpecialTokens = false

    private(set) var highestID: Int32 = -1
    private var lowestID = Int32.max

    /// Adds a token, or gives one of the same content new flags. A token of the vocabulary keeps its id;
    /// others get the next free one, whatever the file says: so does the original.
    mutating func add(_ token: AddedToken, vocabulary: Vocabulary) {
        guard !token.content.isEmpty else { return }
        var token = token
        token.decoded = token.content
        token.id =
            byContent[token.content].map { tokens[$0].id } ?? vocabulary.id(ofToken: token.content)
            ?? max(highestID + 1, Int32(vocabulary.count))
        if let index = byContent[token.content] {
            token.isSpecial = token.isSpecial || tokens[index].isSpecial
            tokens[index] = token
        } else {
            byContent[token.content] = tokens.count
            byID[token.id] = tokens.count
            highestID = max(highestID, token.id)
            lowestID = min(lowestID, token.id)
            tokens.append(token)
        }
    }

    subscript(content: [UInt8]) -> AddedToken? { byContent[content].map { tokens[$0] } }

    subscript(id: Int32) -> AddedToken? {
        // Most ids are below all of these.
        guard id >= lowestID else { return nil }
        return byID[id].map { tokens[$0] }
    }

    /// Makes the search trees; to be called when all tokens are there.
    mutating func prepare(normalizer: Normalizer?) {
        plain = TokenTrie()
        normalized = TokenTrie()
        // Special tokens come first: of two with the same text, the first one counts.
        let order =
            tokens.indices.filter { tokens[$0].isSpecial } + tokens.indices.filter { !tokens[$0].isSpecial }
        for index in order {
            let token = tokens[index]
            guard token.isNormalized else {
                plain.insert(token.content, index)
                continue
            }
            var isAtStart = true
            let content = token.content.withUnsafeBufferPointer {
                normalizer?.normalized($0, isAtStart: &isAtStart)
            }
            if let content { tokens[index].decoded = content }
            normalized.insert(content ?? token.content, index)
        }
    }

    /// Whether a token is left out of text without special tokens. The original asks for the text that it
    /// would put out.
    func isSkipped(_ token: AddedToken) -> Bool {
        token.decoded == token.content ? token.isSpecial : self[token.decoded]?.isSpecial ?? false
    }

    /// A part of a text: a token, or what is between tokens.
    struct Part {
        var range: Range<Int>
        var tokenID: Int32?
    }

    var hasNormalizedTokens: Bool { !normalized.isEmpty }

    /// Cuts a text at the tokens that are looked for before, or after, it is normalized.
    func parts(of text: UTF8Text, isNormalized: Bool) -> [Part] {
        let trie = isNormalized ? normalized : plain
        guard !trie.isEmpty else { return [Part(range: 0..<text.count)] }
        var parts: [Part] = []
        var covered = 0
        var position = 0
        while let match = trie.nextMatch(in: text, from: position) {
            position = match.range.upperBound
            let token = tokens[match.value]
            if splitsSpecialTokens, token.isSpecial { continue }
            if token.isSingleWord, !Self.standsAlone(match.range, in: text) { continue }
            var (start, end) = (match.range.lowerBound, match.range.upperBound)
            if token.stripsLeft { start = max(Self.startOfSpace(before: start, in: text), covered) }
            if token.stripsRight { end = Self.endOfSpace(behind: end, in: text) }
            if covered < start { parts.append(Part(range: covered..<start)) }
            // White space that the token before took may be all that this one would have stood for.
            if start < end { parts.append(Part(range: start..<end, tokenID: token.id)) }
            // The original goes back here, too, where white space taken by a token holds the next one.
            covered = end
        }
        if covered < text.count { parts.append(Part(range: covered..<text.count)) }
        return parts
    }

    private static func standsAlone(_ range: Range<Int>, in text: UTF8Text) -> Bool {
        func isWord(_ index: Int) -> Bool {
            PatternClassNames.rustWord.contains(text.scalar(at: index).value)
        }
        let isFree = range.lowerBound == 0 || !isWord(text.start(before: range.lowerBound))
        return isFree && (range.upperBound == text.count || !isWord(range.upperBound))
    }

    private static func startOfSpace(before index: Int, in text: UTF8Text) -> Int {
        var start = index
        while start > 0 {
            let previous = text.start(before: start)
            guard Unicode.Scalar(text.scalar(at: previous).value)?.isWhitespaceScalar == true else { break }
            start = previous
        }
        return start
    }

    private static func endOfSpace(behind index: Int, in text: UTF8Text) -> Int {
        var end = index
        while end < text.count {
            let (value, next) = text.scalar(at: end)
            guard Unicode.Scalar(value)?.isWhitespaceScalar == true else { break }
            end = next
        }
        return end
    }
}

/// Finds the longest of many texts at the leftmost place.
struct TokenTrie: Sendable {
    private struct Node {
        var byte: UInt8
        var firstChild: Int32 = -1
        var sibling: Int32 = -1
        var value: Int32 = -1
    }

    private var nodes = [Node(byte: 0)]
    /// Whether a text begins with this byte.
    private var begins = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { nodes.count == 1 }

    /// Of two equal texts, the first counts.
    mutating func insert(_ text: [UInt8], _ value: Int) {
        guard let first = text.first else { return }
        begins[Int(first)] = true
        var node = 0
        for byte in text {
            if let child = child(of: node, byte) {
                node = child
            } else {
                nodes.append(Node(byte: byte, sibling: nodes[node].firstChild))
                nodes[node].firstChild = Int32(nodes.count - 1)
                node = nodes.count - 1
            }
        }
        if nodes[node].value < 0 { nodes[node].value = Int32(value) }
    }

    @inline(__always)
    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var child = nodes[node].firstChild
        while child >= 0 {
            if nodes[Int(child)].byte == byte { return Int(child) }
            child = nodes[Int(child)].sibling
        }
        return nil
    }

    func nextMatch(in text: UTF8Text, from start: Int) -> (range: Range<Int>, value: Int)? {
        begins.withUnsafeBufferPointer { begins in
            var index = start
            while index < text.count {
                if begins[Int(text[index])], let match = longestMatch(in: text, at: index) { return match }
                index += 1
            }
            return nil
        }
    }

    private func longestMatch(in text: UTF8Text, at start: Int) -> (range: Range<Int>, value: Int)? {
        var node = 0
        var index = start
        var best: (range: Range<Int>, value: Int)?
        while index < text.count, let next = child(of: node, text[index]) {
            node = next
            index += 1
            if nodes[node].value >= 0 { best = (start..<index, Int(nodes[node].value)) }
        }
        return best
    }
}
