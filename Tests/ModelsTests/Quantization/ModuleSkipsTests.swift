// Which names and patterns mean which modules.

import Models
import Testing
import Text

@Suite("Modules that keep their weights")
struct ModuleSkipsTests {
    @Test(
        "Names, patterns and expressions mean what people expect",
        arguments: [
            ("down_proj", "model.layers.0.mlp.down_proj", true),
            ("down_proj", "model.layers.0.mlp.up_proj", false),
            ("layers.1", "model.layers.1.mlp.up_proj", true),
            ("layers.1", "model.layers.11.mlp.up_proj", false),
            ("proj", "model.layers.1.mlp.up_proj", false),
            ("model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj", true),
            ("*.o_proj", "model.layers.3.self_attn.o_proj", true),
            ("*layers.?.mlp*", "model.layers.3.mlp.up_proj", true),
            ("*layers.?.mlp*", "model.layers.13.mlp.up_proj", false),
            ("re:layers\\.(0|1)\\.", "model.layers.1.mlp.up_proj", true),
            ("re:layers\\.(0|1)\\.", "model.layers.2.mlp.up_proj", false),
            ("(gate|up)_proj$", "model.layers.2.mlp.gate_proj", true), ("lm_head", "lm_head", true),
        ])
    func matches(word: String, module: String, expected: Bool) throws {
        #expect(try ModuleSkips([word]).contains(module) == expected)
    }

    @Test("An expression that is none is an error")
    func badExpression() {
        #expect(throws: RegularExpressionError.self) { try ModuleSkips(["re:("]) }
    }
}
