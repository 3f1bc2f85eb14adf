// What a model is quantized by: the method, the format on disk, and the texts to calibrate with.

import Tensors

/// How codes are chosen.
package enum QuantizationMethod: String, Sendable, Hashable, CaseIterable {
    case rtn, gptq, awq, fp8
    /// Weights and, while reading, activations in 8-bit integers (W8A8).
    case int8

    /// Whether codes depend on the inputs of a calibration.
    package var needsCalibration: Bool { self == .gptq || self == .awq }
}

/// The settings of one quantization.
package struct QuantizationRequest: Sendable {
    package var method: QuantizationMethod
    /// What config.json will say. `ignored` is filled in from `skips`.
    package var scheme: QuantizationScheme
    /// `damp_percent` of GPTQ.
    package var dampPercent = 0.01
    /// Linear layers that keep their weights, besides the output layer, which always does.
    package var skips: ModuleSkips
    /// Token ids, each list a text; may be empty for methods without calibration.
    package var calibration: [[Int32]] = []
    /// Texts for the perplexity before and after; may be empty.
    package var heldOut: [[Int32]] = []
    /// Tokens that go through a layer at once, unless a text is longer.
    package var batchTokens = 2048
    /// Hidden states that take more are kept in a file in the output directory.
    package var activationLimitBytes = 1 << 30
    /// At which another file of weights is begun.
    package var maximumShardBytes = 5_000_000_000

    package init(method: QuantizationMethod, scheme: QuantizationScheme, skips: ModuleSkips) {
        (self.method, self.scheme, self.skips) = (method, scheme, skips)
    }

    /// The grid of integer codes; nil for FP8.
    /// - Parameter type: of the stored weights.
    func grid(storedAs type: ElementType) -> IntegerGrid? {
        guard case .integers(let bits, let groupSize, let isSymmetric) = scheme.weights else { return nil }
        var rule: IntegerGrid.Rule = isSymmetric ? .symmetric : .asymmetric
        // Arithmetic in 8 bits, ours too, has no use for the lowest code.
        if isSymmetric, bits == 8, method != .gptq { rule = .signed }
        var grid = IntegerGrid(
            rule: rule, bits: bits, groupSize: groupSize, scaleType: scaleType(storedAs: type))
        if scheme.format == .gptq { grid.leastZero = 1 }
        return grid
    }

    /// GPTQ and AWQ have halves; compressed-tensors what the model has; arithmetic in 8 bits multiplies by
    /// floats.
    func scaleType(storedAs type: ElementType) -> ElementType {
        if scheme.format != .compressedTensors { return .f16 }
        return scheme.dynamicActivations ? .f32 : type
    }
}

/// How far a quantization is.
package struct QuantizationProgress: Sendable, Hashable {
    package enum Phase: String, Sendable, Hashable {
        case calibrating, quantizing, writing, measuring
    }

    /// Layers that are done.
    package var layer: Int
    package var layerCount: Int
    package var phase: Phase
    /// What is being quantized, or empty.
    package var module = ""
}

/// What the run asks of and tells its caller.
package struct QuantizationEnvironment {
    package var progress: (QuantizationProgress) -> Void = { _ in }
    /// Called often; what it throws ends the run.
    package var checkCancellation: () throws -> Void = {}
    /// Seconds that have passed, from any beginning.
    package var seconds: () -> Double
    /// The most memory that the process has had.
    package var peakBytes: () -> Int = { 0 }

    package init(seconds: @escaping () -> Double) { self.seconds = seconds }
}
