// Which sampling parameters are refused, and that the reader learns the field and the remedy.

import Inference
import Testing

@Suite("Sampling parameters")
struct SamplingParametersTests {
    private static func changed(_ change: (inout SamplingParameters) -> Void) -> SamplingParameters {
        var parameters = SamplingParameters(maxTokens: 16)
        change(&parameters)
        return parameters
    }

    @Test("The defaults and the ends of all ranges are accepted")
    func acceptsRanges() {
        let good = [
            Self.changed { _ in },
            Self.changed {
                $0.temperature = 0; $0.topP = 1; $0.topK = -1; $0.minP = 0
            },
            Self.changed {
                $0.temperature = 100; $0.topP = 0.0001; $0.topK = 1_000_000; $0.minP = 1
            },
            Self.changed {
                $0.presencePenalty = -2; $0.frequencyPenalty = 2; $0.repetitionPenalty = 0.01
            },
            Self.changed {
                $0.minTokens = 16; $0.logprobs = 20; $0.promptLogprobs = 0
            },
            Self.changed {
                $0.logitBias = [0: -100, 99: 100]; $0.allowedTokenIDs = [0, 99]
            },
            Self.changed {
                $0.badWordsIDs = [[1], [2, 3]]; $0.stopTokenIDs = [99]; $0.stop = ["\n"]
            },
        ]
        #expect(good.flatMap { $0.validate(vocabularySize: 100) } == [])
    }

    @Test(
        "A value out of its range is one problem that names the field",
        arguments: [
            ("temperature", changed { $0.temperature = -0.1 }),
            ("temperature", changed { $0.temperature = .nan }),
            ("temperature", changed { $0.temperature = .infinity }),
            ("top_p", changed { $0.topP = 0 }),
            ("top_p", changed { $0.topP = 1.01 }),
            ("top_p", changed { $0.topP = .nan }),
            ("min_p", changed { $0.minP = -0.5 }),
            ("min_p", changed { $0.minP = 1.5 }),
            ("top_k", changed { $0.topK = -2 }),
            ("repetition_penalty", changed { $0.repetitionPenalty = 0 }),
            ("repetition_penalty", changed { $0.repetitionPenalty = .infinity }),
            ("presence_penalty", changed { $0.presencePenalty = 2.5 }),
            ("frequency_penalty", changed { $0.frequencyPenalty = -2.5 }),
            ("max_tokens", changed { $0.maxTokens = 0 }),
            ("min_tokens", changed { $0.minTokens = -1 }),
            ("min_tokens", changed { $0.minTokens = 17 }),
            ("top_logprobs", changed { $0.logprobs = 21 }),
            ("prompt_logprobs", changed { $0.promptLogprobs = -1 }),
            ("logit_bias", changed { $0.logitBias = [5: 100.5, 4: 1] }),
            ("logit_bias", changed { $0.logitBias = [5: .nan] }),
            ("logit_bias", changed { $0.logitBias = [100: 1] }),
            ("stop_token_ids", changed { $0.stopTokenIDs = [1, -1] }),
            ("allowed_token_ids", changed { $0.allowedTokenIDs = [] }),
            ("allowed_token_ids", changed { $0.allowedTokenIDs = [100] }),
            ("bad_words", changed { $0.badWordsIDs = [[]] }),
            ("bad_words", changed { $0.badWordsIDs = [[1, 100]] }),
            ("bad_words", changed { $0.badWordsIDs = [Array(repeating: 1, count: 65)] }),
            ("stop", changed { $0.stop = ["a", ""] }),
            ("stop", changed { $0.stop = Array(repeating: "a", count: 65) }),
            ("stop", changed { $0.stop = [String(repeating: "a", count: 1_025)] }),
        ])
    func refuses(field: String, parameters: SamplingParameters) {
        let problems = parameters.validate(vocabularySize: 100)
        #expect(problems.map(\.field) == [field])
        #expect(problems.allSatisfy { $0.message.contains(field) })
    }

    @Test("All problems are reported at once")
    func reportsAll() {
        let parameters = Self.changed {
            $0.temperature = -1; $0.topP = 2; $0.maxTokens = 0; $0.minTokens = 3
        }
        let fields = parameters.validate(vocabularySize: 100).map(\.field)
        #expect(fields == ["temperature", "top_p", "max_tokens"])
    }
}
