// How the verbs of deployments and models show what they found: many as a table, one as facts.

import ArgumentParser
import Text

/// How a verb shows what it found.
enum ListingFormat: String, ExpressibleByArgument, CaseIterable { case wide, json, name }

enum Listing {
    /// Shows many.
    /// - Parameters:
    ///   - empty: said in place of a table without rows.
    ///   - name: what `-o name` shows of one.
    static func show(
        _ items: [JSONValue], _ format: ListingFormat, empty: String, header: [String],
        name: (JSONValue) -> String, row: (JSONValue) -> [String]
    ) {
        switch format {
        case .json: Output.line(JSONValue.array(items).prettyText)
        case .name: for item in items { Output.line(name(item)) }
        case .wide:
            if items.isEmpty { return Output.line(empty) }
            table(header, items.map(row))
        }
    }

    static func table(_ header: [String], _ rows: [[String]]) {
        var table = TextTable(padding: 3)
        table.add(header)
        for row in rows { table.add(row.map(\.printable)) }
        for line in table.lines { Output.line(line) }
    }

    /// Shows what is known of one; facts without a value are left out.
    static func facts(_ facts: [(label: String, value: String)]) {
        for (label, value) in facts where !value.isEmpty {
            Output.line((label + ":").padded(toWidth: 16) + value.printable)
        }
    }
}

extension JSONValue {
    /// A member as a cell of a table: empty where there is none.
    func cell(_ key: String) -> String { self[key]?.scalarText ?? "" }

    /// The texts of a list.
    func cells(_ key: String) -> [String] { (self[key]?.arrayValue ?? []).compactMap(\.stringValue) }
}
