// General categories by table: a splitting pattern asks for the category of every character of a text.

/// One general category, or the control characters that count as white space, as a bit of a set.
struct CategorySet: OptionSet, Hashable, Sendable {
    let rawValue: UInt32

    static let uppercaseLetter = Self(.uppercaseLetter), lowercaseLetter = Self(.lowercaseLetter)
    static let titlecaseLetter = Self(.titlecaseLetter), modifierLetter = Self(.modifierLetter)
    static let otherLetter = Self(.otherLetter)
    static let letter: Self = [
        .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
    ]
    static let mark: Self = [Self(.nonspacingMark), Self(.spacingMark), Self(.enclosingMark)]
    static let decimalNumber = Self(.decimalNumber)
    static let number: Self = [.decimalNumber, Self(.letterNumber), Self(.otherNumber)]
    static let connectorPunctuation = Self(.connectorPunctuation)
    static let punctuation: Self = [
        .connectorPunctuation, Self(.dashPunctuation), Self(.openPunctuation), Self(.closePunctuation),
        Self(.initialPunctuation), Self(.finalPunctuation), Self(.otherPunctuation),
    ]
    static let symbol: Self = [
        Self(.mathSymbol), Self(.currencySymbol), Self(.modifierSymbol), Self(.otherSymbol),
    ]
    static let separator: Self = [Self(.spaceSeparator), Self(.lineSeparator), Self(.paragraphSeparator)]
    /// U+0009 to U+000D and U+0085: of category Cc, yet white space.
    static let spaceControl = Self(rawValue: 1 << 30)
    static let control: Self = [Self(.control), .spaceControl]
    static let other: Self = [
        .control, Self(.format), Self(.surrogate), Self(.privateUse), Self(.unassigned),
    ]
    /// Unicode's White_Space, which is what `\s` means to Oniguruma and Rust's `char::is_whitespace`.
    static let whitespace: Self = [.separator, .spaceControl]

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(_ category: Unicode.GeneralCategory) { rawValue = 1 << UInt32(ScalarCategories.index(category)) }
}

/// The categories of all characters; those of the first two planes lie in a table, 128 KiB, made at the
/// first use in some milliseconds.
struct ScalarCategories: Sendable {
    static let shared = ScalarCategories()
    private static let tableSize: UInt32 = 0x20000

    private let table: [UInt8]

    private init() {
        var table = [UInt8](repeating: 0, count: Int(Self.tableSize))
        let uniform: [(range: ClosedRange<UInt32>, category: Unicode.GeneralCategory)] = [
            (0x3400...0x4DBF, .otherLetter), (0x4E00...0x9FFC, .otherLetter), (0xAC00...0xD7A3, .otherLetter),
            (0xD800...0xDFFF, .surrogate), (0xE000...0xF8FF, .privateUse),
        ]
        var next: UInt32 = 0
        for (range, category) in uniform {
            Self.fill(&table, from: next, to: range.lowerBound)
            for value in range { table[Int(value)] = UInt8(Self.index(category)) }
            next = range.upperBound + 1
        }
        Self.fill(&table, from: next, to: Self.tableSize)
        self.table = table
    }

    private static func fill(_ table: inout [UInt8], from start: UInt32, to end: UInt32) {
        for value in start..<end {
            if let scalar = Unicode.Scalar(value) { table[Int(value)] = UInt8(index(of: scalar)) }
        }
    }

    /// The category of a character as a set of one.
    @inline(__always)
    subscript(value: UInt32) -> CategorySet {
        if value < Self.tableSize { return CategorySet(rawValue: 1 << UInt32(table[Int(value)])) }
        return CategorySet(rawValue: 1 << UInt32(Unicode.Scalar(value).map(Self.index(of:)) ?? 0))
    }

    private static func index(of scalar: Unicode.Scalar) -> Int {
        if (0x09...0x0D).contains(scalar.value) || scalar.value == 0x85 { return 30 }
        let category = scalar.properties.generalCategory
        // Hugging Face's tables are those of Unicode 16; what came later is unassigned there.
        if category == .unassigned || scalar.age > 16 { return 0 }
        return index(category)
    }

    /// A number below 30 for each category.
    static func index(_ category: Unicode.GeneralCategory) -> Int {
        switch category {
        case .unassigned: 0
        case .uppercaseLetter: 1
        case .lowercaseLetter: 2
        case .titlecaseLetter: 3
        case .modifierLetter: 4
        case .otherLetter: 5
        case .nonspacingMark: 6
        case .spacingMark: 7
        case .enclosingMark: 8
        case .decimalNumber: 9
        case .letterNumber: 10
        case .otherNumber: 11
        case .connectorPunctuation: 12
        case .dashPunctuation: 13
        case .openPunctuation: 14
        case .closePunctuation: 15
        case .initialPunctuation: 16
        case .finalPunctuation: 17
        case .otherPunctuation: 18
        case .mathSymbol: 19
        case .currencySymbol: 20
        case .modifierSymbol: 21
        case .otherSymbol: 22
        case .spaceSeparator: 23
        case .lineSeparator: 24
        case .paragraphSeparator: 25
        case .control: 26
        case .format: 27
        case .surrogate: 28
        case .privateUse: 29
        @unknown default: 0
        }
    }
}

extension Unicode.Scalar {
    /// The version of Unicode that brought the character, without what is behind the point.
    var age: Int { properties.age?.major ?? .max }

    /// Whether the character is a letter or used as one, according to Unicode 16.
    var isAlphabeticScalar: Bool {
        properties.isAlphabetic && ScalarCategories.shared[value] != CategorySet(.unassigned)
    }

    var isWhitespaceScalar: Bool { CategorySet.whitespace.contains(ScalarCategories.shared[value]) }
}
