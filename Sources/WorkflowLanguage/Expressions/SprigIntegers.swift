// Sprig's integer arithmetic. Sums and products wrap around on overflow, as Go's do.

enum SprigIntegers {
    static let signatures: [String: String] = [
        "add": "numbers...", "add1": "number", "sub": "left right", "div": "left right", "mod": "left right",
        "mul": "number numbers...", "max": "number numbers...", "biggest": "number numbers...",
        "min": "number numbers...", "until": "count", "untilStep": "start stop step", "seq": "numbers...",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "until":
            let count = try call.int(0)
            return .array(try range(&call, from: 0, to: count, by: count < 0 ? -1 : 1).map { .int($0) })
        case "untilStep":
            let (start, stop, step) = (try call.int(0), try call.int(1), try call.int(2))
            return .array(try range(&call, from: start, to: stop, by: step).map { .int($0) })
        case "seq": return .string(try sequence(&call))
        default: break
        }
        var numbers: [Int] = []
        for value in call.arguments { numbers.append(try call.castToInt(value)) }
        switch call.name {
        case "add": return .int(numbers.reduce(0, &+))
        case "add1": return .int(numbers[0] &+ 1)
        case "sub": return .int(numbers[0] &- numbers[1])
        case "div", "mod":
            guard numbers[1] != 0 else { throw call.error("division by zero") }
            // The one overflow, of the least integer by -1, leaves what Go's processor does.
            return .int(
                call.name == "div"
                    ? numbers[0].dividedReportingOverflow(by: numbers[1]).partialValue
                    : numbers[0].remainderReportingOverflow(dividingBy: numbers[1]).partialValue)
        case "mul": return .int(numbers.reduce(1, &*))
        case "max", "biggest": return .int(numbers.reduce(numbers[0], max))
        case "min": return .int(numbers.reduce(numbers[0], min))
        default: throw call.error("is not implemented")
        }
    }

    /// The numbers from a start up or down to a stop that is left out; none if the step leads away from it.
    private static func range(
        _ call: inout SprigCall, from start: Int, to stop: Int, by step: Int
    ) throws(ExpressionError) -> [Int] {
        guard step != 0, (stop < start) == (step < 0) else { return [] }
        var numbers: [Int] = []
        for number in stride(from: start, to: stop, by: step) {
            try call.spend(steps: 1)
            numbers.append(number)
        }
        return numbers
    }

    /// Like the command: `end`, `start end` or `start step end`, the end included.
    private static func sequence(_ call: inout SprigCall) throws(ExpressionError) -> String {
        var given: [Int] = []
        for index in call.arguments.indices { given.append(try call.int(index)) }
        let (start, end): (Int, Int)
        switch given.count {
        case 1: (start, end) = (1, given[0])
        case 2: (start, end) = (given[0], given[1])
        case 3: (start, end) = (given[0], given[2])
        default: return ""
        }
        let direction = end < start ? -1 : 1
        let step = given.count == 3 ? given[1] : direction
        return try range(&call, from: start, to: end &+ direction, by: step).map(String.init)
            .joined(separator: " ")
    }
}
