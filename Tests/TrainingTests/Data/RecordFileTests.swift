// Where rows begin and end in files of each format, and what is in them.
import Testing
import Text

@testable import Training

@Suite("Files of rows")
struct RecordFileTests {
    private static func rows(_ text: String, _ name: String) throws -> [(line: Int, row: String)] {
        try DataFixture.withFiles([name: text]) { directory in
            let file = try RecordFile(path: "\(directory)/\(name)")
            return (0..<file.count).map { record in
                let text: String
                do {
                    text = try file.row(record).compactText
                } catch {
                    text = "! \(error)"
                }
                return (file.line(of: record), text)
            }
        }
    }

    @Test(
        "CSV has quotes, commas, quotes in quotes and line breaks in fields, as RFC 4180 says",
        arguments: [
            ("a,b\n1,2\n", [(2, #"{"a":"1","b":"2"}"#)]),
            ("a,b\r\n1,2\r\n3,4", [(2, #"{"a":"1","b":"2"}"#), (3, #"{"a":"3","b":"4"}"#)]),
            ("a\r1\r2", [(2, #"{"a":"1"}"#), (3, #"{"a":"2"}"#)]),
            ("a,b\n\"x, y\",\"he said \"\"hi\"\"\"\n", [(2, #"{"a":"x, y","b":"he said \"hi\""}"#)]),
            (
                "a,b\n\"one\ntwo\r\nthree\",4\n5,6",
                [(2, #"{"a":"one\ntwo\r\nthree","b":"4"}"#), (5, #"{"a":"5","b":"6"}"#)]
            ),
            ("a,b\n,\n\"\",x\n", [(2, #"{"a":null,"b":null}"#), (3, #"{"a":null,"b":"x"}"#)]),
            ("\u{FEFF}a,b\n1,2", [(2, #"{"a":"1","b":"2"}"#)]),
            ("a,b\n5\" pipe,\"x\"y\n", [(2, #"{"a":"5\" pipe","b":"xy"}"#)]),
            (
                "a,b\n1\n1,2,3\n\n  \n1,2",
                [
                    (2, "! 1 fields, but the header has 2"), (3, "! 3 fields, but the header has 2"),
                    (6, #"{"a":"1","b":"2"}"#),
                ]
            ),
            ("\"a\nb\",c\n1,2", [(3, #"{"a\nb":"1","c":"2"}"#)]),
            ("a,b\n\"\"\"\",\"\"\"\"\"\"", [(2, #"{"a":"\"","b":"\"\""}"#)]),
            ("a,b\n 1 , 2 \n", [(2, #"{"a":" 1 ","b":" 2 "}"#)]), ("a,b", []), ("", []),
        ] as [(String, [(Int, String)])])
    func csv(text: String, expected: [(Int, String)]) throws {
        let rows = try Self.rows(text, "d.csv")
        #expect(rows.map(\.line) == expected.map(\.0) && rows.map(\.row) == expected.map(\.1))
    }

    @Test(
        "JSON is a list, or an object with one under data",
        arguments: [
            (
                "[{\"a\": 1}, {\"b\": [1, {\"c\": \"]}\"}]}]",
                [(1, #"{"a":1}"#), (1, #"{"b":[1,{"c":"]}"}]}"#)]
            ),
            (
                "\n[\n {\"a\":\n 1},\n\n {\"b\": \"\\\"}\\\\\"}\n]\n",
                [(3, #"{"a":1}"#), (6, #"{"b":"\"}\\"}"#)]
            ),
            ("{\"v\": \"data\", \"data\": [{\"a\": 1}], \"n\": [[]], \"x\": null}", [(1, #"{"a":1}"#)]),
            ("[]", []), ("[1, \"two\", null]", [(1, "1"), (1, #""two""#), (1, "null")]),
            (
                "[nul, {\"a\" 1}]",
                [
                    (1, "! no JSON, at byte 1 of the row: expected null"),
                    (1, "! no JSON, at byte 6 of the row: expected \":\" after a key"),
                ]
            ),
        ] as [(String, [(Int, String)])])
    func json(text: String, expected: [(Int, String)]) throws {
        let rows = try Self.rows(text, "d.json")
        #expect(rows.map(\.line) == expected.map(\.0) && rows.map(\.row) == expected.map(\.1))
    }

    @Test("Each line of jsonl and txt that is not blank is a row")
    func lines() throws {
        let json = try Self.rows("\u{FEFF}{\"a\":1}\r\n\n \t\n[2]\n{", "d.jsonl")
        #expect(json.map(\.line) == [1, 4, 5] && json[0].row == #"{"a":1}"# && json[1].row == "[2]")
        #expect(json[2].row.hasPrefix("! no JSON, at byte 2 of the row"))
        let text = try Self.rows("one\r\n\n  two \nthree", "d.TXT")
        #expect(text.map(\.line) == [1, 3, 4])
        #expect(text.map(\.row) == [#"{"text":"one"}"#, #"{"text":"  two "}"#, #"{"text":"three"}"#])
    }

    @Test("Cells of csv may have messages, verdicts and histories as JSON")
    func cells() throws {
        let text = #"""
            query,response,history,label
            r,b,"[[""q"", ""a""]]",false
            r,b,,1
            """#
        let rows = try DataFixture.rows(of: text, name: "d.csv") {
            $0.stage = .rlhf
            $0.rlhfType = .kto
        }.rows
        #expect(rows == ["<user~q>~<assistant~a>~<user~r>~<assistant~|b>|-", "<user~r>~<assistant~|b>|+"])
        let messages =
            "messages\n"
            + #""[{""role"":""user"",""content"":""q""},{""role"":""assistant"",""content"":""a""}]""#
        #expect(try DataFixture.rows(of: messages, name: "d.csv").rows == ["<user~q>~<assistant~[a>]~"])
    }

    @Test(
        "SHA-256 agrees with the examples of FIPS 180",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func digest(text: String, hex: String) {
        #expect(ContentDigest.hex(of: text) == hex)
        var hash = ContentDigest()
        for byte in text.utf8 { hash.update([byte]) }
        #expect(hash.finishedHex() == hex)
    }

    @Test("SHA-256 is the same whether bytes come at once or in parts, around the size of a block")
    func digestInParts() {
        for count in [55, 56, 63, 64, 65, 119, 120, 128, 1000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var (whole, parts) = (ContentDigest(), ContentDigest())
            whole.update(bytes)
            for start in stride(from: 0, to: count, by: 13) {
                parts.update(Array(bytes[start..<min(start + 13, count)]))
            }
            #expect(whole.finishedHex() == parts.finishedHex())
        }
    }
}
