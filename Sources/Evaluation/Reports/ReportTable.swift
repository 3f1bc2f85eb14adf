// Reports and comparisons as tables for a terminal.

/// Rows of columns, the first one to the left and the others to the right.
package struct ReportTable: Sendable {
    /// More subsets are left out of the table; the report has them all.
    package static let maximumGroups = 80

    private var rows: [[String]] = []

    /// The figures of a report: over all samples, by category and by subset.
    package static func text(_ report: EvaluationReport) -> String {
        var text = "\(report.task), \(report.count) samples, scored by \(report.scoring.rawValue)\n\n"
        var table = ReportTable()
        table.rows.append(["metric", "value", "stderr", "macro"])
        for figure in report.metrics {
            table.rows.append([
                figure.name, Decimals.text(figure.estimate.value), error(figure.estimate),
                figure.macro.map { Decimals.text($0.value) } ?? "",
            ])
        }
        text += table.lines
        for (title, groups) in [("category", report.categories), ("subset", report.subsets)]
        where groups.count > 1 {
            var table = ReportTable()
            table.rows.append([title, "n"] + report.metrics.flatMap { [$0.name, "stderr"] })
            for group in groups.prefix(maximumGroups) {
                let cells = group.figures.flatMap { [Decimals.text($0.estimate.value), error($0.estimate)] }
                table.rows.append([group.name, "\(group.count)"] + cells)
            }
            text += "\n" + table.lines
            if groups.count > maximumGroups { text += "and \(groups.count - maximumGroups) more\n" }
        }
        return text
    }

    /// - Parameter listed: at most so many of the samples that differ.
    package static func text(_ comparison: ReportComparison, listed: Int = 20) -> String {
        var table = ReportTable()
        table.rows = [
            ["metric", "first", "second", "difference"],
            [
                comparison.metric, Decimals.text(comparison.firstValue),
                Decimals.text(comparison.secondValue),
                Decimals.text(comparison.secondValue - comparison.firstValue),
            ],
        ]
        let test = comparison.test
        var text = table.lines
        let name = test.method == .mcNemar ? "McNemar's exact test" : "a test by flipped signs"
        text += "\n\(test.pairs) samples in common: \(test.better) better, \(test.worse) worse, "
        text += "p = \(Decimals.text(test.pValue)) (\(name))\n"
        if comparison.onlyFirst + comparison.onlySecond > 0 {
            text +=
                "only in the first: \(comparison.onlyFirst), only in the second: \(comparison.onlySecond)\n"
        }
        for warning in comparison.warnings { text += "warning: \(warning)\n" }
        guard !comparison.differences.isEmpty, listed > 0 else { return text }
        var list = ReportTable()
        list.rows.append(["sample", "first", "second", "right", "became"])
        for difference in comparison.differences.prefix(listed) {
            list.rows.append([
                difference.id, shown(difference.firstPrediction, difference.first),
                shown(difference.secondPrediction, difference.second), String(difference.target.prefix(24)),
                difference.second > difference.first ? "better" : "worse",
            ])
        }
        text += "\n" + list.lines
        let more = comparison.differences.count - listed
        return more > 0 ? text + "and \(more) more\n" : text
    }

    private static func shown(_ prediction: String, _ value: Double) -> String {
        prediction.isEmpty ? Decimals.text(value) : String(prediction.prefix(24))
    }

    private static func error(_ estimate: Estimate) -> String {
        estimate.standardError.map { Decimals.text($0) } ?? "-"
    }

    private var lines: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? Self.width($0[column]) : 0 }.max() ?? 0
        }
        var text = ""
        for row in rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: max(0, widths[column] - Self.width(cell)))
                line += column == 0 ? cell + padding : "  " + padding + cell
            }
            while line.hasSuffix(" ") { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    /// Columns of a terminal: Chinese characters take two.
    private static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) {
            $0
                + ($1.properties.isIdeographic || (0x3000...0x30FF).contains($1.value)
                    || (0xFF00...0xFF60).contains($1.value) ? 2 : 1)
        }
    }
}
