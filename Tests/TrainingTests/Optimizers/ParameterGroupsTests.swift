// Weight decay: which parameters have it.

import Testing
import Training

@Suite("Parameter groups")
struct ParameterGroupsTests {
    @Test(
        "All decays but biases and normalizations",
        arguments: [
            ("model.embed_tokens.weight", true), ("model.layers.0.self_attn.q_proj.weight", true),
            ("model.layers.0.self_attn.q_proj.bias", false), ("model.layers.0.input_layernorm.weight", false),
            ("model.layers.0.self_attn.q_norm.weight", false), ("model.norm.weight", false),
            ("norm.weight", false), ("lm_head.weight", true), ("model.RMSNorm.weight", false),
            ("model.normal.weight", true), ("model.prenorm.weight", true),
            ("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", true),
            ("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight", true),
            ("base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector", true),
            ("base_model.model.model.norm.weight", false),
        ])
    func decay(name: String, expected: Bool) {
        #expect(ParameterGroups.decays(name) == expected)
    }

    @Test("Each group keeps the order")
    func order() {
        let groups = ParameterGroups(["b.weight", "b.bias", "a.weight", "a.bias"])
        #expect(groups.decayed == ["b.weight", "a.weight"] && groups.undecayed == ["b.bias", "a.bias"])
    }
}
