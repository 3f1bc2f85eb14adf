// The probabilities that the next token is drawn by, in plain double precision: the definition, which the
// golden cases check and the quick way in `SamplingScratch` is tested against.

private import Glibc

extension Sampler {
    /// The distribution that `sample` draws from, one probability a token; tokens that were dropped have 0.
    /// Nothing is drawn or recorded. Agrees with the logits processors of transformers; greedy is all of 1 in
    /// one place.
    ///
    /// - Parameter order: the sampler's own unless given.
    package func distribution(
        _ logits: [Double], mask: TokenMask? = nil, order: Order? = nil
    ) throws(SamplingError) -> [Double] {
        if let wrong = logits.firstIndex(where: { !($0 < .infinity) }) {
            throw .notANumber(id: Int32(wrong))
        }
        var edited = logits
        var copy = self
        edited.withUnsafeMutableBufferPointer { copy.edit($0, mask: mask) }
        guard let best = edited.max(), best > -.infinity else { throw .nothingAllowed }
        if parameters.isGreedy {
            let choice = edited.firstIndex(of: best)
            return edited.indices.map { $0 == choice ? 1 : 0 }
        }
        // The largest is taken off first, so that no temperature makes the exponent overflow.
        var weights = edited.map { exp(($0 - best) / parameters.temperature) }
        switch order ?? self.order {
        case .huggingFace:
            keepTopK(&weights, by: edited)
            keepTopP(&weights)
            dropBelowMinP(&weights)
        case .vLLM:
            dropBelowMinP(&weights)
            keepTopK(&weights, by: edited)
            keepTopP(&weights)
        }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    private func keepTopK(_ weights: inout [Double], by logits: [Double]) {
        guard parameters.topK > 0 && parameters.topK < weights.count else { return }
        let least = logits.sorted(by: >)[parameters.topK - 1]
        for id in weights.indices where logits[id] < least { weights[id] = 0 }
    }

    /// From the least probable up, drops what adds up to 1 - top_p, but never the most probable.
    private func keepTopP(_ weights: inout [Double]) {
        guard parameters.topP < 1 else { return }
        let total = weights.reduce(0, +)
        let ascending = weights.indices.sorted { (weights[$0], $0) < (weights[$1], $1) }
        var sum = 0.0
        for id in ascending.dropLast() {
            sum += weights[id] / total
            if sum <= 1 - parameters.topP { weights[id] = 0 }
        }
    }

    private func dropBelowMinP(_ weights: inout [Double]) {
        let least = parameters.minP * (weights.max() ?? 0)
        for id in weights.indices where weights[id] < least { weights[id] = 0 }
    }
}
