// Puts rows together again from columns of levels and values. Source: Melnik et al., "Dremel: Interactive
// Analysis of Web-Scale Datasets" (2010), here as plain recursion over the shape of a row.

/// Goes over the columns of a row group together, row by row.
struct RowAssembler {
    private let leaves: [ParquetLeaf]
    private let fields: [RowShape.Field]
    private let columns: [ParquetColumn]
    /// The next entry of each column, and the next of its values.
    private var entries: [Int]
    private var values: [Int]

    init(_ schema: ParquetSchema, _ columns: [ParquetColumn]) {
        leaves = schema.leaves
        fields = schema.fields
        self.columns = columns
        entries = columns.map { _ in 0 }
        values = columns.map { _ in 0 }
    }

    /// The values of the next row, in the order of the schema.
    mutating func nextRow() throws(TableProblem) -> [TableValue] {
        var row: [TableValue] = []
        row.reserveCapacity(fields.count)
        for leaf in columns.indices where leaves[leaf].maxRepetition > 0 {
            guard repetition(leaf) == 0 else { throw Self.disagreement }
        }
        for field in fields { row.append(try value(of: field.shape)) }
        return row
    }

    /// Whether nothing is left in any column.
    var isAtEnd: Bool { columns.indices.allSatisfy { entries[$0] == columns[$0].entryCount } }

    static let disagreement = TableProblem("the columns of a row group do not fit together")

    private mutating func value(of shape: RowShape) throws(TableProblem) -> TableValue {
        switch shape {
        case .leaf(let leaf): return try leafValue(leaf)
        case .optional(let level, let below, let inner):
            if try definition(below.lowerBound) < level {
                try skip(below, below: level)
                return .null
            }
            return try value(of: inner)
        case .list(let level, let repetition, let below, let element):
            if try definition(below.lowerBound) < level {
                try skip(below, below: level)
                return .list([])
            }
            var elements = [try value(of: element)]
            while try continues(below, repetition) { elements.append(try value(of: element)) }
            return .list(elements)
        case .structure(let fields):
            var list: [TableValue.Field] = []
            list.reserveCapacity(fields.count)
            for field in fields {
                list.append(TableValue.Field(name: field.name, value: try value(of: field.shape)))
            }
            return .structure(list)
        }
    }

    private mutating func leafValue(_ leaf: Int) throws(TableProblem) -> TableValue {
        guard try definition(leaf) == leaves[leaf].maxDefinition else { throw Self.disagreement }
        let index = values[leaf]
        // The reader has made sure that there is a value for each such level.
        entries[leaf] += 1
        values[leaf] += 1
        return leaves[leaf].value(index, of: columns[leaf].values)
    }

    /// The definition level of the next entry.
    private func definition(_ leaf: Int) throws(TableProblem) -> UInt8 {
        guard entries[leaf] < columns[leaf].entryCount else { throw Self.disagreement }
        return leaves[leaf].maxDefinition == 0 ? 0 : columns[leaf].definitions[entries[leaf]]
    }

    /// The repetition level of the next entry, nil at the end.
    private func repetition(_ leaf: Int) -> UInt8? {
        guard entries[leaf] < columns[leaf].entryCount else { return nil }
        return leaves[leaf].maxRepetition == 0 ? 0 : columns[leaf].repetitions[entries[leaf]]
    }

    /// Steps over the one entry that each leaf has for something that is missing.
    private mutating func skip(_ below: Range<Int>, below level: UInt8) throws(TableProblem) {
        for leaf in below {
            guard try definition(leaf) < level else { throw Self.disagreement }
            entries[leaf] += 1
        }
    }

    /// Whether the list of that repetition level has another element.
    private func continues(_ below: Range<Int>, _ level: UInt8) throws(TableProblem) -> Bool {
        let first = repetition(below.lowerBound) == level
        for leaf in below.dropFirst() where (repetition(leaf) == level) != first { throw Self.disagreement }
        return first
    }
}
