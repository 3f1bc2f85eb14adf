// JSON paths, with the meaning they have in Argo's expressions.

import TestSupport
import Testing
import Text

@Suite("JSON paths")
struct JSONPathTests {
    static let store: JSONValue = [
        "books": [
            ["title": "A", "price": 8.95, "tags": ["x", "y"]], ["title": "B", "price": 12, "isbn": "1-2"],
            ["title": "C", "price": 22.99],
        ],
        "limit": 10, "owner": ["name": "Ann", "length": 7], "none": nil, "odd key": 1, "text": "hello",
    ]

    @Test(
        "A path gives the value it names",
        arguments: [
            ("$.limit", 10), ("$['limit']", 10), ("$[\"odd key\"]", 1), ("$.none", nil),
            ("$.owner.name", "Ann"), ("$.books[0].title", "A"), ("$.books[-1].title", "C"),
            ("$.books.length", 3), ("$.books.length()", 3), ("$.text.length", 5), ("$.owner.length", 7),
            ("$.books[(@.length-1)].title", "C"), ("$.books[*].title", ["A", "B", "C"]),
            ("$.books.*.title", ["A", "B", "C"]),
            ("$.books[?(@.price > 10)].title", ["B", "C"]), ("$.books[?(@.price < $.limit)].title", ["A"]),
            ("$.books[?(@.isbn)].title", ["B"]),
            ("$.books[?(@.title == 'B' || @.title == \"C\")].title", ["B", "C"]),
            ("$.books[?(@.price > 10 && @.price <= 12)].title", ["B"]),
            ("$.books[?(@.title =~ '^[AC]$')].title", ["A", "C"]), ("$.books[?(@.title =~ /b/)].title", []),
            ("$.books[?(@.title =~ /(?i)b/)].title", ["B"]),
            ("$.books[?(@.price * 2 == 24)].title", ["B"]), ("$.books[?(@.price - 2 == 10)].title", ["B"]),
            ("$.books[?(@.price > 10)][0].title", "B"), ("$.books[0,2].title", ["A", "C"]),
            ("$.books[0,(@.length-1)].title", ["A", "C"]),
            ("$.books[0]['title','price']", ["A", 8.95]), ("$.books[0:2].title", ["A", "B"]),
            ("$.books[1:].title", ["B", "C"]), ("$.books[:1].title", ["A"]),
            ("$.books[-2:].title", ["B", "C"]), ("$.books[::2].title", ["A", "C"]),
            ("$.books[0:2:-1].title", ["B", "A"]),
            ("$.books[5:9]", []), ("$..title", ["A", "B", "C"]), ("$..tags[0]", ["x"]),
            ("$.books[*].tags[*]", [["x", "y"]]), ("$.books[*].missing", []), ("$.owner.*", [7, "Ann"]),
            ("$.owner[?(@ == 7)]", [7]), ("$.books[?(@.tags == [\"x\",\"y\"])].title", ["A"]),
            ("$.books[?(!(@.price > 10))].title", ["A"]), ("$.books[?(@.price == 12.0)].title", ["B"]),
            ("$.books[?(@.missing != 1)].title", []), ("$.books[?(@.tags[?(@ == 'y')])].title", ["A"]),
            ("$.books[?(-@.price < -20)].title", ["C"]), ("$.books[?((@.price + 1) % 13 == 0)].title", ["B"]),
        ] as [(String, JSONValue)])
    func finds(path: String, result: JSONValue) throws {
        #expect(try JSONPath(path).query(Self.store) == result)
    }

    @Test(
        "A place that does not exist is an error",
        arguments: [
            ("$.missing", "key: invalid token key 'missing' not found"),
            ("$.owner.missing.deeper", "key: invalid token key 'missing' not found"),
            ("$.books[3]", "index: invalid token out of range"),
            ("$.books.title", "key: invalid token target. expected [map] got [slice]"),
            (
                "$.limit.length",
                "length: invalid token target. expected [array map slice string] got [float64]"
            ), ("$.none.x", "key: invalid token target. expected [map] got [nil]"),
            ("$['limit','missing']", "union: invalid token key 'missing' not found"),
            ("$.books[0:2:0]", "range: invalid token out of range"),
        ])
    func misses(path: String, message: String) {
        let error = #expect(throws: JSONPathError.self) { try JSONPath(path).query(Self.store) }
        #expect(error?.message == message)
    }

    @Test(
        "What is no path is refused",
        arguments: [
            "", "a", ".a", "$a", "$.", "$.a.", "$[", "$[]", "$['a", "$[a]", "$[1,]", "$[1:2:3:4]", "$['a':1]",
            "$[?(@.a]", "$[?@.a]", "$[?()]", "$[?(@.a = 1)]", "$[?(@.a == b)]", "$[?(@.a =~ '(')]", "$[(1]",
            "$[99999999999999999999]", "$(a)", "$...a",
        ])
    func refuses(path: String) {
        #expect(throws: JSONPathError.self) { try JSONPath(path) }
    }

    @Test("Queries that grow without bound and deep nesting are refused")
    func limits() throws {
        let wide = JSONValue.array(Array(repeating: .array(Array(repeating: 1, count: 200)), count: 200))
        let deep = (0..<250).reduce(JSONValue.int(1)) { inner, _ in .array([inner]) }
        #expect(throws: JSONPathError.self) { try JSONPath("$..*..*..*..*").query(deep) }
        #expect(throws: JSONPathError.self) { try JSONPath("$[?($..* == $..*)]").query(wide) }
        #expect(throws: JSONPathError.self) { try JSONPath("$[?(" + String(repeating: "(", count: 4_000)) }
        #expect(throws: JSONPathError.self) { try JSONPath("$[?(" + String(repeating: "!", count: 4_000)) }
        #expect(throws: JSONPathError.self) { try JSONPath(String(repeating: "$", count: 20_000)) }
    }

    @Test("Random paths never trap", arguments: 0..<30 as Range<UInt64>)
    func randomPaths(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "$", ".", "..", "[", "]", "*", "?(", ")", "@", "books", "title", "length", "'", "\"", "0", "-1",
            ":", ",", "==", "<", "+", "-", "%", "=~", "!", "&&", " ", "(", "9999999999", "é",
        ]
        for _ in 0..<500 {
            let count = Int.random(in: 0..<14, using: &generator)
            let path = "$" + (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            do {
                let result = try JSONPath(path).query(Self.store)
                #expect(try JSONPath(path).query(Self.store) == result)
            } catch {
                #expect(!"\(error)".isEmpty)
            }
        }
    }
}
