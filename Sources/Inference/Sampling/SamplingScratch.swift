// The quick way from logits to the tokens that may be drawn, for vocabularies of 150,000 tokens: no sorting,
// and no memory but what was reserved once. `Sampler.distribution` is the plain way, with which this must
// agree.

private import CKernels
private import Glibc

/// Memory that sampling needs, for one sampler at a time. An engine keeps one for each thread that samples.
package final class SamplingScratch {
    /// A copy of the untouched logits.
    private var raw = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)
    private var keptCount = 0
    private var ids = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 0)
    /// Logits of the candidates over the temperature, the largest taken off.
    private var scaled = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)
    private var weights = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)
    private let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1 << Radix.bits)

    package init() { sums.initialize(repeating: 0) }

    deinit {
        raw.deallocate()
        ids.deallocate()
        scaled.deallocate()
        weights.deallocate()
        sums.deallocate()
    }

    /// Makes room for a vocabulary of `count` tokens.
    func reserve(_ count: Int) {
        guard raw.count < count else { return }
        raw.deallocate()
        ids.deallocate()
        scaled.deallocate()
        weights.deallocate()
        raw = .allocate(capacity: count)
        ids = .allocate(capacity: count)
        scaled = .allocate(capacity: count)
        weights = .allocate(capacity: count)
        raw.initialize(repeating: 0)
        ids.initialize(repeating: 0)
        scaled.initialize(repeating: 0)
        weights.initialize(repeating: 0)
    }

    /// Remembers logits as they are now.
    func keep(_ logits: UnsafeBufferPointer<Float>) {
        reserve(logits.count)
        keptCount = raw[..<logits.count].update(fromContentsOf: logits)
    }

    /// The logits that were last remembered.
    var kept: UnsafeBufferPointer<Float> { UnsafeBufferPointer(rebasing: raw[..<keptCount]) }

    /// The tokens that may be drawn, lowest id first, and their weights, which are not normalized.
    struct Candidates {
        var ids: UnsafeBufferPointer<Int32>
        var weights: UnsafeBufferPointer<Float>

        /// The token at `unit`, from 0 to below 1, of the weights laid end to end.
        func pick(_ unit: Double) -> Int32 {
            var left = unit * SamplingScratch.sum(weights)
            for (index, weight) in weights.enumerated() {
                left -= Double(weight)
                if left < 0 { return ids[index] }
            }
            // Rounding may leave a little; then it is the last token that has any weight.
            return ids[weights.lastIndex { $0 > 0 } ?? 0]
        }
    }

    /// Temperature, top_k, top_p and min_p in `order`. At least one logit must be above minus infinity. What
    /// comes back is valid until the next call.
    func candidates(
        _ logits: UnsafeBufferPointer<Float>, _ parameters: SamplingParameters, _ order: Sampler.Order
    ) -> Candidates {
        reserve(logits.count)
        var count = gather(logits, parameters)
        let least = parameters.minP > 0 ? Float(log(parameters.minP)) : -.infinity
        if order == .vLLM { count = drop(count) { [scaled] in scaled[$0] < least } }
        ck_exp(scaled.baseAddress, weights.baseAddress, Int64(count))
        if parameters.topP < 1 { count = dropImprobable(count, topP: parameters.topP) }
        if order == .huggingFace && parameters.minP > 0 {
            count = drop(count) { [scaled] in scaled[$0] < least }
        }
        return Candidates(
            ids: UnsafeBufferPointer(rebasing: ids[..<count]),
            weights: UnsafeBufferPointer(rebasing: weights[..<count]))
    }

    /// Collects the tokens that `topK` keeps, which are those not below the k-th largest logit.
    private func gather(_ logits: UnsafeBufferPointer<Float>, _ parameters: SamplingParameters) -> Int {
        let (topK, factor) = (parameters.topK, 1 / Float(parameters.temperature))
        let isCut = topK > 0 && topK < logits.count
        let floor = isCut ? floorOfTop(topK, logits) : -.greatestFiniteMagnitude
        var (count, best) = (0, -Float.infinity)
        for start in stride(from: 0, to: logits.count, by: Self.run) {
            let run = start..<min(start + Self.run, logits.count)
            // With a floor hardly any run of tokens has something above it.
            if isCut && largest(logits, in: run) < floor { continue }
            for id in run {
                ids[count] = Int32(truncatingIfNeeded: id)
                scaled[count] = logits[id]
                count += logits[id] >= floor ? 1 : 0
            }
        }
        if isCut && count > topK {
            let cut = Radix.cut(
                count: count, limit: Double(topK), sums: sums,
                key: { [scaled] in Radix.key(scaled[$0]) }, mass: { _ in 1 })
            let least = Radix.float(cut.key)
            count = drop(count) { [scaled] in scaled[$0] < least }
        }
        for index in 0..<count { best = max(best, scaled[index]) }
        for index in 0..<count { scaled[index] = (scaled[index] - best) * factor }
        return count
    }

    /// Tokens that are looked at together.
    private static let run = 128

    /// A bound that the k-th largest logit is not below: where k runs of tokens have a logit of some size,
    /// there are k logits of that size.
    private func floorOfTop(_ topK: Int, _ logits: UnsafeBufferPointer<Float>) -> Float {
        let lowest = -Float.greatestFiniteMagnitude
        let runs = (logits.count + Self.run - 1) / Self.run
        guard topK <= runs else { return lowest }
        for index in 0..<runs {
            let start = index * Self.run
            weights[index] = largest(logits, in: start..<min(start + Self.run, logits.count))
        }
        let cut = Radix.cut(
            count: runs, limit: Double(topK), sums: sums,
            key: { [weights] in Radix.key(weights[$0]) }, mass: { _ in 1 })
        return max(lowest, Radix.float(cut.key))
    }

    private func largest(_ logits: UnsafeBufferPointer<Float>, in run: Range<Int>) -> Float {
        // Eight at a time, because each comparison would wait for the one before it.
        let bytes = UnsafeRawBufferPointer(logits)
        var best = SIMD8<Float>(repeating: -.infinity)
        var id = run.lowerBound
        while id + 8 <= run.upperBound {
            let next = bytes.loadUnaligned(fromByteOffset: id * 4, as: SIMD8<Float>.self)
            best.replace(with: next, where: next .> best)
            id += 8
        }
        var result = best.max()
        while id < run.upperBound {
            result = max(result, logits[id])
            id += 1
        }
        return result
    }

    /// In a fixed order, four sums beside each other, so that an addition need not wait for the one before
    /// it.
    private static func sum(_ weights: UnsafeBufferPointer<Float>) -> Double {
        var sums = SIMD4<Double>.zero
        var index = 0
        while index + 4 <= weights.count {
            sums += SIMD4(
                Double(weights[index]), Double(weights[index + 1]), Double(weights[index + 2]),
                Double(weights[index + 3]))
            index += 4
        }
        var total = sums.sum()
        while index < weights.count {
            total += Double(weights[index])
            index += 1
        }
        return total
    }

    /// Keeps the most probable candidates, as long as those before have less than `topP` of all weight. Of
    /// equals the higher id is kept first, as a stable ascending sort has it.
    private func dropImprobable(_ count: Int, topP: Double) -> Int {
        let total = Self.sum(UnsafeBufferPointer(rebasing: weights[..<count]))
        let limit = topP * total
        // All tokens lighter than this weigh less than 1 - top_p together: most of a large vocabulary.
        let least = Float((1 - topP) * total / Double(count)).nextDown
        let count = drop(count) { [weights] in weights[$0] < least }
        let cut = Radix.cut(
            count: count, limit: limit, sums: sums,
            key: { [weights] in weights[$0].bitPattern }, mass: { [weights] in Double(weights[$0]) })
        let edge = Float(bitPattern: cut.key)
        var ties = 0
        for index in 0..<count where weights[index] == edge { ties += 1 }
        var keptTies = 0
        var above = cut.above
        while keptTies < ties && (keptTies == 0 || above < limit) {
            above += Double(edge)
            keptTies += 1
        }
        var dropped = ties - keptTies
        return drop(count) { [weights] index in
            let weight = weights[index]
            if weight > edge { return false }
            if weight < edge { return true }
            dropped -= 1
            return dropped >= 0
        }
    }

    @inline(__always)
    private func drop(_ count: Int, where isDropped: (Int) -> Bool) -> Int {
        var kept = 0
        // Written without a branch, which would be guessed wrong half of the time.
        for index in 0..<count {
            let isKept = isDropped(index) ? 0 : 1
            ids[kept] = ids[index]
            scaled[kept] = scaled[index]
            weights[kept] = weights[index]
            kept += isKept
        }
        return kept
    }
}
