// Rows of users' files as ordered JSON objects, whatever the format, with their place for messages.

import Tables
import Tensors
package import Text

/// One row and where it stands.
package struct SourceRow: Sendable, Hashable {
    package var file: String
    /// From 1, the header of a csv file not counted.
    package var number: Int
    /// An object.
    package var fields: OrderedJSON

    package init(file: String, number: Int, fields: OrderedJSON) {
        self.file = file
        self.number = number
        self.fields = fields
    }

    package func error(_ field: String?, _ problem: String, remedy: String) -> EvaluationError {
        EvaluationError(file, row: number, field: field, problem: problem, remedy: remedy)
    }

    /// The names of the columns, for messages.
    package var columnList: String {
        (fields.objectValue ?? []).map { "\"\($0.key)\"" }.joined(separator: ", ")
    }
}

package enum SourceRows {
    /// More rows of one file are an error.
    package static let maximumRows = 20_000_000
    /// Larger text files are refused.
    package static let maximumTextBytes = 1 << 30

    /// All rows of a file; the lines of a text file have the one column `text`.
    /// - Throws: what is wrong with the file, or that it has no rows.
    package static func read(_ file: DataFile, _ columns: ColumnNames = ColumnNames()) throws -> [SourceRow] {
        let lowered = file.name.lowercased()
        if [".txt", ".text"].contains(where: { lowered.hasSuffix($0) }) {
            return try nonEmpty(text(file), file)
        }
        if case .csv(_, let delimiter)? = TableFormat(path: lowered) {
            return try csv(file, delimiter, columns)
        }
        var rows: [SourceRow] = []
        let table = try TableFile.open(file.path)
        try table.rows { row in
            rows.append(SourceRow(file: file.path, number: rows.count + 1, fields: row.json))
            try checkCount(rows.count, file)
        }
        return try nonEmpty(rows, file)
    }

    /// A text file is one row, since a document should be read with all that stands before.
    private static func text(_ file: DataFile) throws -> [SourceRow] {
        let bytes = try SmallFile.read(file.path, limitBytes: maximumTextBytes)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw EvaluationError(
                file.path, problem: "the file is not UTF-8 text", remedy: "convert it with iconv -t utf-8")
        }
        if text.isEmpty { return [] }
        let member = OrderedJSON.Member(key: "text", value: .string(text))
        return [SourceRow(file: file.path, number: 1, fields: .object([member]))]
    }

    /// MMLU's own archive has no header, everybody else's files do, so that the first row decides.
    private static func csv(
        _ file: DataFile, _ delimiter: UInt8, _ columns: ColumnNames
    ) throws -> [SourceRow] {
        var header: [String]?
        var rows: [SourceRow] = []
        let table = try TableFile.open(file.path, format: .csv(header: false, delimiter: delimiter))
        try table.rows { row in
            let cells = (row.json.objectValue ?? []).map { cellText($0.value) }
            guard let names = header else {
                if CSVHeader.isHeader(cells, columns) {
                    header = cells.map { $0.trimmingBlanks }
                    return
                }
                let names = CSVHeader.positionalNames(count: cells.count)
                header = names
                rows.append(Self.row(cells, names, file, number: 1))
                return
            }
            rows.append(Self.row(cells, names, file, number: rows.count + 1))
            try checkCount(rows.count, file)
        }
        return try nonEmpty(rows, file)
    }

    private static func row(_ cells: [String], _ names: [String], _ file: DataFile, number: Int) -> SourceRow
    {
        let members = zip(names, cells).map { OrderedJSON.Member(key: $0, value: .string($1)) }
        return SourceRow(file: file.path, number: number, fields: .object(members))
    }

    private static func cellText(_ value: OrderedJSON) -> String {
        switch value {
        case .string(let text): text
        case .null: ""
        default: value.compactText
        }
    }

    private static func checkCount(_ count: Int, _ file: DataFile) throws {
        if count > maximumRows {
            throw EvaluationError(
                file.path, problem: "there are more than \(maximumRows) rows", remedy: "split the file")
        }
    }

    private static func nonEmpty(_ rows: [SourceRow], _ file: DataFile) throws -> [SourceRow] {
        guard !rows.isEmpty else {
            throw EvaluationError(
                file.path, problem: "the file has no rows", remedy: "check that its download is complete")
        }
        return rows
    }
}

/// Whether the first row of a csv file names the columns.
package enum CSVHeader {
    private static let names: Set<String> = [
        "id", "question", "query", "prompt", "text", "context", "ctx", "choices", "options", "endings",
        "answer",
        "answerkey", "answer_key", "label", "gold", "target", "response", "correct", "explanation", "subject",
        "continuations", "passage", "input", "output",
    ]

    /// A row with a known name is a header, unless it ends like a question of MMLU's: in the letter of its
    /// answer. Columns that the task names are a header's always.
    package static func isHeader(_ cells: [String], _ columns: ColumnNames = ColumnNames()) -> Bool {
        if let given = columns.question ?? columns.text ?? columns.answer {
            return cells.contains { $0.trimmingBlanks == given }
        }
        if let last = cells.last?.trimmingBlanks, cells.count >= 4, last.utf8.count == 1,
            last.utf8.allSatisfy({ (0x41...0x4A).contains($0) }),
            cells.first?.trimmingBlanks.lowercased() != "id",
            cells.first?.trimmingBlanks.lowercased() != "question"
        {
            return false
        }
        return cells.contains { names.contains($0.trimmingBlanks.lowercased()) }
    }

    /// What the columns of a file without header are taken for: a question, its choices and the letter, or a
    /// question and its answer.
    package static func positionalNames(count: Int) -> [String] {
        guard count > 1 else { return ["text"] }
        let letters = (0..<max(0, count - 2)).map { ChoiceLetters.letter($0) }
        return ["question"] + letters + ["answer"]
    }
}

extension StringProtocol {
    /// Without blanks and line ends on both sides, as Python's `strip`.
    var trimmingBlanks: String {
        var scalars = Substring(self).unicodeScalars
        while let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return String(scalars)
    }
}

/// The letters that choices are called by.
package enum ChoiceLetters {
    /// `A` to `Z`, then numbers from 27.
    package static func letter(_ index: Int) -> String {
        index < 26 ? String(Unicode.Scalar(UInt8(0x41 + max(0, index)))) : "\(index + 1)"
    }

    /// The index of `B`, `b`, `(B)`, `B.` or `B)`; nil for anything else.
    package static func index(_ text: String) -> Int? {
        var bytes = Array(text.trimmingBlanks.utf8)[...]
        if bytes.first == UInt8(ascii: "(") || bytes.first == UInt8(ascii: "[") { bytes.removeFirst() }
        while bytes.count > 1, let last = bytes.last, [0x29, 0x5D, 0x2E, 0x3A].contains(last) {
            bytes.removeLast()
        }
        guard bytes.count == 1, let byte = bytes.first else { return nil }
        switch byte {
        case 0x41...0x5A: return Int(byte - 0x41)
        case 0x61...0x7A: return Int(byte - 0x61)
        default: return nil
        }
    }
}
