// Rotary frequencies of every rule, beside numbers that transformers 5.23 with torch 2.13 computed.

import Models
import Testing

@Suite("Rotary embedding")
struct ConfigurationRopeTests {
    private static func model(
        _ rope: String, maxPositions: Int, headDim: Int = 16
    ) throws(ConfigurationError) -> ModelConfiguration {
        let text =
            #"{"architectures":["LlamaForCausalLM"],"hidden_size":\#(2 * headDim),"num_attention_heads":2,"#
            + #""max_position_embeddings":\#(maxPositions),\#(rope)}"#
        return try ModelConfiguration(parsing: Array(text.utf8), file: "config.json")
    }

    /// Head dimension 16, base 10000; the frequencies are ROPE_INIT_FUNCTIONS' own.
    struct Case: Sendable {
        var fields: String
        var maxPositions = 8192
        var length: Int?
        var frequencies: [Float]
        var factor = 1.0
    }

    private static let plain: [Float] = [
        1.0, 0.31622776, 0.1, 0.03162278, 0.01, 0.0031622779, 0.001, 0.00031622779,
    ]
    private static let yarn = #""rope_type":"yarn","factor":4,"original_max_position_embeddings":2048"#
    private static let yarnFrequencies: [Float] = [
        1.0, 0.31622776, 0.1, 0.025693506, 0.0062499996, 0.0013834966, 0.00025, 0.000079056947,
    ]

    static let cases: [Case] = [
        Case(fields: #""rope_type":"default""#, frequencies: plain),
        Case(
            fields: #""rope_type":"linear","factor":3.0"#,
            frequencies: [
                0.33333334, 0.10540926, 0.033333335, 0.010540926, 0.0033333332, 0.0010540927, 0.00033333336,
                0.00010540926,
            ]),
        Case(fields: #""type":"dynamic","factor":2.5"#, maxPositions: 2048, frequencies: plain),
        Case(fields: #""type":"dynamic","factor":2.5"#, maxPositions: 2048, length: 100, frequencies: plain),
        Case(
            fields: #""type":"dynamic","factor":2.5"#, maxPositions: 2048, length: 9999,
            frequencies: [
                1.0, 0.22537798, 0.050795235, 0.011448128, 0.0025801561, 0.00058151037, 0.00013105964,
                0.000029537956,
            ]),
        Case(fields: yarn, frequencies: yarnFrequencies, factor: 1.138629436111989),
        Case(
            fields: yarn + #","mscale":1.0,"mscale_all_dim":0.8"#, frequencies: yarnFrequencies,
            factor: 1.0249579607969668),
        Case(fields: yarn + #","mscale":0.5"#, frequencies: yarnFrequencies, factor: 1.138629436111989),
        Case(
            fields: yarn + #","attention_factor":1.5,"beta_fast":0"#, frequencies: yarnFrequencies,
            factor: 1.5),
        Case(
            fields: yarn + #","truncate":false"#,
            frequencies: [
                1.0, 0.31622776, 0.1, 0.023870196, 0.0050569717, 0.00081129046, 0.00025, 0.000079056947,
            ], factor: 1.138629436111989),
        Case(
            fields: yarn + #","beta_fast":64,"beta_slow":0.5"#,
            frequencies: [
                1.0, 0.31622776, 0.085, 0.022135945, 0.0055, 0.0012649111, 0.00025, 0.000079056947,
            ], factor: 1.138629436111989),
        Case(
            fields: yarn + #","beta_fast":1,"beta_slow":1"#,
            frequencies: [
                1.0, 0.31622776, 0.1, 0.03162278, 0.01, 0.0031622779, 0.00025, 0.000079056947,
            ], factor: 1.138629436111989),
        Case(fields: #""rope_type":"yarn","factor":1.0"#, frequencies: plain),
        Case(
            fields: #""rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"#
                + #""original_max_position_embeddings":64"#, maxPositions: 131_072,
            frequencies: [
                1.0, 0.24438459, 0.013042256, 0.0039528473, 0.00125, 0.00039528473, 0.000125, 0.000039528473,
            ]),
        Case(
            fields: #""rope_type":"llama3","factor":8,"low_freq_factor":2,"high_freq_factor":8,"#
                + #""original_max_position_embeddings":1024"#, maxPositions: 131_072,
            frequencies: [
                1.0, 0.31622776, 0.1, 0.018496677, 0.00125, 0.00039528473, 0.000125, 0.000039528473,
            ]),
    ]

    @Test("Every rule gives the reference's frequencies, in either style", arguments: cases)
    func agreesWithReference(row: Case) throws {
        for style in ["rope_scaling", "rope_parameters"] {
            let model = try Self.model("\"\(style)\":{\(row.fields)}", maxPositions: row.maxPositions)
            let rotary = RotaryEmbedding(model, sequenceLength: row.length)
            #expect(rotary.inverseFrequencies.count == 8)
            for (found, expected) in zip(rotary.inverseFrequencies, row.frequencies) {
                // Two units in the last place: the reference's powers are not correctly rounded either, and the
                // rules round a few times more.
                #expect(abs(found - expected) <= 3e-7 * expected, "\(row.fields)")
            }
            #expect(abs(rotary.attentionFactor - row.factor) < 1e-12)
        }
    }

    @Test("Tables hold cosines and sines of single-precision angles, times the attention factor")
    func tables() throws {
        let model = try Self.model(
            #""rope_scaling":{"type":"yarn","factor":4,"attention_factor":0.5}"#, maxPositions: 64, headDim: 4
        )
        let rotary = RotaryEmbedding(model)
        let (cosines, sines) = rotary.table(positions: 1000..<1003)
        #expect(cosines.count == 6 && sines.count == 6)
        for (row, position) in (1000..<1003).enumerated() {
            for (column, frequency) in rotary.inverseFrequencies.enumerated() {
                let index = row * 2 + column
                #expect(abs(cosines[index] * cosines[index] + sines[index] * sines[index] - 0.25) < 1e-6)
                let next = rotary.table(positions: position..<(position + 1))
                #expect(next.cosines[column] == cosines[index] && next.sines[column] == sines[index])
                #expect(frequency > 0)
            }
        }
        // cos(1000) and sin(1000), halved.
        #expect(abs(cosines[0] - 0.281189538) < 1e-6 && abs(sines[0] - 0.413439771) < 1e-6)
        #expect(rotary.table(positions: 0..<1).cosines == [0.5, 0.5])
        #expect(rotary.table(positions: 5..<5).cosines.isEmpty)
    }

    @Test(
        "The base inside goes before the one beside it, the original length beside before the one inside",
        arguments: [
            (#""rope_theta":5,"rope_scaling":{"rope_theta":7,"type":"default"}"#, 7.0),
            (#""rope_theta":5,"rope_scaling":{"type":"default"}"#, 5),
            (#""rope_theta":5,"rope_parameters":{}"#, 5),
            (#""rope_parameters":{"rope_theta":7},"rope_scaling":{"rope_theta":9,"type":"default"}"#, 9),
            (#""rope_scaling":null"#, 10_000),
        ])
    func precedence(fields: String, theta: Double) throws {
        #expect(try Self.model(fields, maxPositions: 100).ropeTheta == theta)
        let yarn = try Self.model(
            #""original_max_position_embeddings":32,"rope_scaling":{"type":"yarn","original_max_position_embeddings":64}"#,
            maxPositions: 128)
        guard case .yarn(let rule) = yarn.ropeScaling else {
            Issue.record("yarn was not read")
            return
        }
        #expect(rule.originalMaxPositionEmbeddings == 32 && rule.factor == 4)
    }

    @Test(
        "Rules that are not there, and rules that lack a number, are refused by name",
        arguments: [
            (#"{"type":"longrope","factor":2}"#, "rope_scaling.rope_type"),
            (#"{"rope_type":"mrope"}"#, "rope_scaling.rope_type"),
            (#"{"rope_type":3}"#, "rope_scaling.rope_type"),
            (#"{"type":"linear"}"#, "rope_scaling.factor"),
            (#"{"type":"linear","factor":0}"#, "rope_scaling.factor"),
            (#"{"type":"dynamic","factor":0.5}"#, "rope_scaling.factor"),
            (#"{"type":"yarn","factor":"4"}"#, "rope_scaling.factor"),
            (#"{"type":"yarn","factor":4,"truncate":1}"#, "rope_scaling.truncate"),
            (
                #"{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4}"#,
                "rope_scaling.high_freq_factor"
            ),
            (#"{"type":"llama3","factor":8,"high_freq_factor":4}"#, "rope_scaling.low_freq_factor"),
            (#"{"partial_rotary_factor":0.25}"#, "rope_scaling.partial_rotary_factor"),
            (#"{"full_attention":{"rope_type":"default"}}"#, "rope_scaling.full_attention"),
            (
                #"{"type":"yarn","factor":4,"original_max_position_embeddings":0}"#,
                "rope_scaling.original_max_position_embeddings"
            ),
        ])
    func refuses(rope: String, field: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Self.model(#""rope_scaling":\#(rope)"#, maxPositions: 64)
        }
        #expect(error?.field == field && error?.remedy.isEmpty == false, "\(error?.description ?? "")")
    }
}
