// Sprig's semantic versions and constraints on them, with the rules of github.com/Masterminds/semver v3.

enum SprigVersions {
    static let signatures: [String: String] = ["semver": "version", "semverCompare": "constraint version"]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(call.arguments.count - 1)
        try call.spend(steps: text.utf8.count)
        guard let version = SemanticVersion(text) else {
            throw call.error("\"\(text)\" is not a semantic version")
        }
        guard call.name == "semverCompare" else { return version.value(original: text) }
        let constraint = try call.string(0)
        try call.spend(steps: constraint.utf8.count)
        guard let alternatives = VersionConstraint.alternatives(in: constraint) else {
            throw call.error("\"\(constraint)\" is not a constraint on versions")
        }
        return .bool(
            alternatives.contains { all in all.allSatisfy { $0.accepts(version) } })
    }
}

/// A version of semver.org 2.0; a leading `v` and absent minor and patch numbers are accepted.
struct SemanticVersion {
    var numbers: [UInt64]
    var prerelease: String
    var metadata: String
    /// How many of the three numbers were written and are not wildcards.
    var given: Int

    init?(_ text: String) { self.init(text[...], wildcards: false) }

    /// With wildcards, numbers may be `x`, `X` or `*`, and then count as zero like absent ones.
    init?(_ text: Substring, wildcards: Bool) {
        var rest = text
        if rest.first == "v" { rest = rest.dropFirst() }
        (metadata, prerelease, given) = ("", "", 3)
        if let plus = rest.firstIndex(of: "+") {
            metadata = String(rest[rest.index(after: plus)...])
            rest = rest[..<plus]
            guard Self.isIdentifiers(metadata, numbersHaveNoZeros: false) else { return nil }
        }
        if let dash = rest.firstIndex(of: "-") {
            prerelease = String(rest[rest.index(after: dash)...])
            rest = rest[..<dash]
            guard Self.isIdentifiers(prerelease, numbersHaveNoZeros: true) else { return nil }
        }
        let parts = rest.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count <= 3 else { return nil }
        numbers = []
        for part in parts {
            if wildcards, ["x", "X", "*"].contains(part) {
                given = min(given, numbers.count)
                numbers.append(0)
            } else {
                guard part.utf8.allSatisfy(Self.isDigit), let number = UInt64(part) else { return nil }
                numbers.append(number)
            }
        }
        given = min(given, parts.count)
        while numbers.count < 3 { numbers.append(0) }
        // What follows a wildcard says nothing.
        for index in given..<3 { numbers[index] = 0 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private static func isIdentifiers(_ text: String, numbersHaveNoZeros: Bool) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            guard !part.isEmpty,
                part.utf8.allSatisfy({
                    isDigit($0) || $0 == UInt8(ascii: "-") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0
                        || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
                })
            else { return false }
            return !numbersHaveNoZeros || part.count == 1 || part.first != "0"
                || !part.utf8.allSatisfy(isDigit)
        }
    }

    /// Precedence as semver.org orders it; build metadata plays no part.
    static func precedes(_ left: SemanticVersion, _ right: SemanticVersion) -> Bool {
        if left.numbers != right.numbers { return left.numbers.lexicographicallyPrecedes(right.numbers) }
        if left.prerelease == right.prerelease { return false }
        // A version comes after all its prereleases.
        if left.prerelease.isEmpty || right.prerelease.isEmpty { return right.prerelease.isEmpty }
        let (leftParts, rightParts) = (
            left.prerelease.split(separator: "."), right.prerelease.split(separator: ".")
        )
        for (one, other) in zip(leftParts, rightParts) where one != other {
            let (isNumber, otherIsNumber) = (one.utf8.allSatisfy(isDigit), other.utf8.allSatisfy(isDigit))
            if isNumber != otherIsNumber { return isNumber }
            // Numbers have no leading zeros, so the longer one is larger, however long.
            if isNumber, one.utf8.count != other.utf8.count { return one.utf8.count < other.utf8.count }
            return one.utf8.lexicographicallyPrecedes(other.utf8)
        }
        return leftParts.count < rightParts.count
    }

    /// What an expression sees, under the names of the Go type's methods.
    fileprivate func value(original: String) -> ExpressionValue {
        .object([
            "Major": .int(Int(clamping: numbers[0])), "Minor": .int(Int(clamping: numbers[1])),
            "Patch": .int(Int(clamping: numbers[2])), "Prerelease": .string(prerelease),
            "Metadata": .string(metadata), "Original": .string(original),
        ])
    }
}

/// One comparison of a constraint such as `>=1.2, <2 || ^3.1`.
private struct VersionConstraint {
    let comparison: String
    let bound: SemanticVersion

    /// Whether the version passes. Prereleases pass only where the bound is one too.
    func accepts(_ version: SemanticVersion) -> Bool {
        if !version.prerelease.isEmpty, bound.prerelease.isEmpty { return false }
        let below = SemanticVersion.precedes(version, bound)
        let above = SemanticVersion.precedes(bound, version)
        switch comparison {
        case "", "=", "==": return bound.given < 3 ? matchesGiven(version) : !below && !above
        case "!=": return bound.given < 3 ? !matchesGiven(version) : below || above
        // What is left open is not exceeded by any value in its place: 11.4 is not above 11.
        case ">": return bound.given < 3 ? above && !matchesGiven(version) : above
        case ">=", "=>": return !below
        case "<": return below
        case "<=", "=<": return bound.given < 3 ? below || matchesGiven(version) : !above
        case "~", "~>": return !below && same(version, bound.given == 1 ? 1 : min(bound.given, 2))
        // The first number that is not zero must stay.
        case "^":
            let leading = bound.numbers.prefix(bound.given).firstIndex { $0 != 0 } ?? max(bound.given - 1, 0)
            return !below && same(version, bound.given == 0 ? 0 : leading + 1)
        default: return false
        }
    }

    private func matchesGiven(_ version: SemanticVersion) -> Bool { same(version, bound.given) }

    private func same(_ version: SemanticVersion, _ count: Int) -> Bool {
        version.numbers.prefix(count).elementsEqual(bound.numbers.prefix(count))
    }

    private static let comparisons: Set<String> = [
        "", "=", "==", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^",
    ]

    /// The constraint's alternatives, each a list of comparisons that must all pass; nil if it cannot be
    /// read.
    static func alternatives(in text: String) -> [[VersionConstraint]]? {
        var alternatives: [[VersionConstraint]] = []
        for part in text.replacing("||", with: "\u{0}").split(
            separator: "\u{0}", omittingEmptySubsequences: false)
        {
            guard let all = comparisons(in: part), !all.isEmpty else { return nil }
            alternatives.append(all)
        }
        return alternatives
    }

    private static func comparisons(in text: Substring) -> [VersionConstraint]? {
        let separators: Set<Character> = [" ", "\t", ","]
        let signs = Set("=!<>~^")
        var result: [VersionConstraint] = []
        var rest = text.drop(while: separators.contains)
        var rangeIsOpen = false
        while !rest.isEmpty {
            let comparison = String(rest.prefix(while: signs.contains))
            rest = rest.dropFirst(comparison.count).drop { $0 == " " || $0 == "\t" }
            let word = rest.prefix { !separators.contains($0) && !signs.contains($0) }
            rest = rest.dropFirst(word.count).drop(while: separators.contains)
            if word == "-", comparison.isEmpty, let last = result.last, last.comparison.isEmpty, !rangeIsOpen
            {
                // `1.2 - 1.4` is `>=1.2 <=1.4`.
                result[result.count - 1] = VersionConstraint(comparison: ">=", bound: last.bound)
                rangeIsOpen = true
                continue
            }
            guard comparisons.contains(comparison), let bound = SemanticVersion(word, wildcards: true) else {
                return nil
            }
            if rangeIsOpen, !comparison.isEmpty { return nil }
            result.append(VersionConstraint(comparison: rangeIsOpen ? "<=" : comparison, bound: bound))
            rangeIsOpen = false
        }
        return rangeIsOpen ? nil : result
    }
}
