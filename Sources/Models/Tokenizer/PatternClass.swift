// Sets of characters in patterns: `[^\s\p{L}\p{N}]`, `\p{Lu}`, `.`.

/// A set of characters by ranges, categories and other sets.
struct PatternClass: Sendable, Hashable {
    var ranges: [ClosedRange<UInt32>] = []
    var categories: CategorySet = []
    /// Whether letters count that Unicode calls alphabetic without their being of a letter's category.
    var includesAlphabetic = false
    /// Sets whose members are members, too.
    var members: [PatternClass] = []
    /// Sets to which everything must belong as well (`&&`).
    var intersections: [PatternClass] = []
    var isNegated = false
    var ignoresCase = false

    /// The members below U+0080.
    var ascii: ASCIISet {
        var ascii = ASCIISet()
        for value in 0..<UInt32(128) where contains(value) { ascii.insert(value) }
        return ascii
    }

    /// The categories whose characters from U+0080 on are the members there; nil if more than the category
    /// decides.
    var wideCategories: CategorySet? {
        let isSimple = ranges.allSatisfy { $0.upperBound < 0x80 } && !includesAlphabetic
        guard isSimple, !ignoresCase || ranges.isEmpty && categories.isEmpty else { return nil }
        var result = hasOwnMembers || intersections.isEmpty ? categories : CategorySet(rawValue: .max)
        for member in members {
            guard let inner = member.wideCategories else { return nil }
            result.formUnion(inner)
        }
        for intersection in intersections {
            guard let inner = intersection.wideCategories else { return nil }
            result.formIntersection(inner)
        }
        return isNegated ? CategorySet(rawValue: ~result.rawValue) : result
    }

    func contains(_ value: UInt32) -> Bool {
        var isMember = containsExactly(value)
        if !isMember, ignoresCase, let scalar = Unicode.Scalar(value) {
            isMember = scalar.otherCases.contains(where: containsExactly)
        }
        return isMember != isNegated
    }

    private func containsExactly(_ value: UInt32) -> Bool {
        // Everything belongs to an intersection of other sets that names none of its own.
        var isMember = hasOwnMembers ? false : !intersections.isEmpty
        isMember = isMember || ranges.contains { $0.contains(value) }
        isMember = isMember || !categories.isDisjoint(with: ScalarCategories.shared[value])
        if !isMember, includesAlphabetic {
            isMember = Unicode.Scalar(value)?.isAlphabeticScalar ?? false
        }
        isMember = isMember || members.contains { $0.contains(value) }
        return isMember && intersections.allSatisfy { $0.contains(value) }
    }

    private var hasOwnMembers: Bool {
        !ranges.isEmpty || !categories.isEmpty || includesAlphabetic || !members.isEmpty
    }

    var negated: PatternClass {
        var copy = self
        copy.isNegated.toggle()
        return copy
    }
}

/// Some of the 128 characters of ASCII.
struct ASCIISet: Sendable, Hashable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    static let all = ASCIISet(low: .max, high: .max)

    init() {}

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    mutating func insert(_ value: UInt32) {
        if value < 64 { low |= 1 << UInt64(value) } else { high |= 1 << UInt64(value & 63) }
    }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        (value < 64 ? low : high) >> UInt64(value & 63) & 1 != 0
    }

    func union(_ other: ASCIISet) -> ASCIISet { ASCIISet(low: low | other.low, high: high | other.high) }
}

extension Unicode.Scalar {
    /// The characters that differ from this one only in case.
    fileprivate var otherCases: [UInt32] {
        let folds = [properties.lowercaseMapping, properties.uppercaseMapping]
        var cases = folds.filter { $0.unicodeScalars.count == 1 }.flatMap { $0.unicodeScalars.map(\.value) }
        // The long s and the Kelvin sign are the only characters beyond ASCII that fold into it.
        switch value {
        case 0x53, 0x73: cases.append(0x17F)
        case 0x4B, 0x6B: cases.append(0x212A)
        case 0x17F: cases += [0x53, 0x73]
        case 0x212A: cases += [0x4B, 0x6B]
        default: break
        }
        return cases
    }
}

/// The names that `\p{...}` and `[:...:]` may have.
enum PatternClassNames {
    static func named(_ name: String) -> PatternClass? {
        let key = name.lowercased().filter { $0 != " " && $0 != "_" && $0 != "-" }
        if let categories = categories[key] { return PatternClass(categories: categories) }
        return others[key]
    }

    private static let categories: [String: CategorySet] = [
        "l": .letter, "letter": .letter, "lu": .uppercaseLetter, "ll": .lowercaseLetter,
        "lt": .titlecaseLetter, "lm": .modifierLetter, "lo": .otherLetter,
        "m": .mark, "mark": .mark, "mn": CategorySet(.nonspacingMark), "mc": CategorySet(.spacingMark),
        "me": CategorySet(.enclosingMark), "n": .number, "number": .number, "nd": .decimalNumber,
        "nl": CategorySet(.letterNumber), "no": CategorySet(.otherNumber), "digit": .decimalNumber,
        "p": .punctuation, "punctuation": .punctuation, "pc": .connectorPunctuation,
        "pd": CategorySet(.dashPunctuation), "ps": CategorySet(.openPunctuation),
        "pe": CategorySet(.closePunctuation), "pi": CategorySet(.initialPunctuation),
        "pf": CategorySet(.finalPunctuation), "po": CategorySet(.otherPunctuation),
        "s": .symbol, "symbol": .symbol, "sm": CategorySet(.mathSymbol), "sc": CategorySet(.currencySymbol),
        "sk": CategorySet(.modifierSymbol), "so": CategorySet(.otherSymbol), "z": .separator,
        "separator": .separator, "zs": CategorySet(.spaceSeparator), "zl": CategorySet(.lineSeparator),
        "zp": CategorySet(.paragraphSeparator), "c": .other, "other": .other, "cc": .control,
        "cntrl": .control, "cf": CategorySet(.format), "co": CategorySet(.privateUse),
        "cn": CategorySet(.unassigned), "space": .whitespace, "whitespace": .whitespace,
    ]

    /// Oniguruma's `\w`, to which some fractions and powers of Latin-1 belong.
    static let word = PatternClass(
        ranges: [0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE],
        categories: [.mark, .decimalNumber, .connectorPunctuation], includesAlphabetic: true)
    /// The `\w` of Rust's regular expressions, in which two joiners are part of words.
    static let rustWord = PatternClass(
        ranges: [0x200C...0x200D], categories: [.mark, .decimalNumber, .connectorPunctuation],
        includesAlphabetic: true)
    static let hexadecimal = PatternClass(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66])

    private static let others: [String: PatternClass] = [
        "word": word, "alnum": PatternClass(categories: [.decimalNumber], includesAlphabetic: true),
        "alpha": PatternClass(includesAlphabetic: true),
        "alphabetic": PatternClass(includesAlphabetic: true),
        "upper": PatternClass(categories: .uppercaseLetter),
        "lower": PatternClass(categories: .lowercaseLetter),
        "xdigit": hexadecimal, "any": PatternClass(ranges: [0...0x10FFFF]),
        "ascii": PatternClass(ranges: [0...0x7F]),
        "blank": PatternClass(ranges: [0x09...0x09], categories: CategorySet(.spaceSeparator)),
        // Oniguruma counts the nine ASCII symbols as punctuation in this class and all other symbols, too.
        "punct": PatternClass(categories: [.punctuation, .symbol]),
        "han": PatternClass(ranges: [
            0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007,
            0x3021...0x3029, 0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D,
            0xFA70...0xFAD9, 0x16FE2...0x16FE3, 0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739,
            0x2B740...0x2B81D, 0x2B820...0x2CEA1, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D,
            0x30000...0x3134A, 0x31350...0x323AF,
        ]),
        "hiragana": PatternClass(ranges: [
            0x3041...0x3096, 0x309D...0x309F, 0x1B001...0x1B11F, 0x1B132...0x1B132, 0x1B150...0x1B152,
            0x1F200...0x1F200,
        ]),
        "katakana": PatternClass(ranges: [
            0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0x32D0...0x32FE, 0x3300...0x3357,
            0xFF66...0xFF6F, 0xFF71...0xFF9D, 0x1AFF0...0x1AFF3, 0x1AFF5...0x1AFFB, 0x1AFFD...0x1AFFE,
            0x1B000...0x1B000, 0x1B120...0x1B122, 0x1B155...0x1B155, 0x1B164...0x1B167,
        ]),
        "hangul": PatternClass(ranges: [
            0x1100...0x11FF, 0x302E...0x302F, 0x3131...0x318E, 0x3200...0x321E, 0x3260...0x327E,
            0xA960...0xA97C, 0xAC00...0xD7A3, 0xD7B0...0xD7C6, 0xD7CB...0xD7FB, 0xFFA0...0xFFBE,
            0xFFC2...0xFFC7, 0xFFCA...0xFFCF, 0xFFD2...0xFFD7, 0xFFDA...0xFFDC,
        ]),
    ]
}
