// Splits a text into the pieces that are encoded each by itself.

/// A `pre_tokenizer` of tokenizer.json as a row of stages; agrees with `tokenizers.pre_tokenizers`.
enum PreTokenizerStage: Sendable {
    case split(SplitPattern, SplitBehavior, isInverted: Bool)
    /// Splits by a property of single characters.
    case characters(CharacterTest, SplitBehavior, isInverted: Bool)
    case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)
    /// - Parameter mapsBytes: whether bytes become visible characters; where nothing comes after, the
    ///   vocabulary is kept in bytes instead.
    case byteLevel(addsPrefixSpace: Bool, pattern: SplitPattern?, mapsBytes: Bool)

    enum CharacterTest: Sendable { case whitespace, digit, punctuation }
    enum PrependScheme: String, Sendable { case always, first, never }
}

/// What becomes of the text that a pattern matches.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}

/// Who gets the pieces, in their order. No piece is empty.
protocol PieceReceiver {
    mutating func receive(_ piece: UTF8Text)
}

struct PreTokenizer: Sendable {
    var stages: [PreTokenizerStage]

    /// - Parameter isAtStart: whether the text begins where the whole text begins.
    func split(_ text: UTF8Text, isAtStart: Bool, into receiver: inout some PieceReceiver) {
        run(0, on: text, isAtStart, &receiver)
    }

    private func run(
        _ stage: Int, on text: UTF8Text, _ isAtStart: Bool, _ receiver: inout some PieceReceiver
    ) {
        guard !text.isEmpty else { return }
        guard stage < stages.count else {
            receiver.receive(text)
            return
        }
        switch stages[stage] {
        case .split(.scanner(let scanner), .isolated, _):
            let categories = ScalarCategories.shared
            var start = 0
            while start < text.count {
                let end = scanner.end(in: text, from: start, categories: categories)
                run(stage + 1, on: text.part(start..<end), isAtStart && start == 0, &receiver)
                start = end
            }
        case .split(let pattern, let behavior, let isInverted):
            var splitter = Splitter(behavior: behavior, isInverted: isInverted)
            pattern.forEachMatch(in: text) { splitter.addMatch($0) }
            runParts(splitter.parts(of: text.count), after: stage, text, isAtStart, &receiver)
        case .characters(let test, let behavior, let isInverted):
            var splitter = Splitter(behavior: behavior, isInverted: isInverted)
            test.forEachMatch(in: text) { splitter.addMatch($0) }
            runParts(splitter.parts(of: text.count), after: stage, text, isAtStart, &receiver)
        case .metaspace(let replacement, let scheme, let splits):
            let changed = Self.metaspaced(text, replacement, scheme, isAtStart)
            changed.withUnsafeBufferPointer { text in
                guard splits else { return run(stage + 1, on: text, isAtStart, &receiver) }
                var splitter = Splitter(behavior: .mergedWithNext, isInverted: false)
                SplitPattern.literal(replacement).forEachMatch(in: text) { splitter.addMatch($0) }
                runParts(splitter.parts(of: text.count), after: stage, text, isAtStart, &receiver)
            }
        case .byteLevel(let addsPrefixSpace, let pattern, let mapsBytes):
            guard addsPrefixSpace, text[0] != 0x20 else {
                return runByteLevel(stage, text, pattern, mapsBytes, isAtStart, &receiver)
            }
            ([0x20] + text).withUnsafeBufferPointer {
                runByteLevel(stage, $0, pattern, mapsBytes, isAtStart, &receiver)
            }
        }
    }

    private func runParts(
        _ parts: [Range<Int>], after stage: Int, _ text: UTF8Text, _ isAtStart: Bool,
        _ receiver: inout some PieceReceiver
    ) {
        for part in parts {
            run(stage + 1, on: text.part(part), isAtStart && part.lowerBound == 0, &receiver)
        }
    }

    private func runByteLevel(
        _ stage: Int, _ text: UTF8Text, _ pattern: SplitPattern?, _ mapsBytes: Bool, _ isAtStart: Bool,
        _ receiver: inout some PieceReceiver
    ) {
        func send(_ part: Range<Int>, _ receiver: inout some PieceReceiver) {
            let isAtStart = isAtStart && part.lowerBound == 0
            guard mapsBytes else { return run(stage + 1, on: text.part(part), isAtStart, &receiver) }
            var mapped: [UInt8] = []
            ByteAlphabet.appendText(of: text.part(part), to: &mapped)
            mapped.withUnsafeBufferPointer { run(stage + 1, on: $0, isAtStart, &receiver) }
        }
        guard let pattern else { return send(0..<text.count, &receiver) }
        pattern.forEachMatch(in: text) { send($0, &receiver) }
    }

    private static func metaspaced(
        _ text: UTF8Text, _ replacement: [UInt8], _ scheme: PreTokenizerStage.PrependScheme, _ isAtStart: Bool
    ) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 2 + replacement.count)
        let begins = text.starts(with: replacement) || text[0] == 0x20
        if !begins, scheme == .always || scheme == .first && isAtStart { result += replacement }
        for byte in text {
            if byte == 0x20 { result += replacement } else { result.append(byte) }
        }
        return result
    }
}

extension PreTokenizerStage.CharacterTest {
    func forEachMatch(in text: UTF8Text, _ body: (Range<Int>) -> Void) {
        let categories = ScalarCategories.shared
        var index = 0
        while index < text.count {
            let (value, end) = text.scalar(at: index)
            if contains(value, categories[value]) { body(index..<end) }
            index = end
        }
    }

    private func contains(_ value: UInt32, _ category: CategorySet) -> Bool {
        switch self {
        case .whitespace: return category.isSubset(of: .whitespace)
        case .digit:
            if category.isSubset(of: .number) { return true }
            // Rust's own table of numbers is newer than the one of its regular expressions.
            guard category == CategorySet(.unassigned), let scalar = Unicode.Scalar(value) else {
                return false
            }
            return CategorySet(scalar.properties.generalCategory).isSubset(of: .number)
        case .punctuation:
            // ASCII's symbols are punctuation to Rust, whose table of the rest is that of Unicode 8; two
            // characters have become symbols since.
            if value < 0x80 { return !category.isDisjoint(with: [.punctuation, .symbol]) }
            if value == 0x166D || value == 0x111C9 { return true }
            return category.isSubset(of: .punctuation) && (Unicode.Scalar(value)?.age ?? .max) <= 8
        }
    }
}

/// Turns matches into parts, as `NormalizedString::split` of the tokenizers library does.
struct Splitter {
    private let behavior: SplitBehavior
    private let isInverted: Bool
    /// Matches and what is between them, in turn.
    private var pieces: [(range: Range<Int>, isMatch: Bool)] = []
    private var covered = 0

    init(behavior: SplitBehavior, isInverted: Bool) {
        self.behavior = behavior
        self.isInverted = isInverted
    }

    mutating func addMatch(_ range: Range<Int>) {
        if range.lowerBound > covered { pieces.append((covered..<range.lowerBound, isInverted)) }
        pieces.append((range, !isInverted))
        covered = range.upperBound
    }

    /// The parts of a text of the given length; some may be empty.
    func parts(of length: Int) -> [Range<Int>] {
        var pieces = pieces
        if covered < length { pieces.append((covered..<length, isInverted)) }
        switch behavior {
        case .isolated: return pieces.map(\.range)
        case .removed: return pieces.filter { !$0.isMatch }.map(\.range)
        case .contiguous:
            return Self.folded(pieces) { isMatch, wasMatch in isMatch == wasMatch }
        case .mergedWithPrevious:
            return Self.folded(pieces) { isMatch, wasMatch in isMatch && !wasMatch }
        case .mergedWithNext:
            let folded = Self.folded(pieces.reversed()) { isMatch, wasMatch in isMatch && !wasMatch }
            return folded.reversed()
        }
    }

    /// Joins each piece with the one before it where the rule says so.
    private static func folded(
        _ pieces: [(range: Range<Int>, isMatch: Bool)], joins: (Bool, Bool) -> Bool
    ) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var wasMatch = false
        for piece in pieces {
            if joins(piece.isMatch, wasMatch), let last = parts.last {
                let start = min(last.lowerBound, piece.range.lowerBound)
                parts[parts.count - 1] = start..<max(last.upperBound, piece.range.upperBound)
            } else {
                parts.append(piece.range)
            }
            wasMatch = piece.isMatch
        }
        return parts
    }
}
