// The splitting patterns of GPT-2, GPT-4, Llama 3 and Qwen2 as plain code: nearly every tokenizer has one of
// them, and a regular expression needs ten times as long.

/// A pattern by which whole texts are split without gaps. Which one a file means is told by the pattern's
/// exact text; any other text goes through `BacktrackingExpression`.
enum SplitScanner: Sendable, Hashable {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    case gpt2
    /// GPT-4's and its heirs': contractions in any case, punctuation with the newlines behind it, and at
    /// most so many digits at a time (3 for Llama 3, 1 for Qwen2).
    case gpt4(digits: Int)

    /// - Returns: nil if the pattern is none of those known.
    init?(pattern: String) {
        guard let known = Self.patterns.first(where: { $0.text == pattern }) else { return nil }
        self = known.scanner
    }

    private static let gpt4Rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The text of the pattern as files have it.
    var pattern: String {
        switch self {
        case .gpt2: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
        case .gpt4(let digits):
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
                + (digits == 1 ? #"\p{N}|"# : #"\p{N}{1,\#(digits)}|"#) + Self.gpt4Rest
        }
    }

    private static let patterns: [(text: String, scanner: SplitScanner)] = [
        (SplitScanner.gpt2.pattern, .gpt2),
        (#"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        (SplitScanner.gpt4(digits: 3).pattern, .gpt4(digits: 3)),
        (SplitScanner.gpt4(digits: 1).pattern, .gpt4(digits: 1)),
        (
            #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|"#
                + #"\s*[\r\n]|\s+(?!\S)|\s+"#, .gpt4(digits: 3)
        ),
        (
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
                + #"\s*[\r\n]|\s+(?!\S)|\s+"#, .gpt4(digits: 3)
        ),
    ]

    /// Where the piece that begins at `start` ends; `start` is before the end of the text.
    @inline(__always)
    func end(in text: UTF8Text, from start: Int, categories: ScalarCategories) -> Int {
        switch self {
        case .gpt2: return Self.endByGPT2(text, start, categories)
        case .gpt4(let digits): return Self.endByGPT4(text, start, categories, digits)
        }
    }

    private static func endByGPT2(_ text: UTF8Text, _ start: Int, _ categories: ScalarCategories) -> Int {
        if let end = endOfContraction(text, start, ignoringCase: false) { return end }
        var (value, next) = text.scalar(at: start)
        var category = categories[value]
        if value == 0x20, next < text.count {
            let (after, afterEnd) = text.scalar(at: next)
            let afterCategory = categories[after]
            if afterCategory.isDisjoint(with: .whitespace) {
                (value, next, category) = (after, afterEnd, afterCategory)
            }
        }
        if category.isSubset(of: .letter) { return endOfRun(of: .letter, text, next, categories) }
        if category.isSubset(of: .number) { return endOfRun(of: .number, text, next, categories) }
        if category.isSubset(of: .whitespace) { return endOfSpace(text, start, next, categories) }
        return endOfOther(text, next, categories)
    }

    private static func endByGPT4(
        _ text: UTF8Text, _ start: Int, _ categories: ScalarCategories, _ digits: Int
    ) -> Int {
        if let end = endOfContraction(text, start, ignoringCase: true) { return end }
        let (value, next) = text.scalar(at: start)
        let category = categories[value]
        if category.isSubset(of: .letter) { return endOfRun(of: .letter, text, next, categories) }
        if category.isSubset(of: .number) {
            var end = next
            var count = 1
            while count < digits, end < text.count {
                let (value, next) = text.scalar(at: end)
                guard categories[value].isSubset(of: .number) else { break }
                end = next
                count += 1
            }
            return end
        }
        if value != 0x0A, value != 0x0D, next < text.count {
            let (after, afterEnd) = text.scalar(at: next)
            if categories[after].isSubset(of: .letter) {
                return endOfRun(of: .letter, text, afterEnd, categories)
            }
            if value == 0x20, categories[after].isDisjoint(with: [.whitespace, .number]) {
                return endOfNewlines(text, endOfOther(text, afterEnd, categories))
            }
        }
        if category.isDisjoint(with: .whitespace) {
            return endOfNewlines(text, endOfOther(text, next, categories))
        }
        return endOfSpace(text, start, next, categories, endingAtNewline: true)
    }
}

extension SplitScanner {
    /// `'s|'t|'re|'ve|'m|'ll|'d`, where the long s counts as an s if case is ignored.
    @inline(__always)
    private static func endOfContraction(_ text: UTF8Text, _ start: Int, ignoringCase: Bool) -> Int? {
        guard text[start] == UInt8(ascii: "'"), start + 1 < text.count else { return nil }
        let fold: UInt8 = ignoringCase ? 0x20 : 0
        let first = text[start + 1] | fold
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
            guard start + 2 < text.count else { return nil }
            let second = first == UInt8(ascii: "l") ? first : UInt8(ascii: "e")
            return text[start + 2] | fold == second ? start + 3 : nil
        default:
            let isLongS = ignoringCase && start + 2 < text.count && text[start + 1] == 0xC5
            return isLongS && text[start + 2] == 0xBF ? start + 3 : nil
        }
    }

    @inline(__always)
    private static func endOfRun(
        of set: CategorySet, _ text: UTF8Text, _ start: Int, _ categories: ScalarCategories
    ) -> Int {
        var end = start
        while end < text.count {
            let (value, next) = text.scalar(at: end)
            guard categories[value].isSubset(of: set) else { break }
            end = next
        }
        return end
    }

    /// `[^\s\p{L}\p{N}]*`
    private static func endOfOther(_ text: UTF8Text, _ start: Int, _ categories: ScalarCategories) -> Int {
        var end = start
        while end < text.count {
            let (value, next) = text.scalar(at: end)
            guard categories[value].isDisjoint(with: [.whitespace, .letter, .number]) else { break }
            end = next
        }
        return end
    }

    /// `[\r\n]*`
    private static func endOfNewlines(_ text: UTF8Text, _ start: Int) -> Int {
        var end = start
        while end < text.count, text[end] == 0x0A || text[end] == 0x0D { end += 1 }
        return end
    }

    /// `\s+(?!\S)|\s+`, where asked for with `\s*[\r\n]+` before it: white space to its last newline, else
    /// without its last character if a word follows, which wants a blank before it.
    private static func endOfSpace(
        _ text: UTF8Text, _ start: Int, _ next: Int, _ categories: ScalarCategories,
        endingAtNewline: Bool = false
    ) -> Int {
        var end = start
        var last = start
        var endOfLastNewline: Int?
        while end < text.count {
            let (value, next) = text.scalar(at: end)
            guard categories[value].isSubset(of: .whitespace) else { break }
            if value == 0x0A || value == 0x0D { endOfLastNewline = next }
            last = end
            end = next
        }
        if endingAtNewline, let endOfLastNewline { return endOfLastNewline }
        if end == text.count || last == start { return end }
        return last
    }
}
