// The filter `pprint`: values on several lines where they do not fit into 80 columns, with sorted keys.

enum PrettyPrinter {
    private static let width = 80

    /// Agrees with Python's `pprint.pformat`, but leaves long texts on one line.
    static func text(of value: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure)
        -> PythonString
    {
        try format(value, indent: 0, allowance: 0, budget)
    }

    /// - Parameters:
    ///   - indent: the column at which the value begins.
    ///   - allowance: what follows on its last line.
    private static func format(
        _ value: TemplateValue, indent: Int, allowance: Int, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        let value = try sortedByKey(value, budget)
        let line = try value.repr(budget)
        guard line.count > width - indent - allowance else { return line }
        switch value {
        case .list(let list):
            return try format(list.elements, "[", "]", indent: indent, allowance: allowance, budget)
        case .tuple(let list):
            let close: PythonString = list.elements.count == 1 ? ",)" : ")"
            return try format(list.elements, "(", close, indent: indent, allowance: allowance, budget)
        case .dictionary(let dictionary):
            var text: PythonString = "{"
            let last = dictionary.entries.count - 1
            for (index, entry) in dictionary.entries.enumerated() {
                if index > 0 { text.append(lineBreak(indent + 1)) }
                let key = try entry.key.repr(budget) + ": "
                let after = index == last ? allowance + 1 : 1
                text.append(key)
                text.append(
                    try format(entry.value, indent: indent + 1 + key.count, allowance: after, budget))
                text.append(index == last ? "}" : ",")
                try budget.allow(textBytes: text.utf8.count)
            }
            return text
        default: return line
        }
    }

    private static func format(
        _ elements: [TemplateValue], _ open: PythonString, _ close: PythonString, indent: Int, allowance: Int,
        _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        var text = open
        let last = elements.count - 1
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(lineBreak(indent + 1)) }
            let after = index == last ? allowance + close.count : 1
            text.append(try format(element, indent: indent + 1, allowance: after, budget))
            text.append(index == last ? close : ",")
            try budget.allow(textBytes: text.utf8.count)
        }
        return text
    }

    private static func lineBreak(_ indent: Int) -> PythonString { "\n" + PythonString(" ").repeated(indent) }

    /// The value with the members of all dictionaries in it in the order of their keys.
    private static func sortedByKey(
        _ value: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> TemplateValue {
        switch value {
        case .list(let list):
            return .list(try TemplateList(try sortedByKey(list.elements, budget), budget: budget))
        case .tuple(let list):
            return .tuple(try TemplateList(try sortedByKey(list.elements, budget), budget: budget))
        case .dictionary(let dictionary):
            var entries: [(text: PythonString, entry: TemplateDictionary.Entry)] = []
            for entry in dictionary.entries {
                entries.append(
                    (try entry.key.text(budget), (entry.key, try sortedByKey(entry.value, budget))))
            }
            let sorted = entries.sorted { $0.text < $1.text }.map(\.entry)
            return .dictionary(try TemplateDictionary(sorted, budget: budget))
        default: return value
        }
    }

    private static func sortedByKey(
        _ elements: [TemplateValue], _ budget: TemplateBudget
    ) throws(TemplateFailure) -> [TemplateValue] {
        var sorted: [TemplateValue] = []
        for element in elements { sorted.append(try sortedByKey(element, budget)) }
        return sorted
    }
}
