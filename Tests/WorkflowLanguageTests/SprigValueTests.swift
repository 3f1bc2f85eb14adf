// Sprig's functions on lists, objects, defaults, JSON and addresses.

import Testing
import Text

@testable import WorkflowLanguage

@Suite struct SprigValueTests {
    static let lists: [SprigRow] = [
        SprigRow("list", [1, "a"], [1, "a"]),
        SprigRow("tuple", [], []),
        SprigRow("first", [[1, 2, 3]], 1),
        SprigRow("mustFirst", [[]], nil),
        SprigRow("rest", [[1, 2, 3]], [2, 3]),
        SprigRow("rest", [[]], []),
        SprigRow("last", [[1, 2, 3]], 3),
        SprigRow("initial", [[1, 2, 3]], [1, 2]),
        SprigRow("append", [[1], 2], [1, 2]),
        SprigRow("mustPush", [[1], [2]], [1, [2]]),
        SprigRow("prepend", [[1], 0], [0, 1]),
        SprigRow("concat", [[1], [], [2, 3]], [1, 2, 3]),
        SprigRow("reverse", [[1, 2, 3]], [3, 2, 1]),
        SprigRow("uniq", [[1, "1", 1, [2], [2]]], [1, "1", [2]]),
        SprigRow("without", [[1, 2, 3, 2], 2, 3], [1]),
        SprigRow("has", [2, [1, 2]], true),
        SprigRow("mustHas", ["2", [1, 2]], false),
        SprigRow("slice", [[1, 2, 3, 4], 1, 3], [2, 3]),
        SprigRow("slice", [[1, 2, 3], 1], [2, 3]),
        SprigRow("slice", [[1, 2]], [1, 2]),
        SprigRow("slice", [[], 3, 9], nil),
        SprigRow("chunk", [2, [1, 2, 3]], [[1, 2], [3]]),
        SprigRow("chunk", [.int(.max), [1]], [[1]]),
        SprigRow("compact", [[0, 1, "", "a", nil, [], false]], [1, "a"]),
    ]

    @Test("Lists answer new lists", arguments: lists)
    func list(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let objects: [SprigRow] = [
        SprigRow("dict", ["a", 1, 2, "b", "c"], ["a": 1, "2": "b", "c": ""]),
        SprigRow("get", [["a": 1], "a"], 1),
        SprigRow("get", [["a": 1], "b"], ""),
        SprigRow("set", [["a": 1], "b", 2], ["a": 1, "b": 2]),
        SprigRow("unset", [["a": 1, "b": 2], "b"], ["a": 1]),
        SprigRow("hasKey", [["a": nil], "a"], true),
        SprigRow("pluck", ["a", ["a": 1], ["b": 2], ["a": 3]], [1, 3]),
        SprigRow("dig", ["a", "b", "none", ["a": ["b": 7]]], 7),
        SprigRow("dig", ["a", "x", "none", ["a": ["b": 7]]], "none"),
        SprigRow("dig", ["x", "b", "none", [:]], "none"),
        SprigRow("keys", [["b": 1, "a": 2], ["c": 3]], ["a", "b", "c"]),
        SprigRow("values", [["b": 1, "a": 2]], [2, 1]),
        SprigRow("pick", [["a": 1, "b": 2], "a", "x"], ["a": 1]),
        SprigRow("omit", [["a": 1, "b": 2], "a", "x"], ["b": 2]),
        SprigRow(
            "merge", [["a": 1, "n": ["x": 1]], ["a": 2, "n": ["x": 9, "y": 2], "c": 3]],
            ["a": 1, "n": ["x": 1, "y": 2], "c": 3]),
        SprigRow(
            "mergeOverwrite", [["a": 1, "n": ["x": 1]], ["a": 2, "n": ["y": 2]], ["a": 3]],
            ["a": 3, "n": ["x": 1, "y": 2]]),
        SprigRow("mustMergeOverwrite", [["a": 1]], ["a": 1]),
    ]

    @Test("Objects are read, changed and merged", arguments: objects)
    func object(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let defaults: [SprigRow] = [
        SprigRow("default", ["x", ""], "x"),
        SprigRow("default", ["x", 0], "x"),
        SprigRow("default", ["x", "y"], "y"),
        SprigRow("default", ["x"], "x"),
        SprigRow("empty", [[]], true),
        SprigRow("empty", [0.5], false),
        SprigRow("coalesce", [nil, "", 0, "a", "b"], "a"),
        SprigRow("coalesce", [nil, 0], nil),
        SprigRow("all", [1, "a", true], true),
        SprigRow("all", [1, ""], false),
        SprigRow("any", [0, "", "a"], true),
        SprigRow("any", [], false),
        SprigRow("ternary", ["yes", "no", true], "yes"),
        SprigRow("ternary", ["yes", "no", false], "no"),
        SprigRow("deepCopy", [["a": [1]]], ["a": [1]]),
        SprigRow("fromJson", [#"{"a":[1,2.5,null]}"#], ["a": [1, 2.5, nil]]),
        SprigRow("fromJson", ["{"], nil),
        SprigRow("toJson", [["b": "<x>", "a": [1, nil]]], #"{"a":[1,null],"b":"\u003cx\u003e"}"#),
        SprigRow("toRawJson", ["<&>"], "\"<&>\""),
        SprigRow("mustToRawJson", [["a": 1e21]], #"{"a":1e+21}"#),
        SprigRow("toPrettyJson", [["a": [1], "b": [:]]], "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"),
    ]

    @Test("Empty values give way, and JSON goes both ways", arguments: defaults)
    func defaultValue(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test("What JSON cannot say is empty text, or an error if it must be said")
    func unsayable() throws {
        #expect(try sprig("toJson", [.array([.double(.nan)])]) == .string(""))
        #expect(throws: ExpressionError("sprig.mustToJson: JSON has no form for infinity and NaN")) {
            try sprig("mustToJson", [.object(["a": .double(.infinity)])])
        }
        #expect(throws: ExpressionError.self) { try sprig("mustFromJson", [.string("{")]) }
        #expect(
            throws: ExpressionError("sprig.dig: the value above key \"b\" is an integer, not an object")
        ) { try sprig("dig", [.string("a"), .string("b"), .none, .object(["a": .int(1)])]) }
    }

    static let addresses: [SprigRow] = [
        SprigRow(
            "urlParse", ["http://admin:secret@server.com:8080/api%20v?list=false#anchor"],
            [
                "scheme": "http", "host": "server.com:8080", "hostname": "server.com", "path": "/api v",
                "query": "list=false", "opaque": "", "fragment": "anchor", "userinfo": "admin:secret",
            ]),
        SprigRow(
            "urlParse", ["mailto:a@b.c"],
            [
                "scheme": "mailto", "host": "", "hostname": "", "path": "", "query": "", "opaque": "a@b.c",
                "fragment": "", "userinfo": "",
            ]),
        SprigRow(
            "urlParse", ["//[::1]:80/x"],
            [
                "scheme": "", "host": "[::1]:80", "hostname": "::1", "path": "/x", "query": "", "opaque": "",
                "fragment": "", "userinfo": "",
            ]),
        SprigRow(
            "urlJoin",
            [
                [
                    "fragment": "fragment", "host": "host:80", "path": "/path", "query": "query",
                    "scheme": "http",
                ]
            ], "http://host:80/path?query#fragment"),
        SprigRow(
            "urlJoin", [["scheme": "http", "host": "h", "path": "a b", "userinfo": "u:p"]],
            "http://u:p@h/a%20b"),
        SprigRow("urlJoin", [["path": "a:b/c"]], "./a:b/c"),
        SprigRow("urlJoin", [["scheme": "mailto", "opaque": "a@b.c"]], "mailto:a@b.c"),
        SprigRow("urlJoin", [[:]], ""),
    ]

    @Test("Addresses are taken apart and joined", arguments: addresses)
    func address(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test(
        "What is not an address is an error",
        arguments: [":a", "a:b%zz", "1a:b", "http://h:x/", "http://h\n"])
    func badAddress(text: String) throws {
        // The part after a scheme without slashes is taken as it is, escapes included.
        if text == "a:b%zz" {
            let parts = try sprig("urlParse", [.string(text)])
            #expect(try sprig("get", [parts, .string("opaque")]) == .string("b%zz"))
            return
        }
        let error = try #require(throws: ExpressionError.self) { try sprig("urlParse", [.string(text)]) }
        #expect(error.message.contains("is not a URL"))
    }
}
