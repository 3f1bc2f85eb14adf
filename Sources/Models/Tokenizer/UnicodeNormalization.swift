// Unicode's normalization forms over UTF-8 (Unicode Standard Annex 15), in time linear but for the sorting of
// marks. Foundation's own needs 6 seconds for 3 MB and quadratic time for runs of marks, so that it is asked
// for the decomposition of single characters only.

import Foundation

/// The four forms. They agree with Hugging Face's tokenizers, whose tables are those of Unicode 9: what came
/// later is left as it is.
enum UnicodeNormalization: Sendable {
    case nfc, nfd, nfkc, nfkd

    private var composes: Bool { self == .nfc || self == .nfkc }
    private var isCompatible: Bool { self == .nfkc || self == .nfkd }

    /// - Returns: the normalized text, nil if it is normalized already.
    func normalized(_ text: UTF8Text) -> [UInt8]? {
        if text.isASCII { return nil }
        let boundary = isCompatible || !composes ? Boundary.decomposing(isCompatible) : .composing
        guard var unclean = firstUnclean(text, from: 0, boundary) else { return nil }
        let tables = NormalizationTables.shared(compatible: isCompatible)
        var result: [UInt8] = []
        result.reserveCapacity(text.count + 16)
        var copied = 0
        var scalars: [UInt32] = []
        while true {
            // A mark may join the clean character before it, which begins the part to be worked on.
            let start = max(copied, unclean > 0 ? text.start(before: unclean) : 0)
            result.append(contentsOf: text.part(copied..<start))
            scalars.removeAll(keepingCapacity: true)
            var index = start
            while index < text.count {
                let (value, end) = text.scalar(at: index)
                if index > unclean, boundary.isClean(value) { break }
                tables.appendDecomposition(of: value, to: &scalars)
                index = end
            }
            tables.reorder(&scalars)
            if composes { tables.compose(&scalars) }
            for value in scalars { result.append(scalar: value) }
            copied = index
            guard let next = firstUnclean(text, from: index, boundary) else { break }
            unclean = next
        }
        result.append(contentsOf: text.part(copied..<text.count))
        return result
    }

    private func firstUnclean(_ text: UTF8Text, from start: Int, _ boundary: Boundary) -> Int? {
        var index = start
        while index < text.count {
            let (value, end) = text.scalar(at: index)
            if value >= 0x80, !boundary.isClean(value) { return index }
            index = end
        }
        return nil
    }
}

extension UnicodeNormalization {
    /// Which characters certainly neither change nor join what stands before them.
    private enum Boundary {
        case composing
        case decomposing(Bool)

        func isClean(_ value: UInt32) -> Bool {
            switch self {
            case .composing: return value < 0x300 || Self.staysWhenComposing(value)
            case .decomposing(let isCompatible):
                if value < 0x80 || (0x4E00...0x9FFC).contains(value) { return true }
                let tables = NormalizationTables.shared(compatible: isCompatible)
                return tables.decomposition(of: value) == nil && tables.combiningClass(value) == 0
                    && !(0x1100...0x11FF).contains(value) && !(0xAC00...0xD7A3).contains(value)
                    && !ScalarCategories.shared[value].isSubset(of: .mark)
            }
        }

        /// Neither marks nor vowels and finals of Hangul, nor in the blocks of characters that composition
        /// replaces. Some of those blocks' characters stay, but are rare enough to be worked on in vain.
        private static func staysWhenComposing(_ value: UInt32) -> Bool {
            switch value {
            case 0x340...0x344, 0x374, 0x37E, 0x387, 0x958...0x95F, 0x9DC...0x9DF, 0xA33...0xA36,
                0xA59...0xA5E, 0xB5C...0xB5D, 0xF43...0xFB9, 0x1160...0x11FF, 0x1F71...0x1FFD,
                0x2000...0x2001, 0x2126...0x212B, 0x2329...0x232A, 0x2ADC, 0xF900...0xFAD9,
                0xFB1D...0xFB4E, 0x1D15E...0x1D1C0, 0x2F800...0x2FA1D:
                return false
            default: return !ScalarCategories.shared[value].isSubset(of: .mark)
            }
        }
    }
}

/// What each character consists of, and what pairs become.
struct NormalizationTables: Sendable {
    private static let canonical = NormalizationTables(compatible: false)
    private static let compatible = NormalizationTables(compatible: true)

    /// Made at the first use, in some ten milliseconds.
    static func shared(compatible isCompatible: Bool) -> NormalizationTables {
        isCompatible ? compatible : canonical
    }

    private var decompositions: [UInt32: [UInt32]] = [:]
    private var compositions: [UInt64: UInt32] = [:]

    /// Where Unicode 9 has characters that consist of others, Hangul apart, whose are computed.
    private static let blocks: [ClosedRange<UInt32>] = [
        0xA0...0x33FF, 0xA69C...0xA69D, 0xA770...0xA770, 0xA7F8...0xA7F9, 0xAB5C...0xAB5F, 0xF900...0xFFEE,
        0x1109A...0x11A00, 0x1D15E...0x1D1C0, 0x1D400...0x1D7FF, 0x1EE00...0x1EEFF, 0x1F100...0x1F2FF,
        0x2F800...0x2FA1D,
    ]

    private init(compatible: Bool) {
        for value in Self.blocks.joined() {
            guard let scalar = Unicode.Scalar(value), scalar.isInUnicode9 else { continue }
            let text = String(scalar)
            let canonical = text.decomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
            if canonical != [value] { addComposition(of: text, value, parts: canonical) }
            let parts =
                compatible
                ? text.decomposedStringWithCompatibilityMapping.unicodeScalars.map(\.value) : canonical
            if parts != [value] { decompositions[value] = parts }
        }
    }

    /// Characters that composition makes are those it leaves alone; the last mark of such a character joined
    /// what the others make.
    private mutating func addComposition(of text: String, _ value: UInt32, parts: [UInt32]) {
        guard parts.count > 1,
            text.precomposedStringWithCanonicalMapping.unicodeScalars.map(\.value) == [value]
        else { return }
        var rest = String.UnicodeScalarView()
        rest.append(contentsOf: parts.dropLast().compactMap { Unicode.Scalar($0) })
        let first = String(rest).precomposedStringWithCanonicalMapping.unicodeScalars
        guard first.count == 1, let first = first.first, let last = parts.last else { return }
        compositions[UInt64(first.value) << 32 | UInt64(last)] = value
    }

    func decomposition(of value: UInt32) -> [UInt32]? { decompositions[value] }

    func appendDecomposition(of value: UInt32, to scalars: inout [UInt32]) {
        if value < 0x80 {
            scalars.append(value)
        } else if (0xAC00...0xD7A3).contains(value) {
            let syllable = value - 0xAC00
            scalars.append(0x1100 + syllable / 588)
            scalars.append(0x1161 + syllable % 588 / 28)
            if syllable % 28 != 0 { scalars.append(0x11A7 + syllable % 28) }
        } else if let parts = decompositions[value] {
            scalars.append(contentsOf: parts)
        } else {
            scalars.append(value)
        }
    }

    func combiningClass(_ value: UInt32) -> UInt8 {
        guard value >= 0x300, ScalarCategories.shared[value].isSubset(of: .mark),
            let scalar = Unicode.Scalar(value), scalar.isInUnicode9
        else { return 0 }
        return UInt8(scalar.properties.canonicalCombiningClass.rawValue)
    }

    /// Sorts each run of marks by class, keeping the order within a class.
    func reorder(_ scalars: inout [UInt32]) {
        var start = 0
        while start < scalars.count {
            guard combiningClass(scalars[start]) != 0 else {
                start += 1
                continue
            }
            var run: [(order: UInt64, value: UInt32)] = []
            var end = start
            while end < scalars.count {
                let order = combiningClass(scalars[end])
                if order == 0 { break }
                run.append((UInt64(order) << 40 | UInt64(end), scalars[end]))
                end += 1
            }
            if run.count > 1 {
                run.sort { $0.order < $1.order }
                for (offset, mark) in run.enumerated() { scalars[start + offset] = mark.value }
            }
            start = end
        }
    }

    /// Joins each starter with the marks that nothing of the same or a higher class separates from it.
    func compose(_ scalars: inout [UInt32]) {
        guard !scalars.isEmpty else { return }
        var written = 0
        var starter: Int?
        var lastClass: UInt8 = 0
        for value in scalars {
            let order = combiningClass(value)
            if let place = starter, written == place + 1 || (lastClass != 0 && lastClass < order),
                let joined = composition(scalars[place], value)
            {
                scalars[place] = joined
                continue
            }
            if order == 0 { starter = written }
            lastClass = order
            scalars[written] = value
            written += 1
        }
        scalars.removeLast(scalars.count - written)
    }

    private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
            return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
        }
        if (0xAC00...0xD7A3).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8...0x11C2).contains(second) {
            return first + second - 0x11A7
        }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

extension Unicode.Scalar {
    /// Whether the character was in the Unicode version whose tables Hugging Face's tokenizers use.
    var isInUnicode9: Bool { age <= 9 }
}
