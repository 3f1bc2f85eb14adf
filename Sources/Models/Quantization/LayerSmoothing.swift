// AWQ within a decoder layer: factors that go from inputs to weights without changing what the layer
// computes.

import Tensors

/// The factors of one layer. Weights of a group are multiplied by `columns`, input by input; what makes those
/// inputs is divided by them: a norm's weights, or the outputs of the layer before, which are `rows` of that.
struct LayerSmoothing {
    /// By group: the factor of each input.
    var columns: [InputGroup: [Float]] = [:]
    /// By group: the exponent that was found.
    var ratios: [InputGroup: Double] = [:]
    /// By module: what each of its outputs, and of its biases, is divided by.
    var rows: [String: [Float]] = [:]
    /// Weights of norms by the name of the tensor.
    var norms: [String: [Float]] = [:]

    /// Divides a norm's weights by the factors. What is stored is rounded, and the factors become what the
    /// rounded weights really divide by.
    mutating func fold(
        _ smooth: [Float], into norm: (name: String, weights: [Float]), storedAs type: ElementType,
        for group: InputGroup
    ) {
        var (factors, folded) = (smooth, norm.weights)
        let rounded = QuantizedTensors.roundedScales(zip(norm.weights, smooth).map { $0 / $1 }, type)
        for (index, value) in rounded.enumerated() {
            let factor = norm.weights[index] == 0 ? smooth[index] : norm.weights[index] / value
            // What cannot be stored is not folded.
            let isSound = value.isFinite && factor.isFinite && factor > 0
            factors[index] = isSound ? factor : 1
            folded[index] = isSound ? value : norm.weights[index]
        }
        columns[group] = factors
        norms[norm.name] = folded
    }

    /// Lets the layer before divide its outputs by the factors.
    mutating func fold(_ smooth: [Float], into module: LinearModule, for group: InputGroup) {
        columns[group] = smooth
        rows[module.name] = smooth
    }
}
