// Perplexity of texts: how surprised a model is by a word, a byte or a token.

import Glibc
import Text

/// The likelihood of one document with its size.
package struct DocumentLikelihood: Sendable, Hashable {
    /// The sum of natural log-probabilities.
    package var logLikelihood: Double
    package var tokens: Int
    /// As lm-evaluation-harness counts: the pieces of the text between blanks.
    package var words: Int
    /// Of UTF-8.
    package var bytes: Int

    package init(logLikelihood: Double, tokens: Int, words: Int, bytes: Int) {
        self.logLikelihood = logLikelihood
        self.tokens = tokens
        self.words = words
        self.bytes = bytes
    }

    package init(_ likelihood: RollingLikelihood, text: String) {
        self.init(
            logLikelihood: likelihood.sum, tokens: likelihood.tokens, words: Self.words(in: text),
            bytes: text.utf8.count)
    }

    /// `len(re.split(r"\s+", text))`: blanks at the beginning or the end make an empty word, and no text is
    /// one.
    package static func words(in text: String) -> Int {
        var runs = 0
        var isBlank = false
        for scalar in text.unicodeScalars {
            let blank = scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
            if blank && !isBlank { runs += 1 }
            isBlank = blank
        }
        return runs + 1
    }
}

package enum Perplexity {
    /// What the log-likelihood is divided by.
    package enum Unit: String, Sendable {
        case word, byte, token
    }

    /// exp(-sum of log-likelihoods / sum of units), over all documents together.
    package static func value(_ documents: [DocumentLikelihood], per unit: Unit) -> Double {
        exp(-perUnit(documents, unit))
    }

    /// -sum of log-likelihoods / (sum of bytes * ln 2).
    package static func bitsPerByte(_ documents: [DocumentLikelihood]) -> Double {
        -perUnit(documents, .byte) / log(2)
    }

    private static func perUnit(_ documents: [DocumentLikelihood], _ unit: Unit) -> Double {
        var sum = 0.0
        var count = 0
        for document in documents {
            sum += document.logLikelihood
            switch unit {
            case .word: count += document.words
            case .byte: count += document.bytes
            case .token: count += document.tokens
            }
        }
        return count > 0 ? sum / Double(count) : .nan
    }
}
