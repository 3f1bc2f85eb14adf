// The metrics that tasks report, and how each is made of the samples' values.

/// A figure of a report.
package struct Metric: Sendable, Hashable {
    package enum Aggregation: Sendable, Hashable {
        /// The mean of the samples' values of this name.
        case mean
        /// Over all documents together, from `log_likelihood`, `words`, `bytes` and `tokens`.
        case perplexity(Perplexity.Unit)
        case bitsPerByte
    }

    package var name: String
    package var aggregation: Aggregation
    package var higherIsBetter: Bool

    package static func mean(_ name: String) -> Metric {
        Metric(name: name, aggregation: .mean, higherIsBetter: true)
    }

    /// The four of texts.
    package static let ofTexts = [
        Metric(name: "word_perplexity", aggregation: .perplexity(.word), higherIsBetter: false),
        Metric(name: "byte_perplexity", aggregation: .perplexity(.byte), higherIsBetter: false),
        Metric(name: "bits_per_byte", aggregation: .bitsPerByte, higherIsBetter: false),
        Metric(name: "token_perplexity", aggregation: .perplexity(.token), higherIsBetter: false),
    ]

    /// The name of what each sample brings to this metric: what a paired test compares, higher being better.
    package var sampleValue: String {
        switch aggregation {
        case .mean: name
        case .perplexity, .bitsPerByte: "log_likelihood"
        }
    }

    /// The figure over reviews; those without the value are left out.
    package func estimate(_ reviews: [SampleReview], seed: UInt64) -> Estimate {
        switch aggregation {
        case .mean: return .mean(of: reviews.compactMap { $0.values[name] })
        case .perplexity(let unit):
            return Self.bootstrap(reviews, seed) { Perplexity.value($0, per: unit) }
        case .bitsPerByte: return Self.bootstrap(reviews, seed) { Perplexity.bitsPerByte($0) }
        }
    }

    private static func bootstrap(
        _ reviews: [SampleReview], _ seed: UInt64, _ statistic: ([DocumentLikelihood]) -> Double
    ) -> Estimate {
        let documents = reviews.compactMap(\.document)
        // A thousand resamples of very many documents would take longer than is worth it.
        let resamples = max(100, min(1_000, 20_000_000 / max(1, documents.count)))
        return Estimate.bootstrap(count: documents.count, seed: seed, resamples: resamples) { indexes in
            statistic(indexes.map { documents[$0] })
        }
    }
}

/// What judging a sample gave.
package struct SampleReview: Sendable, Hashable {
    package var id: String
    package var subset: String
    /// What the model answered, as far as it was understood.
    package var prediction: String
    /// What would have been right; empty for texts and code.
    package var target: String
    /// By the metric's name; for texts their log-likelihood and sizes.
    package var values: [String: Double]

    package init(id: String, subset: String, prediction: String, target: String, values: [String: Double]) {
        self.id = id
        self.subset = subset
        self.prediction = prediction
        self.target = target
        self.values = values
    }

    /// The sizes of a text with its likelihood.
    var document: DocumentLikelihood? {
        guard let sum = values["log_likelihood"], let words = values["words"], let bytes = values["bytes"],
            let tokens = values["tokens"]
        else { return nil }
        return DocumentLikelihood(
            logLikelihood: sum, tokens: Int(tokens), words: Int(words), bytes: Int(bytes))
    }
}
