// Truth, equality, order and membership, by Python's rules.

extension TemplateValue {
    /// Whether `if` takes the value for true.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .float(let number): number != 0
        case .string(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.elements.isEmpty
        case .dictionary(let dictionary), .view(let dictionary, _): !dictionary.entries.isEmpty
        case .range(let range): range.count > 0
        // Python takes objects for true, generators too, even such as give nothing.
        default: true
        }
    }

    /// A number, with booleans as 0 and 1.
    enum Number {
        case int(Int)
        case float(Double)

        var double: Double {
            switch self {
            case .int(let number): Double(number)
            case .float(let number): number
            }
        }
    }

    var number: Number? {
        switch self {
        case .bool(let flag): .int(flag ? 1 : 0)
        case .int(let number): .int(number)
        case .float(let number): .float(number)
        default: nil
        }
    }

    /// What serves as an index: an integer or a boolean.
    var index: Int? {
        if case .int(let index)? = number { return index }
        return nil
    }

    // MARK: Equality

    func isEqual(to other: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure) -> Bool {
        try budget.charge()
        if let left = number, let right = other.number { return Self.order(left, right) == .some(.equal) }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)):
            try budget.charge(bytes: min(left.utf8.count, right.utf8.count))
            return left == right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            if left === right { return true }
            return try Self.areEqual(left.elements, right.elements, budget)
        case (.dictionary(let left), .dictionary(let right)):
            if left === right { return true }
            return try Self.areEqual(left, right, comparesValues: true, budget)
        case (.view(let left, .keys), .view(let right, .keys)):
            return try Self.areEqual(left, right, comparesValues: false, budget)
        case (.range(let left), .range(let right)):
            return left == right || left.count == 0 && right.count == 0
        case (.method(let left, let leftName), .method(let right, let rightName)):
            guard leftName == rightName else { return false }
            return try left.isEqual(to: right, budget)
        default: return isSame(as: other)
        }
    }

    private static func areEqual(
        _ left: [TemplateValue], _ right: [TemplateValue], _ budget: TemplateBudget
    ) throws(TemplateFailure) -> Bool {
        guard left.count == right.count else { return false }
        for (left, right) in zip(left, right) where try !left.isEqual(to: right, budget) { return false }
        return true
    }

    private static func areEqual(
        _ left: TemplateDictionary, _ right: TemplateDictionary, comparesValues: Bool,
        _ budget: TemplateBudget
    ) throws(TemplateFailure) -> Bool {
        guard left.entries.count == right.entries.count else { return false }
        for entry in left.entries {
            guard let other = right[try TemplateKey(entry.key, budget)] else { return false }
            if comparesValues, try !entry.value.isEqual(to: other, budget) { return false }
        }
        return true
    }

    /// Whether both are one object, as `is sameas` asks. Numbers and strings count as the same where they are
    /// equal and of one type.
    func isSame(as other: TemplateValue) -> Bool {
        switch (self, other) {
        case (.none, .none): true
        case (.bool(let left), .bool(let right)): left == right
        case (.int(let left), .int(let right)): left == right
        case (.float(let left), .float(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.list(let left), .list(let right)): left === right
        case (.tuple(let left), .tuple(let right)):
            left === right || left.elements.isEmpty && right.elements.isEmpty
        case (.dictionary(let left), .dictionary(let right)): left === right
        case (.undefined(let left), .undefined(let right)): left === right
        case (.iterator(let left), .iterator(let right)): left === right
        case (.namespace(let left), .namespace(let right)): left === right
        case (.macro(let left), .macro(let right)): left === right
        case (.loop(let left), .loop(let right)): left === right
        case (.function(let left), .function(let right)): left == right
        case (.cycler(let left), .cycler(let right)): left === right
        case (.joiner(let left), .joiner(let right)): left === right
        default: false
        }
    }

    // MARK: Order

    enum Order {
        case less, equal, greater
    }

    /// Nil where a NaN is among them.
    private static func order(_ left: Number, _ right: Number) -> Order? {
        switch (left, right) {
        case (.int(let left), .int(let right)):
            return left < right ? .less : left == right ? .equal : .greater
        case (.int(let left), .float(let right)): return order(left, right)
        case (.float(let left), .int(let right)):
            return order(right, left).map { $0 == .less ? .greater : $0 == .greater ? .less : .equal }
        case (.float(let left), .float(let right)):
            return left < right ? .less : left == right ? .equal : left > right ? .greater : nil
        }
    }

    /// Exact, also where the integer has more digits than a float can hold.
    private static func order(_ left: Int, _ right: Double) -> Order? {
        if right.isNaN { return nil }
        if right >= 0x1p63 { return .less }
        if right < -0x1p63 { return .greater }
        let whole = right.rounded(.towardZero)
        let integer = Int(whole)
        if left != integer { return left < integer ? .less : .greater }
        return whole < right ? .less : whole > right ? .greater : .equal
    }

    /// Whether `<`, `<=`, `>` or `>=` holds.
    /// - Throws: if the types have no order, as in Python.
    func compares(
        _ comparison: ComparisonOperator, to other: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> Bool {
        let order = try order(to: other, comparison, budget)
        switch comparison {
        case .less: return order == .less
        case .lessOrEqual: return order == .less || order == .equal
        case .greater: return order == .greater
        default: return order == .greater || order == .equal
        }
    }

    private func order(
        to other: TemplateValue, _ comparison: ComparisonOperator, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> Order? {
        try budget.charge()
        if let left = number, let right = other.number { return Self.order(left, right) }
        switch (self, other) {
        case (.undefined(let missing), _), (_, .undefined(let missing)): throw missing.failure
        case (.string(let left), .string(let right)):
            try budget.charge(bytes: min(left.utf8.count, right.utf8.count))
            return left == right ? .equal : left < right ? .less : .greater
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.elements, right.elements) where try !left.isEqual(to: right, budget)
            {
                return try left.order(to: right, comparison, budget)
            }
            let counts = (left.elements.count, right.elements.count)
            return counts.0 < counts.1 ? .less : counts.0 == counts.1 ? .equal : .greater
        default:
            let types = "'\(typeName)' and '\(other.typeName)'"
            throw .wrongValue("'\(comparison.rawValue)' not supported between instances of \(types)")
        }
    }

    // MARK: Membership

    /// Whether `element in self`.
    func contains(_ element: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure) -> Bool {
        switch self {
        case .string(let text):
            guard case .string(let part) = element else {
                throw .wrongValue("'in <string>' requires string as left operand, not \(element.typeName)")
            }
            try budget.charge(bytes: text.utf8.count)
            return text.contains(part)
        case .dictionary(let dictionary), .view(let dictionary, .keys):
            return dictionary[try TemplateKey(element, budget)] != nil
        case .range(let range):
            guard case .int(let number)? = element.number.map(Self.wholeNumber) else { return false }
            guard range.count > 0 else { return false }
            let last = range.element(range.count - 1)
            guard number >= min(range.start, last), number <= max(range.start, last) else { return false }
            return (number - range.start) % range.step == 0
        case .undefined: return false
        default:
            guard isIterable else { throw .wrongValue("argument of type '\(typeName)' is not iterable") }
            let elements = try TemplateCursor(self, budget)
            while let candidate = try elements.next() {
                if candidate.isSame(as: element) { return true }
                if try candidate.isEqual(to: element, budget) { return true }
            }
            return false
        }
    }

    private static func wholeNumber(_ number: Number) -> Number {
        if case .float(let float) = number, let whole = Int(exactly: float) { return .int(whole) }
        return number
    }
}
