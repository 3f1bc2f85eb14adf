// How a tokenized row is written in a file.

/// Rows as words of four bytes.
enum RowCodec {
    private enum Kind: Int32 {
        case sequence, preference, unpaired
    }

    /// A sequence: 0, tokens, ranges that are learned, their bounds, ids. A preference: 1, the counts of
    /// prompt, chosen and rejected, ids. An unpaired answer: 2, the counts of prompt and completion, 1 if it
    /// is good, ids.
    static func append(_ row: TrainingRow, to bytes: inout [UInt8]) {
        var words: [Int32]
        switch row {
        case .sequence(let row):
            let bounds = learnedBounds(row)
            words =
                [Kind.sequence.rawValue, Int32(row.ids.count), Int32(bounds.count / 2)] + bounds + row.ids
        case .preference(let row):
            words = [Kind.preference.rawValue]
            words += [row.prompt, row.chosen, row.rejected].map { Int32($0.count) }
            words += row.prompt + row.chosen + row.rejected
        case .unpaired(let row):
            words = [Kind.unpaired.rawValue, Int32(row.prompt.count), Int32(row.completion.count)]
            words.append(row.isDesirable ? 1 : 0)
            words += row.prompt + row.completion
        }
        words.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// - Returns: nil if the bytes are no row.
    static func row(_ bytes: [UInt8]) -> TrainingRow? {
        guard bytes.count % 4 == 0, bytes.count >= 12 else { return nil }
        let words = [Int32](unsafeUninitializedCapacity: bytes.count / 4) { buffer, count in
            UnsafeMutableRawBufferPointer(buffer).copyBytes(from: bytes)
            count = bytes.count / 4
        }
        switch Kind(rawValue: words[0]) {
        case .sequence:
            let bounds = 2 * Int(words[2])
            guard bounds >= 0, words[1] >= 0, words.count == 3 + bounds + Int(words[1]) else { return nil }
            let ids = Array(words[(3 + bounds)...])
            var labels = [Int32](repeating: TokenSequence.ignored, count: ids.count)
            for index in stride(from: 3, to: 3 + bounds, by: 2) {
                let (lower, upper) = (Int(words[index]), Int(words[index + 1]))
                guard lower >= 0, lower <= upper, upper <= ids.count else { return nil }
                labels.replaceSubrange(lower..<upper, with: ids[lower..<upper])
            }
            return .sequence(TokenSequence(ids: ids, labels: labels))
        case .preference:
            guard words.count > 3, let parts = parts(words, Array(words[1...3])) else { return nil }
            return .preference(PreferencePair(prompt: parts[0], chosen: parts[1], rejected: parts[2]))
        case .unpaired:
            guard words.count > 3, let parts = parts(words, Array(words[1...2])) else { return nil }
            return .unpaired(
                UnpairedAnswer(prompt: parts[0], completion: parts[1], isDesirable: words[3] == 1))
        case nil: return nil
        }
    }

    private static func parts(_ words: [Int32], _ counts: [Int32]) -> [[Int32]]? {
        var start = 4
        var parts: [[Int32]] = []
        for count in counts {
            guard count >= 0, start + Int(count) <= words.count else { return nil }
            parts.append(Array(words[start..<start + Int(count)]))
            start += Int(count)
        }
        return start == words.count ? parts : nil
    }

    private static func learnedBounds(_ row: TokenSequence) -> [Int32] {
        var bounds: [Int32] = []
        var wasLearned = false
        for (index, label) in row.labels.enumerated() {
            let isLearned = label != TokenSequence.ignored
            if isLearned != wasLearned { bounds.append(Int32(index)) }
            wasLearned = isLearned
        }
        if wasLearned { bounds.append(Int32(row.labels.count)) }
        return bounds
    }
}
