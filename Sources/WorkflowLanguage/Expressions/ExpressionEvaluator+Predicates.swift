// Functions that run a part of the expression for each element of a list: map, filter, reduce and their kin.

import Text

extension ExpressionEvaluator {
    mutating func evaluatePredicate(
        _ predicate: ExpressionNode.Predicate, _ arguments: [ExpressionNode], at offset: Int
    ) throws(ExpressionError) -> ExpressionValue {
        let list = try evaluate(arguments[0])
        guard case .array(let elements) = list else {
            throw ExpressionError(
                "\(predicate.rawValue) needs an array, not \(list.kindName)", offset: offset)
        }
        switch predicate {
        case .all, .none, .any, .find, .findIndex, .findLast, .findLastIndex:
            return try search(predicate, elements, arguments[1])
        case .one: return .bool(try count(elements, arguments[1], upTo: 2) == 1)
        case .count:
            guard arguments.count > 1 else { return .int(try count(flags: elements, at: offset)) }
            return .int(try count(elements, arguments[1], upTo: .max))
        case .filter: return .array(try filter(elements, arguments[1]))
        case .map: return .array(try map(elements, arguments[1]))
        case .sum: return try sum(arguments.count > 1 ? map(elements, arguments[1]) : elements)
        case .groupBy: return try groupBy(elements, arguments[1])
        case .sortBy: return try sortBy(elements, arguments)
        case .reduce: return try reduce(elements, arguments, at: offset)
        }
    }

    /// Runs the predicate with `#` standing for an element.
    private mutating func run(
        _ predicate: ExpressionNode, on element: ExpressionValue, index: Int,
        accumulator: ExpressionValue? = nil
    ) throws(ExpressionError) -> ExpressionValue {
        frames.append(PredicateFrame(element: element, index: index, accumulator: accumulator))
        defer { frames.removeLast() }
        return try evaluate(predicate)
    }

    private mutating func holds(
        _ predicate: ExpressionNode, _ element: ExpressionValue, _ index: Int
    ) throws(ExpressionError) -> Bool {
        let value = try run(predicate, on: element, index: index)
        if case .bool(let flag) = value { return flag }
        throw ExpressionError("a predicate must give a bool, not \(value.kindName)", offset: predicate.offset)
    }

    /// The functions that end at the first element that decides.
    private mutating func search(
        _ kind: ExpressionNode.Predicate, _ elements: [ExpressionValue], _ predicate: ExpressionNode
    ) throws(ExpressionError) -> ExpressionValue {
        let isBackward = kind == .findLast || kind == .findLastIndex
        let wanted = kind != .all
        for step in elements.indices {
            let index = isBackward ? elements.count - 1 - step : step
            guard try holds(predicate, elements[index], index) == wanted else { continue }
            switch kind {
            case .all, .none: return .bool(false)
            case .any: return .bool(true)
            case .findIndex, .findLastIndex: return .int(index)
            default: return elements[index]
            }
        }
        switch kind {
        case .all, .none: return .bool(true)
        case .any: return .bool(false)
        default: return .none
        }
    }

    private mutating func count(
        _ elements: [ExpressionValue], _ predicate: ExpressionNode, upTo limit: Int
    ) throws(ExpressionError) -> Int {
        var count = 0
        for (index, element) in elements.enumerated() where count < limit {
            if try holds(predicate, element, index) { count += 1 }
        }
        return count
    }

    private mutating func count(
        flags elements: [ExpressionValue], at offset: Int
    ) throws(ExpressionError) -> Int {
        try context.spend(steps: elements.count)
        var count = 0
        for element in elements {
            guard case .bool(let flag) = element else {
                throw ExpressionError(
                    "count without a predicate needs an array of bools, not of \(element.kindName)",
                    offset: offset)
            }
            if flag { count += 1 }
        }
        return count
    }

    private mutating func filter(
        _ elements: [ExpressionValue], _ predicate: ExpressionNode
    ) throws(ExpressionError) -> [ExpressionValue] {
        var kept: [ExpressionValue] = []
        for (index, element) in elements.enumerated() {
            if try holds(predicate, element, index) { kept.append(element) }
        }
        return kept
    }

    private mutating func map(
        _ elements: [ExpressionValue], _ transform: ExpressionNode
    ) throws(ExpressionError) -> [ExpressionValue] {
        var results: [ExpressionValue] = []
        results.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            results.append(try run(transform, on: element, index: index))
        }
        return results
    }

    private mutating func sum(_ values: [ExpressionValue]) throws(ExpressionError) -> ExpressionValue {
        try context.spend(steps: values.count)
        var total = ExpressionValue.int(0)
        for value in values {
            guard value.doubleValue != nil else {
                throw ExpressionError("sum needs numbers, not \(value.kindName)")
            }
            total = try Operation.add(total, value, &context)
        }
        return total
    }

    private mutating func groupBy(
        _ elements: [ExpressionValue], _ predicate: ExpressionNode
    ) throws(ExpressionError) -> ExpressionValue {
        var groups: [String: [ExpressionValue]] = [:]
        for (index, element) in elements.enumerated() {
            let key = try run(predicate, on: element, index: index)
            guard let name = key.keyText else {
                throw ExpressionError("groupBy cannot group by \(key.kindName)", offset: predicate.offset)
            }
            groups[name, default: []].append(element)
        }
        return .object(groups.mapValues(ExpressionValue.array))
    }

    private mutating func sortBy(
        _ elements: [ExpressionValue], _ arguments: [ExpressionNode]
    ) throws(ExpressionError) -> ExpressionValue {
        let keys = try map(elements, arguments[1])
        let order = arguments.count > 2 ? try evaluate(arguments[2]) : nil
        let sorted = try ListFunctions.sortedIndexes(keys, order: order, function: "sortBy", &context)
        return .array(sorted.map { elements[$0] })
    }

    private mutating func reduce(
        _ elements: [ExpressionValue], _ arguments: [ExpressionNode], at offset: Int
    ) throws(ExpressionError) -> ExpressionValue {
        var accumulator: ExpressionValue
        var start = 0
        if arguments.count > 2 {
            accumulator = try evaluate(arguments[2])
        } else if let first = elements.first {
            accumulator = first
            start = 1
        } else {
            throw ExpressionError("reduce of an empty array needs an initial value", offset: offset)
        }
        for index in elements.indices.dropFirst(start) {
            accumulator = try run(arguments[1], on: elements[index], index: index, accumulator: accumulator)
            // Only here can a value grow deeper with every round, until freeing it would overflow the stack.
            try checkDepth(of: accumulator)
        }
        return accumulator
    }

    private mutating func checkDepth(of value: ExpressionValue) throws(ExpressionError) {
        switch value {
        case .array, .object: try context.spend(walkingStructureOf: value)
        default: return
        }
    }
}
