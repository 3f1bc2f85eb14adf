// config.json of each family, in both styles, with what its absence means and with what is refused.

import Models
import Tensors
import Testing
import Text

@Suite("Model configuration")
struct ConfigurationModelTests {
    static func parse(_ text: String) throws(ConfigurationError) -> ModelConfiguration {
        try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
    }

    private static let small =
        #""hidden_size":64,"intermediate_size":176,"num_hidden_layers":3,"num_attention_heads":4,"vocab_size":99"#

    @Test("What is not written means what it means in transformers", arguments: Architecture.allCases)
    func defaults(architecture: Architecture) throws {
        let model = try Self.parse(#"{"architectures":["\#(architecture.rawValue)"]}"#)
        let isQwen = architecture == .qwen2 || architecture == .qwen3
        #expect(model.architecture == architecture)
        #expect(model.hiddenSize == 4096 && model.numHiddenLayers == 32 && model.numAttentionHeads == 32)
        #expect(model.headDim == 128 && model.querySize == 4096)
        #expect(model.numKeyValueHeads == (architecture == .mistral ? 8 : 32))
        #expect(model.keyValueSize == model.numKeyValueHeads * 128)
        #expect(model.vocabSize == (isQwen ? 151_936 : 32_000))
        #expect(model.intermediateSize == (isQwen ? 22_016 : architecture == .mistral ? 14_336 : 11_008))
        #expect(
            model.maxPositionEmbeddings == (isQwen ? 32_768 : architecture == .mistral ? 131_072 : 2048))
        #expect(model.rmsNormEps == 1e-6 && model.ropeTheta == 10_000 && model.ropeScaling == .none)
        #expect(!model.tieWordEmbeddings && !model.mlpBias && !model.attentionOutputBias)
        #expect(model.attentionBias == (architecture == .qwen2))
        #expect(model.window(layer: 0) == (architecture == .mistral ? 4096 : nil))
        #expect(model.bosTokenID == (isQwen ? nil : 1) && model.eosTokenIDs == (isQwen ? [] : [2]))
        #expect(model.torchDtype == .f32 && model.quantization == nil)
    }

    @Test(
        "The style of transformers 5 reads as that of transformers 4",
        arguments: [
            (
                #""rope_theta":5e5,"torch_dtype":"bfloat16""#,
                #""rope_parameters":{"rope_theta":5e5,"rope_type":"default"},"dtype":"bfloat16""#
            ),
            (
                #""rope_theta":5e5,"rope_scaling":{"type":"linear","factor":2},"torch_dtype":"torch.float16""#,
                #""rope_parameters":{"rope_theta":5e5,"rope_type":"linear","factor":2.0},"dtype":"float16""#
            ),
            (
                #""rope_theta":5e5,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64}"#,
                #""rope_parameters":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64,"rope_theta":5e5}"#
            ),
            (#""rope_scaling":null"#, #""rope_parameters":{"rope_type":"default"}"#),
        ])
    func styles(four: String, five: String) throws {
        let start = #"{"architectures":["LlamaForCausalLM"],"num_key_value_heads":2,\#(Self.small),"#
        var (old, new) = (try Self.parse(start + four + "}"), try Self.parse(start + five + "}"))
        old.json = .null
        new.json = .null
        #expect(old == new)
    }

    @Test("Heads, biases, ties and ends are read as they are written")
    func readsFields() throws {
        let qwen3 = try Self.parse(
            #"{"architectures":["Qwen3ForCausalLM"],\#(Self.small),"head_dim":32,"num_key_value_heads":null,"#
                + #""attention_bias":true,"tie_word_embeddings":true,"eos_token_id":[5,7,5],"bos_token_id":null,"#
                + #""quantization_config":{"quant_method":"gptq"},"rms_norm_eps":1e-5,"pad_token_id":-1}"#)
        #expect(qwen3.headDim == 32 && qwen3.querySize == 128 && qwen3.numKeyValueHeads == 4)
        #expect(qwen3.attentionBias && qwen3.attentionOutputBias && !qwen3.mlpBias)
        #expect(qwen3.tieWordEmbeddings && qwen3.eosTokenIDs == [5, 7] && qwen3.bosTokenID == nil)
        #expect(qwen3.padTokenID == nil && qwen3.rmsNormEps == 1e-5)
        #expect(qwen3.quantization?["quant_method"]?.stringValue == "gptq")
        #expect(qwen3.json["vocab_size"]?.intValue == 99)
        let llama = try Self.parse(
            #"{"architectures":["LlamaForCausalLM"],\#(Self.small),"attention_bias":true,"mlp_bias":true,"#
                + #""eos_token_id":null,"hidden_act":"swish"}"#)
        #expect(llama.attentionBias && llama.attentionOutputBias && llama.mlpBias && llama.headDim == 16)
        #expect(llama.numKeyValueHeads == 4 && llama.eosTokenIDs.isEmpty)
        let mistral = try Self.parse(
            #"{"architectures":["MistralForCausalLM"],"attention_bias":true,"num_key_value_heads":1,\#(Self.small)}"#
        )
        #expect(!mistral.attentionBias && mistral.numKeyValueHeads == 1)
        let qwen2 = try Self.parse(#"{"architectures":["Qwen2ForCausalLM"],\#(Self.small)}"#)
        #expect(qwen2.numKeyValueHeads == 4)
    }

    @Test(
        "Windows slide where the family says so",
        arguments: [
            (Architecture.llama, #""sliding_window":8"#, [nil, nil, nil]),
            (.mistral, #""sliding_window":8"#, [8, 8, 8]),
            (.mistral, #""sliding_window":null"#, [nil, nil, nil]),
            (.qwen2, #""sliding_window":8"#, [nil, nil, nil]),
            (.qwen2, #""sliding_window":8,"use_sliding_window":true,"max_window_layers":2"#, [nil, nil, 8]),
            (.qwen2, #""sliding_window":8,"use_sliding_window":true"#, [nil, nil, nil]),
            (.qwen3, #""use_sliding_window":true,"max_window_layers":0"#, [4096, 4096, 4096]),
            (
                .qwen3,
                #""sliding_window":8,"use_sliding_window":true,"layer_types":["sliding_attention","full_attention","sliding_attention"]"#,
                [8, nil, 8]
            ),
        ] as [(Architecture, String, [Int?])])
    func windows(architecture: Architecture, fields: String, expected: [Int?]) throws {
        let model = try Self.parse(
            #"{"architectures":["\#(architecture.rawValue)"],"num_key_value_heads":2,\#(Self.small),\#(fields)}"#
        )
        #expect((0..<3).map(model.window(layer:)) == expected)
        #expect((model.slidingWindow == nil) == expected.allSatisfy { $0 == nil })
    }

    @Test(
        "What cannot be run is refused with a word on what is not there",
        arguments: [
            ("Qwen2MoeForCausalLM", "mixture-of-experts"), ("MixtralForCausalLM", "mixture-of-experts"),
            ("Qwen3MoeForCausalLM", "mixture-of-experts"), ("DeepseekV3ForCausalLM", "mixture-of-experts"),
            ("Qwen2VLForConditionalGeneration", "pictures"),
            ("Qwen2_5_VLForConditionalGeneration", "pictures"),
            ("LlavaForConditionalGeneration", "pictures"), ("MllamaForConditionalGeneration", "pictures"),
            ("Qwen3VLMoeForConditionalGeneration", "pictures"),
            ("BertForMaskedLM", "only models that generate"),
            ("LlamaForSequenceClassification", "only models that generate"),
            ("LlamaModel", "only models that generate"),
            ("GemmaForCausalLM", "not there yet"), ("GPT2LMHeadModel", "not there yet"),
            ("llamaforcausallm", "only models that generate"),
        ])
    func refusesArchitectures(name: String, expected: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Self.parse(#"{"architectures":["\#(name)"]}"#)
        }
        #expect(error?.field == "architectures" && error?.problem.contains(expected) == true)
        #expect(error?.remedy.contains("LlamaForCausalLM") == true)
    }

    @Test(
        "A field that cannot be meant is named, with the file and a remedy",
        arguments: [
            ("vocab_size", "0"), ("vocab_size", "-5"), ("vocab_size", "1e30"), ("vocab_size", "\"9\""),
            ("vocab_size", "99999999999999999999"), ("hidden_size", "64.5"),
            ("hidden_size", "9223372036854775807"),
            ("intermediate_size", "[]"), ("num_hidden_layers", "1000000000"), ("num_attention_heads", "0"),
            ("num_key_value_heads", "3"), ("num_key_value_heads", "8"), ("head_dim", "15"),
            ("head_dim", "1000000"),
            ("max_position_embeddings", "-1"), ("rms_norm_eps", "0"), ("rms_norm_eps", "true"),
            ("rope_theta", "1"), ("rope_theta", "-1"), ("rope_scaling", "7"), ("tie_word_embeddings", "1"),
            ("hidden_act", "\"gelu\""), ("torch_dtype", "\"int3\""), ("eos_token_id", "4294967296"),
            ("eos_token_id", "[1,\"2\"]"), ("bos_token_id", "-2"), ("partial_rotary_factor", "0.5"),
            ("attention_bias", "null1"), ("layer_types", "[\"full_attention\"]"),
            ("layer_types", "[\"a\",\"b\",\"c\"]"), ("sliding_window", "0"),
            ("layer_types", "[\"sliding_attention\",\"full_attention\",\"full_attention\"]"),
        ])
    func refusesFields(field: String, value: String) {
        let text =
            #"{"architectures":["Qwen2ForCausalLM"],\#(Self.small),"num_key_value_heads":2,"\#(field)":\#(value)}"#
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        let shown = error?.description ?? ""
        #expect(shown.hasPrefix("config.json: ") && error?.remedy.isEmpty == false, "\(shown)")
        #expect(error?.field.hasPrefix(field) == true || value == "null1", "\(shown)")
    }

    @Test(
        "A file that is no configuration is refused",
        arguments: [
            "", "[]", "{", "{}", "null", #"{"architectures":[]}"#, #"{"architectures":"LlamaForCausalLM"}"#,
        ])
    func refusesOtherFiles(text: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error?.remedy.isEmpty == false)
    }

    @Test(
        "A directory without config.json is an error with the path; one without generation_config.json is not"
    )
    func absentFiles() throws {
        let error = #expect(throws: ConfigurationError.self) {
            try ModelConfiguration(directory: "/nonexistent")
        }
        #expect(error?.file == "/nonexistent/config.json" && error?.problem == "there is no such file")
        #expect(try GenerationConfiguration(directory: "/nonexistent") == GenerationConfiguration())
    }

    @Test("Generation defaults are read, and what is not written stays open")
    func generation() throws {
        let text =
            #"{"do_sample":true,"temperature":0.7,"top_k":20,"top_p":0.8,"min_p":0.05,"#
            + #""repetition_penalty":1.05,"max_new_tokens":64,"eos_token_id":[151645,151643],"bos_token_id":9}"#
        let full = try GenerationConfiguration(parsing: Array(text.utf8), file: "generation_config.json")
        #expect(full.doSample && full.temperature == 0.7 && full.topK == 20 && full.topP == 0.8)
        #expect(full.minP == 0.05 && full.repetitionPenalty == 1.05 && full.maxNewTokens == 64)
        #expect(full.eosTokenIDs == [151_645, 151_643] && full.bosTokenID == 9 && full.maxLength == nil)
        let few = try GenerationConfiguration(
            parsing: Array(#"{"top_k":-1,"eos_token_id":2}"#.utf8), file: "g")
        #expect(!few.doSample && few.temperature == nil && few.topK == 0 && few.eosTokenIDs == [2])
        for wrong in [
            #"{"temperature":-1}"#, #"{"top_p":2}"#, #"{"repetition_penalty":0}"#, #"{"top_k":1.5}"#,
        ] {
            #expect(throws: ConfigurationError.self) {
                try GenerationConfiguration(parsing: Array(wrong.utf8), file: "g")
            }
        }
    }
}
