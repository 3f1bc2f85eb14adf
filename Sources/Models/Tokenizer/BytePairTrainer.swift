// Learns a byte-level vocabulary from texts, as the tokenizers library's `BpeTrainer` does.

/// Counts the words of texts, then joins the most frequent pair of neighbors until the vocabulary is full
/// (Sennrich, Haddow, Birch, arXiv:1508.07909). Of pairs equally frequent the one with the lower ids comes
/// first, so that the same texts, in whatever order, give the same vocabulary as Hugging Face's trainer.
/// Memory grows with the number of distinct words, which is limited.
package struct BytePairTrainer: Sendable {
    /// Before learning, texts are split as these models' tokenizers do.
    package enum Splitting: String, Sendable, CaseIterable {
        case gpt2, llama3, qwen2
    }

    package struct Settings: Sendable {
        /// How many tokens to end with, the 256 bytes and special tokens included.
        package var vocabularySize: Int
        /// Pairs that occur less often are not joined.
        package var minimumFrequency = 0
        /// They get the lowest ids, in their order.
        package var specialTokens: [String] = []
        package var splitting = Splitting.qwen2
        /// More distinct words are an error.
        package var maximumDistinctWords = 20_000_000
        /// More bytes in the distinct words together are an error.
        package var maximumDistinctBytes = 1 << 30

        package init(vocabularySize: Int) { self.vocabularySize = vocabularySize }
    }

    /// The largest vocabulary that can be asked for.
    package static let maximumVocabularySize = 1 << 20

    private let settings: Settings
    private let preTokenizer: PreTokenizer
    private var words = WordCounter()

    /// - Throws: `TokenizerError` if the size leaves no room for the bytes or a special token is there twice.
    package init(_ settings: Settings) throws(TokenizerError) {
        let minimum = 256 + settings.specialTokens.count
        guard (minimum...Self.maximumVocabularySize).contains(settings.vocabularySize) else {
            throw TokenizerError(
                file: "vocab_size",
                problem: "\(settings.vocabularySize) is not in "
                    + "\(minimum)...\(Self.maximumVocabularySize)",
                remedy: "the 256 bytes and the special tokens need a place each")
        }
        var seen: Set<[UInt8]> = []
        for token in settings.specialTokens {
            guard !token.isEmpty, token.utf8.count <= AddedTokens.maximumLength,
                seen.insert(Array(token.utf8)).inserted
            else {
                throw TokenizerError(
                    file: "special_tokens", problem: "\"\(token)\" is empty, too long or there twice",
                    remedy: "give each special token once")
            }
        }
        self.settings = settings
        preTokenizer = PreTokenizer(stages: settings.splitting.stages)
    }

    /// How many different words have been counted.
    package var distinctWordCount: Int { words.count }

    /// Counts the words of a text. Texts are independent: no word goes from one into the next.
    /// - Throws: `TokenizerError` when a limit is reached; what was counted before remains.
    package mutating func add(_ text: String) throws(TokenizerError) {
        var text = text
        let normalized = text.withUTF8 { settings.splitting.normalization?.normalized($0) }
        if let normalized {
            normalized.withUnsafeBufferPointer { preTokenizer.split($0, isAtStart: true, into: &words) }
        } else {
            text.withUTF8 { preTokenizer.split($0, isAtStart: true, into: &words) }
        }
        guard words.count <= settings.maximumDistinctWords,
            words.byteCount <= settings.maximumDistinctBytes, !words.isFull
        else {
            throw TokenizerError(
                file: "dataset", problem: "\(words.count) distinct words of \(words.byteCount) bytes",
                remedy: "learn from a part of the dataset, or raise the limit on distinct words")
        }
    }

    /// Learns the merges from all words counted so far.
    /// - Parameter progress: called now and then with the number of tokens so far; false stops the learning,
    ///   which then has the tokens up to there.
    package func train(progress: (Int) -> Bool = { _ in true }) -> TrainedVocabulary {
        var learner = MergeLearner(words: words, specialTokens: settings.specialTokens)
        let result = learner.learn(
            vocabularySize: settings.vocabularySize, minimumFrequency: settings.minimumFrequency,
            progress: progress)
        return TrainedVocabulary(
            tokens: result.tokens, merges: result.merges, specialTokens: settings.specialTokens,
            splitting: settings.splitting)
    }
}

extension BytePairTrainer.Splitting {
    var scanner: SplitScanner {
        switch self {
        case .gpt2: .gpt2
        case .llama3: .gpt4(digits: 3)
        case .qwen2: .gpt4(digits: 1)
        }
    }

    var normalization: UnicodeNormalization? { self == .qwen2 ? .nfc : nil }

    fileprivate var stages: [PreTokenizerStage] { [.split(.scanner(scanner), .isolated, isInverted: false)] }
}

/// How often each word was there.
struct WordCounter: PieceReceiver, Sendable {
    private(set) var table = ByteStringTable(capacity: 1 << 16)
    private(set) var counts: [Int] = []
    /// Whether words were left out because the table cannot hold more.
    private(set) var isFull = false

    var count: Int { counts.count }
    var byteCount: Int { table.byteCount }

    mutating func receive(_ piece: UTF8Text) {
        guard table.byteCount + piece.count < ByteStringTable.maximumByteCount else {
            isFull = true
            return
        }
        let (index, isNew) = table.insert(piece)
        if isNew { counts.append(1) } else { counts[index] += 1 }
    }
}
