// The sampler against tables computed by hand: what changes a logit, what forbids a token, what is refused.

import Glibc
import Inference
import Testing

@Suite("The sampler")
struct SamplerTests {
    static func parameters(_ change: (inout SamplingParameters) -> Void = { _ in }) -> SamplingParameters {
        var parameters = SamplingParameters(maxTokens: 100)
        change(&parameters)
        return parameters
    }

    /// Samples once from a copy of the logits.
    static func sample(
        _ sampler: inout Sampler, _ logits: [Float], mask: TokenMask? = nil
    ) throws(SamplingError) -> SampledToken {
        var logits = logits
        var copy = sampler
        defer { sampler = copy }
        return try logits.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(SamplingError) in
                try copy.sample(buffer, mask: mask, scratch: SamplingScratch())
            }
        }.get()
    }

    /// The logits that stand behind a distribution, up to a constant: here the one that makes token 0 have
    /// `first`.
    private func logits(_ distribution: [Double], first: Double) -> [Double] {
        distribution.map { log($0 / distribution[0]) + first }
    }

    @Test(
        "Penalties and biases change logits as OpenAI and vLLM define them",
        arguments: [
            // Token 0 is in neither, 1 in the prompt, 2 twice in the output, 3 in both, 4 in the prompt.
            (parameters { $0.repetitionPenalty = 2 }, [1, 0.5, 1, 2, -2]),
            (parameters { $0.presencePenalty = 0.5 }, [1, 1, 1.5, 3.5, -1]),
            (parameters { $0.frequencyPenalty = 0.5 }, [1, 1, 1, 3.5, -1]),
            (
                parameters {
                    $0.presencePenalty = 1; $0.frequencyPenalty = -0.5
                }, [1, 1, 2, 3.5, -1]
            ),
            (
                parameters {
                    $0.repetitionPenalty = 2; $0.presencePenalty = 1; $0.logitBias = [2: 3, 4: -1]
                },
                [1, 0.5, 3, 1, -3]
            ),
        ])
    func penalties(parameters: SamplingParameters, expected: [Double]) throws {
        let sampler = Sampler(parameters, promptIDs: [1, 3, 4, 1], outputIDs: [2, 3, 2])
        let result = logits(try sampler.distribution([1, 1, 2, 4, -1]), first: 1)
        for (value, expected) in zip(result, expected) { #expect(abs(value - expected) < 1e-12) }
    }

    @Test("The temperature divides logits; the smallest one does not overflow")
    func temperature() throws {
        let half = Sampler(Self.parameters { $0.temperature = 0.5 }, promptIDs: [])
        let result = logits(try half.distribution([1, 2, -1]), first: 2)
        for (value, expected) in zip(result, [2.0, 4, -2]) { #expect(abs(value - expected) < 1e-12) }
        let smallest = Sampler(Self.parameters { $0.temperature = 1e-5 }, promptIDs: [])
        #expect(try smallest.distribution([1e30, -1e30, 3]) == [1, 0, 0])
    }

    /// Probabilities 0.4, 0.3, 0.2, 0.1.
    private static let four = [0.1, 0.4, 0.2, 0.3].map { log($0) }

    @Test(
        "Truncation keeps what its definition says",
        arguments: [
            (parameters { $0.topK = 2 }, [0, 4, 0, 3]),
            (parameters { $0.topK = 4 }, [1, 4, 2, 3]),
            (parameters { $0.topK = -1 }, [1, 4, 2, 3]),
            (parameters { $0.topP = 0.1 }, [0, 4, 0, 0]),
            (parameters { $0.topP = 0.5 }, [0, 4, 0, 3]),
            (parameters { $0.topP = 0.75 }, [0, 4, 2, 3]),
            (parameters { $0.minP = 0.6 }, [0, 4, 0, 3]),
            (parameters { $0.minP = 1 }, [0, 4, 0, 0]),
            // 4 of 7 are above a half.
            (
                parameters {
                    $0.topK = 2; $0.topP = 0.5
                }, [0, 4, 0, 0]
            ),
            (
                parameters {
                    $0.topP = 0.75; $0.minP = 0.6
                }, [0, 4, 0, 3]
            ),
        ] as [(SamplingParameters, [Double])])
    func truncation(parameters: SamplingParameters, weights: [Double]) throws {
        let result = try Sampler(parameters, promptIDs: []).distribution(Self.four)
        let total = weights.reduce(0, +)
        for (value, weight) in zip(result, weights) { #expect(abs(value - weight / total) < 1e-12) }
    }

    @Test("In vLLM's order min_p comes first and changes what top_p is a share of")
    func vLLMOrder() throws {
        let parameters = Self.parameters {
            $0.topP = 0.75; $0.minP = 0.4
        }
        let sampler = Sampler(parameters, promptIDs: [])
        // All: 0.4 and 0.3 are 0.7, below 0.75. Without the last token they are 7/9, above it.
        #expect(try sampler.distribution(Self.four).count { $0 > 0 } == 3)
        #expect(try sampler.distribution(Self.four, order: .vLLM).count { $0 > 0 } == 2)
        var quick = Sampler(parameters, promptIDs: [], seed: 3, order: .vLLM)
        let drawn = try (0..<50).map { _ in try Self.sample(&quick, Self.four.map { Float($0) }).id }
        #expect(Set(drawn) == [1, 3])
    }

    @Test("top_k keeps all ties with the k-th token, top_p as many as it needs")
    func ties() throws {
        let tied = [0.0, 1, 1, 1, 0]
        let topK = Sampler(Self.parameters { $0.topK = 2 }, promptIDs: [])
        #expect(try topK.distribution(tied).map { $0 > 0 } == [false, true, true, true, false])
        let topP = Sampler(Self.parameters { $0.topP = 0.4 }, promptIDs: [])
        #expect(try topP.distribution(tied).map { $0 > 0 } == [false, false, true, true, false])
    }

    @Test("Greedy takes the first of the most probable tokens")
    func greedy() throws {
        var sampler = Sampler(Self.parameters { $0.temperature = 0 }, promptIDs: [])
        #expect(try Self.sample(&sampler, [0, 3, 1, 3]).id == 1)
        #expect(try sampler.distribution([0, 3, 1, 3]) == [0, 1, 0, 0])
        // Penalties count although nothing is drawn.
        var penalized = Sampler(
            Self.parameters {
                $0.temperature = 0; $0.frequencyPenalty = 1
            }, promptIDs: [])
        #expect(try (0..<5).map { _ in try Self.sample(&penalized, [0, 2.5, 1]).id } == [1, 1, 2, 1, 0])
    }

    @Test("A forbidden word's last token is masked only where the rest of it was generated")
    func badWords() throws {
        let parameters = Self.parameters {
            $0.temperature = 0; $0.badWordsIDs = [[4], [1, 2], [2, 1, 3]]
        }
        // The prompt does not count.
        var sampler = Sampler(parameters, promptIDs: [1])
        #expect(try Self.sample(&sampler, [0, 0, 2, 1, 9]).id == 2)
        #expect(try Self.sample(&sampler, [0, 1, 2, 9, 9]).id == 3)
        sampler.record(2)
        sampler.record(1)
        // Now 2 would end one word and 3 another.
        #expect(try Self.sample(&sampler, [0, 1, 2, 9, 9]).id == 1)
    }

    @Test("Allowed tokens and the constraint's mask both hold")
    func masks() throws {
        let parameters = Self.parameters {
            $0.temperature = 0; $0.allowedTokenIDs = [0, 2, 40, 1_000, -1]
        }
        var sampler = Sampler(parameters, promptIDs: [])
        let logits = (0..<50).map { Float($0) }
        #expect(try Self.sample(&sampler, logits).id == 40)
        #expect(
            try Self.sample(&sampler, logits, mask: TokenMask(vocabularySize: 50, ids: [1, 2, 3])).id == 2)
        // Tokens past the end of a mask are forbidden.
        var free = Sampler(Self.parameters { $0.temperature = 0 }, promptIDs: [])
        let short = TokenMask(vocabularySize: 32, allowing: true)
        #expect(try Self.sample(&free, logits, mask: short).id == 31)
    }

    @Test("The end is held off until the least length, unless a constraint leaves nothing else")
    func minTokens() throws {
        let parameters = Self.parameters {
            $0.temperature = 0; $0.minTokens = 2; $0.stopTokenIDs = [3]
        }
        var sampler = Sampler(parameters, promptIDs: [], endIDs: [2])
        let logits: [Float] = [0, 1, 3, 2]
        #expect(try (0..<4).map { _ in try Self.sample(&sampler, logits).id } == [1, 1, 2, 2])
        var constrained = Sampler(parameters, promptIDs: [], endIDs: [2])
        let mask = TokenMask(vocabularySize: 4, ids: [2])
        #expect(try Self.sample(&constrained, logits, mask: mask).id == 2)
        // Where the model's end does not end, it need not be held off.
        var ignoring = parameters
        ignoring.ignoreEOS = true
        var endless = Sampler(ignoring, promptIDs: [], endIDs: [2])
        #expect(try Self.sample(&endless, logits).id == 2)
    }

    @Test("Logits that are no numbers are an error, not a choice", arguments: [Float.nan, -.nan, .infinity])
    func notANumber(bad: Float) throws {
        var sampler = Sampler(Self.parameters(), promptIDs: [])
        #expect(throws: SamplingError.notANumber(id: 2)) {
            try Self.sample(&sampler, [0, -.infinity, bad, 0])
        }
        #expect(throws: SamplingError.notANumber(id: 1)) { try sampler.distribution([0, Double(bad)]) }
        #expect(sampler.outputCount == 0)
    }

    @Test("A request that leaves no token is told so")
    func nothingAllowed() throws {
        var sampler = Sampler(Self.parameters { $0.allowedTokenIDs = [1] }, promptIDs: [])
        let mask = TokenMask(vocabularySize: 3, ids: [0])
        #expect(throws: SamplingError.nothingAllowed) { try Self.sample(&sampler, [0, 1, 2], mask: mask) }
        #expect(throws: SamplingError.nothingAllowed) { try Self.sample(&sampler, []) }
        var bans = Sampler(Self.parameters { $0.badWordsIDs = [[0], [1]] }, promptIDs: [])
        #expect(throws: SamplingError.nothingAllowed) { try Self.sample(&bans, [0, 1]) }
        var empty = Sampler(Self.parameters(), promptIDs: [])
        #expect(throws: SamplingError.nothingAllowed) {
            try Self.sample(&empty, [-.infinity, -.infinity])
        }
    }

    @Test("Ids outside of the vocabulary change nothing")
    func strangeIDs() throws {
        let parameters = Self.parameters {
            $0.repetitionPenalty = 2
            $0.logitBias = [99: 5]
            $0.badWordsIDs = [[77]]
        }
        let sampler = Sampler(parameters, promptIDs: [-5, 50], outputIDs: [60], endIDs: [70])
        #expect(try sampler.distribution([0, 0]) == [0.5, 0.5])
    }

    @Test("Log-probabilities are those of the untouched logits")
    func logprobs() throws {
        let parameters = Self.parameters {
            $0.temperature = 0
            $0.logprobs = 2
            $0.logitBias = [3: 10]
        }
        var sampler = Sampler(parameters, promptIDs: [])
        let logits = [0.1, 0.4, 0.2, 0.05, 0.25].map { Float(log($0)) }
        let logprob = try #require(try Self.sample(&sampler, logits).logprob)
        #expect(logprob.id == 3)
        #expect(logprob.rank == 5)
        #expect(abs(logprob.logprob - Float(log(0.05))) < 1e-5)
        #expect(logprob.top.map(\.id) == [1, 4])
        #expect(abs(logprob.top[1].logprob - Float(log(0.25))) < 1e-5)
    }

    @Test("Alternatives come best first, of equals the lower id first, and no more than there are")
    func alternatives() {
        let logits: [Float] = [1, 3, 2, 3, -.infinity]
        let result = logits.withUnsafeBufferPointer { TokenLogprob(of: 2, in: $0, alternatives: 9) }
        #expect(result.top.map(\.id) == [1, 3, 2, 0, 4])
        #expect(result.rank == 3)
        let few = logits.withUnsafeBufferPointer { TokenLogprob(of: 3, in: $0, alternatives: 3) }
        #expect(few.top.map(\.id) == [1, 3, 2])
        #expect(few.rank == 1)
        let none = logits.withUnsafeBufferPointer { TokenLogprob(of: 3, in: $0, alternatives: 0) }
        #expect(none.top == [])
    }
}
