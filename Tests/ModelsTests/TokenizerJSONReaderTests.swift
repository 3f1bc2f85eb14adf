// The reader without a tree that opens tokenizer.json.

import TestSupport
import Testing
import Text

@Suite("Reading JSON piece by piece")
struct TokenizerJSONReaderTests {
    @Test("Keys, elements and scalars come one after another")
    func pieces() throws {
        var reader = JSONReader(
            Array(#" {"a" : [1, -2, true, null], "b":{"é\n":"\ud83d\ude00\u0041"}, "c":1.5e3} "#.utf8))
        try reader.beginObject()
        #expect(try reader.nextKey() == "a")
        try reader.beginArray()
        #expect(try reader.nextElement())
        #expect(try reader.readInteger() == 1)
        #expect(try reader.nextElement())
        #expect(try reader.readInteger() == -2)
        #expect(try reader.nextElement())
        #expect(try reader.readBool())
        #expect(try reader.nextElement())
        #expect(try reader.readNull())
        #expect(try !reader.nextElement())
        #expect(try reader.nextKey() == "b")
        try reader.beginObject()
        #expect(try reader.nextKey() == "é\n")
        #expect(try reader.readString() == "😀A")
        #expect(try reader.nextKey() == nil)
        #expect(try reader.nextKey() == "c")
        #expect(try reader.peek() == .number)
        #expect(try reader.readValue() == .double(1500))
        #expect(try reader.nextKey() == nil)
        try reader.finish()
    }

    @Test("A copy goes on from its place")
    func copies() throws {
        var reader = JSONReader(Array("[[1,2],3]".utf8))
        try reader.beginArray()
        #expect(try reader.nextElement())
        var copy = reader
        #expect(try reader.skipValue() == 1..<6)
        #expect(try reader.nextElement())
        #expect(try reader.readInteger() == 3)
        #expect(try copy.readValue() == [1, 2])
    }

    @Test(
        "What is no JSON is an error with its place",
        arguments: [
            "", "{", "[", "[1", "[1,", "[1 2]", "[,1]", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
            "\"", "\"\\", "\"\\x\"", "\"\\u12\"",
            "\"\u{1}\"", "01", "-", "1.", "1e", "tru", "nul", "[}", "{]", "1 2", "[\"a\" \"b\"]", "+1",
            "\u{FEFF}1",
        ])
    func errors(text: String) {
        #expect(throws: JSONParseError.self) {
            var reader = JSONReader(Array(text.utf8))
            try reader.skipValue()
            try reader.finish()
        }
    }

    @Test(
        "Values of another kind than asked for are errors",
        arguments: ["1.5", "1e2", "9223372036854775808", "\"1\"", "-9223372036854775809"])
    func integers(text: String) {
        var reader = JSONReader(Array(text.utf8))
        #expect(throws: JSONParseError.self) { try reader.readInteger() }
    }

    @Test("The largest and the smallest integer fit", arguments: [Int.max, .min, 0])
    func extremes(number: Int) throws {
        var reader = JSONReader(Array("\(number)".utf8))
        #expect(try reader.readInteger() == number)
    }

    @Test("Nesting is limited, for reading and for skipping")
    func depth() {
        for opening in ["[", "{\"a\":"] {
            var reader = JSONReader(Array(String(repeating: opening, count: 10_000).utf8))
            #expect(throws: JSONParseError.self) { try reader.skipValue() }
        }
    }

    @Test("Skipping finds the same errors as a tree", arguments: 0..<5)
    func agreesWithTree(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let parts = ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-0.5e1", "true", "null", " ", "\"\\n\""]
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 1...9, using: &random)).map { _ in
                parts.randomElement(using: &random) ?? ""
            }.joined()
            let tree = try? JSONValue(parsing: text)
            var reader = JSONReader(Array(text.utf8))
            let end = try? reader.skipValue()
            let isRead = end != nil && (try? reader.finish()) != nil
            #expect(isRead == (tree != nil), "\(text)")
        }
    }
}
