// The rest of the quantization fixtures: number formats, products of 8-bit integers, blocks of GGUF, packed
// files.

import CKernels
import Models
import Tensors
import Text

extension QuantizeCheck {
    /// FP8 and bf16 by their probes, W8A8 by its integers.
    func arithmetic(_ report: inout GoldenReport) throws {
        let bytes = (0..<256).map { UInt8($0) }
        var table = [Float](repeating: 0, count: 256)
        ck_to_f32(CK_F8_E4M3, bytes, &table, 256)
        report.expect("number formats", "fp8 decoding", Self.unequal(table, try floats("fp8_decode_table")))
        let probe = try floats("fp8_probe.in")
        var coded = [UInt8](repeating: 0, count: probe.count)
        ck_from_f32(CK_F8_E4M3, probe, &coded, Int64(probe.count))
        report.expect(
            "number formats", "fp8 encoding",
            Self.unequal(coded.map { Float($0) }, try floats("fp8_probe.bytes")))
        let wide = try floats("bf16_probe.in")
        var words = [UInt16](repeating: 0, count: wide.count)
        ck_from_f32(CK_BF16, wide, &words, Int64(wide.count))
        let expected = try floats("bf16_probe.bits")
        // Bits above the sign's are none, but the reference may have them negative.
        report.expect(
            "number formats", "bf16 rounding",
            Self.unequal(words.map { Float($0) }, expected.map { $0 < 0 ? $0 + 65536 : $0 }))
        try products(&report)
    }

    /// Dynamic activations: each row is rounded to 8 bits, and multiplied as integers with the codes of the
    /// weights.
    private func products(_ report: inout GoldenReport) throws {
        let expectedCodes = try floats("w8a8.x_q")
        let count = expectedCodes.count / inputs
        var codes = [Int8](repeating: 0, count: count * inputs)
        var scales = [Float](repeating: 0, count: count)
        ck_int8_quantize_rows(
            scratch.pool.handle, CK_F32, activations, Int64(count), Int64(inputs), &codes, &scales)
        equalCodes("w8a8 activations", codes.map { Float($0) }, expectedCodes, &report)
        let grid = IntegerGrid(rule: .signed, bits: 8, groupSize: nil)
        let matrix = RoundToNearest.quantize(
            weight, outputs: outputs, inputs: inputs, grid: grid, pool: scratch.pool)
        var sums: [Float] = []
        var results: [Float] = []
        for row in 0..<count {
            for output in 0..<outputs {
                var sum: Int32 = 0
                for input in 0..<inputs {
                    sum +=
                        Int32(codes[row * inputs + input])
                        * (Int32(matrix.codes[output * inputs + input]) - 128)
                }
                sums.append(Float(sum))
                results.append(Float(sum) * scales[row] * matrix.scales[output])
            }
        }
        equalCodes("w8a8 sums", sums, try floats("w8a8.acc_int32"), &report)
        let (difference, place) = largestDifference(results, try floats("w8a8.out"))
        report.measure("w8a8 output", "out", difference: difference, limit: 1e-4, detail: "element \(place)")
    }

    /// Blocks of GGUF: bytes to floats exactly, and back for the kinds that are encoded.
    func blocks(_ report: inout GoldenReport) throws {
        for name in tensors.names where name.hasPrefix("gguf_") && name.hasSuffix(".bytes") {
            let kind = String(name.dropFirst("gguf_".count).dropLast(".bytes".count))
            guard let block = GGUFBlock(rawValue: kind), let stored = tensors.tensor(name) else {
                report.fail("gguf", kind, "this kind of block is not known")
                continue
            }
            let bytes = Array(stored.bytes)
            let values = try floats("gguf_\(kind).dequantized")
            let (difference, place) = largestDifference(block.decode(bytes), values)
            report.measure(
                "gguf decoding", kind, difference: difference, limit: 1e-6, detail: "element \(place)")
            guard values.count == weight.count, let made = block.encode(weight) else { continue }
            equalCodes("gguf \(kind) bytes", made.map { Float($0) }, bytes.map { Float($0) }, &report)
        }
    }

    /// Files as vLLM reads them: our packing of the reference's codes gives the same words, and unpacking the
    /// same weights.
    func packed(_ folder: GoldenFolder, _ format: QuantizationFormat, _ report: inout GoldenReport) throws {
        for name in folder.entries where name.hasSuffix(".safetensors") {
            let key = String(name.dropLast(".safetensors".count))
            let file = try SafetensorsFile(path: folder.path(of: name))
            guard let stored = file.names.first(where: { $0.hasSuffix(".qweight") || $0 == "qweight" }) else {
                report.fail("packed files", key, "there is no qweight")
                continue
            }
            let module = stored == "qweight" ? "" : String(stored.dropLast(".qweight".count))
            for tensor in QuantizedTensors.tensors(of: try matrix(key), module: module, format: format) {
                guard let expected = file.tensor(tensor.name) else {
                    report.fail("packed files", key, "\(tensor.name) is not in the file")
                    continue
                }
                let isSame =
                    tensor.shape == expected.shape && tensor.type == expected.elementType
                    && tensor.bytes.elementsEqual(expected.bytes)
                report.expect(
                    "packed files", "\(key) \(tensor.name)",
                    isSame ? nil : "\(tensor.type) \(tensor.shape) differs from \(expected.shape)")
            }
        }
    }

    /// The reference's codes.
    private func matrix(_ key: String) throws -> QuantizedMatrix {
        let scales = try floats(key + ".scales")
        let index = tensors.tensor(key + ".g_idx")?.floats().map { Int32($0) }
        let group = inputs / (scales.count / outputs)
        let isPlain = index.map { $0.enumerated().allSatisfy { Int($1) == $0 / group } } ?? true
        return QuantizedMatrix(
            outputs: outputs, inputs: inputs, bits: 4, groupSize: group,
            codes: try floats(key + ".q").map { UInt8($0) }, scales: scales,
            zeros: key.contains("_sym") ? nil : try floats(key + ".zeros").map { UInt8($0) },
            groupIndex: isPlain ? nil : index)
    }

    /// Where two lists differ, taking NaN for equal to itself.
    private static func unequal(_ ours: [Float], _ reference: [Float]) -> String? {
        guard ours.count == reference.count else { return "\(ours.count) values, not \(reference.count)" }
        for (index, pair) in zip(ours, reference).enumerated()
        where pair.0 != pair.1 && !(pair.0.isNaN && pair.1.isNaN) {
            return "element \(index) is \(pair.0), reference \(pair.1)"
        }
        return nil
    }
}
