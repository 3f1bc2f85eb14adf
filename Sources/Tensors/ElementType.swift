// The types that elements of stored tensors have, by the names that the safetensors format gives them.

package import CKernels

/// An element type. The raw value is the name in a safetensors header.
///
/// The order of the cases is the one in which the reference library lays tensors out in a file, widest first.
package enum ElementType: String, Sendable, Hashable, CaseIterable {
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"
    case f32 = "F32"
    case u32 = "U32"
    case i32 = "I32"
    case bf16 = "BF16"
    case f16 = "F16"
    case u16 = "U16"
    case i16 = "I16"
    /// Four bits of exponent, no infinities (`float8_e4m3fn` in torch).
    case f8E4M3 = "F8_E4M3"
    case f8E5M2 = "F8_E5M2"
    case i8 = "I8"
    case u8 = "U8"
    case bool = "BOOL"

    /// Bytes of one element.
    package var byteCount: Int {
        switch self {
        case .u64, .i64, .f64: 8
        case .f32, .u32, .i32: 4
        case .bf16, .f16, .u16, .i16: 2
        case .f8E4M3, .f8E5M2, .i8, .u8, .bool: 1
        }
    }

    /// The type as the kernels know it, nil for what they do not compute with.
    package var kernelType: ck_type? {
        switch self {
        case .f32: CK_F32
        case .bf16: CK_BF16
        case .f16: CK_F16
        case .f8E4M3: CK_F8_E4M3
        case .i8: CK_I8
        default: nil
        }
    }

    /// The place in the reference library's file order.
    var layoutRank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// The type by its name in torch and in config.json: `bfloat16`, `torch.float16`; nil for an unknown one.
    package init?(torchName: String) {
        let name = torchName.hasPrefix("torch.") ? String(torchName.dropFirst(6)) : torchName
        switch name {
        case "float32", "float": self = .f32
        case "bfloat16": self = .bf16
        case "float16", "half": self = .f16
        case "float64", "double": self = .f64
        case "float8_e4m3fn": self = .f8E4M3
        case "float8_e5m2": self = .f8E5M2
        case "int8": self = .i8
        case "uint8": self = .u8
        default: return nil
        }
    }

    /// The name in torch and in config.json.
    package var torchName: String {
        switch self {
        case .u64: "uint64"
        case .i64: "int64"
        case .f64: "float64"
        case .f32: "float32"
        case .u32: "uint32"
        case .i32: "int32"
        case .bf16: "bfloat16"
        case .f16: "float16"
        case .u16: "uint16"
        case .i16: "int16"
        case .f8E4M3: "float8_e4m3fn"
        case .f8E5M2: "float8_e5m2"
        case .i8: "int8"
        case .u8: "uint8"
        case .bool: "bool"
        }
    }

    /// How many elements a shape has and how many bytes they take; nil if a dimension is negative or a product
    /// does not fit.
    package func size(of shape: [Int]) -> (elements: Int, bytes: Int)? {
        var elements = 1
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflowed) = elements.multipliedReportingOverflow(by: dimension)
            if overflowed { return nil }
            elements = product
        }
        let (bytes, overflowed) = elements.multipliedReportingOverflow(by: byteCount)
        return overflowed ? nil : (elements, bytes)
    }
}
