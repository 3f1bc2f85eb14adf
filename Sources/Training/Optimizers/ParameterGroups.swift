// Which parameters decay: all but biases and the weights of normalizations.

/// The two groups of parameters that an optimizer treats differently, as `Trainer.get_decay_parameter_names`
/// in transformers divides them. Adapters' matrices and DoRA's magnitudes decay.
package struct ParameterGroups: Sendable, Hashable {
    /// In the order given.
    package var decayed: [String] = []
    package var undecayed: [String] = []

    /// - Parameter names: parameters, in a base model or an adapter's file.
    package init(_ names: some Sequence<String>) {
        for name in names {
            if Self.decays(name) { decayed.append(name) } else { undecayed.append(name) }
        }
    }

    /// Whether weight decay applies to the parameter of that name: not if it has `bias`, `layernorm` or
    /// `rmsnorm` in it or a part of it is `norm` or ends in `_norm`, case not counting.
    package static func decays(_ name: String) -> Bool {
        let lowered = name.lowercased()
        if ["bias", "layernorm", "rmsnorm"].contains(where: { lowered.contains($0) }) { return false }
        return !lowered.split(separator: ".").contains { $0 == "norm" || $0.hasSuffix("_norm") }
    }
}
