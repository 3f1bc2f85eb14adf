// Blocks of quantized weights as GGUF files have them, decoded, and for the plainer kinds encoded.

import CKernels

/// A kind of block. Layouts and rounding are those of ggml's `quantize_row_*_ref` and of the gguf package.
package enum GGUFBlock: String, Sendable, Hashable, CaseIterable {
    case q40 = "Q4_0"
    case q41 = "Q4_1"
    case q50 = "Q5_0"
    case q51 = "Q5_1"
    case q80 = "Q8_0"
    case q4K = "Q4_K"
    case q5K = "Q5_K"
    case q6K = "Q6_K"

    /// Weights of a block.
    package var elementCount: Int {
        switch self {
        case .q40, .q41, .q50, .q51, .q80: 32
        case .q4K, .q5K, .q6K: 256
        }
    }

    package var byteCount: Int {
        switch self {
        case .q40: 18
        case .q41: 20
        case .q50: 22
        case .q51: 24
        case .q80: 34
        case .q4K: 144
        case .q5K: 176
        case .q6K: 210
        }
    }

    /// - Parameter bytes: whole blocks.
    package func decode(_ bytes: [UInt8]) -> [Float] {
        precondition(bytes.count % byteCount == 0, "a part of a block")
        return stride(from: 0, to: bytes.count, by: byteCount).flatMap { start -> [Float] in
            let block = Array(bytes[start..<start + byteCount])
            switch self {
            case .q40, .q41, .q50, .q51: return legacy(block)
            case .q80:
                let scale = Self.half(block, 0)
                return block[2...].map { Float(Int8(bitPattern: $0)) * scale }
            case .q4K, .q5K: return superblock(block)
            case .q6K: return Self.sixBits(block)
            }
        }
    }

    /// - Parameter values: whole blocks, finite.
    /// - Returns: nil for the kinds that are only decoded.
    package func encode(_ values: [Float]) -> [UInt8]? {
        precondition(values.count % elementCount == 0, "a part of a block")
        if [.q4K, .q5K, .q6K].contains(self) { return nil }
        return stride(from: 0, to: values.count, by: elementCount).flatMap { start -> [UInt8] in
            let block = Array(values[start..<start + elementCount])
            return self == .q80 ? Self.eightBits(block) : legacyBytes(block)
        }
    }

    // MARK: Numbers

    private static func half(_ bytes: [UInt8], _ offset: Int) -> Float {
        var value: Float = 0
        bytes.withUnsafeBytes { ck_to_f32(CK_F16, $0.baseAddress.map { $0 + offset }, &value, 1) }
        return value
    }

    private static func halfBytes(_ value: Float) -> [UInt8] {
        var word: UInt16 = 0
        withUnsafePointer(to: value) { ck_from_f32(CK_F16, $0, &word, 1) }
        return [UInt8(truncatingIfNeeded: word), UInt8(word >> 8)]
    }

    // MARK: Blocks of 32

    private var hasFifthBit: Bool { self == .q50 || self == .q51 }
    /// With a minimum of its own, where the others have zero in the middle.
    private var hasMinimum: Bool { self == .q41 || self == .q51 }
    /// The code of zero without a minimum.
    private var middle: Float { hasFifthBit ? 16 : 8 }

    /// Low nibbles are the first half of the weights.
    private func legacy(_ block: [UInt8]) -> [Float] {
        let scale = Self.half(block, 0)
        let offset = hasMinimum ? 4 : 2
        let nibbles = block[(offset + (hasFifthBit ? 4 : 0))...]
        var high: UInt32 = 0
        if hasFifthBit {
            for index in 0..<4 { high |= UInt32(block[offset + index]) << (8 * UInt32(index)) }
        }
        let codes = nibbles.map { $0 & 15 } + nibbles.map { $0 >> 4 }
        return codes.enumerated().map { index, low in
            let code = Float(low) + (high >> UInt32(index) & 1 == 1 ? 16 : 0)
            return hasMinimum ? code * scale + Self.half(block, 2) : (code - middle) * scale
        }
    }

    private func legacyBytes(_ values: [Float]) -> [UInt8] {
        let top: Float = hasFifthBit ? 31 : 15
        var head: [UInt8]
        var codes: [UInt8]
        if hasMinimum {
            let least = values.reduce(Float.infinity, min)
            let scale = (values.reduce(-Float.infinity, max) - least) / top
            let inverse = scale == 0 ? 0 : 1 / scale
            head = Self.halfBytes(scale) + Self.halfBytes(least)
            codes = values.map {
                UInt8(min(max((($0 - least) * inverse + 0.5).rounded(.towardZero), 0), top))
            }
        } else {
            // The value with the largest magnitude gets the lowest code, with its sign.
            let largest = values.reduce(Float(0)) { abs($1) > abs($0) ? $1 : $0 }
            let scale = largest / -middle
            let inverse = scale == 0 ? 0 : 1 / scale
            head = Self.halfBytes(scale)
            codes = values.map { value in
                let step = Double(value) * Double(inverse) + Double(middle) + 0.5
                return UInt8(min(max(step.rounded(.towardZero), 0), Double(top)))
            }
        }
        if hasFifthBit {
            var high: UInt32 = 0
            for (index, code) in codes.enumerated() { high |= UInt32(code >> 4) << UInt32(index) }
            head += (0..<4).map { UInt8(truncatingIfNeeded: high >> (8 * UInt32($0))) }
            codes = codes.map { $0 & 15 }
        }
        return head + (0..<16).map { codes[$0] | codes[$0 + 16] << 4 }
    }

    private static func eightBits(_ values: [Float]) -> [UInt8] {
        let scale = values.reduce(0) { max($0, abs($1)) } / 127
        let inverse = scale == 0 ? 0 : 1 / scale
        return halfBytes(scale)
            + values.map { value in
                let code = (value * inverse).rounded(.toNearestOrAwayFromZero)
                return UInt8(bitPattern: Int8(min(max(code, -127), 127)))
            }
    }

    // MARK: Blocks of 256

    /// Eight groups of 32 with scales and minima of 6 bits, packed in 12 bytes.
    private static func scalesAndMinima(_ bytes: [UInt8]) -> [(scale: Float, minimum: Float)] {
        (0..<8).map { group in
            if group < 4 { return (Float(bytes[group] & 63), Float(bytes[group + 4] & 63)) }
            let low = bytes[group + 4]
            return (
                Float(low & 15 | (bytes[group - 4] >> 6) << 4), Float(low >> 4 | (bytes[group] >> 6) << 4)
            )
        }
    }

    private func superblock(_ block: [UInt8]) -> [Float] {
        let (scale, minimum) = (Self.half(block, 0), Self.half(block, 2))
        let groups = Self.scalesAndMinima(Array(block[4..<16]))
        let high = self == .q5K ? Array(block[16..<48]) : []
        let codes = Array(block[(self == .q5K ? 48 : 16)...])
        return (0..<256).map { index in
            // 64 weights share 32 bytes: the low nibbles are the first 32 of them.
            let (group, lane) = (index / 32, index % 32)
            let byte = codes[group / 2 * 32 + lane]
            var code = group % 2 == 0 ? byte & 15 : byte >> 4
            if !high.isEmpty { code |= (high[lane] >> UInt8(group) & 1) << 4 }
            return scale * groups[group].scale * Float(code) - minimum * groups[group].minimum
        }
    }

    private static func sixBits(_ block: [UInt8]) -> [Float] {
        let scale = half(block, 208)
        return (0..<256).map { index in
            // Each half has 64 bytes of low and 32 bytes of high bits for 4 groups of 32.
            let (part, group, lane) = (index / 128, index % 128 / 32, index % 32)
            let byte = block[part * 64 + group % 2 * 32 + lane]
            let low = group < 2 ? byte & 15 : byte >> 4
            let high = block[128 + part * 32 + lane] >> UInt8(2 * group) & 3
            let local = Float(Int8(bitPattern: block[192 + index / 16]))
            return scale * local * Float(Int(low | high << 4) - 32)
        }
    }
}
