// Sprig's arithmetic and conversions.

import Testing
import Text

@testable import WorkflowLanguage

@Suite struct SprigNumberTests {
    static let integers: [SprigRow] = [
        SprigRow("add", [1, 2, "3", true], 7),
        SprigRow("add", [], 0),
        SprigRow("add", [.int(.max), 1], .int(.min)),
        SprigRow("add1", [2.9], 3),
        SprigRow("sub", [3, 5], -2),
        SprigRow("div", [-7, 2], -3),
        SprigRow("div", [.int(.min), -1], .int(.min)),
        SprigRow("mod", [-7, 3], -1),
        SprigRow("mod", [.int(.min), -1], 0),
        SprigRow("mul", [2, 3, 4], 24),
        SprigRow("max", [1, 3, 2], 3),
        SprigRow("biggest", [1, "5", 2], 5),
        SprigRow("min", [3, 1, 2], 1),
        SprigRow("until", [3], [0, 1, 2]),
        SprigRow("until", [-2], [0, -1]),
        SprigRow("untilStep", [3, 6, 2], [3, 5]),
        SprigRow("untilStep", [6, 3, -2], [6, 4]),
        SprigRow("untilStep", [3, 6, -1], []),
        SprigRow("untilStep", [3, 6, 0], []),
        SprigRow("seq", [5], "1 2 3 4 5"),
        SprigRow("seq", [-3], "1 0 -1 -2 -3"),
        SprigRow("seq", [0, 2], "0 1 2"),
        SprigRow("seq", [2, -2], "2 1 0 -1 -2"),
        SprigRow("seq", [0, 2, 10], "0 2 4 6 8 10"),
        SprigRow("seq", [0, -2, -5], "0 -2 -4"),
        SprigRow("seq", [0, 2, -5], ""),
        SprigRow("seq", [], ""),
        SprigRow("seq", [1, 2, 3, 4], ""),
    ]

    @Test("Integers are computed as Go does", arguments: integers)
    func integer(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let floats: [SprigRow] = [
        SprigRow("addf", [0.1, 0.2], 0.3),
        SprigRow("addf", [1.5, 2, "2"], 5.5),
        SprigRow("add1f", [1.5], 2.5),
        SprigRow("subf", [7.5, 2, 3], 2.5),
        SprigRow("mulf", [1.1, 1.1], 1.21),
        SprigRow("divf", [10, 2, 4], 1.25),
        SprigRow("divf", [1, 3], 0.3333333333333333),
        SprigRow("divf", [-2, 3], -0.6666666666666667),
        SprigRow("addf", [1e300, 1], 1e300),
        SprigRow("mulf", [1e200, 1e-200], 1.0),
        SprigRow("maxf", [1, 2.5, 3], 3.0),
        SprigRow("minf", [1.5, 2, 3], 1.5),
        SprigRow("ceil", [1.1], 2.0),
        SprigRow("floor", [-1.1], -2.0),
        SprigRow("round", [123.555555, 3], 123.556),
        SprigRow("round", [123.4999, 0], 123.0),
        SprigRow("round", [123.555, 1, 0.1], 123.6),
        SprigRow("round", [-1.4, 0], -2.0),
    ]

    @Test("Floats are added and multiplied in decimal", arguments: floats)
    func float(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test("Infinity and NaN are errors where decimals cannot hold them, and pass elsewhere")
    func notFinite() throws {
        #expect(throws: ExpressionError("sprig.addf: infinity and NaN cannot be computed with")) {
            try sprig("addf", [.double(.nan)])
        }
        #expect(try sprig("maxf", [.double(1), .double(.infinity)]) == .double(.infinity))
        guard case .double(let rounded) = try sprig("round", [.double(1), .int(.max)]) else {
            Issue.record("round gave no float")
            return
        }
        #expect(rounded.isNaN)
    }

    static let conversions: [SprigRow] = [
        SprigRow("atoi", ["42"], 42),
        SprigRow("atoi", ["4x"], 0),
        SprigRow("atoi", ["99999999999999999999"], .int(.max)),
        SprigRow("atoi", ["-99999999999999999999"], .int(.min)),
        SprigRow("int", ["12"], 12),
        SprigRow("int", ["12.00"], 12),
        SprigRow("int", ["12.5"], 0),
        SprigRow("int", ["0x1F"], 31),
        SprigRow("int", ["017"], 15),
        SprigRow("int", ["08"], 0),
        SprigRow("int", ["1_000"], 1000),
        SprigRow("int", ["-0b101"], -5),
        SprigRow("int", ["100"], 100),
        SprigRow("int", [-2.9], -2),
        SprigRow("int", [nil], 0),
        SprigRow("int", [[1]], 0),
        SprigRow("int64", [true], 1),
        SprigRow("float64", ["3.25"], 3.25),
        SprigRow("float64", ["1e400"], 0.0),
        SprigRow("float64", ["x"], 0.0),
        SprigRow("float64", [2], 2.0),
        SprigRow("toString", [1.0], "1"),
        SprigRow("toString", [0.1], "0.1"),
        SprigRow("toString", [100_000.5], "100000.5"),
        SprigRow("toString", [1_000_000.0], "1e+06"),
        SprigRow("toString", [1e21], "1e+21"),
        SprigRow("toString", [1.5e-5], "1.5e-05"),
        SprigRow("toString", [0.0001], "0.0001"),
        SprigRow("toString", [123456.789], "123456.789"),
        SprigRow("toString", [nil], "<nil>"),
        SprigRow("toString", [[1, "a", [true]]], "[1 a [true]]"),
        SprigRow("toString", [["b": 2, "a": nil]], "map[a:<nil> b:2]"),
        SprigRow("toDecimal", ["0777"], 511),
        SprigRow("toDecimal", [644], 420),
        SprigRow("toDecimal", ["9"], 0),
        SprigRow("typeOf", [1], "int"),
        SprigRow("typeOf", [nil], "<nil>"),
        SprigRow("typeOf", [[1]], "[]interface {}"),
        SprigRow("typeIs", ["string", "a"], true),
        SprigRow("typeIsLike", ["float64", 1], false),
        SprigRow("kindOf", [["a": 1]], "map"),
        SprigRow("kindOf", [[1]], "slice"),
        SprigRow("kindIs", ["float64", 1.5], true),
        SprigRow("deepEqual", [[1, ["a": 2]], [1, ["a": 2]]], true),
        SprigRow("deepEqual", [1, 1.0], false),
    ]

    @Test("Values are converted by cast's rules", arguments: conversions)
    func conversion(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test("Versions are taken apart")
    func version() throws {
        #expect(
            try sprig("semver", [.string("v1.2-beta.1+7")])
                == ExpressionValue([
                    "Major": 1, "Minor": 2, "Patch": 0, "Prerelease": "beta.1", "Metadata": "7",
                    "Original": "v1.2-beta.1+7",
                ]))
        for text in ["", "1.2.3.4", "1.x", "1.2.3-", "1.2.3-01", "a"] {
            #expect(throws: ExpressionError("sprig.semver: \"\(text)\" is not a semantic version")) {
                try sprig("semver", [.string(text)])
            }
        }
    }

    @Test(
        "Versions are compared with constraints",
        arguments: [
            ("1.2.3", "1.2.3", true), ("1.2.3", "v1.2.3", true), ("^1.2.0", "1.2.3", true),
            ("^1.2.0", "2.0.0", false),
            ("^0.2.3", "0.2.9", true), ("^0.2.3", "0.3.0", false), ("^0.0.3", "0.0.4", false),
            ("^0.0", "0.0.9", true),
            ("^0", "0.9.0", true), ("~1.2.3", "1.2.9", true), ("~1.2.3", "1.3.0", false),
            ("~1", "1.9.0", true),
            ("~1", "2.0.0", false), ("1.2", "1.2.9", true), ("1.2.x", "1.3.0", false), ("*", "3.1.4", true),
            (">=1.2, <2", "1.9.9", true), (">=1.2 <2", "2.0.0", false), ("<1 || >=3", "3.0.0", true),
            (">11", "11.4.0", false), (">11", "12.0.0", true), ("<=11", "11.4.0", true),
            ("!=1.2.3", "1.2.4", true),
            ("!=1.2", "1.2.4", false), ("1.2 - 1.4.5", "1.4.5", true), ("1.2 - 1.4.5", "1.4.6", false),
            (">=1.2.3", "1.3.0-beta.1", false), (">=1.2.3-0", "1.3.0-beta.1", true),
            ("> 1.0.0-alpha.2", "1.0.0-alpha.10", true),
        ])
    func constraint(constraint: String, version: String, passes: Bool) throws {
        #expect(try sprig("semverCompare", [.string(constraint), .string(version)]) == .bool(passes))
    }

    @Test("What is not a constraint is an error", arguments: ["", ">>1", "1 ||", "a", "1 -", "> "])
    func badConstraint(text: String) {
        #expect(throws: ExpressionError("sprig.semverCompare: \"\(text)\" is not a constraint on versions")) {
            try sprig("semverCompare", [.string(text), .string("1.2.3")])
        }
    }
}
