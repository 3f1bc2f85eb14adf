// ROUGE-L: how long a sequence of words two texts share in order.

package enum RougeL {
    /// More words of a text are left out: the table has their product in cells.
    package static let maximumWords = 4_000

    /// 2PR / (P + R) over the longest common subsequence of words (Lin, 2004), in lower case. Each Chinese,
    /// Japanese or Korean character is a word by itself. Two texts without words give 0.
    package static func fMeasure(_ answer: String, _ reference: String) -> Double {
        let (one, other) = (words(answer), words(reference))
        guard !one.isEmpty, !other.isEmpty else { return 0 }
        var lengths = [Int](repeating: 0, count: other.count + 1)
        for word in one {
            var diagonal = 0
            for (index, candidate) in other.enumerated() {
                let above = lengths[index + 1]
                lengths[index + 1] = word == candidate ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        let common = Double(lengths[other.count])
        return 2 * common / Double(one.count + other.count)
    }

    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        for scalar in text.lowercased().unicodeScalars {
            let isIdeograph = scalar.properties.isIdeographic || (0x3040...0x30FF).contains(scalar.value)
            if scalar.properties.isAlphabetic || scalar.properties.numericType != nil, !isIdeograph {
                word.unicodeScalars.append(scalar)
                continue
            }
            if !word.isEmpty { words.append(word) }
            word = ""
            if isIdeograph { words.append(String(scalar)) }
        }
        if !word.isEmpty { words.append(word) }
        return Array(words.prefix(maximumWords))
    }
}
