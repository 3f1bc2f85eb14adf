// The account of an evaluation's work: paid for before it is done, so that neither time nor memory runs away.

import Text

extension ExpressionContext {
    mutating func spend(steps: Int) throws(ExpressionError) {
        guard steps >= 0, steps <= workLeft else {
            workLeft = 0
            throw ExpressionError("expression does too much work; compute this in a step instead")
        }
        workLeft -= steps
    }

    /// Sixteen bytes built or read count as a step.
    mutating func spend(bytes: Int) throws(ExpressionError) { try spend(steps: bytes / 16 + 1) }

    /// Pays for text whose size is computed and may overflow.
    mutating func spend(bytes count: Int, times: Int) throws(ExpressionError) {
        let (product, overflow) = count.multipliedReportingOverflow(by: times)
        try spend(bytes: overflow ? .max : product)
    }

    /// Pays for visiting all of a value. Values share parts, so one small in memory may be huge to walk.
    mutating func spend(walking value: ExpressionValue, depth: Int = 0) throws(ExpressionError) {
        guard depth <= JSONValue.maximumDepth else {
            throw ExpressionError("the value nests more than \(JSONValue.maximumDepth) levels deep")
        }
        switch value {
        case .string(let text): try spend(bytes: text.utf8.count)
        case .array(let elements):
            try spend(steps: 1)
            for element in elements { try spend(walking: element, depth: depth + 1) }
        case .object(let members):
            try spend(steps: 1)
            for (key, member) in members {
                try spend(bytes: key.utf8.count)
                try spend(walking: member, depth: depth + 1)
            }
        default: try spend(steps: 1)
        }
    }

    /// Pays for visiting a value's lists and objects, and refuses those that nest too deep.
    mutating func spend(walkingStructureOf value: ExpressionValue, depth: Int = 0) throws(ExpressionError) {
        guard depth <= JSONValue.maximumDepth else {
            throw ExpressionError("the value nests more than \(JSONValue.maximumDepth) levels deep")
        }
        switch value {
        case .array(let elements):
            try spend(steps: elements.count / 16 + 1)
            for element in elements { try spend(walkingStructureOf: element, depth: depth + 1) }
        case .object(let members):
            try spend(steps: members.count / 16 + 1)
            for member in members.values { try spend(walkingStructureOf: member, depth: depth + 1) }
        default: return
        }
    }
}
