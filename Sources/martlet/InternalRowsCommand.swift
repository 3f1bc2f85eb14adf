// The rows of a table as JSON lines: what tests compare with other programs' reading of the same file.

import ArgumentParser
import Tables
import Text

struct InternalRowsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "internal-rows", abstract: "Print the rows of a table as JSON lines.",
        discussion: """
            Reads Parquet, CSV, TSV, JSON and JSON lines. Numbers that are not finite are printed as Python
            has them.
            Examples:
              martlet internal-rows data/test-00000-of-00001.parquet
              martlet internal-rows --count train.jsonl.gz
            """, shouldDisplay: false)

    @Flag(help: "Read all rows, but print only how many there are.")
    var count = false

    @Argument(help: "File with the table.")
    var file: String

    /// Lines are gathered up to so many bytes before they are written.
    private static let pieceBytes = 1 << 16

    func run() throws {
        let table = try TableFile.open(file)
        var rowCount = 0
        var text = ""
        try table.rows { row in
            rowCount += 1
            if count { return }
            text += row.json.pythonText() + "\n"
            guard text.utf8.count >= Self.pieceBytes else { return }
            Output.text(text)
            text = ""
        }
        Output.text(count ? "\(rowCount)\n" : text)
    }
}
