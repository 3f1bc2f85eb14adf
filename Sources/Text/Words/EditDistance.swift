// Finds the name somebody probably meant, for "did you mean" in diagnostics.

/// Damerau-Levenshtein distance in its optimal string alignment form: insertions, deletions, replacements and
/// swaps of neighbors count one each, and no part is edited twice.
package enum EditDistance {
    /// Of longer sequences only so many candidates are looked at.
    package static let maximumCandidates = 2_000
    /// Longer words, in characters, have no neighbors.
    package static let maximumLength = 64

    /// The candidate nearest to a word, if it is near enough to be meant: at most about a third of the
    /// letters differ, case not counting. Of equally near ones the nearest with case counting, then the
    /// first.
    package static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        let original = Array(word)
        guard !original.isEmpty, original.count <= maximumLength else { return nil }
        let lowered = word.lowercased()
        let wanted = Array(lowered)
        var best: (candidate: String, distance: Int, caseDistance: Int)?
        for candidate in candidates.prefix(maximumCandidates) {
            let letters = Array(candidate.lowercased())
            guard letters.count <= maximumLength, !letters.isEmpty else { continue }
            let limit = max(1, max(wanted.count, letters.count) / 3)
            guard abs(letters.count - wanted.count) <= limit else { continue }
            let distance = Self.distance(wanted, letters)
            // Of words as short as this, every edit makes another word.
            guard distance <= limit, distance < max(wanted.count, letters.count) else { continue }
            let caseDistance = Self.distance(original, Array(candidate))
            if let best, (best.distance, best.caseDistance) <= (distance, caseDistance) { continue }
            best = (candidate, distance, caseDistance)
        }
        return best?.candidate
    }

    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var beforePrevious = [Int](repeating: 0, count: right.count + 1)
        var previous = Array(0...right.count)
        var current = previous
        for row in 0..<left.count {
            current[0] = row + 1
            for column in 0..<right.count {
                let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
                var cost = min(previous[column + 1] + 1, current[column] + 1, replaced)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current[column + 1] = cost
            }
            (beforePrevious, previous, current) = (previous, current, beforePrevious)
        }
        return previous[right.count]
    }
}
