// Chooses the next token of one request from the model's logits. It holds what a choice depends on besides
// them: the parameters, which tokens came before, and the state of the generator.

private import CKernels

/// Why no token could be chosen. Both end the request, never the process.
package enum SamplingError: Error, Hashable, CustomStringConvertible {
    /// The model's logit of this token is NaN or infinite.
    case notANumber(id: Int32)
    /// Masks, allowed tokens and forbidden words together leave no token.
    case nothingAllowed

    package var description: String {
        switch self {
        case .notANumber(let id):
            """
            the model's logit of token \(id) is not a finite number: its weights are damaged, or too large \
            for the element type they are computed in
            """
        case .nothingAllowed:
            """
            no token may follow: the constraint, allowed_token_ids, bad_words and logit_bias of the request \
            exclude each other
            """
        }
    }
}

/// A token that was chosen, with its log-probability if the request asked for those.
package struct SampledToken: Sendable, Hashable {
    package var id: Int32
    package var logprob: TokenLogprob?
}

/// The sampler of one sequence. A value: a copy goes on from where the original was.
package struct Sampler: Sendable {
    /// In which order tokens are dropped. `huggingFace`: top_k, top_p, min_p; `vLLM`: min_p, top_k, top_p,
    /// whose share of probability is then one of fewer tokens. The rest is the same.
    package enum Order: Sendable, Hashable { case huggingFace, vLLM }

    /// A token whose logit changes because of what came before, or of its bias.
    private struct Entry: Sendable {
        var id: Int32
        var isInPrompt = false
        var outputCount = 0
        var bias: Double = 0
    }

    package let parameters: SamplingParameters
    package let order: Order
    /// Tokens generated so far.
    package private(set) var outputCount = 0

    private var generator: PermutedGenerator
    private let endIDs: [Int32]
    private var entries: [Entry] = []
    private var places: [Int32: Int] = [:]
    /// The newest output, as much as forbidden sequences can reach back.
    private var recentIDs: [Int32] = []
    private let reach: Int
    /// `allowedTokenIDs`, made when the first logits show how many there are.
    private var allowed: TokenMask?

    /// - Parameters:
    ///   - parameters: must be without problems by `validate`; what is out of range has no meaning here.
    ///   - outputIDs: what was generated already, for a sequence that goes on.
    ///   - endIDs: the model's own end tokens, which `minTokens` holds off.
    ///   - seed: used if the parameters have none.
    ///   - choice: which of a request's several outputs this is; each draws numbers of its own.
    package init(
        _ parameters: SamplingParameters, promptIDs: [Int32], outputIDs: [Int32] = [], endIDs: [Int32] = [],
        seed: UInt64 = 0, choice: Int = 0, order: Order = .huggingFace
    ) {
        self.parameters = parameters
        self.order = order
        self.endIDs = parameters.stopTokenIDs + (parameters.ignoreEOS ? [] : endIDs)
        generator = PermutedGenerator(
            seed: parameters.seed ?? seed, stream: UInt64(truncatingIfNeeded: choice))
        reach = max(0, (parameters.badWordsIDs.map(\.count).max() ?? 0) - 1)
        // Sorted, so that nothing depends on the order of a dictionary.
        for (id, bias) in parameters.logitBias.sorted(by: { $0.key < $1.key }) {
            entries[place(of: id)].bias = Double(bias)
        }
        if parameters.repetitionPenalty != 1 {
            for id in promptIDs { entries[place(of: id)].isInPrompt = true }
        }
        for id in outputIDs { record(id) }
    }

    /// Chooses a token and takes it into account from now on.
    ///
    /// - Parameters:
    ///   - logits: one for each token of the vocabulary. They are changed in place.
    ///   - mask: the tokens that the request's constraint allows now.
    package mutating func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, mask: TokenMask? = nil, scratch: SamplingScratch
    ) throws(SamplingError) -> SampledToken {
        try Self.check(UnsafeBufferPointer(logits))
        scratch.reserve(logits.count)
        let wantsLogprob = parameters.logprobs != nil
        if wantsLogprob { scratch.keep(UnsafeBufferPointer(logits)) }
        edit(logits, mask: mask)
        var id = Int32(ck_argmax(logits.baseAddress, Int64(logits.count)))
        guard logits[Int(id)] > -.infinity else { throw .nothingAllowed }
        if !parameters.isGreedy {
            id = scratch.candidates(UnsafeBufferPointer(logits), parameters, order).pick(generator.nextUnit())
        }
        record(id)
        guard wantsLogprob else { return SampledToken(id: id) }
        let logprob = TokenLogprob(of: id, in: scratch.kept, alternatives: parameters.logprobs ?? 0)
        return SampledToken(id: id, logprob: logprob)
    }

    /// Takes a token into account that was chosen elsewhere.
    package mutating func record(_ id: Int32) {
        outputCount += 1
        if parameters.repetitionPenalty != 1 || parameters.presencePenalty != 0
            || parameters.frequencyPenalty != 0
        {
            entries[place(of: id)].outputCount += 1
        }
        if reach > 0 {
            if recentIDs.count == reach { recentIDs.removeFirst() }
            recentIDs.append(id)
        }
    }

    private mutating func place(of id: Int32) -> Int {
        if let place = places[id] { return place }
        places[id] = entries.count
        entries.append(Entry(id: id))
        return entries.count - 1
    }

    /// NaN and plus infinity are refused; minus infinity is what a model says of a token that cannot come.
    /// The two largest bit patterns tell, and finding them takes a fraction of the time that comparing floats
    /// would.
    private static func check(_ logits: UnsafeBufferPointer<Float>) throws(SamplingError) {
        guard !logits.isEmpty else { throw .nothingAllowed }
        var largestPositive = Int32.min
        var largestNegative = UInt32.min
        for logit in logits {
            largestPositive = max(largestPositive, Int32(bitPattern: logit.bitPattern))
            largestNegative = max(largestNegative, logit.bitPattern)
        }
        if largestPositive < Int32(bitPattern: Float.infinity.bitPattern)
            && largestNegative <= (-Float.infinity).bitPattern
        {
            return
        }
        throw .notANumber(id: Int32(logits.firstIndex { !($0 < .infinity) } ?? 0))
    }
}

// MARK: Penalties, biases and masks

extension Sampler {
    /// Changes logits by all that comes before the temperature: penalties, biases, forbidden words, allowed
    /// tokens, the constraint's mask, and the least length.
    mutating func edit<Logit: BinaryFloatingPoint>(
        _ logits: UnsafeMutableBufferPointer<Logit>, mask: TokenMask?
    ) {
        for entry in entries where logits.indices.contains(Int(entry.id)) {
            logits[Int(entry.id)] = Logit(edited(Double(logits[Int(entry.id)]), entry))
        }
        for word in parameters.badWordsIDs {
            guard let last = word.last, logits.indices.contains(Int(last)),
                recentIDs.suffix(word.count - 1).elementsEqual(word.dropLast())
            else { continue }
            logits[Int(last)] = -.infinity
        }
        if let ids = parameters.allowedTokenIDs {
            let allowed = allowed ?? TokenMask(vocabularySize: logits.count, ids: ids)
            self.allowed = allowed
            allowed.apply(to: logits)
        }
        mask?.apply(to: logits)
        holdOffEnd(logits)
    }

    private func edited(_ logit: Double, _ entry: Entry) -> Double {
        var logit = logit
        if entry.isInPrompt || entry.outputCount > 0 {
            let penalty = parameters.repetitionPenalty
            logit = logit > 0 ? logit / penalty : logit * penalty
        }
        if entry.outputCount > 0 {
            logit -= parameters.presencePenalty + parameters.frequencyPenalty * Double(entry.outputCount)
        }
        return logit + entry.bias
    }

    /// Forbids the end before `minTokens`, unless nothing else is left: a constraint whose text is complete
    /// wins.
    private func holdOffEnd<Logit: BinaryFloatingPoint>(_ logits: UnsafeMutableBufferPointer<Logit>) {
        guard outputCount < parameters.minTokens else { return }
        let ids = Set(endIDs.map(Int.init)).filter(logits.indices.contains)
        let saved = ids.map { ($0, logits[$0]) }
        for id in ids { logits[id] = -.infinity }
        if logits.contains(where: { $0 > -.infinity }) { return }
        for (id, logit) in saved { logits[id] = logit }
    }
}
