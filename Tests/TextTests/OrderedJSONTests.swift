// Ordered JSON: what reading keeps, what equality sees, and what is written, by ourselves and as Python
// writes it.

import TestSupport
import Testing
import Text

@Suite("Ordered JSON")
struct OrderedJSONTests {
    @Test("Objects keep the order of the text, and of a key given twice the last value at the first place")
    func keepsOrder() throws {
        let value = try OrderedJSON(
            parsing: #"{"z": 1, "a": [2.5, null, {"y": true, "b": "x"}], "z": "last"}"#)
        #expect(value.compactText == #"{"z":"last","a":[2.5,null,{"y":true,"b":"x"}]}"#)
        #expect(value.objectValue?.map(\.key) == ["z", "a"])
        #expect(value["z"]?.stringValue == "last")
        #expect(value["missing"] == nil)
    }

    @Test("Keys that look alike but differ in their code points are two keys", arguments: [0, 20, 100])
    func keysAreBytes(others: Int) throws {
        // More members than a few are found through a table, which must know the difference too.
        let filling = (0..<others).map { "\"k\($0)\":0," }.joined()
        let value = try OrderedJSON(parsing: "{\(filling)\"\u{E9}\":1,\"e\u{301}\":2,\"\u{E9}\":3}")
        #expect(value.objectValue?.count == others + 2)
        #expect(value["\u{E9}"]?.intValue == 3)
        #expect(value["e\u{301}"]?.intValue == 2)
        #expect(value["k\(others - 1)"]?.intValue == (others > 0 ? 0 : nil))
    }

    @Test(
        "Equality sees code points, order, and whether a number is an integer",
        arguments: [
            (#"{"a":1,"b":[]}"#, #"{ "a" : 1, "b" : [ ] }"#, true),
            (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#, false),
            ("\"\u{E9}\"", "\"\\u00e9\"", true), ("\"\u{E9}\"", "\"e\u{301}\"", false), ("1", "1.0", false),
            ("[null]", "[]", false), ("{\"\u{E9}\":1}", "{\"e\u{301}\":1}", false), ("1.0", "10e-1", true),
        ])
    func equality(left: String, right: String, areEqual: Bool) throws {
        let (one, other) = (try OrderedJSON(parsing: left), try OrderedJSON(parsing: right))
        #expect((one == other) == areEqual)
        if areEqual { #expect(one.hashValue == other.hashValue) }
    }

    @Test("Values are read by their kind, whole numbers also from doubles")
    func kinds() throws {
        let value = try OrderedJSON(
            parsing: #"{"i": 5, "w": 5.0, "f": 5.5, "b": false, "n": null, "l": [1]}"#)
        #expect(value["i"]?.doubleValue == 5)
        #expect(value["w"]?.intValue == 5)
        #expect(value["f"]?.intValue == nil)
        #expect(value["b"]?.boolValue == false)
        #expect(value["n"]?.isNull == true)
        #expect(value["l"]?.arrayValue == [.int(1)])
        #expect(value["i"]?.stringValue == nil)
        #expect(value.isNull == false)
    }

    @Test(
        "What is no JSON is refused with its place",
        arguments: [
            ("", 1, 1), ("{\"a\":1,}", 1, 8), ("[\n  1,\n  ?\n]", 3, 3), ("\"\\ud83dx", 1, 9), ("01", 1, 1),
        ])
    func refuses(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONParseError.self) { try OrderedJSON(parsing: text) }
        #expect(error?.line == line)
        #expect(error?.column == column)
    }

    @Test("Values may nest 512 deep and no deeper")
    func depthIsLimited() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(throws: Never.self) { try OrderedJSON(parsingUTF8: nested(512)) }
        #expect(throws: JSONParseError.self) { try OrderedJSON(parsingUTF8: nested(513)) }
    }

    @Test("Python's text has spaces behind separators and keeps what is beyond ASCII")
    func pythonText() throws {
        let value = try OrderedJSON(
            parsing: "{\"b\":[1,2.0,null,true],\"a\":\"é\\u0001\\n\\\"\\\\\u{7F}😀\",\"c\":{},\"d\":[]}")
        #expect(
            value.pythonText()
                == "{\"b\": [1, 2.0, null, true], \"a\": \"é\\u0001\\n\\\"\\\\\u{7F}😀\", \"c\": {}, \"d\": []}"
        )
        var style = OrderedJSON.PythonStyle()
        style.ensuresASCII = true
        style.sortsKeys = true
        (style.itemSeparator, style.keySeparator) = (",", ":")
        #expect(
            value.pythonText(style)
                == #"{"a":"\u00e9\u0001\n\"\\\u007f\ud83d\ude00","b":[1,2.0,null,true],"c":{},"d":[]}"#)
    }

    @Test(
        "Python's indentation breaks lines inside of everything that is not empty",
        arguments: [
            ("  ", "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"),
            ("", "{\n\"a\": [\n1,\n{}\n],\n\"b\": []\n}"),
        ])
    func pythonIndent(indent: String, text: String) throws {
        var style = OrderedJSON.PythonStyle()
        style.indent = indent
        style.itemSeparator = ","
        #expect(try OrderedJSON(parsing: #"{"a":[1,{}],"b":[]}"#).pythonText(style) == text)
    }

    @Test(
        "Floats are written as Python's repr writes them",
        arguments: [
            (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (0.1, "0.1"), (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789012345680, "1.2345678901234568e+17"), (0.0001, "0.0001"), (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"), (.leastNonzeroMagnitude, "5e-324"), (1e100, "1e+100"), (.infinity, "inf"),
            (.nan, "nan"),
        ] as [(Double, String)])
    func pythonFloats(number: Double, text: String) {
        #expect(number.pythonText == text)
    }

    @Test("Pretty text has two spaces a level, in order")
    func pretty() throws {
        let value = try OrderedJSON(parsing: #"{"b":[1,{}],"a":[]}"#)
        #expect(value.prettyText == "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}")
    }

    @Test("Reading what was written gives the same value", arguments: 0..<100 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let value = Self.randomValue(depth: 4, using: &generator)
        #expect(try OrderedJSON(parsing: value.compactText) == value)
        #expect(try OrderedJSON(parsing: value.prettyText) == value)
        var style = OrderedJSON.PythonStyle()
        style.ensuresASCII = Bool.random(using: &generator)
        #expect(try OrderedJSON(parsing: value.pythonText(style)) == value)
        #expect(OrderedJSON(value.jsonValue).jsonValue == value.jsonValue)
    }

    static func randomValue(depth: Int, using generator: inout SeededGenerator) -> OrderedJSON {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2:
            return .int(
                Int(truncatingIfNeeded: generator.next()) >> Int.random(in: 0..<64, using: &generator))
        // Compact text writes whole doubles without a fraction, so they would come back as integers.
        case 3: return .double(Double(Int.random(in: 0..<1000, using: &generator)) + 0.5)
        case 4: return .string(JSONTests.randomText(using: &generator))
        case 5:
            let count = Int.random(in: 0..<5, using: &generator)
            return .array((0..<count).map { _ in randomValue(depth: depth - 1, using: &generator) })
        default:
            let count = Int.random(in: 0..<20, using: &generator)
            return .object(
                (0..<count).map { index in
                    OrderedJSON.Member(
                        key: "\(index)" + JSONTests.randomText(using: &generator),
                        value: randomValue(depth: depth - 2, using: &generator))
                })
        }
    }
}
