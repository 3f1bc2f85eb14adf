// Changes to a text before it is split: normalization forms, "▁" for blanks, lower case.

/// A `normalizer` of tokenizer.json; agrees with `tokenizers.normalizers`.
enum Normalizer: Sendable {
    case unicode(UnicodeNormalization)
    case lowercase
    case strip(left: Bool, right: Bool)
    case stripAccents
    case prepend([UInt8])
    case replace(SplitPattern, with: [UInt8])
    /// Every byte as its visible character.
    case byteLevel
    case sequence([Normalizer])

    /// How many times longer a text may become.
    var growth: Int {
        switch self {
        case .unicode: 12
        case .lowercase, .byteLevel: 2
        case .strip, .stripAccents, .prepend: 1
        case .replace(let pattern, let content): pattern.growth(replacedBy: content)
        case .sequence(let normalizers): normalizers.reduce(1) { $0 * $1.growth }
        }
    }

    /// - Parameter isAtStart: whether the text begins where the whole text begins; false afterwards if what
    ///   stood there was cut off.
    /// - Returns: the new text, nil if nothing changes.
    func normalized(_ text: UTF8Text, isAtStart: inout Bool) -> [UInt8]? {
        guard !text.isEmpty else { return nil }
        switch self {
        case .unicode(let form): return form.normalized(text)
        case .lowercase: return Self.lowercased(text)
        case .strip(let left, let right):
            return Self.stripped(text, left: left, right: right, isAtStart: &isAtStart)
        case .stripAccents: return Self.withoutMarks(text)
        case .prepend(let prefix): return prefix.isEmpty ? nil : prefix + text
        case .replace(let pattern, let content): return pattern.replacing(text, with: content)
        case .byteLevel:
            var result: [UInt8] = []
            ByteAlphabet.appendText(of: text, to: &result)
            return result
        case .sequence(let normalizers):
            var current: [UInt8]?
            for normalizer in normalizers {
                let next: [UInt8]?
                if let bytes = current {
                    next = bytes.withUnsafeBufferPointer {
                        normalizer.normalized($0, isAtStart: &isAtStart)
                    }
                } else {
                    next = normalizer.normalized(text, isAtStart: &isAtStart)
                }
                current = next ?? current
            }
            return current
        }
    }

    /// Character by character, as Rust's `char::to_lowercase`: a sigma at a word's end is no exception.
    private static func lowercased(_ text: UTF8Text) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, end) = text.scalar(at: index)
            if value < 0x80 {
                let isUpper = (0x41...0x5A).contains(value)
                result.append(UInt8(truncatingIfNeeded: isUpper ? value + 0x20 : value))
            } else if let scalar = Unicode.Scalar(value) {
                result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
            }
            index = end
        }
        return result
    }

    private static func stripped(_ text: UTF8Text, left: Bool, right: Bool, isAtStart: inout Bool) -> [UInt8]?
    {
        var start = 0
        var end = text.count
        while left, start < end {
            let (value, next) = text.scalar(at: start)
            guard Unicode.Scalar(value)?.isWhitespaceScalar == true else { break }
            start = next
        }
        while right, end > start {
            let last = text.start(before: end)
            guard Unicode.Scalar(text.scalar(at: last).value)?.isWhitespaceScalar == true else { break }
            end = last
        }
        if start > 0 { isAtStart = false }
        return start == 0 && end == text.count ? nil : Array(text[start..<end])
    }

    private static func withoutMarks(_ text: UTF8Text) -> [UInt8]? {
        if text.isASCII { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, end) = text.scalar(at: index)
            let isMark = ScalarCategories.shared[value].isSubset(of: .mark)
            if !isMark || Unicode.Scalar(value)?.isInUnicode9 == false {
                result.append(contentsOf: text.part(index..<end))
            }
            index = end
        }
        return result
    }
}
