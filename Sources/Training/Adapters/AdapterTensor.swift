// The tensors of an adapter as its file has them: names, shapes, and what they hold before training.

/// One tensor of an adapter's file.
package struct AdapterTensor: Sendable, Hashable {
    /// What a new adapter has in a tensor.
    package enum Start: Sendable, Hashable {
        /// Drawn evenly from -bound to bound: torch's `kaiming_uniform_(a=sqrt(5))` with bound 1 /
        /// sqrt(inputs).
        case uniform(bound: Double)
        case zeros
        /// The lengths of the rows of a base weight [outputs, inputs]: DoRA then begins as the base model.
        /// With a quantized base they are those of what the layer computes with.
        case rowNorms(of: String)
    }

    package var name: String
    package var shape: [Int]
    package var start: Start

    package init(name: String, shape: [Int], start: Start) {
        self.name = name
        self.shape = shape
        self.start = start
    }

    /// - Parameter module: `model.layers.0.self_attn.q_proj`.
    package static func a(_ module: String) -> String { "\(AdapterFile.prefix)\(module).lora_A.weight" }
    package static func b(_ module: String) -> String { "\(AdapterFile.prefix)\(module).lora_B.weight" }
    package static func magnitude(_ module: String) -> String {
        "\(AdapterFile.prefix)\(module).lora_magnitude_vector"
    }
}

extension TunerPlan.LoRA {
    /// A [rank, inputs], B [outputs, rank] and, with DoRA, the magnitudes [outputs], in this order.
    package var tensors: [AdapterTensor] {
        let a = AdapterTensor(
            name: AdapterTensor.a(module), shape: [rank, inputs],
            start: .uniform(bound: 1 / Double(inputs).squareRoot()))
        let b = AdapterTensor(name: AdapterTensor.b(module), shape: [outputs, rank], start: .zeros)
        guard hasMagnitude else { return [a, b] }
        let magnitude = AdapterTensor(
            name: AdapterTensor.magnitude(module), shape: [outputs], start: .rowNorms(of: weight))
        return [a, b, magnitude]
    }
}
