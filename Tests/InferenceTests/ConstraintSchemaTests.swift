// Constrained output against JSON Schema: what is generated validates, what validates can be generated.

import Inference
import TestSupport
import Testing
import Text

struct SchemaCase: Sendable, CustomTestStringConvertible {
    var schema: String
    var valid: [String]
    var invalid: [String]

    init(_ schema: String, valid: [String], invalid: [String]) {
        self.schema = schema
        self.valid = valid
        self.invalid = invalid
    }

    var testDescription: String { schema }
}

@Suite("Constraint: JSON schemas")
struct ConstraintSchemaTests {
    private static let drawn = DrawnVocabulary(seed: 1)

    @Test(
        "Valid instances can be written, invalid ones cannot, and what is drawn validates",
        arguments: SchemaCases.scalars + SchemaCases.strings + SchemaCases.arrays + SchemaCases.objects
            + SchemaCases.combinations + SchemaCases.recursion)
    func casesHold(_ example: SchemaCase) throws {
        let constraint = try CompiledConstraint(
            .jsonSchema(example.schema), vocabulary: Self.drawn.vocabulary)
        let oracle = SchemaOracle(root: try OrderedJSON(parsing: example.schema))
        for text in example.valid {
            #expect(accepts(constraint, text), "\(text) should be accepted")
            #expect(oracle.isValid(try OrderedJSON(parsing: text)), "the oracle refuses \(text)")
        }
        for text in example.invalid { #expect(!accepts(constraint, text), "\(text) should be refused") }
        for seed in 0..<UInt64(4) {
            let bytes = try #require(drawnText(constraint, Self.drawn, seed: seed))
            let text = try #require(String(validating: bytes, as: UTF8.self))
            let value = try OrderedJSON(parsing: text)
            #expect(oracle.isValid(value), "\(text) was drawn but is not valid")
        }
    }

    @Test(
        "Keywords that cannot be followed are refused by name",
        arguments: [
            (#"{"not": {"type": "string"}}"#, "#/not"),
            (#"{"properties": {"a": {"if": {}, "then": {}}}}"#, "#/properties/a/if"),
            (#"{"type": "object", "dependentRequired": {"a": ["b"]}}"#, "#/dependentRequired"),
            (#"{"type": "array", "contains": {"type": "string"}}"#, "#/contains"),
            (#"{"type": "number", "multipleOf": 0.01}"#, "#/multipleOf"),
            (#"{"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}"#, "#/oneOf"),
            (#"{"type": "array", "uniqueItems": true}"#, "#"),
            (#"{"type": "string", "pattern": "(?=a)"}"#, "#/pattern"),
            (##"{"$ref": "https://example.com/schema"}"##, "#/$ref"),
            (##"{"$ref": "#/$defs/missing"}"##, "#/$ref"),
            (##"{"$ref": "#"}"##, "#"),
            (#"{"type": "strnig"}"#, "#/type"),
            (#"{"items": [{"unevaluatedItems": false}]}"#, "#/items/0/unevaluatedItems"),
            (#"{"type": "object", "minProperties": 3}"#, "#"),
            (#"{"type": "string", "minLength": -1}"#, "#/minLength"),
            (#"{"type": "integer", "minimum": 5, "maximum": 4}"#, "#"),
            (#"{"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5}"#, "#"),
            (#"{"allOf": [{"type": "string"}, {"type": "number"}]}"#, "#"),
            (#"{"type": "object", "properties": {"a": false}, "required": ["a"]}"#, "#"),
            (##"{"type": "array", "items": {"$ref": "#"}, "minItems": 1}"##, "#"),
            ("{", "#"), ("3", "#"), (#""text""#, "#"), ("false", "#"),
        ])
    func refusalsNameThePlace(schema: String, place: String) {
        let error = #expect(throws: ConstraintError.self) {
            try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
        }
        #expect(error?.place == place, "\(error.map(String.init(describing:)) ?? "")")
        #expect(error?.remedy.isEmpty == false)
    }

    @Test("Remarks and unknown formats restrict nothing")
    func remarksAreIgnored() throws {
        let schema = #"""
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x", "title": "t", "description": "d",
             "default": 1, "examples": [2], "deprecated": true, "readOnly": true, "x-own": {}, "$comment": "c",
             "type": "string", "format": "of-my-own", "maxLength": 2}
            """#
        let constraint = try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
        #expect(accepts(constraint, "\"ab\""))
        #expect(!accepts(constraint, "\"abc\""))
    }

    @Test("Any JSON object means objects of any depth up to the limit, and nothing else")
    func anyObject() throws {
        let constraint = try CompiledConstraint(.jsonObject, vocabulary: Self.drawn.vocabulary)
        for text in ["{}", #"{"a":[1,-2.5e+10,null,true,"\u00e9\ud83d\ude00"], "b": {"c":{}}}"#] {
            #expect(accepts(constraint, text))
        }
        for text in [
            "[]", "1", #"{"a"}"#, #"{"a":1,}"#, "{}{}", #"{"a":"\ud83d"}"#, #"{"a":01}"#, "{\"a\":\"\n\"}",
        ] {
            #expect(!accepts(constraint, text))
        }
        for (depth, isAccepted) in [(50, true), (200, false)] {
            let text =
                String(repeating: "{\"a\":", count: depth) + "{}" + String(repeating: "}", count: depth)
            #expect(accepts(constraint, text) == isAccepted)
        }
        for seed in 0..<UInt64(10) {
            let text = try #require(drawnText(constraint, Self.drawn, seed: seed, patience: 150))
            #expect(try OrderedJSON(parsing: String(decoding: text, as: UTF8.self)).objectValue != nil)
        }
    }

    @Test("References find names with signs that pointers escape")
    func escapedPointers() throws {
        let schema = ##"""
            {"properties": {"a%2Fb": {"type": "integer"}, "a/b": {"type": "null"}, "c~d": {"type": "boolean"},
             "x": {"$ref": "#/properties/a%2Fb"}, "y": {"$ref": "#/properties/a~1b"},
             "z": {"$ref": "#/properties/c~0d"}, "w": {"$ref": "#/properties/a%252Fb"}}}
            """##
        let constraint = try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
        #expect(accepts(constraint, #"{"a%2Fb":1,"a/b":null,"c~d":true}"#))
        // A pointer is cut at its slashes before anything is unescaped.
        #expect(accepts(constraint, #"{"x":null,"y":null,"z":true,"w":1}"#))
        #expect(!accepts(constraint, #"{"x":1}"#))
        #expect(!accepts(constraint, #"{"w":null}"#))
    }

    @Test("A text at the limit of depth can still be ended")
    func deepTextsEnd() throws {
        let schema =
            ##"""
            {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"type": "array",
            "items": {"$ref": "#"}}}}
            """##
        let constraint = try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
        var state = constraint.start()
        var text = ""
        // Opens whatever can be opened; when nothing can, closes.
        for _ in 0..<2000 where !constraint.mayEnd(state) {
            let openings = ["{\"b\":[", "{\"a\":", "}", "]"]
            let next = openings.first { piece in
                var trial = state
                return piece.utf8.allSatisfy { constraint.advance(&trial, Int32($0) + 4) }
            }
            let piece = try #require(next, "stuck after \(text)")
            for byte in piece.utf8 { _ = constraint.advance(&state, Int32(byte) + 4) }
            text += piece
        }
        #expect(constraint.mayEnd(state))
        #expect(text.utf8.count > 100)
    }

    @Test("Strings of every format are what the format says", arguments: FormatCase.all)
    func formats(_ example: FormatCase) throws {
        let schema = "{\"type\": \"string\", \"format\": \"\(example.format)\"}"
        let constraint = try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
        for text in example.valid { #expect(accepts(constraint, "\"\(text)\""), "\(text)") }
        for text in example.invalid { #expect(!accepts(constraint, "\"\(text)\""), "\(text)") }
        #expect(drawnText(constraint, Self.drawn, seed: 3) != nil)
    }
}

struct FormatCase: Sendable, CustomTestStringConvertible {
    var format: String
    var valid: [String]
    var invalid: [String]
    var testDescription: String { format }

    static let all = [
        FormatCase(
            format: "date", valid: ["2024-02-29", "2023-12-31", "2000-02-29"],
            invalid: ["2023-02-29", "1900-02-29", "2024-13-01", "2024-04-31", "24-01-01", "2024-1-1"]),
        FormatCase(
            format: "time", valid: ["23:59:59Z", "00:00:00.123+01:30"],
            invalid: ["24:00:00Z", "12:00:00", "12:60:00Z", "1:00:00Z"]),
        FormatCase(
            format: "date-time", valid: ["2024-05-06T07:08:09Z"],
            invalid: ["2024-05-06", "2024-05-06 07:08:09Z"]),
        FormatCase(
            format: "uuid", valid: ["123e4567-e89b-12d3-a456-426614174000"],
            invalid: ["123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"]),
        FormatCase(
            format: "ipv4", valid: ["127.0.0.1", "255.255.255.255"],
            invalid: ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"]),
        FormatCase(
            format: "ipv6",
            valid: ["::", "::1", "1::", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::"],
            invalid: [":", "1:2:3", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "g::"]),
        FormatCase(
            format: "hostname", valid: ["localhost", "a.b-c.example.com"],
            invalid: ["-a.com", "a-.com", "a..b", "a_b.com", ""]),
        FormatCase(
            format: "email", valid: ["a@b.org", "first.last+tag@sub.example.com"],
            invalid: ["a", "@b.org", "a@", "a@@b.org", ".a@b.org", "a b@c.org"]),
        FormatCase(
            format: "uri",
            valid: ["https://example.com/a/b?c=d#e", "mailto:a@b.org", "http://localhost:8080"],
            invalid: ["example.com", "http//a", "http://a b", "https://a/%zz"]),
    ]
}
