// What goes wrong with a table: where, what, and what to do about it.

/// A table that cannot be read, or a value in it.
package struct TableError: Error, Sendable, Hashable, CustomStringConvertible {
    package var file: String
    /// The line of a text file, from 1.
    package var line: Int?
    /// The byte of that line, from 1.
    package var lineColumn: Int?
    /// The row of the table, from 1, where lines say nothing; of what is wrong with a column of a row group,
    /// the group's first.
    package var row: Int?
    /// The name of the table's column.
    package var column: String?
    package var problem: String
    package var remedy: String

    package init(
        file: String, line: Int? = nil, lineColumn: Int? = nil, row: Int? = nil, column: String? = nil,
        problem: String, remedy: String
    ) {
        self.file = file
        self.line = line
        self.lineColumn = lineColumn
        self.row = row
        self.column = column
        self.problem = problem
        self.remedy = remedy
    }

    /// `data/test.csv:12:7: column "answer": what is wrong; what to do`
    package var description: String {
        var text = file
        if let line {
            text += ":\(line)"
            if let lineColumn { text += ":\(lineColumn)" }
        }
        text += ": "
        if let row { text += "row \(row): " }
        if let column { text += "column \"\(column)\": " }
        return text + problem + "; " + remedy
    }
}

/// What is wrong with bytes, told by code that does not know which file they are from.
struct TableProblem: Error, Hashable {
    static let damagedRemedy = "fetch the file again; it is damaged or not complete"

    var problem: String
    var remedy: String

    init(_ problem: String, remedy: String = TableProblem.damagedRemedy) {
        self.problem = problem
        self.remedy = remedy
    }
}
