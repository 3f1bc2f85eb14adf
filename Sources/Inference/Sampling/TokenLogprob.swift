// What the model itself thought of a token: its log-probability before any penalty, mask or temperature.

private import CKernels

/// The log-probability of a token in a place, and of the most probable ones there.
package struct TokenLogprob: Sendable, Hashable {
    package struct Alternative: Sendable, Hashable {
        package var id: Int32
        package var logprob: Float

        package init(id: Int32, logprob: Float) {
            self.id = id
            self.logprob = logprob
        }
    }

    package var id: Int32
    /// Natural logarithm of the probability; at most 0.
    package var logprob: Float
    /// 1 for the most probable token: one more than there are tokens with a larger logit.
    package var rank: Int
    /// The most probable tokens, best first, of equals the lower id first.
    package var top: [Alternative]

    package init(id: Int32, logprob: Float, rank: Int, top: [Alternative] = []) {
        self.id = id
        self.logprob = logprob
        self.rank = rank
        self.top = top
    }

    /// The log-softmax of untouched logits at `id`, which must be one of them.
    ///
    /// - Parameter count: how many alternatives to list; at most as many as there are logits come.
    package init(of id: Int32, in logits: UnsafeBufferPointer<Float>, alternatives count: Int) {
        precondition(logits.indices.contains(Int(id)), "token \(id) has no logit")
        let logSum = ck_log_sum_exp(logits.baseAddress, Int64(logits.count))
        let chosen = logits[Int(id)]
        var larger = 0
        for logit in logits where logit > chosen { larger += 1 }
        self.id = id
        logprob = Float(Double(chosen) - logSum)
        rank = larger + 1
        top = Self.best(count, of: logits).map {
            Alternative(id: $0, logprob: Float(Double(logits[Int($0)]) - logSum))
        }
    }

    /// The ids of the `count` largest logits, largest first. `count` is small, so a sorted list that most
    /// logits fail to enter is the quickest.
    private static func best(_ count: Int, of logits: UnsafeBufferPointer<Float>) -> [Int32] {
        guard count > 0 else { return [] }
        var best: [Int32] = []
        var least = -Float.infinity
        for id in 0..<logits.count {
            let logit = logits[id]
            if best.count == count && !(logit > least) { continue }
            let place = best.firstIndex { logits[Int($0)] < logit } ?? best.count
            best.insert(Int32(id), at: place)
            if best.count > count { best.removeLast() }
            least = logits[Int(best[best.count - 1])]
        }
        return best
    }
}
