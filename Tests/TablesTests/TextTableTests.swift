// Tables as text: CSV, JSON lines and JSON, packed or not, and what is said of wrong rows.

import Tables
import Testing
import Text

@Suite("Tables as text")
struct TextTableTests {
    private static func rows(
        _ content: [UInt8], _ name: String, format: TableFormat? = nil, limits: TableLimits = .init()
    )
        throws -> [String]
    {
        let folder = try TemporaryFolder()
        return try TableFile.open(try folder.write(content, to: name), format: format, limits: limits)
            .allRows()
            .map(\.json.compactText)
    }

    private static func rows(_ text: String, _ name: String, format: TableFormat? = nil) throws -> [String] {
        try rows(Array(text.utf8), name, format: format)
    }

    /// The error's text, the folder left out.
    private static func error(_ text: String, _ name: String, format: TableFormat? = nil) throws -> String {
        let folder = try TemporaryFolder()
        let path = try folder.write(text, to: name)
        let error = #expect(throws: TableError.self) { try TableFile.open(path, format: format).allRows() }
        let description = try #require(error).description
        #expect(description.hasPrefix(path))
        return String(description.dropFirst(folder.path.count + 1))
    }

    @Test(
        "CSV in all its spellings",
        arguments: [
            ("a,b\n1,2\n", [#"{"a":"1","b":"2"}"#]), ("\u{FEFF}a,b\r\n1,2\r\n", [#"{"a":"1","b":"2"}"#]),
            ("a,b\r1,2\r", [#"{"a":"1","b":"2"}"#]), ("a,b\n1,2", [#"{"a":"1","b":"2"}"#]),
            ("a,b\n\n1,2\n\n\n", [#"{"a":"1","b":"2"}"#]), ("a,b\n", []), ("", []), ("\n\n", []),
            (#"a,"b ""c"""\#n"1,\#n2","x"\#n"#, [#"{"a":"1,\n2","b \"c\"":"x"}"#]),
            ("a,b\n,\"\"\n", [#"{"a":null,"b":""}"#]), ("a,b\nx\"y,\"\"\"\"\n", [#"{"a":"x\"y","b":"\""}"#]),
            (",Question,A\n0,Wer?,Ich\n", [#"{"":"0","Question":"Wer?","A":"Ich"}"#]),
            ("题,答\n一 ,\" 二\"\n", [#"{"题":"一 ","答":" 二"}"#]),
        ])
    func csv(text: String, expected: [String]) throws {
        #expect(try Self.rows(text, "t.csv") == expected)
    }

    @Test(
        "A header is taken for one unless it cannot be",
        arguments: [
            ("question,A,B\n", 0), ("What is two and two?,4,5\n", 1), ("Say it.,a,b\n", 1), ("x,x,y\n", 1),
            ("\"a\nb\",c\n", 1), ("a,,b\n", 1), ("1.5,b\n", 1),
            (String(repeating: "long", count: 20) + ",b\n", 1),
        ])
    func guessesHeaders(text: String, count: Int) throws {
        #expect(try Self.rows(text, "t.csv").count == count)
    }

    @Test("Whether there is a header can be said, and columns without one are numbered")
    func givenHeaders() throws {
        #expect(try Self.rows("a,b\n", "t.csv", format: .csv(header: false)) == [#"{"0":"a","1":"b"}"#])
        #expect(try Self.rows("1,2\n3,4\n", "t.csv", format: .csv(header: true)) == [#"{"1":"3","2":"4"}"#])
        #expect(
            try Self.rows("a b\n1 2\n", "t.txt", format: .csv(header: true, delimiter: 0x20))
                == [#"{"a":"1","b":"2"}"#])
        #expect(try Self.rows("a,\tb\n1\t\"2\t3\"\n", "t.tsv") == [#"{"a,":"1","b":"2\t3"}"#])
    }

    @Test(
        "Wrong CSV is told with its line and what to do",
        arguments: [
            ("a,b\n1\n", "t.csv:2: the row has 1 fields, the first one has 2; "),
            ("a,b\n\"x\ny\",2\n1,2,3\n", "t.csv:4: the row has 3 fields, the first one has 2; "),
            ("a,b\n1,\"2\n3\n", "t.csv:2:3: the quote is never closed; "),
            ("a,b\n\"1\nx\"y,2\n", "t.csv:3:3: text follows a closing quote; "),
        ])
    func wrongCSV(text: String, message: String) throws {
        let error = try Self.error(text, "t.csv")
        #expect(error.hasPrefix(message), "\(error)")
        #expect(try Self.error("a,a\n", "t.csv", format: .csv(header: true)).contains("column \"a\""))
    }

    @Test("Text that is not UTF-8 is told from damage")
    func encodings() throws {
        for (bytes, word) in [
            ([0x61, 0x0A, 0xCE, 0xCA, 0x0A], "not UTF-8"), ([0xFF, 0xFE, 0x61, 0], "UTF-16"),
        ] {
            let error = #expect(throws: TableError.self) { try Self.rows(bytes.map { UInt8($0) }, "t.csv") }
            #expect(error?.problem.contains(word) == true && error?.remedy.contains("UTF-8") == true)
        }
    }

    @Test("Rows longer than the pieces that are read, and as long as a row may be")
    func longRows() throws {
        let long = String(repeating: "x", count: 600_000)
        let csv = try Self.rows("a,b\n\"\(long)\n\",1\n2,\(long)\n", "t.csv")
        #expect(csv == [#"{"a":"\#(long)\n","b":"1"}"#, #"{"a":"2","b":"\#(long)"}"#])
        #expect(try Self.rows("{\"a\":\"\(long)\"}\n{\"a\":1}\n", "t.jsonl").map(\.count) == [600_008, 7])
        var limits = TableLimits()
        limits.rowBytes = 300_000
        for name in ["t.csv", "t.jsonl"] {
            let error = #expect(throws: TableError.self) {
                try Self.rows(Array("1\n\(long)".utf8), name, limits: limits)
            }
            #expect(name != "t.csv" || error?.line == 2)
        }
    }

    @Test(
        "JSON rows, one a line or in a list",
        arguments: [
            ("t.jsonl", #"{"a":1,"b":[1.5,null,{"c":"x"}]}"# + "\n\n  \r\n" + #"{"b":true}"#),
            ("t.ndjson", #"{"a":1,"b":[1.5,null,{"c":"x"}]}"# + "\r\n" + #"{"b":true}"# + "\r\n"),
            ("t.json", #" [{"a":1,"b":[1.5,null,{"c":"x"}]},{"b":true}] "#),
            ("t.json", #"{"v":[0],"data":[{"a":1,"b":[1.5,null,{"c":"x"}]},{"b":true}],"n":{}}"#),
            ("t.json", "\u{FEFF}" + #"{"a":1,"b":[1.5,null,{"c":"x"}]}"# + "\n" + #"{"b":true}"#),
        ])
    func json(name: String, text: String) throws {
        #expect(try Self.rows(text, name) == [#"{"a":1,"b":[1.5,null,{"c":"x"}]}"#, #"{"b":true}"#])
        let folder = try TemporaryFolder()
        let file = try TableFile.open(try folder.write(text, to: name))
        #expect(file.columns == ["a", "b"] && file.rowCount == nil)
    }

    @Test("What the body throws comes out as it is", arguments: ["t.jsonl", "t.json"])
    func bodyThrows(name: String) throws {
        let folder = try TemporaryFolder()
        let file = try TableFile.open(try folder.write("{\"a\":1}", to: name))
        let thrown = JSONParseError(line: 77, column: 7, message: "the caller's own")
        let error = #expect(throws: JSONParseError.self) { try file.rows { _ in throw thrown } }
        #expect(error == thrown)
    }

    @Test("Files without rows have none", arguments: ["t.jsonl", "t.json"])
    func emptyJSON(name: String) throws {
        #expect(try Self.rows("", name) == [])
        #expect(try Self.rows(" \n", name) == [])
        #expect(name == "t.jsonl" ? true : try Self.rows("[]", name) == [])
    }

    @Test(
        "A wrong or torn JSON row is told with its line",
        arguments: [
            ("t.jsonl", "{\"a\":1}\n\n{\"a\":\n", "t.jsonl:3:6: no JSON: "),
            ("t.jsonl", "{\"a\":1}\n[1]\n", "t.jsonl:2: the line is no JSON object; "),
            ("t.jsonl", "{\"a\":1}\n{\"a\":\"to", "t.jsonl:2:"),
            ("t.json", "[{\"a\":1},\n 5]", "t.json:2:2: "),
            ("t.json", "[{\"a\":1},\n{\"a\":", "t.json:2:"), ("t.json", "\"x\"", "t.json:1:1: "),
            ("t.json", "{\"a\":1}\n{\"a\"}", "t.json:2:"),
        ])
    func wrongJSON(name: String, text: String, message: String) throws {
        let error = try Self.error(text, name)
        #expect(error.hasPrefix(message), "\(error)")
        #expect(error.contains("; "))
    }
}

@Suite("Packed tables as text")
struct PackedTextTests {
    /// "martlet\n" and "swift\n", each packed by itself.
    static let gzip: [[UInt8]] = [
        [
            0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xCB, 0x4D, 0x2C, 0x2A, 0xC9, 0x49,
            0x2D, 0xE1,
            0x02, 0x00, 0x0B, 0xD3, 0xDF, 0xDD, 0x08, 0x00, 0x00, 0x00,
        ],
        [
            0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2B, 0x2E, 0xCF, 0x4C, 0x2B, 0xE1,
            0x02, 0x00,
            0xE4, 0xB8, 0x74, 0xD6, 0x06, 0x00, 0x00, 0x00,
        ],
    ]
    static let zstandard: [[UInt8]] = [
        [
            0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x08, 0x41, 0x00, 0x00, 0x6D, 0x61, 0x72, 0x74, 0x6C, 0x65, 0x74,
            0x0A,
        ],
        [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x06, 0x31, 0x00, 0x00, 0x73, 0x77, 0x69, 0x66, 0x74, 0x0A],
    ]

    private static func rows(_ bytes: [UInt8], _ name: String) throws -> [String?] {
        let folder = try TemporaryFolder()
        return try TableFile.open(try folder.write(bytes, to: name), format: .csv(header: false)).allRows()
            .map { $0["0"]?.stringValue }
    }

    @Test(
        "Packed text is read, members and frames one behind the other",
        arguments: [("gz", gzip), ("zst", zstandard)])
    func members(ending: String, parts: [[UInt8]]) throws {
        #expect(try Self.rows(parts[0], "t.csv.\(ending)") == ["martlet"])
        #expect(
            try Self.rows(parts[0] + parts[1] + parts[0], "t.csv.\(ending)") == [
                "martlet", "swift", "martlet",
            ])
        #expect(try Self.rows([], "t.csv.\(ending)") == [])
        if ending == "gz" { #expect(try Self.rows(parts[0] + [0, 0, 0], "t.csv.gz") == ["martlet"]) }
    }

    @Test(
        "Packed text that is cut off or damaged is an error", arguments: [("gz", gzip), ("zst", zstandard)])
    func damage(ending: String, parts: [[UInt8]]) throws {
        for length in 1..<parts[1].count {
            #expect(throws: TableError.self) {
                try Self.rows(parts[0] + parts[1].prefix(length), "t.csv.\(ending)")
            }
        }
        let error = #expect(throws: TableError.self) {
            try Self.rows(parts[0] + Array("rubbish".utf8), "t.csv.\(ending)")
        }
        #expect(error?.description.contains("t.csv.\(ending): ") == true)
    }

    @Test(
        "The name says the format",
        arguments: [
            ("a.csv", .csv(header: nil)), ("a.TSV", .csv(header: nil, delimiter: 9)),
            ("a.b.jsonl.gz", .jsonLines),
            ("a.ndjson.zst", .jsonLines), ("d.x/a.json", .json), ("a.parquet", .parquet), ("a.txt", nil),
            ("csv", nil),
            ("a.gz", nil), ("a.csv.bz2", nil),
        ] as [(String, TableFormat?)])
    func names(name: String, format: TableFormat?) {
        #expect(TableFormat(path: name) == format)
    }

    @Test("Files that cannot be opened are told with what to do")
    func unopenable() throws {
        let folder = try TemporaryFolder()
        let packed = try folder.write("PAR1", to: "t.parquet.gz")
        let unknown = try folder.write("", to: "t.txt")
        for (path, words) in [
            (packed, "unpack"), (unknown, "name it"), ("\(folder.path)/missing.csv", "no such file"),
            ("\(folder.path)/x\0.csv", "zero byte"),
        ] {
            let error = #expect(throws: TableError.self) { try TableFile.open(path) }
            #expect(error?.description.contains(words) == true)
        }
        let error = #expect(throws: TableError.self) { try TableFile.open(folder.path, format: .json) }
        #expect(error?.problem.contains("regular file") == true)
    }
}
