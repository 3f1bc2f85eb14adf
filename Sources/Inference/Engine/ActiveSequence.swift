// One generation while it runs: from chosen tokens to text, and when it ends.

import Models

/// The state of a sequence beside its tokens, which the batcher has.
struct ActiveSequence {
    /// Where results go.
    enum Output {
        case text(AsyncThrowingStream<GenerationUpdate, any Error>.Continuation)
        case embedding(CheckedContinuation<[Float], any Error>)
    }

    let output: Output
    let promptIDs: [Int32]
    let adapter: LoRAAdapter?
    let endIDs: Set<Int32>
    var sampler: Sampler
    var decoder: StreamDecoder
    var stops: StopStrings
    var constraint: CompiledConstraint?
    var constraintState: ConstraintState?
    var mask: TokenMask?
    var promptLogprobs: [TokenLogprob?]

    var parameters: SamplingParameters { sampler.parameters }

    init(
        _ request: GenerationRequest, output: Output, adapter: LoRAAdapter?, tokenizer: Tokenizer,
        endIDs: Set<Int32>, constraint: CompiledConstraint?, maskWordCount: Int, seed: UInt64
    ) {
        self.output = output
        promptIDs = request.promptIDs
        self.adapter = adapter
        self.endIDs = endIDs
        let sampling = request.sampling
        sampler = Sampler(sampling, promptIDs: request.promptIDs, endIDs: endIDs.sorted(), seed: seed)
        decoder = StreamDecoder(tokenizer, skipSpecialTokens: sampling.skipSpecialTokens)
        stops = StopStrings(sampling.stop, includeInOutput: sampling.includeStopString)
        self.constraint = constraint
        constraintState = constraint?.start()
        if constraint != nil {
            mask = TokenMask(vocabularySize: 0)
            mask?.words = [UInt32](repeating: 0, count: maskWordCount)
        }
        promptLogprobs = sampling.promptLogprobs == nil ? [] : [nil]
    }

    /// Chooses the next token.
    mutating func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, scratch: SamplingScratch
    ) throws(SamplingError) -> SampledToken {
        if let constraint, let constraintState {
            mask?.words.withUnsafeMutableBufferPointer { constraint.mask(constraintState, into: $0) }
        }
        return try sampler.sample(logits, mask: mask, scratch: scratch)
    }

    /// Takes a chosen token: what the reader is told of it, and whether the text ends with it.
    mutating func take(_ token: SampledToken, cachedTokens: Int) -> GenerationUpdate {
        var update = GenerationUpdate(
            newIDs: [token.id], logprobs: token.logprob.map { [$0] } ?? [], promptTokens: promptIDs.count,
            cachedTokens: cachedTokens)
        if parameters.promptLogprobs != nil, sampler.outputCount == 1 {
            update.promptLogprobs = promptLogprobs
        }
        if var state = constraintState, let constraint {
            _ = constraint.advance(&state, token.id)
            constraintState = state
        }
        if endIDs.contains(token.id), !parameters.ignoreEOS || constraintState?.hasEnded == true {
            return ended(update, .stop)
        }
        if parameters.stopTokenIDs.contains(token.id) {
            if parameters.includeStopString { update.text = stops.append(decoder.append(token.id)).text }
            return ended(update, .stop, .token(token.id))
        }
        let shown = stops.append(decoder.append(token.id))
        update.text += shown.text
        if let stop = shown.stoppedBy {
            update.finishReason = .stop
            update.stopReason = .string(stop)
        } else if sampler.outputCount >= parameters.maxTokens {
            return ended(update, .length)
        }
        return update
    }

    /// The last update, with the text that was held back.
    private mutating func ended(
        _ update: GenerationUpdate, _ reason: FinishReason, _ stop: StopReason? = nil
    ) -> GenerationUpdate {
        var update = update
        let last = stops.append(decoder.finish())
        update.text += last.text
        update.finishReason = reason
        update.stopReason = stop
        if let string = last.stoppedBy {
            update.finishReason = .stop
            update.stopReason = .string(string)
        } else {
            update.text += stops.finish()
        }
        return update
    }

    func fail(_ error: any Error) {
        switch output {
        case .text(let continuation): continuation.finish(throwing: error)
        case .embedding(let continuation): continuation.resume(throwing: error)
        }
    }
}
