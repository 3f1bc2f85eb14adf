// The schema as a tree: which leaves there are, and how rows are put together from them.

/// A column of values at the bottom of the schema.
struct ParquetLeaf: Sendable {
    /// Names from the top, with dots between; cut off if that is very long.
    var path: String
    var type: PhysicalType
    /// Bytes of a value of fixed length.
    var typeLength: Int
    var meaning: LeafMeaning
    /// How many of the nodes from the top may be missing; a value that is there has this definition level.
    var maxDefinition: UInt8
    /// How many of them may repeat.
    var maxRepetition: UInt8
}

/// How a part of a row is put together from the leaves below it. Levels are those of the Dremel paper (Melnik
/// et al., 2010): a definition level counts the optional and repeated nodes that are there.
indirect enum RowShape: Sendable {
    struct Field: Sendable {
        var name: String
        var shape: RowShape
    }

    case leaf(Int)
    /// Null where the definition level is lower.
    case optional(level: UInt8, leaves: Range<Int>, RowShape)
    /// Empty where the definition level is lower; entries of that repetition level go on with the list.
    case list(level: UInt8, repetition: UInt8, leaves: Range<Int>, RowShape)
    case structure([Field])
}

/// The leaves of a file and the fields of its rows.
struct ParquetSchema: Sendable {
    private(set) var leaves: [ParquetLeaf] = []
    private(set) var fields: [RowShape.Field] = []

    /// Deeper schemas are refused; levels fit into a byte then.
    private static let maximumDepth = 60

    init(_ elements: [ParquetSchemaElement]) throws(TableProblem) {
        var builder = SchemaBuilder(elements: elements, maximumDepth: Self.maximumDepth)
        let root = try builder.readNode(in: nil, depth: 0)
        guard builder.isAtEnd else { throw TableProblem("the schema has nodes outside of its tree") }
        fields = try root.children.map { node throws(TableProblem) in
            RowShape.Field(name: node.element.name, shape: try builder.shape(of: node))
        }
        leaves = builder.leaves
    }
}

/// A node with its place in the tree.
private struct SchemaNode {
    var element: ParquetSchemaElement
    var children: [SchemaNode] = []
    var definition: UInt8 = 0
    var repetition: UInt8 = 0
    /// The numbers of the leaves below, or of the leaf itself.
    var leaves = 0..<0
    var path: String

    /// Nil for annotations of values.
    var nesting: LogicalType? {
        if element.logicalType == .list || element.convertedType == 3 { return .list }
        if element.logicalType == .map || element.convertedType == 1 || element.convertedType == 2 {
            return .map
        }
        return nil
    }
}

private struct SchemaBuilder {
    let elements: [ParquetSchemaElement]
    let maximumDepth: Int
    private(set) var leaves: [ParquetLeaf] = []
    private var position = 0

    init(elements: [ParquetSchemaElement], maximumDepth: Int) {
        self.elements = elements
        self.maximumDepth = maximumDepth
    }

    var isAtEnd: Bool { position == elements.count }

    mutating func readNode(in parent: SchemaNode?, depth: Int) throws(TableProblem) -> SchemaNode {
        guard position < elements.count else { throw TableProblem("the schema ends early") }
        guard depth <= maximumDepth else {
            throw TableProblem("the schema is deeper than \(maximumDepth) levels")
        }
        let element = elements[position]
        position += 1
        var node = SchemaNode(element: element, path: path(of: element, in: parent))
        if let parent {
            node.definition = parent.definition + (element.repetition == .required ? 0 : 1)
            node.repetition = parent.repetition + (element.repetition == .repeated ? 1 : 0)
        }
        let first = leaves.count
        if let type = element.type, element.childCount ?? 0 == 0 {
            leaves.append(try leaf(type, node))
        } else {
            let count = element.childCount ?? 0
            guard count <= elements.count - position, count > 0 || parent == nil else {
                throw TableProblem("the schema has a group without columns or with too many")
            }
            for _ in 0..<count { node.children.append(try readNode(in: node, depth: depth + 1)) }
        }
        node.leaves = first..<leaves.count
        return node
    }

    /// Only errors show it, so it need not be long, and a long name above many leaves would fill memory.
    private func path(of element: ParquetSchemaElement, in parent: SchemaNode?) -> String {
        guard let parent else { return "" }
        return String((parent.path.isEmpty ? element.name : parent.path + "." + element.name).prefix(200))
    }

    private func leaf(_ type: PhysicalType, _ node: SchemaNode) throws(TableProblem) -> ParquetLeaf {
        ParquetLeaf(
            path: node.path, type: type, typeLength: node.element.typeLength,
            meaning: try LeafMeaning(type, node.element, path: node.path),
            maxDefinition: node.definition, maxRepetition: node.repetition)
    }

    /// How a node's values look, in view of its own repetition.
    func shape(of node: SchemaNode) throws(TableProblem) -> RowShape {
        let content = try content(of: node)
        switch node.element.repetition {
        case .required: return content
        case .optional: return .optional(level: node.definition, leaves: node.leaves, content)
        // A repeated node outside of a list or map is a list by itself, neither it nor its elements null.
        case .repeated: return list(of: content, at: node)
        }
    }

    private func content(of node: SchemaNode) throws(TableProblem) -> RowShape {
        if node.children.isEmpty { return .leaf(node.leaves.lowerBound) }
        if let only = node.children.first, node.children.count == 1, only.element.repetition == .repeated {
            if node.nesting == .list { return list(of: try element(of: only, in: node), at: only) }
            if node.nesting == .map, !only.children.isEmpty { return list(of: try entry(of: only), at: only) }
        }
        return try structure(of: node)
    }

    /// The element of a list by the rules for old files of parquet-format's LogicalTypes.md: the repeated
    /// node is the element itself if it is no group, has several fields, or has one of the old names; else it
    /// is a wrapper.
    private func element(of repeated: SchemaNode, in list: SchemaNode) throws(TableProblem) -> RowShape {
        let name = repeated.element.name
        guard let only = repeated.children.first else { return try content(of: repeated) }
        if repeated.children.count > 1 || name == "array" || name == list.element.name + "_tuple" {
            return try structure(of: repeated)
        }
        if only.element.repetition == .repeated { return try content(of: repeated) }
        return try shape(of: only)
    }

    private func entry(of repeated: SchemaNode) throws(TableProblem) -> RowShape {
        guard repeated.children.count == 2 else { return try structure(of: repeated) }
        return .structure([
            RowShape.Field(name: "key", shape: try shape(of: repeated.children[0])),
            RowShape.Field(name: "value", shape: try shape(of: repeated.children[1])),
        ])
    }

    private func structure(of node: SchemaNode) throws(TableProblem) -> RowShape {
        .structure(
            try node.children.map { child throws(TableProblem) in
                RowShape.Field(name: child.element.name, shape: try shape(of: child))
            })
    }

    private func list(of element: RowShape, at repeated: SchemaNode) -> RowShape {
        .list(
            level: repeated.definition, repetition: repeated.repetition, leaves: repeated.leaves, element)
    }
}
