// The tokens of a vocabulary by their bytes, laid out for masks: a trie in the order of a depth-first walk.

import Glibc
import Synchronization

/// A tokenizer's tokens as constraints see them. Made once a tokenizer; copies share the storage.
package struct ConstraintVocabulary: Sendable {
    let trie: VocabularyTrie

    /// - Parameters:
    ///   - tokenBytes: what each token adds to a text, by identifier; empty for special tokens, which are
    ///     never allowed.
    ///   - endOfSequence: the tokens that end a text. Their bytes do not matter, and ones outside of the
    ///     vocabulary are left out.
    package init(tokenBytes: [[UInt8]], endOfSequence: Set<Int32>) {
        trie = VocabularyTrie(tokenBytes: tokenBytes, endOfSequence: endOfSequence)
    }

    /// How many tokens there are; masks have a bit for each.
    package var size: Int { trie.size }

    /// How many words a mask has.
    package var maskWordCount: Int { (trie.size + 31) / 32 }
}

/// A node stands for a text that some token begins with. Nodes are numbered in the order of a depth-first
/// walk, so that a subtree is a range, and so are its tokens.
final class VocabularyTrie: Sendable {
    let size: Int
    let endOfSequence: [Int32]
    /// The last byte of each node's text, its length, and the node behind its subtree. Node 0 is the empty
    /// text.
    let bytes: [UInt8]
    let depths: [Int32]
    let subtreeEnds: [Int32]
    /// The tokens of a node are those from its first up to the next node's first.
    let firstTokens: [Int32]
    let tokens: [Int32]
    let maximumDepth: Int
    /// How many arrays and objects a single token may open, and one for a string.
    let maximumNesting: Int
    /// Bytes that are tokens by themselves.
    let singleBytes: [Bool]
    /// Masks of the states in which any string is read: the same for every grammar, and the most expensive.
    let sharedMasks = Mutex<[FrameMask.Key: FrameMask]>([:])

    private let profile = Mutex<StringProfile?>(nil)
    private let texts: [UInt8]
    private let textStarts: [Int]

    init(tokenBytes: [[UInt8]], endOfSequence: Set<Int32>) {
        size = tokenBytes.count
        self.endOfSequence = endOfSequence.filter { $0 >= 0 && Int($0) < tokenBytes.count }.sorted()
        var texts: [UInt8] = []
        var starts = [0]
        starts.reserveCapacity(tokenBytes.count + 1)
        for (index, bytes) in tokenBytes.enumerated() {
            if !endOfSequence.contains(Int32(truncatingIfNeeded: index)) { texts += bytes }
            starts.append(texts.count)
        }
        self.texts = texts
        textStarts = starts
        tokens = Self.sorted(texts, starts)
        var build = Build()
        for (index, token) in tokens.enumerated() {
            build.add(texts[starts[Int(token)]..<starts[Int(token) + 1]], index: index)
        }
        build.close(to: 0)
        build.firstTokens.append(Int32(tokens.count))
        bytes = build.bytes
        depths = build.depths
        subtreeEnds = build.subtreeEnds
        firstTokens = build.firstTokens
        maximumDepth = Int(build.depths.max() ?? 0)
        var single = Array(repeating: false, count: 256)
        var nesting = 0
        for token in tokens {
            let text = texts[starts[Int(token)]..<starts[Int(token) + 1]]
            if text.count == 1, let byte = text.first { single[Int(byte)] = true }
            nesting = max(nesting, text.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") })
        }
        singleBytes = single
        maximumNesting = nesting + 2
    }

    /// What the tokens do inside of strings, made when it is first asked for.
    func stringProfile(_ make: () -> StringProfile) -> StringProfile {
        if let known = profile.withLock({ $0 }) { return known }
        let made = make()
        profile.withLock { $0 = made }
        return made
    }

    /// The bytes of a token, empty if it must not appear inside of a text.
    func text(of token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, Int(token) < size else { return [] }
        return texts[textStarts[Int(token)]..<textStarts[Int(token) + 1]]
    }

    /// The tokens that have bytes, in the order of their bytes.
    private static func sorted(_ texts: [UInt8], _ starts: [Int]) -> [Int32] {
        var order = (0..<max(0, starts.count - 1)).filter { starts[$0] < starts[$0 + 1] }
            .map { Int32(truncatingIfNeeded: $0) }
        texts.withUnsafeBytes { bytes in
            guard let address = bytes.baseAddress else { return }
            order.sort { left, right in
                let (one, two) = (starts[Int(left)], starts[Int(right)])
                let (oneCount, twoCount) = (starts[Int(left) + 1] - one, starts[Int(right) + 1] - two)
                let order = memcmp(address + one, address + two, min(oneCount, twoCount))
                if order != 0 { return order < 0 }
                return oneCount != twoCount ? oneCount < twoCount : left < right
            }
        }
        return order
    }

    /// The trie while sorted texts are added to it.
    private struct Build {
        var bytes: [UInt8] = [0]
        var depths: [Int32] = [0]
        var subtreeEnds: [Int32] = [0]
        var firstTokens: [Int32] = [0]
        /// The nodes from the root to the last text.
        private var path = [0]

        mutating func add(_ text: ArraySlice<UInt8>, index: Int) {
            var shared = 0
            for byte in text {
                guard shared + 1 < path.count, bytes[path[shared + 1]] == byte else { break }
                shared += 1
            }
            close(to: shared + 1)
            for byte in text.dropFirst(shared) {
                path.append(bytes.count)
                bytes.append(byte)
                depths.append(Int32(truncatingIfNeeded: path.count - 1))
                subtreeEnds.append(0)
                firstTokens.append(Int32(truncatingIfNeeded: index))
            }
        }

        mutating func close(to count: Int) {
            while path.count > count {
                subtreeEnds[path.removeLast()] = Int32(truncatingIfNeeded: bytes.count)
            }
        }
    }
}
