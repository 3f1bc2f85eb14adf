// What came of a quantization, as quantization_report.json has it.

package import Text

/// Errors, sizes and perplexities of one run.
package struct QuantizationReport: Sendable, Hashable {
    package static let fileName = "quantization_report.json"

    /// One linear layer.
    package struct Module: Sendable, Hashable {
        package var name: String
        package var outputs: Int
        package var inputs: Int
        /// |W' x - W x| by |W x| over all calibration inputs x, lengths of vectors; nil without calibration.
        package var relativeOutputError: Double?
        /// |W' - W| by |W|.
        package var relativeWeightError: Double
        package var bytesBefore: Int
        package var bytesAfter: Int
        /// AWQ: the exponent of the inputs' magnitudes.
        package var ratio: Double?
        /// GPTQ: the damping that was needed.
        package var dampPercent: Double?
    }

    package var method: QuantizationMethod
    package var scheme: QuantizationScheme
    package var modules: [Module] = []
    /// Linear layers that kept their weights.
    package var skipped: [String] = []
    package var calibrationRows = 0
    package var calibrationTokens = 0
    package var heldOutRows = 0
    package var heldOutTokens = 0
    /// Of the held-out texts, by the model as it was and as it is now; nil without such texts. What readers
    /// round of the activations is not in it.
    package var perplexityBefore: Double?
    package var perplexityAfter: Double?
    /// Of all tensors.
    package var bytesBefore = 0
    package var bytesAfter = 0
    package var seconds = 0.0
    package var peakBytes = 0

    package init(method: QuantizationMethod, scheme: QuantizationScheme) {
        (self.method, self.scheme) = (method, scheme)
    }

    /// Of the quantized layers alone.
    package var linearBytesBefore: Int { modules.reduce(0) { $0 + $1.bytesBefore } }
    package var linearBytesAfter: Int { modules.reduce(0) { $0 + $1.bytesAfter } }

    package var json: OrderedJSON {
        func member(_ key: String, _ value: OrderedJSON) -> OrderedJSON.Member {
            .init(key: key, value: value)
        }
        func number(_ value: Double?) -> OrderedJSON {
            value.flatMap { $0.isFinite ? .double($0) : nil } ?? .null
        }
        var bits = 8
        var (group, symmetric): (Int?, Bool) = (nil, true)
        if case .integers(let count, let size, let isSymmetric) = scheme.weights {
            (bits, group, symmetric) = (count, size, isSymmetric)
        }
        return .object([
            member("method", .string(method.rawValue)), member("format", .string(scheme.format.rawValue)),
            member("bits", .int(bits)), member("group_size", .int(group ?? -1)),
            member("sym", .bool(symmetric)),
            member("desc_act", .bool(scheme.actOrder)), member("damp_percent", number(scheme.dampPercent)),
            member("calibration_rows", .int(calibrationRows)),
            member("calibration_tokens", .int(calibrationTokens)),
            member("held_out_rows", .int(heldOutRows)), member("held_out_tokens", .int(heldOutTokens)),
            member("perplexity_before", number(perplexityBefore)),
            member("perplexity_after", number(perplexityAfter)),
            member("bytes_before", .int(bytesBefore)), member("bytes_after", .int(bytesAfter)),
            member("linear_bytes_before", .int(linearBytesBefore)),
            member("linear_bytes_after", .int(linearBytesAfter)),
            // No times and no memory: the file lies in the model, whose content must be the same for the same work.
            member("skipped", .array(skipped.map { .string($0) })),
            member(
                "modules",
                .array(
                    modules.map { module in
                        .object([
                            member("module", .string(module.name)),
                            member("shape", .array([.int(module.outputs), .int(module.inputs)])),
                            member("relative_output_error", number(module.relativeOutputError)),
                            member("relative_weight_error", number(module.relativeWeightError)),
                            member("bytes_before", .int(module.bytesBefore)),
                            member("bytes_after", .int(module.bytesAfter)),
                            member("awq_ratio", number(module.ratio)),
                            member("damp_percent", number(module.dampPercent)),
                        ])
                    })),
        ])
    }
}
