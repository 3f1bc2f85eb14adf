// Columns of text with blanks between them, as Argo's tables have them.

import Text

/// Rows of cells; each column is as wide as its widest cell. Lines have no trailing blanks.
struct TextTable {
    /// A cell; color codes do not count for its width.
    struct Cell {
        var text: String
        var shown: String

        init(_ text: String, shown: String? = nil) {
            self.text = text
            self.shown = shown ?? text
        }
    }

    /// Blanks between columns.
    let padding: Int
    private var rows: [[Cell]] = []

    init(padding: Int) { self.padding = padding }

    mutating func add(_ cells: [Cell]) { rows.append(cells) }
    mutating func add(_ texts: [String]) { rows.append(texts.map { Cell($0) }) }

    var lines: [String] {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                let width = cell.text.unicodeScalars.count
                if column < widths.count {
                    widths[column] = max(widths[column], width)
                } else {
                    widths.append(width)
                }
            }
        }
        return rows.map { row in
            var line = ""
            var owed = 0
            for (column, cell) in row.enumerated() {
                let width = cell.text.unicodeScalars.count
                if width > 0 {
                    line += String(repeating: " ", count: owed) + cell.shown
                    owed = 0
                }
                owed += widths[column] - width + padding
            }
            return line
        }
    }
}

extension String {
    /// The text in one line and without control characters: what steps say must not move a terminal's cursor.
    var printable: String {
        guard unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) else {
            return self
        }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
            result.append(isControl ? " " : scalar)
        }
        return String(result)
    }

    /// The text with blanks after it up to a width.
    func padded(toWidth width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - unicodeScalars.count))
    }
}
