// What a regular expression may cost, told before it is compiled.

import Text

/// A match takes time in proportion to the text times the pattern's program, and counted repetitions make a
/// program that is longer than its pattern.
enum PatternCost {
    /// A bound on the program's length: the pattern's, multiplied by every count in braces.
    static func perByte(of pattern: String) -> Int {
        let limit = RegularExpression.maximumProgramLength
        var cost = min(pattern.utf8.count + 1, limit)
        var count = 0
        for byte in pattern.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                count = min(count * 10 + Int(byte - UInt8(ascii: "0")), limit)
            case UInt8(ascii: ","), UInt8(ascii: "}"):
                cost = min(cost * max(count, 1), limit)
                count = 0
            default: count = 0
            }
        }
        return cost
    }
}
