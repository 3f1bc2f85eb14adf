// Sets of characters, as [a-z], \d or \p{Lu} describe them.

struct ScalarSet: Sendable {
    /// Sorted, neither overlapping nor touching.
    private(set) var ranges: [ClosedRange<UInt32>] = []
    /// Members by general category. Tables of all their characters would be large and slow to make.
    private(set) var categories: [CategoryTest] = []
    private(set) var isNegated = false
    private(set) var foldsCase = false
    /// The folded form of the members of small ranges; what it lacks is found by trying the other cases.
    private var folded: Set<UInt32> = []
    /// One bit for each ASCII character, in which everything above is already considered.
    private var ascii: (low: UInt64, high: UInt64) = (0, 0)

    struct CategoryTest: Sendable {
        var categories: [Unicode.GeneralCategory]
        var isNegated: Bool

        func contains(_ scalar: Unicode.Scalar) -> Bool {
            categories.contains(scalar.properties.generalCategory) != isNegated
        }
    }

    /// - Parameter ranges: in any order, overlapping as they like.
    init(
        ranges: [ClosedRange<UInt32>], categories: [CategoryTest] = [], isNegated: Bool = false,
        foldsCase: Bool = false
    ) {
        self.ranges = Self.merged(ranges)
        self.categories = categories
        self.isNegated = isNegated
        self.foldsCase = foldsCase
        if foldsCase {
            for range in self.ranges where range.count <= 512 {
                folded.formUnion(range.compactMap { Unicode.Scalar($0)?.caseFolded.value })
            }
        }
        var bits: (low: UInt64, high: UInt64) = (0, 0)
        for value in 0..<UInt32(128) where slowlyContains(value) {
            if value < 64 { bits.low |= 1 << UInt64(value) } else { bits.high |= 1 << UInt64(value - 64) }
        }
        ascii = bits
    }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        if value < 64 { return ascii.low >> UInt64(value) & 1 != 0 }
        if value < 128 { return ascii.high >> UInt64(value - 64) & 1 != 0 }
        return slowlyContains(value)
    }

    private func slowlyContains(_ value: UInt32) -> Bool {
        var isMember = containsExactly(value)
        if foldsCase, !isMember, let scalar = Unicode.Scalar(value) {
            isMember =
                folded.contains(scalar.caseFolded.value)
                || scalar.otherCases.contains { containsExactly($0.value) }
        }
        return isMember != isNegated
    }

    private func containsExactly(_ value: UInt32) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        if low < ranges.count, ranges[low].contains(value) { return true }
        guard !categories.isEmpty, let scalar = Unicode.Scalar(value) else { return false }
        return categories.contains { $0.contains(scalar) }
    }

    static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound &+ 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// Everything but the given ranges.
    static func complement(of ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in merged(ranges) {
            if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return result
    }
}

extension Unicode.Scalar {
    /// The same for all characters that differ only in case.
    var caseFolded: Unicode.Scalar {
        if value < 0x80 { return (0x41...0x5A).contains(value) ? Unicode.Scalar(UInt8(value + 0x20)) : self }
        // Upper case first: it joins the long s with the s, and the micro sign with the mu.
        return uppercase.lowercase
    }

    fileprivate var otherCases: [Unicode.Scalar] { [uppercase, lowercase, uppercase.lowercase] }

    private var uppercase: Unicode.Scalar { Self.single(properties.uppercaseMapping) ?? self }
    private var lowercase: Unicode.Scalar { Self.single(properties.lowercaseMapping) ?? self }

    private static func single(_ mapping: String) -> Unicode.Scalar? {
        let scalars = mapping.unicodeScalars
        return scalars.count == 1 ? scalars.first : nil
    }
}

/// Names of character classes.
enum NamedClasses {
    static let digit: [ClosedRange<UInt32>] = [0x30...0x39]
    static let space: [ClosedRange<UInt32>] = [0x09...0x0A, 0x0C...0x0D, 0x20...0x20]
    static let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]

    static let posix: [String: [ClosedRange<UInt32>]] = [
        "alnum": [0x30...0x39, 0x41...0x5A, 0x61...0x7A],
        "alpha": [0x41...0x5A, 0x61...0x7A],
        "ascii": [0x00...0x7F],
        "blank": [0x09...0x09, 0x20...0x20],
        "cntrl": [0x00...0x1F, 0x7F...0x7F],
        "digit": digit,
        "graph": [0x21...0x7E],
        "lower": [0x61...0x7A],
        "print": [0x20...0x7E],
        "punct": [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E],
        "space": [0x09...0x0D, 0x20...0x20],
        "upper": [0x41...0x5A],
        "word": word,
        "xdigit": [0x30...0x39, 0x41...0x46, 0x61...0x66],
    ]

    /// The categories behind a name of Unicode: a letter for a group of them, two letters for one.
    static func categories(named name: String) -> [Unicode.GeneralCategory]? {
        let exact = byName.filter { $0.name == name }.map(\.category)
        if !exact.isEmpty { return exact }
        guard name.utf8.count == 1 else { return nil }
        let group = byName.filter { $0.name.hasPrefix(name) }.map(\.category)
        return group.isEmpty ? nil : group
    }

    private static let byName: [(name: String, category: Unicode.GeneralCategory)] = [
        ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter),
        ("Lo", .otherLetter), ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark),
        ("Nd", .decimalNumber), ("Nl", .letterNumber), ("No", .otherNumber), ("Pc", .connectorPunctuation),
        ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation),
        ("Pi", .initialPunctuation), ("Pf", .finalPunctuation), ("Po", .otherPunctuation),
        ("Sm", .mathSymbol),
        ("Sc", .currencySymbol), ("Sk", .modifierSymbol), ("So", .otherSymbol), ("Zs", .spaceSeparator),
        ("Zl", .lineSeparator), ("Zp", .paragraphSeparator), ("Cc", .control), ("Cf", .format),
        ("Cs", .surrogate), ("Co", .privateUse),
    ]
}
