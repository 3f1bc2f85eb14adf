// The linear layers of a decoder layer, in the groups that share their inputs.

import Tensors

/// One linear layer.
struct LinearModule: Sendable, Hashable {
    /// Such as `model.layers.0.mlp.up_proj`.
    var name: String
    var outputs: Int
    var inputs: Int
}

/// Layers with the same input, in the order in which a token meets them.
enum InputGroup: Int, Sendable, Hashable, CaseIterable {
    case attention, attentionOutput, feedForward, feedForwardOutput
}

/// All linear layers of a decoder layer; the families here have the same.
struct LayerModules {
    let prefix: String
    private let configuration: ModelConfiguration

    init(_ loader: WeightLoader, layer index: Int) {
        prefix = loader.layer(index)
        configuration = loader.configuration
    }

    func modules(_ group: InputGroup) -> [LinearModule] {
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        let (query, keyValue) = (configuration.querySize, configuration.keyValueSize)
        func module(_ name: String, _ outputs: Int, _ inputs: Int) -> LinearModule {
            LinearModule(name: prefix + name, outputs: outputs, inputs: inputs)
        }
        return switch group {
        case .attention:
            [
                module("self_attn.q_proj", query, hidden), module("self_attn.k_proj", keyValue, hidden),
                module("self_attn.v_proj", keyValue, hidden),
            ]
        case .attentionOutput: [module("self_attn.o_proj", hidden, query)]
        case .feedForward:
            [module("mlp.gate_proj", intermediate, hidden), module("mlp.up_proj", intermediate, hidden)]
        case .feedForwardOutput: [module("mlp.down_proj", hidden, intermediate)]
        }
    }

    var all: [LinearModule] { InputGroup.allCases.flatMap(modules) }
    var value: LinearModule { modules(.attention)[2] }
    var up: LinearModule { modules(.feedForward)[1] }

    /// The norm whose outputs are the group's inputs.
    func norm(of group: InputGroup) -> String? {
        switch group {
        case .attention: prefix + "input_layernorm.weight"
        case .feedForward: prefix + "post_attention_layernorm.weight"
        case .attentionOutput, .feedForwardOutput: nil
        }
    }
}

extension WeightLoader {
    /// A layer as the files have it.
    func decoderLayer(_ index: Int) throws -> DecoderLayer {
        switch configuration.architecture {
        case .llama: try Llama.layer(index, self)
        case .mistral: try Mistral.layer(index, self)
        case .qwen2: try Qwen2.layer(index, self)
        case .qwen3: try Qwen3.layer(index, self)
        }
    }
}

extension DecoderLayer {
    func linear(_ group: InputGroup) -> Linear {
        switch group {
        case .attention: attention.qkv
        case .attentionOutput: attention.output
        case .feedForward: feedForward.gateUp
        case .feedForwardOutput: feedForward.down
        }
    }
}
