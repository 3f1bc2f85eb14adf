// Sprig's random functions. They draw from the seed in the context, so that a run replayed after a crash gets
// the same text; whoever knows the seed knows it too, so none of them makes a secret.

import Text

enum SprigRandom {
    static let signatures: [String: String] = [
        "randAlphaNum": "count", "randAlpha": "count", "randNumeric": "count", "randAscii": "count",
        "randBytes": "count", "randInt": "min max", "shuffle": "text", "uuidv4": "",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "randAlphaNum": return .string(try text(&call, from: digits + capitals + letters))
        case "randAlpha": return .string(try text(&call, from: capitals + letters))
        case "randNumeric": return .string(try text(&call, from: digits))
        case "randAscii": return .string(try text(&call, from: Array(0x20...0x7E)))
        case "randBytes":
            let count = try size(&call)
            return .string(SprigEncodings.base64((0..<count).map { _ in UInt8(call.draw(below: 256)) }))
        case "randInt":
            let (least, limit) = (try call.int(0), try call.int(1))
            let (span, overflow) = limit.subtractingReportingOverflow(least)
            guard least < limit, !overflow else {
                throw call.error("there is no integer from \(least) to below \(limit) to draw")
            }
            return .int(least + Int(call.draw(below: UInt64(span))))
        case "shuffle":
            var scalars = Array(try call.string(0).unicodeScalars)
            try call.spend(steps: scalars.count)
            for last in stride(from: scalars.count - 1, to: 0, by: -1) {
                scalars.swapAt(last, Int(call.draw(below: UInt64(last) + 1)))
            }
            return .string(SprigText.string(scalars))
        case "uuidv4": return .string(uuid(&call))
        default: throw call.error("is not implemented")
        }
    }

    private static let digits = Array(UInt8(ascii: "0")...UInt8(ascii: "9"))
    private static let capitals = Array(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    private static let letters = Array(UInt8(ascii: "a")...UInt8(ascii: "z"))

    /// The count asked for, paid for.
    private static func size(_ call: inout SprigCall) throws(ExpressionError) -> Int {
        let count = try call.int(0)
        guard count >= 0 else { throw call.error("the count \(count) is negative") }
        try call.spend(steps: count)
        return count
    }

    private static func text(
        _ call: inout SprigCall, from alphabet: [UInt8]
    ) throws(ExpressionError) -> String {
        let count = try size(&call)
        return SprigText.string(
            (0..<count).map { _ in alphabet[Int(call.draw(below: UInt64(alphabet.count)))] })
    }

    /// RFC 9562, version 4: random but for the version and variant bits.
    private static func uuid(_ call: inout SprigCall) -> String {
        var bytes = (0..<16).map { _ in UInt8(call.draw(below: 256)) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex = Array(SprigEncodings.hex(bytes).utf8)
        return [hex[0..<8], hex[8..<12], hex[12..<16], hex[16..<20], hex[20...]].map { SprigText.string($0) }
            .joined(separator: "-")
    }
}

extension SprigCall {
    /// A number from zero to below a limit that is not zero. Steps the seed as SplitMix64 does (Steele, Lea
    /// and Flood, 2014) and scales by multiplication; the bias is below 2^-32 for limits that fit 32 bits.
    mutating func draw(below limit: UInt64) -> UInt64 {
        context.seed &+= 0x9E37_79B9_7F4A_7C15
        var bits = context.seed
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        bits ^= bits >> 31
        return bits.multipliedFullWidth(by: limit).high
    }
}
