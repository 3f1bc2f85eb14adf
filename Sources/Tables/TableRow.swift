// A row of a table: values under names that all rows share.

package import Text

/// The names of columns, and where each is.
struct TableHeader: Sendable, Hashable {
    let names: [String]
    private let places: [String: Int]

    init(_ names: [String]) {
        self.names = names
        places = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    }

    func place(of name: String) -> Int? { places[name] }
}

/// One row. In JSON formats each row has columns of its own.
package struct TableRow: Sendable, Hashable {
    private let header: TableHeader
    /// In the order of `columns`.
    package let values: [TableValue]

    /// - Precondition: as many values as names.
    init(header: TableHeader, values: [TableValue]) {
        precondition(header.names.count == values.count, "a row has a value for each column")
        self.header = header
        self.values = values
    }

    package init(_ fields: [(name: String, value: TableValue)]) {
        self.init(header: TableHeader(fields.map(\.name)), values: fields.map(\.value))
    }

    package var columns: [String] { header.names }

    /// The value in the column; nil if there is no such column, which is not the same as `.null`.
    package subscript(_ column: String) -> TableValue? {
        header.place(of: column).map { values[$0] }
    }

    /// An object with a member for each column; values as `TableValue.json` has them.
    package var json: OrderedJSON {
        .object(zip(header.names, values).map { OrderedJSON.Member(key: $0, value: $1.json) })
    }
}
