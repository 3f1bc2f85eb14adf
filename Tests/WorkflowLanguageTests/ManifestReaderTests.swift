// Documents, places, anchors, limits and complaints of the reader.

import Testing
import Text
import WorkflowLanguage

private func read(_ text: String, limits: ReadLimits = .init()) -> ([ManifestDocument], [Diagnostic]) {
    let result = ManifestReader.read(Array(text.utf8), file: "m.yaml", limits: limits)
    return (result.documents, result.diagnostics)
}

@Suite("Reading manifests")
struct ManifestReaderTests {
    @Test(
        "A file's documents are those that hold something",
        arguments: [
            ("a: 1\n", 1), ("a: 1\n---\nb: 2\n", 2), ("---\n---\na: 1\n---\n# nothing\n---\n", 1),
            ("--- \na: 1\n...\n---\nb: 1\n", 2), ("\u{FEFF}a: 1\n", 1), ("a: 1\r\n---\r\nb: 2\r\n", 2),
            ("kind: List\nitems:\n- a: 1\n- b: 2\n---\nc: 3\n", 3),
            ("{\"kind\": \"WorkflowList\", \"items\": [{}]}", 1),
            ("kind: List\n", 1), ("[1, 2]", 1), ("{\"a\": 1}\n---\n{\"b\": 2}\n", 2),
        ])
    func documents(text: String, count: Int) {
        let (documents, diagnostics) = read(text)
        #expect(diagnostics.isEmpty)
        #expect(documents.count == count)
    }

    @Test(
        "A file without documents says so", arguments: ["", "\n\n", "# only words\n", "---\n---\n", "null\n"])
    func empty(text: String) {
        let (documents, diagnostics) = read(text)
        #expect(documents.isEmpty)
        #expect(diagnostics.count == 1)
        #expect(diagnostics.first?.message.contains("nothing to run") == true)
        #expect(diagnostics.first?.remedy?.contains("kind: Workflow") == true)
    }

    private static let marked = """
        # A comment first.
        apiVersion: v1
        spec:
          ünïcode: {a: 1, "b": [x, y]}
          templates:
          - name: one
            script: |
              text: here
            last: 1
          - name: two
        ---
        other: 2
        """

    @Test(
        "The place of a field is that of its key, counted from 1",
        arguments: [
            ([], 2, 1), ([.key("apiVersion")], 2, 1), ([.key("spec")], 3, 1),
            ([.key("spec"), .key("ünïcode"), .key("a")], 4, 13),
            ([.key("spec"), .key("ünïcode"), .key("b")], 4, 19),
            ([.key("spec"), .key("ünïcode"), .key("b"), .index(1)], 4, 28),
            ([.key("spec"), .key("templates")], 5, 3),
            ([.key("spec"), .key("templates"), .index(0)], 6, 5),
            ([.key("spec"), .key("templates"), .index(0), .key("script")], 7, 5),
            ([.key("spec"), .key("templates"), .index(0), .key("last")], 9, 5),
            ([.key("spec"), .key("templates"), .index(1), .key("name")], 10, 5),
            ([.key("spec"), .key("templates"), .index(1), .key("absent")], 10, 5),
            ([.key("spec"), .key("templates"), .index(7)], 5, 3),
        ] as [([PathElement], Int, Int)])
    func places(path: [PathElement], line: Int, column: Int) throws {
        let (documents, _) = read(Self.marked)
        let place = try #require(documents.first).value.place(of: path)
        #expect(place.line == line)
        #expect(place.column == column)
        #expect(documents.last?.value.place(of: [.key("other")]).line == 12)
    }

    @Test(
        "Places in JSON are counted the same way",
        arguments: [
            ([], 1, 1), ([.key("ü")], 2, 3), ([.key("ü"), .index(1)], 2, 14), ([.key("b")], 3, 3),
            ([.key("b"), .key("c")], 3, 9),
        ] as [([PathElement], Int, Int)])
    func placesInJSON(path: [PathElement], line: Int, column: Int) throws {
        let (documents, _) = read("{\n  \"ü\": [\"é\", 2],\r\n\t\t\"b\": {\"c\": true}\n}")
        let place = try #require(documents.first).value.place(of: path)
        #expect(place.line == line)
        #expect(place.column == column)
    }

    @Test("JSON's own escapes and long keys are read")
    func escapes() {
        let key = String(repeating: "k", count: 3000)
        let (documents, diagnostics) = read(
            "{\"\(key)\": \"\\ud83d\\ude00 \\u00e9\\/\\n\", \"b\": \"\\ud800\"}")
        #expect(diagnostics.isEmpty)
        #expect(documents.first?.json == .object([key: "😀 é/\n", "b": "\u{FFFD}"]))
    }

    @Test("Aliases stand for their anchors, and merge keys give way to a map's own keys")
    func anchors() {
        let text = """
            base: &base {a: 1, b: 2}
            more: &more-2
              - *base
            merged:
              <<: *base
              b: 3
            both: {<<: [*base, {a: 9, c: 9}], d: "*base"}
            plain: &base text
            again: *base
            "<<": quoted
            args: ["*.txt", 'a*b', 2*3]
            script: |
              ls *.txt # *base
            """
        let (documents, diagnostics) = read(text)
        #expect(diagnostics.isEmpty)
        #expect(
            documents.first?.json == [
                "base": ["a": 1, "b": 2], "more": [["a": 1, "b": 2]], "merged": ["a": 1, "b": 3],
                "both": ["a": 1, "b": 2, "c": 9, "d": "*base"], "plain": "text", "again": "text",
                "<<": "quoted", "args": ["*.txt", "a*b", "2*3"], "script": "ls *.txt # *base",
            ])
    }

    @Test(
        "A repeated key is reported with both places, and so are all others",
        arguments: [
            ("a: 1\nb:\n  cc: 1\n  d: 2\n  cc: 3\n", ["5:3 b.cc 3:3"]),
            ("a: 1\n\"a\": 2\n", ["2:1 a 1:1"]), ("{\"a\": 1, \"a\": 2}", ["1:10 a 1:2"]),
            ("{a: 1, b: {c: 1, c: 2}, a: 2}", ["1:18 b.c 1:12", "1:25 a 1:2"]),
            ("1: x\n0x1: y\n", ["2:1 1 1:1"]), ("\"k\": x\nk: y\nk: z\n", ["2:1 k 1:1", "3:1 k 1:1"]),
            ("a: 1\na: 2\n---\nb: 1\n\nb: 2\n", ["2:1 a 1:1", "6:1 b 4:1"]),
        ])
    func repeatedKeys(text: String, expected: [String]) {
        let (_, diagnostics) = read(text)
        let found = diagnostics.map { problem in
            let numbers = problem.message.split { !$0.isNumber }.suffix(2).joined(separator: ":")
            return "\(problem.line):\(problem.column) \(problem.path) \(numbers)"
        }
        #expect(found == expected)
        #expect(diagnostics.allSatisfy { $0.remedy != nil && $0.message.contains("is given twice") })
    }

    @Test(
        "A repeated key that cannot be told apart in place still has one place",
        arguments: ["? [a]\n: 1\n? [a]\n: 2\n", "\"\\x61\": 1\n\"\\x61\": 2\n", "\"\": 1\n\"\": 2\n"])
    func awkwardRepeatedKeys(text: String) {
        let (_, diagnostics) = read(text)
        #expect(diagnostics.first?.line == 1)
        #expect(diagnostics.first?.severity == .error)
    }
}

@Suite("Complaints about syntax")
struct ManifestSyntaxTests {
    @Test(
        "An error of syntax has its place and a remedy in plain words",
        arguments: [
            ("a:\n\tb: 1\n", 2, 1, "tab"), ("a: b: c\n", 1, 5, "quotes"),
            ("a: [1, 2\nb: 1\n", 2, 2, "bracket"),
            ("a: \"x\nb: 1\n", 3, 1, "quote"), ("a: 1\n b: 2\n", 2, 3, "indentation"),
            ("a:\n- b\n c: 1\n", 3, 3, "indentation"), ("a: @x\n", 1, 4, "quotes"),
            ("a: %x\n", 1, 4, "quotes"),
            ("a: !x!y z\n", 1, 4, "quotes"), ("a: *.txt\n", 1, 4, "quotes"), ("a: *none\n", 1, 4, "quotes"),
            ("a: &\n", 1, 5, "quotes"), ("a: \"\\q\"\n", 1, 5, "backslash"), ("a: {{b}}\n", 1, 5, "quotes"),
            ("a: x\u{1}\n", 1, 5, "remove"), ("a: 1\nb\n", 3, 1, "key:"), ("<<: 1\n", 1, 1, "anchored map"),
            ("a: &x [*x]\n", 1, 8, "inner"), ("a: &x b\nc: &y *x\n", 2, 4, "&"),
            ("a: [x, y]z\n", 1, 10, "bracket"),
        ])
    func problems(text: String, line: Int, column: Int, remedy: String) throws {
        let (_, diagnostics) = read(text)
        let problem = try #require(diagnostics.first)
        #expect(problem.line == line)
        #expect(problem.column == column)
        #expect(problem.severity == .error)
        #expect(problem.remedy?.contains(remedy) == true, "\(problem.description)")
    }

    @Test("Bytes that are not UTF-8 are refused where they stand")
    func encoding() {
        for (bytes, place) in [
            ([0x61, 0x3A, 0x20, 0xFF], [1, 4]), ([0x61, 0x3A, 0x0A, 0x20, 0xC3, 0x28], [2, 2]),
            ([0xFF, 0xFE, 0x61, 0x00], [1, 1]), ([0x61, 0x3A, 0x20, 0xED, 0xA0, 0x80], [1, 4]),
            ([0x61, 0x3A, 0x20, 0xF4, 0x90, 0x80, 0x80], [1, 4]), ([0x61, 0x3A, 0x20, 0xC2, 0x80], [1, 4]),
        ] as [([UInt8], [Int])] {
            let diagnostics = ManifestReader.read(bytes, file: "m.yaml").diagnostics
            #expect(diagnostics.map { [$0.line, $0.column] } == [place])
        }
    }

    @Test("Documents before an error are read, so that other checks can go on")
    func documentsBefore() {
        let (documents, diagnostics) = read("a: 1\n---\nb: [\n")
        #expect(documents.map(\.json) == [["a": 1]])
        #expect(diagnostics.count == 1)
    }
}

@Suite("Limits of reading")
struct ManifestLimitTests {
    /// Ten levels of ten aliases each: ten thousand million values.
    private static let bomb: String = {
        var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (inner, outer) in zip("abcdefghi", "bcdefghij") {
            let aliases = Array(repeating: "*\(inner)", count: 10).joined(separator: ", ")
            text += "\(outer): &\(outer) [\(aliases)]\n"
        }
        return text
    }()

    @Test(
        "What is too much is refused with the limit's name",
        arguments: [
            ("[[[[[1]]]]]", "deep"), ("- - - - - 1", "deep"),
            ("{\"a\": {\"b\": {\"c\": {\"d\": {}}}}}", "deep"),
            (String(repeating: "- ", count: 5_000) + "1", "deep"),
            (String(repeating: "x", count: 201), "bytes"),
            ("[" + String(repeating: "1,", count: 30) + "1]", "commas"),
            (String(repeating: "- a\n", count: 31), "items"),
            ("{a: {b}, c: {d}, e: {f}, g: {h}, i: {j}, k: {l}, m: {n}, o: {p}, q: {r}}", "values"),
            (String(repeating: "---\na\n", count: 6), "documents"),
            ("a: &a 1\nb:\n" + String(repeating: "- *a\n", count: 5), "aliases"),
            ("kind: List\nitems:\n" + String(repeating: "- {}\n", count: 6), "documents"),
        ])
    func refused(text: String, message: String) {
        let bytes = text.count > 1000 ? 20_000 : 200
        let nodes = text.count > 1000 ? 10_000 : 30
        let limits = ReadLimits(fileBytes: bytes, nodes: nodes, depth: 4, aliases: 4, documents: 5)
        let (documents, diagnostics) = read(text, limits: limits)
        #expect(documents.count <= 5)
        #expect(diagnostics.count == 1)
        #expect(diagnostics.first?.message.contains(message) == true, "\(diagnostics.first?.message ?? "")")
        #expect(diagnostics.first?.remedy != nil)
    }

    @Test("A small text that stands for a vast one is refused before it grows, as a value and as a key")
    func bombs() {
        for text in [Self.bomb, Self.bomb + "? *j\n: 1\n"] {
            let (documents, diagnostics) = read(text)
            #expect(documents.isEmpty)
            #expect(
                diagnostics.map(\.message) == ["the file holds more than 2000000 values, aliases followed"])
        }
    }

    @Test("The limits are generous unless told otherwise")
    func defaults() {
        let limits = ReadLimits()
        #expect(limits.fileBytes == 33_554_432)
        #expect(limits.nodes == 2_000_000)
        #expect(limits.depth == 200)
        #expect(limits.aliases == 10_000)
        #expect(limits.documents == 10_000)
        #expect(read(String(repeating: "[", count: 200) + String(repeating: "]", count: 200)).1.isEmpty)
    }

    @Test("Depth is counted through aliases, and the limit itself is allowed")
    func depth() {
        let limits = ReadLimits(depth: 3)
        #expect(read("a: {b: [1]}", limits: limits).1.isEmpty)
        #expect(read("a: {b: [[1]]}", limits: limits).1.count == 1)
        #expect(read("{\"a\": {\"b\": [[1]]}}", limits: limits).1.count == 1)
        #expect(read("x: &x [[1]]\ny: *x", limits: limits).1.isEmpty)
        #expect(read("x: &x [[1]]\ny: [*x]", limits: limits).1.count == 1)
    }

    @Test("Nodes are counted exactly, and the limit itself is allowed")
    func nodes() {
        #expect(read("a: &a [1, 2]\nb: *a", limits: ReadLimits(nodes: 9)).1.isEmpty)
        #expect(read("a: &a [1, 2]\nb: *a", limits: ReadLimits(nodes: 8)).1.count == 1)
    }
}
