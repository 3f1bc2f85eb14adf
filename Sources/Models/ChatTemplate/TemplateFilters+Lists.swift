// The filters over lists: picking, mapping, sorting, grouping.

extension TemplateEvaluator {
    /// Nil if the filter is none of these.
    func listFilter(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        switch name {
        case "list":
            _ = try arguments.bound(name, [])
            return .list(try TemplateList(value.elements(budget), budget: budget))
        case "first":
            _ = try arguments.bound(name, [])
            return try TemplateCursor(value, budget).next()
                ?? Self.missing("No first item, sequence was empty.")
        case "last": return try last(value, arguments)
        case "reverse": return try reverse(value, arguments)
        case "sum": return try sum(value, arguments)
        case "sort", "dictsort": return try sort(name, value, arguments)
        case "min", "max": return try extreme(name, value, arguments)
        case "groupby": return try group(value, arguments)
        case "batch", "items", "map", "reject", "rejectattr", "select", "selectattr", "slice", "unique":
            return try generator(name, value, arguments)
        default: return nil
        }
    }

    /// A generator does nothing, and finds no fault, before its first element is asked for.
    private func generator(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let held = [value] + arguments.positional + arguments.named.map(\.value)
        var advance: TemplateIterator.Advance?
        return .iterator(
            try TemplateIterator("generator", over: held) { [unowned self] () throws(TemplateFailure) in
                if let advance { return try advance() }
                let made = try start(name, value, arguments)
                advance = made
                return try made()
            })
    }

    private func start(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        switch name {
        case "items":
            switch value {
            case .undefined: return Self.advance(over: [])
            case .dictionary(let dictionary):
                return Self.advance(over: try dictionary.elements(.items, budget))
            default: throw .wrongValue("Can only get item pairs from a mapping.")
            }
        case "map": return try map(value, arguments)
        case "select", "selectattr": return try select(name, value, arguments, keeps: true)
        case "reject", "rejectattr": return try select(name, value, arguments, keeps: false)
        case "unique": return try unique(value, arguments)
        case "batch": return try batch(value, arguments)
        default: return try slices(value, arguments)
        }
    }

    private static func advance(over elements: [TemplateValue]) -> TemplateIterator.Advance {
        var rest = elements[...]
        return { () throws(TemplateFailure) in rest.popFirst() }
    }

    private static func missing(_ reason: String) -> TemplateValue {
        .undefined(TemplateUndefined(.reason(reason)))
    }

    private func last(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        _ = try arguments.bound("last", [])
        switch value {
        case .iterator, .loop: throw .wrongValue("'\(value.typeName)' object is not reversible")
        case .string(let text):
            return text.scalar(at: -1).map { .string($0) }
                ?? Self.missing("No last item, sequence was empty.")
        default: return try value.elements(budget).last ?? Self.missing("No last item, sequence was empty.")
        }
    }

    private func reverse(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        _ = try arguments.bound("reverse", [])
        switch value {
        case .string(let text): return .string(PythonString(text.scalars.reversed()))
        case .iterator, .undefined, .loop:
            return .list(try TemplateList(value.elements(budget).reversed(), budget: budget))
        default:
            let type = value.typeName == "list" ? "list_reverseiterator" : "reversed"
            return .iterator(try TemplateIterator(type, value.elements(budget).reversed()))
        }
    }

    // MARK: Attributes of elements

    typealias Getter = (TemplateValue) throws(TemplateFailure) -> TemplateValue

    /// Reads a member by a path such as `address.0.city`; texts of digits are indexes.
    func getter(
        _ path: TemplateValue?, default fallback: TemplateValue? = nil, lowercases: Bool = false
    ) throws(TemplateFailure) -> Getter {
        var parts: [TemplateValue] = []
        switch path {
        case nil, TemplateValue.none?: break
        case .string(let text)?:
            for part in text.split(by: ".", limit: -1) {
                let index = part.hasOnly(PythonString.isDigit) ? Int(part.swift) : nil
                parts.append(index.map { .int($0) } ?? .string(part))
            }
        case let key?: parts = [key]
        }
        return { [unowned self, parts] (element) throws(TemplateFailure) in
            var value = element
            for part in parts {
                value = try item(part, of: value)
                if value.isUndefined, let fallback { value = fallback }
            }
            if lowercases, case .string(let text) = value { return .string(text.lowercased) }
            return value
        }
    }

    private func map(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        guard value.isTrue else { return Self.advance(over: []) }
        let transform: Getter
        if arguments.positional.isEmpty, arguments.named.contains(where: { $0.name == "attribute" }) {
            let values = try arguments.bound("map", ["attribute", "default"])
            var fallback = values[1]
            if case TemplateValue.none? = fallback { fallback = nil }
            transform = try getter(values[0], default: fallback)
        } else {
            guard let first = arguments.positional.first else {
                throw .wrongArguments("map requires a filter argument")
            }
            let name = try requiredText(first, "map").swift
            let rest = CallArguments(
                positional: Array(arguments.positional.dropFirst()), named: arguments.named)
            transform = { [unowned self] (element) throws(TemplateFailure) in try filter(name, element, rest)
            }
        }
        let cursor = try TemplateCursor(value, budget)
        return { () throws(TemplateFailure) in
            guard let element = try cursor.next() else { return nil }
            return try transform(element)
        }
    }

    private func select(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments, keeps: Bool
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        guard value.isTrue else { return Self.advance(over: []) }
        var rest = arguments
        var transform: Getter = { (element) throws(TemplateFailure) in element }
        if name.hasSuffix("attr") {
            guard let path = rest.positional.first else {
                throw .wrongArguments("Missing parameter for attribute name")
            }
            transform = try getter(path)
            rest.positional.removeFirst()
        }
        var testName: String?
        if let first = rest.positional.first {
            testName = try requiredText(first, name).swift
            rest.positional.removeFirst()
        }
        let cursor = try TemplateCursor(value, budget)
        return { [unowned self, transform, testName, rest] () throws(TemplateFailure) in
            while let element = try cursor.next() {
                let tested = try transform(element)
                let passes = try testName.map { (name) throws(TemplateFailure) in try test(name, tested, rest)
                }
                if passes ?? tested.isTrue == keeps { return element }
            }
            return nil
        }
    }

    // MARK: Folding

    private func sum(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        let values = try arguments.bound("sum", ["attribute", "start"])
        let read = try getter(values[0])
        var total = values[1] ?? .int(0)
        if case .string = total { throw .wrongValue("sum() can't sum strings [use ''.join(seq) instead]") }
        for element in try value.elements(budget) { total = try total.apply(.add, read(element), budget) }
        return total
    }

    private func extreme(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let values = try arguments.bound(name, ["case_sensitive", "attribute"])
        let read = try getter(values[1], lowercases: !(values[0]?.isTrue ?? false))
        var best: (value: TemplateValue, key: TemplateValue)?
        for element in try value.elements(budget) {
            let key = try read(element)
            if let current = best,
                try !key.compares(name == "min" ? .less : .greater, to: current.key, budget)
            {
                continue
            }
            best = (element, key)
        }
        return best?.value ?? Self.missing("No aggregated item, sequence was empty.")
    }

    private func unique(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        let values = try arguments.bound("unique", ["case_sensitive", "attribute"])
        let read = try getter(values[1], lowercases: !(values[0]?.isTrue ?? false))
        let cursor = try TemplateCursor(value, budget)
        var seen: Set<TemplateKey> = []
        return { [budget] () throws(TemplateFailure) in
            while let element = try cursor.next() {
                if seen.insert(try TemplateKey(read(element), budget)).inserted { return element }
            }
            return nil
        }
    }

    // MARK: Sorting

    private func sort(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let isDictionary = name == "dictsort"
        let values = try arguments.bound(
            name,
            isDictionary ? ["case_sensitive", "by", "reverse"] : ["reverse", "case_sensitive", "attribute"])
        let lowercases = !(values[isDictionary ? 0 : 1]?.isTrue ?? false)
        let isReversed = try integer(values[isDictionary ? 2 : 0], default: 0, of: name) != 0
        var getters: [Getter] = []
        let elements: [TemplateValue]
        if isDictionary {
            guard case .dictionary(let dictionary) = value else {
                throw .wrongValue("'\(value.typeName)' object has no attribute 'items'")
            }
            elements = try dictionary.elements(.items, budget)
            switch try values[1].map({ (by) throws(TemplateFailure) in try requiredText(by, name) }) ?? "key"
            {
            case "key": getters = [try getter(.int(0), lowercases: lowercases)]
            case "value": getters = [try getter(.int(1), lowercases: lowercases)]
            default: throw .wrongArguments("You can only sort by either \"key\" or \"value\"")
            }
        } else {
            elements = try value.elements(budget)
            var paths = [values[2]]
            if case .string(let text)? = values[2] {
                paths = text.split(by: ",", limit: -1).map { .string($0) }
            }
            for path in paths { getters.append(try getter(path, lowercases: lowercases)) }
        }
        let key: Getter = { [budget] (element) throws(TemplateFailure) in
            var keys: [TemplateValue] = []
            for read in getters { keys.append(try read(element)) }
            return .list(try TemplateList(keys, budget: budget))
        }
        return .list(try TemplateList(try sorted(elements, by: key, reversed: isReversed), budget: budget))
    }

    private func sorted(
        _ elements: [TemplateValue], by key: Getter, reversed: Bool
    ) throws(TemplateFailure) -> [TemplateValue] {
        var keyed: [(key: TemplateValue, element: TemplateValue)] = []
        for element in elements { keyed.append((try key(element), element)) }
        try mergeSort(&keyed[...], descending: reversed)
        return keyed.map(\.element)
    }

    /// Stable; the standard library's sort takes no comparison that throws these errors.
    private func mergeSort(
        _ items: inout ArraySlice<(key: TemplateValue, element: TemplateValue)>, descending: Bool
    ) throws(TemplateFailure) {
        guard items.count > 1 else { return }
        let middle = items.startIndex + items.count / 2
        var left = items[..<middle]
        var right = items[middle...]
        try mergeSort(&left, descending: descending)
        try mergeSort(&right, descending: descending)
        var merged: [(key: TemplateValue, element: TemplateValue)] = []
        merged.reserveCapacity(items.count)
        while let first = left.first, let second = right.first {
            let (low, high) = descending ? (first.key, second.key) : (second.key, first.key)
            if try low.compares(.less, to: high, budget) {
                merged.append(second)
                right.removeFirst()
            } else {
                merged.append(first)
                left.removeFirst()
            }
        }
        items = (merged + left + right)[...]
    }

    private func group(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        let values = try arguments.bound("groupby", ["attribute", "default", "case_sensitive"], required: 1)
        var fallback = values[1]
        if case TemplateValue.none? = fallback { fallback = nil }
        let lowercases = !(values[2]?.isTrue ?? false)
        let read = try getter(values[0], default: fallback, lowercases: lowercases)
        let readPlain = try getter(values[0], default: fallback)
        var groups: [(key: TemplateValue, members: [TemplateValue])] = []
        for element in try sorted(value.elements(budget), by: read, reversed: false) {
            let key = try read(element)
            if let last = groups.indices.last, try groups[last].key.isEqual(to: key, budget) {
                groups[last].members.append(element)
            } else {
                groups.append((key, [element]))
            }
        }
        var pairs: [TemplateValue] = []
        for group in groups {
            let key = try group.members.first.map(readPlain) ?? group.key
            let members = TemplateValue.list(try TemplateList(group.members, budget: budget))
            pairs.append(
                .tuple(try TemplateList([key, members], names: ["grouper", "list"], budget: budget)))
        }
        return .list(try TemplateList(pairs, budget: budget))
    }

    // MARK: Cutting

    private func batch(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        let values = try arguments.bound("batch", ["linecount", "fill_with"], required: 1)
        guard let size = values[0]?.index, size > 0 else {
            throw .wrongArguments("batch wants a positive size")
        }
        var rows: [[TemplateValue]] = []
        for element in try value.elements(budget) {
            if rows.isEmpty || rows[rows.count - 1].count == size { rows.append([]) }
            rows[rows.count - 1].append(element)
        }
        if let fill = values[1], fill.isFilling, let last = rows.last {
            try budget.allow(elements: size)
            rows[rows.count - 1] += Array(repeating: fill, count: size - last.count)
        }
        return try advance(overRows: rows)
    }

    private func slices(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        let values = try arguments.bound("slice", ["slices", "fill_with"], required: 1)
        guard let count = values[0]?.index, count > 0 else {
            throw .wrongArguments("slice wants a positive number")
        }
        try budget.allow(elements: count)
        let elements = try value.elements(budget)
        let (size, extra) = elements.count.quotientAndRemainder(dividingBy: count)
        var rows: [[TemplateValue]] = []
        var start = 0
        for index in 0..<count {
            let end = start + size + (index < extra ? 1 : 0)
            var row = Array(elements[start..<end])
            if let fill = values[1], fill.isFilling, index >= extra { row.append(fill) }
            rows.append(row)
            start = end
        }
        return try advance(overRows: rows)
    }

    private func advance(
        overRows rows: [[TemplateValue]]
    ) throws(TemplateFailure) -> TemplateIterator.Advance {
        var lists: [TemplateValue] = []
        for row in rows { lists.append(.list(try TemplateList(row, budget: budget))) }
        return Self.advance(over: lists)
    }
}

extension TemplateValue {
    /// Whether given to fill rows: none stands for no filling.
    fileprivate var isFilling: Bool {
        if case .none = self { return false }
        return true
    }
}
