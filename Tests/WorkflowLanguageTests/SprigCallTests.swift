// How sprig functions are reached: names, argument checks, limits, and that nothing makes them trap.

import Testing
import Text

@testable import WorkflowLanguage

/// A call and its result, as JSON values.
struct SprigRow: Sendable, CustomTestStringConvertible {
    let name: String
    let arguments: [JSONValue]
    let result: JSONValue

    init(_ name: String, _ arguments: [JSONValue], _ result: JSONValue) {
        self.name = name
        self.arguments = arguments
        self.result = result
    }

    var testDescription: String { "\(name)\(arguments.map(\.compactText))" }
}

/// 2026-03-04T05:06:07Z.
let sprigNow = Timestamp(seconds: 1_772_600_767)

func sprig(_ name: String, _ arguments: [ExpressionValue]) throws(ExpressionError) -> ExpressionValue {
    var context = ExpressionContext(now: sprigNow, seed: 7)
    return try Sprig.call(name: name, arguments: arguments, context: &context)
}

func sprig(_ row: SprigRow) throws(ExpressionError) -> ExpressionValue {
    try sprig(row.name, row.arguments.map(ExpressionValue.init))
}

@Suite struct SprigCallTests {
    @Test("A misspelled name gets a suggestion")
    func unknownName() {
        #expect(
            throws: ExpressionError("there is no function sprig.trimSufix; did you mean sprig.trimSuffix?")
        ) {
            try sprig("trimSufix", [])
        }
        #expect(throws: ExpressionError("there is no function sprig.zzzzzzzzzz")) {
            try sprig("zzzzzzzzzz", [])
        }
        #expect(Sprig.exists("trimSuffix"))
        #expect(!Sprig.exists("trimSufix"))
        #expect(Sprig.names == Sprig.names.sorted())
    }

    @Test(
        "Functions that need the machine, keys or passwords are refused with a reason",
        arguments: [
            "env", "expandenv", "getHostByName", "genPrivateKey", "genCA", "derivePassword", "bcrypt",
        ])
    func refusal(name: String) throws {
        #expect(!Sprig.exists(name))
        let error = try #require(throws: ExpressionError.self) { try sprig(name, []) }
        #expect(error.message.hasPrefix("sprig.\(name) is not available: "))
    }

    @Test(
        "Wrong counts and kinds of arguments are named",
        arguments: [
            ("trim", [], "sprig.trim: takes 1 argument (text), not 0"),
            ("trimSuffix", ["a"], "sprig.trimSuffix: takes 2 arguments (suffix, text), not 1"),
            ("default", [], "sprig.default: takes 1 to 2 arguments (default, [value]), not 0"),
            ("sub", [1, 2, 3], "sprig.sub: takes 2 arguments (left, right), not 3"),
            ("max", [], "sprig.max: takes at least 1 argument (number, numbers...), not 0"),
            (
                "upper", [3],
                "sprig.upper: argument 1 (text) must be a string, not an integer; convert it with string()"
            ),
            ("trunc", ["a", "b"], "sprig.trunc: argument 1 (count) must be an integer, not a string"),
            ("until", [1.5], "sprig.until: argument 1 (count) must be a whole number, not a float"),
            ("first", ["a"], "sprig.first: argument 1 (list) must be a list, not a string"),
            ("keys", [[1]], "sprig.keys: argument 1 (objects) must be an object, not a list"),
            ("ternary", [1, 2, 3], "sprig.ternary: argument 3 (condition) must be a bool, not an integer"),
            ("repeat", [-1, "a"], "sprig.repeat: the count -1 is negative"),
            ("div", [1, 0], "sprig.div: division by zero"),
            ("mod", [1, 0], "sprig.mod: division by zero"),
            ("divf", [1, 0], "sprig.divf: division by zero"),
            ("int", [1e300], "sprig.int: the float 1e+300 does not fit an integer"),
            ("substr", [2, 1, "abc"], "sprig.substr: 2 to 1 is outside the text's 3 bytes"),
            ("slice", [[1, 2], 1, 3], "sprig.slice: 1 to 3 is outside the list's 2 elements"),
            ("chunk", [0, [1]], "sprig.chunk: the size 0 is not positive"),
            ("fail", ["no model"], "no model"),
        ] as [(String, [JSONValue], String)])
    func badArguments(name: String, arguments: [JSONValue], message: String) {
        #expect(throws: ExpressionError(message)) { try sprig(name, arguments.map(ExpressionValue.init)) }
    }

    @Test(
        "What would grow without limit is an error",
        arguments: [
            ("repeat", [1_000_000_000, "ab"]), ("repeat", [.int(.max), "ab"]), ("until", [.int(.max)]),
            ("until", [.int(.min)]), ("untilStep", [.int(.min), .int(.max), 1]),
            ("seq", [1, 1, .int(.max - 1)]),
            ("indent", [.int(.max), "a\nb"]), ("randAlphaNum", [.int(.max)]),
        ] as [(String, [JSONValue])])
    func workLimit(name: String, arguments: [JSONValue]) {
        var context = ExpressionContext(now: sprigNow, seed: 7, workLeft: 100_000)
        let wanted = "sprig.\(name): expression does too much work; compute this in a step instead"
        #expect(throws: ExpressionError(wanted)) {
            try Sprig.call(name: name, arguments: arguments.map(ExpressionValue.init), context: &context)
        }
        #expect(context.workLeft == 0)
    }

    @Test("A value that shares its parts is paid for as often as it is walked")
    func sharedParts() {
        var value = ExpressionValue.string("x")
        for _ in 0..<60 { value = .array([value, value]) }
        for name in ["toJson", "toString", "uniq", "deepEqual", "join", "quote", "has", "without"] {
            let arguments: [String: [ExpressionValue]] = [
                "deepEqual": [value, value], "join": [.string(","), value], "has": [.none, value],
            ]
            var context = ExpressionContext(now: sprigNow, seed: 7, workLeft: 50_000)
            #expect(throws: ExpressionError.self, "\(name)") {
                try Sprig.call(name: name, arguments: arguments[name] ?? [value], context: &context)
            }
            #expect(context.workLeft == 0)
        }
    }

    @Test("A value nested too deeply is an error")
    func nesting() {
        var value = ExpressionValue.string("x")
        for _ in 0..<1_000 { value = .array([value]) }
        #expect(throws: ExpressionError("sprig.toJson: the value is nested more than 512 levels deep")) {
            try sprig("toJson", [value])
        }
    }

    @Test("Random functions repeat with the seed and go on from call to call")
    func randomness() throws {
        func draw(seed: UInt64) throws -> [ExpressionValue] {
            var context = ExpressionContext(now: sprigNow, seed: seed)
            return try ["randAlphaNum", "randAlphaNum", "randAlpha", "randNumeric", "randAscii"].map {
                try Sprig.call(name: $0, arguments: [.int(12)], context: &context)
            } + [try Sprig.call(name: "uuidv4", arguments: [], context: &context)]
        }
        let first = try draw(seed: 1)
        #expect(try draw(seed: 1) == first)
        #expect(try draw(seed: 2) != first)
        #expect(first[0] != first[1])
        let texts = first.map { value in if case .string(let text) = value { text } else { "" } }
        #expect(texts.prefix(5).allSatisfy { $0.utf8.count == 12 })
        #expect(texts[3].allSatisfy { $0.isNumber })
        #expect(texts[2].allSatisfy { $0.isLetter })
        #expect(texts[5].utf8.count == 36)
        #expect(Array(texts[5])[14] == "4")
        for _ in 0..<50 {
            guard case .int(let number) = try sprig("randInt", [.int(-2), .int(3)]) else { continue }
            #expect((-2..<3).contains(number))
        }
        let shuffled = try sprig("shuffle", [.string("abcdef")])
        #expect(try sprig("splitList", [.string(""), shuffled]) != .array([]))
    }

    @Test("No function traps, whatever it is given", arguments: 0..<4)
    func fuzz(round: Int) throws {
        var random = SprigFuzz(state: UInt64(round) &* 0x9E37_79B9_7F4A_7C15 &+ 1)
        var answered: Set<String> = []
        for _ in 0..<40 {
            for name in Sprig.names {
                let arguments = (0..<random.below(5)).map { _ in random.value(depth: 3) }
                var context = ExpressionContext(now: sprigNow, seed: UInt64(round), workLeft: 2_000)
                do throws(ExpressionError) {
                    _ = try Sprig.call(name: name, arguments: arguments, context: &context)
                    answered.insert(name)
                } catch {
                    #expect(!error.message.hasSuffix("is not implemented"), "\(name)")
                }
                #expect(context.workLeft >= 0)
            }
        }
        #expect(answered.count > Sprig.names.count / 2)
    }
}

/// Draws values that are likely to hurt.
struct SprigFuzz {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(limit))
    }

    private static let integers = [0, 1, -1, 2, 3, 5, 7, 64, 1000, .max, .min, .max - 1, 9_200_000_001]
    private static let doubles: [Double] = [
        0, -0.0, 1.5, -2.5, 1e21, 1e-7, 1e300, Double.leastNonzeroMagnitude, .nan, .infinity, -.infinity,
        9.3e18, 0.1,
    ]
    private static let strings = [
        "", " ", "a", "abc", "Hello World", "é\u{301}\u{1F600}", "_a__b_", "HTTPServer2xx", "--", "\r\n",
        "(a+)+$",
        "[", "$1", "2006-01-02", "1h30m", "-1h", "0x1f", "1.2.3-rc.1+x", ">=1.2 <2 || ^3", "1.2 - 3", "*",
        "http://u:p%40@[::1]:80/a%20b?q#f", "%zz", "/a/../..//b/.", "aGk=", "NBUQ====", "{\"a\":[1,null]}",
        "Europe/Berlin", "é", "\u{0}", "1e400", "-9223372036854775808", "ß\u{2028}<&>",
    ]

    mutating func value(depth: Int) -> ExpressionValue {
        switch below(depth > 0 ? 9 : 7) {
        case 0: return .none
        case 1: return .bool(below(2) == 0)
        case 2: return .int(Self.integers[below(Self.integers.count)])
        case 3: return .double(Self.doubles[below(Self.doubles.count)])
        case 4, 5: return .string(Self.strings[below(Self.strings.count)])
        case 6:
            let nanoseconds = Int64(truncatingIfNeeded: Self.integers[below(Self.integers.count)])
            return below(2) == 0
                ? .duration(.nanoseconds(nanoseconds)) : .time(Timestamp(nanoseconds: nanoseconds), .utc)
        case 7: return .array((0..<below(4)).map { _ in value(depth: depth - 1) })
        default:
            var members: [String: ExpressionValue] = [:]
            for _ in 0..<below(4) {
                members[Self.strings[below(Self.strings.count)]] = value(depth: depth - 1)
            }
            return .object(members)
        }
    }
}
