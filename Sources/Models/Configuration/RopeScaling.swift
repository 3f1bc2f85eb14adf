// How the rotary embedding is stretched beyond the length that a model was trained on: the fields under
// `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).

import Text

/// A rule of `transformers.modeling_rope_utils`, with what it needs.
package enum RopeScaling: Sendable, Hashable {
    case none
    case linear(factor: Double)
    /// Depends on the length of the sequence.
    case dynamic(factor: Double)
    case yarn(Yarn)
    case llama3(Llama3)

    /// Source: Peng et al., arXiv:2309.00071.
    package struct Yarn: Sendable, Hashable {
        package var factor: Double
        package var originalMaxPositionEmbeddings: Int
        /// What cosines and sines are multiplied by; nil: as the paper has it, from the factor.
        package var attentionFactor: Double?
        package var betaFast = 32.0
        package var betaSlow = 1.0
        package var mscale: Double?
        package var mscaleAllDim: Double?
        /// Whether the bounds between the two regimes are whole dimensions.
        package var truncate = true
    }

    /// The rule of Llama 3.1 and later.
    package struct Llama3: Sendable, Hashable {
        package var factor: Double
        package var lowFreqFactor: Double
        package var highFreqFactor: Double
        package var originalMaxPositionEmbeddings: Int
    }
}

extension RopeScaling {
    private static let factors = 1e-6...1e6

    /// The base of the frequencies and the rule. What both styles mean when fields are missing or given twice is
    /// `RotaryEmbeddingConfigMixin`'s answer: `rope_scaling` goes before `rope_parameters`, the base inside them
    /// before `rope_theta` beside them.
    static func decode(
        _ fields: ConfigurationFields, maxPositionEmbeddings: Int
    ) throws(ConfigurationError) -> (theta: Double, scaling: RopeScaling) {
        let range = 1.000_001...1e15
        let outer = try fields.double("rope_theta", in: range)
        try requireWholeHeads(fields)
        var inner: ConfigurationFields?
        for key in ["rope_parameters", "rope_scaling"] {
            if let object = try fields.object(key), object.json.objectValue?.isEmpty == false {
                inner = object
            }
        }
        guard let inner else { return (outer ?? 10_000, .none) }
        try requireWholeHeads(inner)
        for key in ["full_attention", "sliding_attention"] where inner.isWritten(key) {
            throw inner.failure(
                key, "rotary embeddings that differ between layers are not there yet",
                remedy: "use a model with one rope_type for all layers")
        }
        let theta = try inner.double("rope_theta", in: range) ?? outer ?? 10_000
        var original = try fields.int(
            "original_max_position_embeddings", in: 1...ModelConfiguration.maximumPositions)
        if original == nil {
            original = try inner.int(
                "original_max_position_embeddings", in: 1...ModelConfiguration.maximumPositions)
        }
        return (theta, try rule(inner, maxPositions: maxPositionEmbeddings, original: original))
    }

    private static func requireWholeHeads(_ fields: ConfigurationFields) throws(ConfigurationError) {
        if let part = try fields.double("partial_rotary_factor", in: 0...1), part != 1 {
            throw fields.failure(
                "partial_rotary_factor", "heads that are rotated in part are not there yet",
                remedy: "use a model whose heads are rotated whole")
        }
    }

    private static func rule(
        _ fields: ConfigurationFields, maxPositions: Int, original: Int?
    ) throws(ConfigurationError) -> RopeScaling {
        var type = try fields.string("rope_type")
        if type == nil { type = try fields.string("type") }
        switch type ?? "default" {
        case "default": return .none
        case "linear": return .linear(factor: try required(fields, "factor", in: factors))
        case "dynamic": return .dynamic(factor: try required(fields, "factor", in: 1...1e6))
        case "yarn": return .yarn(try yarn(fields, maxPositions: maxPositions, original: original))
        case "llama3":
            let low = try required(fields, "low_freq_factor", in: factors)
            let high = try required(fields, "high_freq_factor", in: factors)
            guard high > low else {
                throw fields.failure("high_freq_factor", "it must be greater than low_freq_factor, \(low)")
            }
            return .llama3(
                Llama3(
                    factor: try required(fields, "factor", in: factors), lowFreqFactor: low,
                    highFreqFactor: high, originalMaxPositionEmbeddings: original ?? maxPositions))
        case let other:
            throw fields.failure(
                "rope_type", "\"\(other.prefix(60))\" is not there yet",
                remedy: "use a model with default, linear, dynamic, yarn or llama3")
        }
    }

    private static func yarn(
        _ fields: ConfigurationFields, maxPositions: Int, original: Int?
    ) throws(ConfigurationError) -> Yarn {
        let original = original ?? maxPositions
        var yarn = Yarn(
            factor: try fields.double("factor", in: factors) ?? Double(maxPositions) / Double(original),
            originalMaxPositionEmbeddings: original)
        yarn.attentionFactor = try fields.double("attention_factor", in: factors)
        // A zero counts as not written, as it does in Python's `or`.
        yarn.betaFast = try nonzero(fields, "beta_fast") ?? 32
        yarn.betaSlow = try nonzero(fields, "beta_slow") ?? 1
        yarn.mscale = try nonzero(fields, "mscale")
        yarn.mscaleAllDim = try nonzero(fields, "mscale_all_dim")
        yarn.truncate = try fields.bool("truncate") ?? true
        return yarn
    }

    private static func nonzero(_ fields: ConfigurationFields, _ key: String) throws(ConfigurationError)
        -> Double?
    {
        guard let number = try fields.double(key, in: 0...1e6), number != 0 else { return nil }
        return number
    }

    private static func required(
        _ fields: ConfigurationFields, _ key: String, in range: ClosedRange<Double>
    ) throws(ConfigurationError) -> Double {
        guard let number = try fields.double(key, in: range) else {
            throw fields.failure(key, "the field is missing, and this rope_type needs it")
        }
        return number
    }
}
