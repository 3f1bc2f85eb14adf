// What `quantization_config` of config.json says: how the layers of a checkpoint are quantized, and which are not.

/// One way of keeping the weights of all quantized layers of a checkpoint that we write.
package struct QuantizationScheme: Sendable, Hashable {
    /// Integer codes by group, or floats of 8 bits.
    package enum Weights: Sendable, Hashable {
        /// - Parameter groupSize: nil for one scale an output ("channel").
        case integers(bits: Int, groupSize: Int?, symmetric: Bool)
        /// - Parameter perChannel: one scale an output, else one for the whole matrix ("tensor").
        case float8(perChannel: Bool)
    }

    package var format: QuantizationFormat
    package var weights: Weights
    /// Groups were made in the order of the columns' importance, so that tensors have a `g_idx`.
    package var actOrder: Bool
    /// Readers quantize activations, too, by token to 8 bits of the weights' kind (W8A8). Only compressed-tensors
    /// with 8 bits says so.
    package var dynamicActivations: Bool
    /// Names of linear layers that keep their weights, such as `lm_head`.
    package var ignored: [String]
    /// Written for the record where the method has it (`damp_percent` of GPTQ).
    package var dampPercent: Double?

    package init(
        format: QuantizationFormat, weights: Weights, actOrder: Bool = false,
        dynamicActivations: Bool = false,
        ignored: [String] = ["lm_head"], dampPercent: Double? = nil
    ) {
        self.format = format
        self.weights = weights
        self.actOrder = actOrder
        self.dynamicActivations = dynamicActivations
        self.ignored = ignored
        self.dampPercent = dampPercent
    }
}
