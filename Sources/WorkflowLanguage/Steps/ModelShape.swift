// The sizes of a language model as its config.json tells them: what the memory of a step is estimated from before
// anything is loaded.

package import Text

package struct ModelShape: Sendable, Hashable {
    /// Larger numbers are no model's.
    private static let limit = 1 << 28

    var hidden: Double
    var layers: Double
    var intermediate: Double
    /// Lengths of all query and of all key heads.
    var query: Double
    var keyValue: Double
    var vocabulary: Double
    var isTied: Bool
    /// Bytes of an element as the files have it.
    var elementBytes: Double

    /// - Parameter config: a model's config.json; nil for what describes none.
    package init?(config: JSONValue) {
        func number(_ name: String) -> Int? {
            config[name]?.intValue.flatMap { (1...Self.limit).contains($0) ? $0 : nil }
        }
        guard let hidden = number("hidden_size"), let layers = number("num_hidden_layers"),
            let vocabulary = number("vocab_size"), let heads = number("num_attention_heads")
        else { return nil }
        let headDim = number("head_dim") ?? hidden / heads
        self.hidden = Double(hidden)
        self.layers = Double(layers)
        self.vocabulary = Double(vocabulary)
        intermediate = Double(number("intermediate_size") ?? 4 * hidden)
        query = Double(heads) * Double(headDim)
        keyValue = Double(number("num_key_value_heads") ?? heads) * Double(headDim)
        isTied = config["tie_word_embeddings"]?.boolValue ?? false
        let type = config["torch_dtype"]?.stringValue ?? config["dtype"]?.stringValue ?? "float32"
        elementBytes = type.contains("16") ? 2 : 4
    }

    /// Matrices of the decoder and the vocabulary's; norms and biases are next to nothing beside them.
    var parameters: Double {
        vocabulary * hidden * (isTied ? 1 : 2)
            + layers * (2 * hidden * query + 2 * hidden * keyValue + 3 * hidden * intermediate)
    }

    /// What the passes of a training keep and need for a micro batch, as the trainer's own estimate has it: with
    /// gradient checkpointing the inputs of all layers and all of one layer, else all of all layers.
    func activationBytes(tokens: Double, isCheckpointing: Bool) -> Double {
        let layer = 8 * hidden + elementBytes * (2 * query + 2 * keyValue + 2 * intermediate)
        let work = 12 * hidden + elementBytes * (query + 2 * keyValue + 2 * intermediate)
        let kept = isCheckpointing ? 4 * hidden * layers + layer : (4 * hidden + layer) * layers
        return tokens * (kept + work)
    }

    /// Logits of the rows that are computed at once, with their gradients.
    func logitsBytes(tokens: Double) -> Double { min(tokens, 256) * vocabulary * (4 + elementBytes) }
}
