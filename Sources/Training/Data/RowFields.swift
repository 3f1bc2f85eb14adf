// The values that a row of a file has, by name.
import Text

/// The values of a row by their names, in small letters, after `columns`. Nulls are as good as absent.
struct RowFields {
    private var values: [String: OrderedJSON] = [:]

    init(_ row: OrderedJSON, columns: [String: String]) throws(RowProblem) {
        guard let members = row.objectValue else { throw RowProblem("", "the row is not an object") }
        for member in members where !member.value.isNull {
            values[member.key.lowercased()] = member.value
        }
        for (from, to) in columns {
            if let value = values[from.lowercased()] { values[to.lowercased()] = value }
        }
        // What was renamed has its old name no more, unless another column has it now.
        for from in columns.keys
        where !columns.values.contains(where: { $0.lowercased() == from.lowercased() }) {
            values[from.lowercased()] = nil
        }
    }

    subscript(name: String) -> OrderedJSON? { values[name] }

    /// The first of the names that the row has.
    func first(of names: [String]) -> (name: String, value: OrderedJSON)? {
        for name in names {
            if let value = values[name] { return (name, value) }
        }
        return nil
    }

    /// A text or the first of a list of texts; a number becomes its text.
    func text(_ names: [String]) throws(RowProblem) -> String? {
        guard let (name, value) = first(of: names) else { return nil }
        switch value {
        case .string(let text): return text
        case .int, .double, .bool: return value.pythonText()
        case .array(let list):
            if let text = list.first?.stringValue { return text }
        default: break
        }
        throw RowProblem(name, "not a text")
    }

    /// Token ids below a bound.
    func ids(_ name: String, below bound: Int) throws(RowProblem) -> [Int32]? {
        guard let value = values[name] else { return nil }
        guard let list = try Self.decoded(value, name).arrayValue else {
            throw RowProblem(name, "not a list of ids")
        }
        var ids: [Int32] = []
        ids.reserveCapacity(list.count)
        for (index, item) in list.enumerated() {
            guard let id = item.intValue, id >= 0, id < bound else {
                throw RowProblem("\(name)[\(index)]", "not a token's id, which is from 0 to \(bound - 1)")
            }
            ids.append(Int32(id))
        }
        return ids
    }

    /// Whether a value is a list of numbers.
    func isNumeric(_ name: String) -> Bool { values[name]?.arrayValue?.first?.intValue != nil }

    /// A verdict: true, 1, or such a text; false, 0, or such a text.
    func verdict(_ name: String) throws(RowProblem) -> Bool? {
        guard let value = values[name] else { return nil }
        if let flag = value.boolValue { return flag }
        switch value.stringValue?.lowercased()
            ?? value.doubleValue.map({ $0 == 0 ? "0" : $0 == 1 ? "1" : "" })
        {
        case "true", "1", "1.0": return true
        case "false", "0", "0.0": return false
        default: throw RowProblem(name, "neither true nor false")
        }
    }

    /// The value, or what its text is as JSON: cells of csv files are texts.
    static func decoded(_ value: OrderedJSON, _ field: String) throws(RowProblem) -> OrderedJSON {
        guard let text = value.stringValue else { return value }
        do {
            return try OrderedJSON(parsing: text)
        } catch {
            throw RowProblem(field, "a text that is no JSON: \(error.message)")
        }
    }
}
