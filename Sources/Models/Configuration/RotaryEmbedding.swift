// The angles of the rotary position embedding, computed as transformers does it: in single precision, rule by rule.

import Glibc

/// Inverse frequencies and the tables made of them.
/// Sources: Su et al., arXiv:2104.09864; agrees with `transformers.modeling_rope_utils` and with
/// `LlamaRotaryEmbedding`, whose halves layout (`rotate_half`) the tables are for.
package struct RotaryEmbedding: Sendable, Hashable {
    /// One for each pair of dimensions, [headDim / 2].
    package let inverseFrequencies: [Float]
    /// What cosines and sines are multiplied by.
    package let attentionFactor: Double

    /// - Parameter sequenceLength: how many positions the sequence has, for the dynamic rule; nil, or fewer than
    ///   `maxPositionEmbeddings`, means that many. The other rules do not look at it.
    package init(_ configuration: ModelConfiguration, sequenceLength: Int? = nil) {
        self.init(
            headDim: configuration.headDim, theta: configuration.ropeTheta,
            scaling: configuration.ropeScaling,
            maxPositionEmbeddings: configuration.maxPositionEmbeddings, sequenceLength: sequenceLength)
    }

    /// As `init(_:sequenceLength:)`, from the fields themselves. `headDim` is even and positive.
    package init(
        headDim: Int, theta: Double, scaling: RopeScaling, maxPositionEmbeddings: Int,
        sequenceLength: Int? = nil
    ) {
        precondition(headDim > 0 && headDim % 2 == 0, "a head is rotated in pairs of dimensions")
        switch scaling {
        case .none:
            inverseFrequencies = Self.powers(theta, headDim).map { 1 / $0 }
            attentionFactor = 1
        case .linear(let factor):
            inverseFrequencies = Self.powers(theta, headDim).map { 1 / $0 / Float(factor) }
            attentionFactor = 1
        case .dynamic(let factor):
            let length = Double(max(sequenceLength ?? 0, maxPositionEmbeddings))
            let stretch = factor * length / Double(maxPositionEmbeddings) - (factor - 1)
            // A head of two dimensions has one frequency, 1, whatever the base.
            let exponent = headDim == 2 ? 1 : Double(headDim) / Double(headDim - 2)
            inverseFrequencies = Self.powers(theta * pow(stretch, exponent), headDim).map { 1 / $0 }
            attentionFactor = 1
        case .yarn(let yarn):
            inverseFrequencies = Self.yarnFrequencies(yarn, theta: theta, headDim: headDim)
            attentionFactor = Self.attentionFactor(yarn)
        case .llama3(let llama3):
            inverseFrequencies = Self.powers(theta, headDim).map { Self.scaled(1 / $0, by: llama3) }
            attentionFactor = 1
        }
    }

    /// Cosines and sines of the positions' angles, each [positions.count, headDim / 2], times the attention factor.
    package func table(positions: Range<Int>) -> (cosines: [Float], sines: [Float]) {
        let count = positions.count * inverseFrequencies.count
        var (cosines, sines): ([Float], [Float]) = ([], [])
        cosines.reserveCapacity(count)
        sines.reserveCapacity(count)
        let factor = Float(attentionFactor)
        for position in positions {
            for frequency in inverseFrequencies {
                // The angle is rounded to single precision, as the reference has it: far positions depend on it.
                let angle = Double(Float(position) * frequency)
                cosines.append(Float(cos(angle)) * factor)
                sines.append(Float(sin(angle)) * factor)
            }
        }
        return (cosines, sines)
    }

    /// theta to the power of 2i / headDim.
    private static func powers(_ theta: Double, _ headDim: Int) -> [Float] {
        stride(from: 0, to: headDim, by: 2).map { powf(Float(theta), Float($0) / Float(headDim)) }
    }
}

// MARK: Llama 3

extension RotaryEmbedding {
    /// Long waves are slowed down by the factor, short ones stay, and between the two the change is smooth.
    private static func scaled(_ frequency: Float, by rule: RopeScaling.Llama3) -> Float {
        let length = Float(rule.originalMaxPositionEmbeddings)
        let (low, high) = (Float(rule.lowFreqFactor), Float(rule.highFreqFactor))
        let factor = Float(rule.factor)
        let waveLength = Float(2 * Double.pi) / frequency
        let longest = Float(Double(rule.originalMaxPositionEmbeddings) / rule.lowFreqFactor)
        let shortest = Float(Double(rule.originalMaxPositionEmbeddings) / rule.highFreqFactor)
        if waveLength > longest { return frequency / factor }
        if waveLength < shortest { return frequency }
        let smooth = (length / waveLength - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
    }
}

// MARK: YaRN

extension RotaryEmbedding {
    /// Dimensions that turn often within the original length keep their frequency, those that turn seldom are
    /// slowed down by the factor, and a ramp leads from the one to the other.
    private static func yarnFrequencies(_ yarn: RopeScaling.Yarn, theta: Double, headDim: Int) -> [Float] {
        var low = dimension(turning: yarn.betaFast, yarn, theta: theta, headDim: headDim)
        var high = dimension(turning: yarn.betaSlow, yarn, theta: theta, headDim: headDim)
        if yarn.truncate {
            low = low.rounded(.down)
            high = high.rounded(.up)
        }
        low = max(low, 0)
        high = min(high, Double(headDim - 1))
        if low == high { high += 0.001 }
        return powers(theta, headDim).enumerated().map { index, power in
            let slope = (Float(index) - Float(low)) / Float(high - low)
            let kept = 1 - min(max(slope, 0), 1)
            return 1 / (Float(yarn.factor) * power) * (1 - kept) + 1 / power * kept
        }
    }

    /// The (fractional) pair of dimensions that makes so many turns within the original length.
    private static func dimension(
        turning turns: Double, _ yarn: RopeScaling.Yarn, theta: Double, headDim: Int
    ) -> Double {
        let length = Double(yarn.originalMaxPositionEmbeddings)
        return Double(headDim) * log(length / (turns * 2 * Double.pi)) / (2 * log(theta))
    }

    private static func attentionFactor(_ yarn: RopeScaling.Yarn) -> Double {
        if let factor = yarn.attentionFactor { return factor }
        func scale(_ mscale: Double) -> Double {
            yarn.factor <= 1 ? 1 : 0.1 * mscale * log(yarn.factor) + 1
        }
        guard let mscale = yarn.mscale, let mscaleAllDim = yarn.mscaleAllDim else { return scale(1) }
        return scale(mscale) / scale(mscaleAllDim)
    }
}
