// JSON text: what is read, what is refused and where, and what is written.

import TestSupport
import Testing
import Text

@Suite("JSON text")
struct JSONTests {
    @Test(
        "Text is read as the value it names",
        arguments: [
            ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("42", 42),
            ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
            ("9223372036854775808", .double(9_223_372_036_854_775_808)), ("1.0", .double(1)),
            ("-2.5e-3", .double(-0.0025)), ("1E2", .double(100)), ("1e-999", .double(0)),
            (#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{C}\n\r\t"), (#""\u00e9\ud83d\ude00""#, "é😀"),
            (#""\ud83dx""#, "\u{FFFD}x"), (#""\udc00""#, "\u{FFFD}"), ("\"é😀\"", "é😀"), ("[]", []),
            ("[1, [2],\n{}]", [1, [2], [:]]), (#"{"a": 1, "b": {"c": null}}"#, ["a": 1, "b": ["c": nil]]),
            (#"{"a": 1, "a": 2}"#, ["a": 2]),
        ] as [(String, JSONValue)])
    func reads(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(
        "What is no JSON is refused with its place",
        arguments: [
            ("", 1, 1), (" ", 1, 2), ("{", 1, 2), ("[1,]", 1, 4), ("[1 2]", 1, 4), ("{\"a\":1,}", 1, 8),
            ("{a:1}", 1, 2), ("01", 1, 1), ("-", 1, 2), ("1.", 1, 3), ("1e", 1, 3), (".5", 1, 1),
            ("+1", 1, 1),
            ("1e999", 1, 1), ("nul", 1, 1), ("truth", 1, 1), ("\"a", 1, 3), ("\"\\x\"", 1, 2),
            ("\"\\u12\"", 1, 2), ("\"\n\"", 1, 2), ("{}x", 1, 3), ("[\n  1,\n  ?\n]", 3, 3), ("'a'", 1, 1),
            ("NaN", 1, 1), ("\u{FEFF}1", 1, 1),
        ])
    func refuses(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONParseError.self) { try JSONValue(parsing: text) }
        #expect(error?.line == line)
        #expect(error?.column == column)
        #expect(error?.message.isEmpty == false)
    }

    @Test("Values may nest 512 deep and no deeper")
    func depthIsLimited() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try JSONValue(parsing: nested(512)) }
        #expect(throws: JSONParseError.self) { try JSONValue(parsing: nested(513)) }
        #expect(throws: JSONParseError.self) {
            try JSONValue(parsing: String(repeating: "{\"a\":", count: 100_000))
        }
    }

    @Test("Bytes that are not UTF-8 become replacement characters inside strings")
    func invalidBytesAreReplaced() throws {
        #expect(try JSONValue(parsingUTF8: [0x22, 0x61, 0xFF, 0x22]) == "a\u{FFFD}")
        #expect(throws: JSONParseError.self) { try JSONValue(parsingUTF8: [0xFF]) }
    }

    @Test(
        "Numbers are written as Go writes them",
        arguments: [
            (0, "0"), (-0.0, "-0"), (1, "1"), (0.1, "0.1"), (-2.5, "-2.5"), (1e20, "100000000000000000000"),
            (1e21, "1e+21"), (1.5e300, "1.5e+300"), (0.000001, "0.000001"), (1e-7, "1e-7"),
            (1.25e-10, "1.25e-10"), (.leastNonzeroMagnitude, "5e-324"), (123456.789, "123456.789"),
            (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (.nan, "null"), (.infinity, "null"),
        ] as [(Double, String)])
    func numbers(number: Double, text: String) {
        #expect(JSONValue.double(number).compactText == text)
    }

    @Test("Compact text has sorted keys, no spaces, and escapes only what it must")
    func compact() {
        let value: JSONValue = ["b": [1, 2.5, nil], "a": ["<&>": true], "B": "\u{1}\"\\\n\u{2028}é/"]
        #expect(
            value.compactText == #"{"B":"\u0001\"\\\n\u2028é/","a":{"<&>":true},"b":[1,2.5,null]}"#)
    }

    @Test("Pretty text has two spaces a level")
    func pretty() {
        let value: JSONValue = ["b": [1, [:]], "a": []]
        #expect(value.prettyText == "{\n  \"a\": [],\n  \"b\": [\n    1,\n    {}\n  ]\n}")
    }

    @Test("Reading what was written gives the same value", arguments: 0..<200 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let value = Self.randomValue(depth: 4, using: &generator)
        #expect(try JSONValue(parsing: value.compactText) == value)
        #expect(try JSONValue(parsing: value.prettyText) == value)
    }

    @Test(
        "Random bytes are read or refused, and what is read can be written",
        arguments: 0..<50 as Range<UInt64>)
    func randomBytes(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array(#"{}[]",:\u0123-+.eEtrufalsn "#.utf8) + [0xFF, 0xC3, 0xA9, 0x00]
        for _ in 0..<200 {
            let length = Int.random(in: 0..<24, using: &generator)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            guard let value = try? JSONValue(parsingUTF8: bytes) else { continue }
            #expect(try JSONValue(parsing: value.compactText).compactText == value.compactText)
        }
    }

    static func randomValue(depth: Int, using generator: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2:
            return .int(
                Int(truncatingIfNeeded: generator.next()) >> Int.random(in: 0..<64, using: &generator))
        case 3:
            let number = Double(bitPattern: generator.next())
            // Whole numbers would come back as integers.
            return number.isFinite && Int(exactly: number) == nil && number.magnitude < 1e15
                ? .double(number) : 0
        case 4, 5: return .string(randomText(using: &generator))
        case 6:
            let count = Int.random(in: 0..<5, using: &generator)
            return .array((0..<count).map { _ in randomValue(depth: depth - 1, using: &generator) })
        default:
            var members: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0..<5, using: &generator) {
                members[randomText(using: &generator)] = randomValue(depth: depth - 1, using: &generator)
            }
            return .object(members)
        }
    }

    static func randomText(using generator: inout SeededGenerator) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<8, using: &generator) {
            let limit: UInt32 = Bool.random(using: &generator) ? 0x80 : 0x110000
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) {
                text.append(scalar)
            }
        }
        return String(text)
    }
}
