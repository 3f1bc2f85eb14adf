// Files that pyarrow does not write: old shapes of lists, old levels, and lies.

import Testing
import Text

@testable import Tables

@Suite("Parquet files made by hand")
struct HandmadeParquetTests {
    private typealias Handmade = HandmadeParquet
    private typealias Node = HandmadeParquet.Node

    private static func rows(_ handmade: HandmadeParquet, limits: TableLimits = TableLimits()) throws
        -> [String]
    {
        let folder = try TemporaryFolder()
        let path = try folder.write(handmade.bytes, to: "handmade.parquet")
        return try TableFile.open(path, limits: limits).allRows().map(\.json.compactText)
    }

    private static let number = Node(name: "n", repetition: 0, type: 1)

    private static func numbers(_ pages: [UInt8], values: Int = 2, rows: Int? = nil) -> HandmadeParquet {
        HandmadeParquet(nodes: [number], rows: rows ?? values, values: values, pages: pages)
    }

    /// The rows [1, 2], [] and [3] of a repeated node that is its list's element.
    private static let threeLists =
        Handmade.levels([0, 1, 0, 0]) + Handmade.levels([1, 1, 0, 1]) + Handmade.int32([1, 2, 3])

    @Test("A repeated column is a list by itself")
    func repeatedColumn() throws {
        let file = HandmadeParquet(
            nodes: [Node(name: "r", repetition: 2, type: 1)], rows: 3, values: 4,
            pages: Handmade.page(Self.threeLists, values: 4))
        #expect(try Self.rows(file) == [#"{"r":[1,2]}"#, #"{"r":[]}"#, #"{"r":[3]}"#])
    }

    @Test("A list of two levels has the repeated column as its element")
    func twoLevels() throws {
        let content =
            Handmade.levels([0, 1, 0, 0, 0]) + Handmade.levels([2, 2, 1, 0, 2]) + Handmade.int32([1, 2, 3])
        let file = HandmadeParquet(
            nodes: [
                Node(name: "l", repetition: 1, children: 1, convertedType: 3),
                Node(name: "element", repetition: 2, type: 1),
            ], rows: 4, values: 5, pages: Handmade.page(content, values: 5))
        #expect(try Self.rows(file) == [#"{"l":[1,2]}"#, #"{"l":[]}"#, #"{"l":null}"#, #"{"l":[3]}"#])
    }

    @Test(
        "A repeated group of one field is the element only if it has an old name",
        arguments: [
            ("array", #"{"l":[{"x":1},{"x":2}]}"#), ("l_tuple", #"{"l":[{"x":1},{"x":2}]}"#),
            ("list", #"{"l":[1,2]}"#), ("bag", #"{"l":[1,2]}"#),
        ])
    func oldNames(name: String, first: String) throws {
        let file = HandmadeParquet(
            nodes: [
                Node(name: "l", repetition: 0, children: 1, convertedType: 3),
                Node(name: name, repetition: 2, children: 1), Node(name: "x", repetition: 0, type: 1),
            ], rows: 3, values: 4, pages: Handmade.page(Self.threeLists, values: 4))
        #expect(try Self.rows(file).first == first)
    }

    @Test("Levels packed without runs, as the first writers had them, are read")
    func oldLevels() throws {
        // Repetition 0100 and definition 1101, each from the highest bit on.
        let content: [UInt8] = [0b0100_0000, 0b1101_0000] + Handmade.int32([1, 2, 3])
        let file = HandmadeParquet(
            nodes: [Node(name: "r", repetition: 2, type: 1)], rows: 3, values: 4,
            pages: Handmade.page(content, values: 4, levels: 4))
        #expect(try Self.rows(file) == [#"{"r":[1,2]}"#, #"{"r":[]}"#, #"{"r":[3]}"#])
    }

    @Test("Texts come from an old dictionary, and from pages without it behind")
    func dictionaries() throws {
        let pages =
            Handmade.dictionary(Handmade.texts(["one", "two"]), values: 2, encoding: 2)
            + Handmade.page([1, 2, 1, 4, 0], values: 3, encoding: 2)
            + Handmade.page(Handmade.texts(["three"]), values: 1)
        let file = HandmadeParquet(
            nodes: [Node(name: "t", repetition: 0, type: 6, convertedType: 0)], rows: 4, values: 4,
            pages: pages)
        #expect(try Self.rows(file) == ["two", "one", "one", "three"].map { #"{"t":"\#($0)"}"# })
    }

    @Test("A right checksum passes and a wrong one does not")
    func checksums() throws {
        let content = Handmade.int32([1, 2])
        let sum = Int(Int32(bitPattern: CRC32.checksum(content, 0..<8)))
        #expect(try Self.rows(Self.numbers(Handmade.page(content, values: 2, checksum: sum))).count == 2)
        let error = #expect(throws: TableError.self) {
            try Self.rows(Self.numbers(Handmade.page(content, values: 2, checksum: sum ^ 1)))
        }
        #expect(error?.column == "n" && error?.row == 1 && error?.problem.contains("checksum") == true)
    }

    @Test("Numbers that annotations make impossible stay numbers, and names are kept as they are")
    func oddAnnotations() throws {
        func first(_ node: Node, _ content: [UInt8]) throws -> String? {
            try Self.rows(
                HandmadeParquet(nodes: [node], rows: 1, values: 1, pages: Handmade.page(content, values: 1))
            ).first
        }
        let noTime = Node(name: "", repetition: 0, type: 1, convertedType: 7)
        #expect(try first(noTime, Handmade.int32([86_400_000])) == #"{"":86400000}"#)
        let textNumber = Node(name: "n.n", repetition: 0, type: 1, convertedType: 0)
        #expect(try first(textNumber, Handmade.int32([5])) == #"{"n.n":5}"#)
        let noText = Node(name: "t", repetition: 0, type: 6, convertedType: 0)
        #expect(try first(noText, Handmade.int32([2]) + [0xC3, 0x28]) == #"{"t":{"base64":"wyg="}}"#)
    }

    @Test("Lies about sizes and levels are errors", arguments: HandmadeParquetTests.lies)
    func refusesLies(name: String, file: HandmadeParquet) {
        #expect(throws: TableError.self, "\(name)") { try Self.rows(file) }
    }

    private static let lies: [(String, HandmadeParquet)] = {
        let two = Handmade.int32([1, 2])
        let repeated = [Node(name: "r", repetition: 2, type: 1)]
        func lists(_ content: [UInt8], rows: Int = 3, values: Int = 4) -> HandmadeParquet {
            HandmadeParquet(
                nodes: repeated, rows: rows, values: values, pages: Handmade.page(content, values: values))
        }
        var otherFile = numbers(Handmade.page(two, values: 2))
        otherFile.otherFile = "other.parquet"
        var longChunk = numbers(Handmade.page(two, values: 2))
        longChunk.claimedChunkBytes = 1 << 40
        var hugeChunk = longChunk
        hugeChunk.claimedChunkBytes = 1 << 62 - 1
        var unknownCodec = longChunk
        unknownCodec.claimedChunkBytes = nil
        unknownCodec.codec = 99
        var bomb = numbers(Handmade.page([0x80, 0x80, 0x80, 0x80, 4, 0xFE], values: 2, unpacked: 1 << 30))
        bomb.codec = 1
        let text = Node(name: "t", repetition: 0, type: 6)
        func texts(_ pages: [UInt8], _ values: Int = 2) -> HandmadeParquet {
            HandmadeParquet(nodes: [text], rows: values, values: values, pages: pages)
        }
        let dictionary = Handmade.dictionary(Handmade.texts(["one"]), values: 1)
        return [
            ("fewer values than rows", numbers(Handmade.page(two, values: 2), values: 2, rows: 3)),
            ("more values than bytes", numbers(Handmade.page(two, values: 3), values: 3)),
            ("a page with more values than the column", numbers(Handmade.page(two, values: 2), values: 1)),
            ("impossibly many values", numbers(Handmade.page(two, values: 1 << 61), values: 1 << 61)),
            ("a page of 1 GiB in six bytes", bomb),
            ("a page with too many bytes", numbers(Handmade.page(two, values: 2, unpacked: 9))),
            ("a column in another file", otherFile), ("a column beyond the file", longChunk),
            ("a column beyond all files", hugeChunk), ("an unknown codec", unknownCodec),
            ("an unknown encoding", numbers(Handmade.page(two, values: 2, encoding: 77))),
            ("an encoding of another type", numbers(Handmade.page(two, values: 2, encoding: 6))),
            ("no dictionary", texts(Handmade.page([1, 4, 0], values: 2, encoding: 8))),
            (
                "an index beyond the dictionary",
                texts(dictionary + Handmade.page([1, 4, 1], values: 2, encoding: 8))
            ),
            (
                "two dictionaries",
                texts(dictionary + dictionary + Handmade.page([1, 4, 0], values: 2, encoding: 8))
            ),
            (
                "wide indices",
                texts(dictionary + Handmade.page([33, 4, 0, 0, 0, 0, 0], values: 2, encoding: 8))
            ),
            ("a text longer than its page", texts(Handmade.page(Handmade.int32([9]) + [65], values: 1), 1)),
            ("a text of 4 GiB", texts(Handmade.page(Handmade.int32([-1]) + [65], values: 1), 1)),
            (
                "a list that begins in the middle",
                lists(
                    Handmade.levels([1, 1, 0, 0]) + Handmade.levels([1, 1, 0, 1]) + Handmade.int32([1, 2, 3]))
            ),
            ("more rows than lists", lists(threeLists, rows: 4)),
            ("fewer rows than lists", lists(threeLists, rows: 2)),
            (
                "a level that is too high",
                lists(
                    Handmade.levels([0, 1, 0, 0]) + Handmade.levels([1, 2, 0, 1]) + Handmade.int32([1, 2, 3]))
            ),
            (
                "a decimal of a million places",
                HandmadeParquet(
                    nodes: [Node(name: "d", repetition: 0, type: 1, convertedType: 5, scale: 1_000_000)],
                    rows: 1,
                    values: 1, pages: Handmade.page(Handmade.int32([1]), values: 1))
            ),
            (
                "a group without columns",
                HandmadeParquet(
                    nodes: [Node(name: "g", repetition: 0, children: 0)], rows: 1, values: 1, pages: [])
            ),
            (
                "more fields than nodes",
                HandmadeParquet(
                    nodes: [number], rows: 2, values: 2, pages: Handmade.page(two, values: 2), fields: 2)
            ),
            (
                "fewer fields than nodes",
                HandmadeParquet(
                    nodes: [number, number], rows: 2, values: 2, pages: Handmade.page(two, values: 2))
            ),
            (
                "a deep schema",
                HandmadeParquet(
                    nodes: (0..<100).map { _ in Node(name: "g", repetition: 2, children: 1) } + [number],
                    rows: 1,
                    values: 1, pages: Handmade.page(two, values: 1))
            ),
        ]
    }()

    @Test("A schema of too many nodes is an error before it fills the memory")
    func manyNodes() {
        // A list of structures, each with nothing but the empty name in field 4.
        let nodes = (0..<100_001).flatMap { _ in [0x48, 0x00, 0x00] as [UInt8] }
        let footer = [0x29, 0xFC] + varint(100_001) + nodes + [0x16, 0x00, 0x00]
        let problem = #expect(throws: TableProblem.self) { try ParquetMetadata(footer) }
        #expect(problem?.problem.contains("more than 100000 nodes") == true)
    }

    @Test("Texts that repeat each other cannot fill the memory")
    func growingTexts() {
        // Each of 5000 texts is the one before and a letter: 12 MB out of 5 kB.
        let count = 5000
        let lengths = { (first: Int, step: Int) -> [UInt8] in
            varint(UInt64(count + 1).rounded()) + [1] + varint(UInt64(count)) + varint(UInt64(first * 2))
                + varint(UInt64(step * 2)) + [0]
        }
        let content = lengths(0, 1) + lengths(1, 0) + [UInt8](repeating: 65, count: count)
        let file = HandmadeParquet(
            nodes: [Node(name: "t", repetition: 0, type: 6)], rows: count, values: count,
            pages: Handmade.page(content, values: count, encoding: 7))
        var limits = TableLimits()
        limits.leastUnpackedBytes = 1 << 22
        let error = #expect(throws: TableError.self) { try Self.rows(file, limits: limits) }
        #expect(error?.problem.contains("memory") == true)
    }
}

extension UInt64 {
    /// The next size that a block of differences may have.
    fileprivate func rounded() -> UInt64 { (self + 127) / 128 * 128 }
}
