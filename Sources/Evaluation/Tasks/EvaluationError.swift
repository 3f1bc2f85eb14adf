// What is wrong with a task, its data or its settings, and what to do about it.

/// An error that names the file, the row and the field, as far as they are known.
package struct EvaluationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file or the setting; empty if there is none.
    package var place: String
    /// The row, from 1, where a file has rows; in a csv file the header does not count.
    package var row: Int?
    package var field: String?
    package var problem: String
    package var remedy: String

    package init(_ place: String, row: Int? = nil, field: String? = nil, problem: String, remedy: String) {
        self.place = place
        self.row = row
        self.field = field
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String {
        var parts = place.isEmpty ? [] : [place]
        if let row { parts.append("row \(row)") }
        if let field { parts.append("field \"\(field)\"") }
        let front = parts.isEmpty ? "" : parts.joined(separator: ", ") + ": "
        return "\(front)\(problem); \(remedy)"
    }
}
