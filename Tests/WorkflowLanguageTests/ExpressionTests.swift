// The expression language: literals, operators, members, predicates, and what it says of itself.

import Testing
import Text

@testable import WorkflowLanguage

/// Expressions are tried in this environment.
enum ExpressionSample {
    static let variables: [String: ExpressionValue] = [
        "workflow": .object([
            "name": .string("train-x"), "status": .string("Running"),
            "parameters": .object(["config": .string(#"{"a":"1","list":[1,2,{"b":3}]}"#), "n": .string("5")]),
        ]),
        "tasks": .object([
            "a-b": .object(["outputs": .object(["result": .string("heads")])]),
            "map": .object(["outputs": .object(["result": .string("mapped")])]),
            "split": .object(["status": .string("Succeeded")]),
            "in": .object(["status": .string("Failed")]),
            "skipped": .object(["outputs": .object(["parameters": .object(["msg": .none])])]),
        ]),
        "list": .array([.int(3), .int(1), .int(2)]),
        "words": .array([.string("pear"), .string("fig"), .string("apple")]),
        "people": .array([
            .object(["name": .string("Ann"), "age": .int(42), "tags": .array([.string("x")])]),
            .object(["name": .string("Bob"), "age": .int(17), "tags": .array([])]),
        ]),
        "text": .string("hello"), "nothing": .none, "yes": .bool(true), "half": .double(0.5),
    ]
    /// 2024-03-05T06:07:08.5Z
    static let now = Timestamp(nanoseconds: 1_709_618_828_500_000_000)
    static let berlin = TimeZoneRules(name: "Europe/Berlin", fixedOffsetSeconds: 3_600)

    static func context(workLeft: Int = 400_000) -> ExpressionContext {
        ExpressionContext(now: now, seed: 7, zones: ["Europe/Berlin": berlin], workLeft: workLeft)
    }

    static func value(_ source: String) throws(ExpressionError) -> ExpressionValue {
        var context = context()
        return try Expression(source).evaluate(ExpressionEnvironment(variables: variables), &context)
    }

    /// The message of the error that an expression must give; its value if it gives none.
    static func message(_ source: String) -> String {
        do {
            return "no error but \(try value(source).text)"
        } catch {
            return error.message
        }
    }
}

@Suite("Expressions")
struct ExpressionTests {
    @Test(
        "A literal is its value",
        arguments: [
            ("42", .int(42)), ("0x2A", .int(42)), ("0b101", .int(5)), ("0o17", .int(15)),
            ("1_000", .int(1_000)),
            ("0xFF_FF", .int(65_535)), ("0.5", .double(0.5)), (".5", .double(0.5)), ("1.", .double(1)),
            ("1e3", .double(1_000)), ("1.5E-3", .double(0.0015)), ("'a'", .string("a")),
            ("\"a\"", .string("a")),
            (#"'it\'s'"#, .string("it's")), (#""\x41\u00e9\U0001F600\101""#, .string("Aé😀A")),
            (#"'a\n\t\\b'"#, .string("a\n\t\\b")), (#"`raw \n '"`"#, .string(#"raw \n '""#)),
            ("'a\r\nb'", .string("a\nb")), ("true", .bool(true)), ("false", .bool(false)), ("nil", .none),
            ("[]", .array([])), ("[1, 'a',]", .array([.int(1), .string("a")])), ("{}", .object([:])),
            (
                "{a: 1, 'b c': 2, 3: 4, ('x' + 'y'): 5, in: 6,}",
                .object(["a": .int(1), "b c": .int(2), "3": .int(4), "xy": .int(5), "in": .int(6)])
            ), ("/* a */ 1 // b", .int(1)), ("// only\n2", .int(2)),
        ] as [(String, ExpressionValue)])
    func literals(source: String, value: ExpressionValue) throws {
        #expect(try ExpressionSample.value(source) == value)
    }

    @Test(
        "Arithmetic is Go's",
        arguments: [
            ("1 + 2 * 3", .int(7)), ("(1 + 2) * 3", .int(9)), ("7 / 2", .double(3.5)), ("6 / 2", .double(3)),
            ("1 / 0", .double(.infinity)), ("7 % 3", .int(1)), ("-7 % 3", .int(-1)), ("2 ** 3", .double(8)),
            ("2 ^ 3", .double(8)), ("2 ** 3 ** 2", .double(512)), ("-2 ** 2", .double(-4)),
            ("2 ** -1", .double(0.5)),
            ("1 - 2 - 3", .int(-4)), ("1 + 0.5", .double(1.5)), ("2 * half", .double(1)),
            ("-half", .double(-0.5)),
            ("+3", .int(3)), ("- -3", .int(3)), ("9223372036854775807 + 1", .int(.min)),
            ("(-9223372036854775807 - 1) % -1", .int(0)), ("-(-9223372036854775807 - 1)", .int(.min)),
            ("'a' + 'b' + text", .string("abhello")), ("1..3", .array([.int(1), .int(2), .int(3)])),
            ("3..1", .array([])), ("-1..0", .array([.int(-1), .int(0)])),
            ("1..1 + 1", .array([.int(1), .int(2)])), ("2 * 3 ?? 4", .int(6)),
        ] as [(String, ExpressionValue)])
    func arithmetic(source: String, value: ExpressionValue) throws {
        #expect(try ExpressionSample.value(source) == value)
    }

    @Test(
        "A condition holds",
        arguments: [
            "1 == 1.0", "1 != '1'", "'a' < 'b'", "'Z' < 'a'", "1 < 1.5", "2 >= 2", "1 < 2 < 3",
            "not (3 > 2 > 2)",
            "[1, {a: 2.0}] == [1.0, {a: 2}]", "{a: 1} != {a: 2}", "nil == nothing", "nil != 0",
            "true and not false", "!false && yes", "false or true", "false || yes",
            "true or 1 / 0 > nothing.x",
            "false and nothing.x == 1 or true", "'ell' in ['ell']", "2 in list", "5 not in list",
            "not (5 in list)",
            "'config' in workflow.parameters", "'x' not in {y: 1}", "1 not in nothing", "text contains 'ell'",
            "text not contains 'x'", "text startsWith 'he'", "text endsWith 'lo'", "text matches '^h.*o$'",
            "text not matches '^x'", "not (nothing matches 'x')", "3 in 1..3",
            "list == [3, 1, 2] && text == `hello`", "yes ? true : false", "not false == true",
            "(now() - duration('1h')) < now()", "half == .5", "1_0 == 10",
        ])
    func conditions(source: String) throws {
        #expect(try ExpressionSample.value(source) == .bool(true))
    }

    @Test(
        "Conditionals, declarations and sequences",
        arguments: [
            ("yes ? 1 : 2", "1"), ("!yes ? 1 : false ? 2 : 3", "3"), ("yes ?: 5", "true"),
            ("1 == 2 ?: 5", "5"),
            ("asInt(workflow.parameters.n) == 5? 'five': 'other'", "five"), ("yes ?.5 : 1", "0.5"),
            ("nothing ?? 'x'", "x"), ("nothing ?? nil ?? 3", "3"), ("text ?? 1", "hello"),
            ("(nothing ?? 1) + 1", "2"), ("let x = 2; x * x", "4"),
            ("let x = 1; let y = x + 1; [x, y]", "[1,2]"),
            ("let len = 3; len('ab') + len", "5"), ("if yes { 1 } else { 2 }", "1"),
            ("if !yes { 1 } else if yes { let a = 7; a } else { 3 }", "7"), ("1; 2; 3", "3"),
            ("map(list, { let twice = # * 2; twice + 1 })", "[7,3,5]"), ("(let a = 4; a)", "4"),
        ])
    func conditionals(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Members, elements and slices",
        arguments: [
            ("tasks['a-b'].outputs.result", "heads"), ("tasks.map.outputs.result", "mapped"),
            ("tasks.split.status", "Succeeded"), ("tasks.in.status", "Failed"), ("tasks.absent", "null"),
            ("tasks?.absent?.outputs.result", "null"), ("tasks.absent?.outputs.result ?? 'none'", "none"),
            ("tasks.skipped.outputs.parameters.msg ?? 'fallback'", "fallback"), ("nothing?.[0]", "null"),
            ("nothing?.a.b.c", "null"), ("list[0]", "3"), ("list[-1]", "2"), ("list?.[1]", "1"),
            ("list[1:]", "[1,2]"),
            ("list[:1]", "[3]"), ("list[:]", "[3,1,2]"), ("list[:-1]", "[3,1]"), ("list[5:9]", "[]"),
            ("list[2:1]", "[]"), ("text[1:3]", "el"), ("text[-2:]", "lo"), ("text[0]", "104"),
            ("{a: [1, {b: 2}]}.a[1].b", "2"), ("[[1, 2], [3]][0][1]", "2"), ("people[0].tags[0]", "x"),
            ("$env.text", "hello"), ("$env['half']", "0.5"), ("get($env, 'absent')", "null"),
            ("{'x y': 1}['x y']", "1"), ("'abc'[1:]", "bc"), ("(text)[:1]", "h"),
        ])
    func members(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Predicates run for each element",
        arguments: [
            ("all(list, # > 0)", "true"), ("all([], false)", "true"), ("any(list, {# == 2})", "true"),
            ("none(list, # > 5)", "true"), ("one(list, # > 2)", "true"), ("one(list, # > 1)", "false"),
            ("filter(people, .age > 18) | map(.name)", #"["Ann"]"#),
            ("map(people, {.name})", #"["Ann","Bob"]"#),
            ("map(list, #index)", "[0,1,2]"), ("map(list, # * #index)", "[0,1,4]"),
            ("count(list, # > 1)", "2"),
            ("count([true, false, true])", "2"), ("sum(list)", "6"), ("sum([1, 0.5])", "1.5"),
            ("sum([])", "0"),
            ("sum(people, .age)", "59"), ("find(list, # < 3)", "1"), ("find(list, # > 9)", "null"),
            ("findIndex(list, # < 3)", "1"), ("findIndex(list, # > 9)", "null"),
            ("findLast(list, # < 3)", "2"),
            ("findLastIndex(list, # < 3)", "2"), ("groupBy(list, # % 2)", #"{"0":[2],"1":[3,1]}"#),
            ("groupBy(list, # % 2)[0]", "[2]"), ("groupBy(people, .name).Ann[0].age", "42"),
            ("map(sortBy(people, .age), .name)", #"["Bob","Ann"]"#),
            ("map(sortBy(people, .age, 'desc'), .name)", #"["Ann","Bob"]"#), ("reduce(list, # + #acc)", "6"),
            ("reduce(list, concat(#acc, [#]), [])", "[3,1,2]"),
            ("reduce([], #acc, 'start')", "start"), ("reduce(1..9, # + #acc, 0)", "45"),
            ("map(people, map(.tags, # + '!'))", #"[["x!"],[]]"#),
            ("map(1..2, map(1..2, #))", "[[1,2],[1,2]]"),
            ("list | filter(# > 1) | map({# * 2}) | sum()", "10"), ("::map(list, # + 1)", "[4,2,3]"),
            ("map(1..3, {{v: #}})", #"[{"v":1},{"v":2},{"v":3}]"#),
            ("map(people, .tags[0:1])", #"[["x"],[]]"#),
        ])
    func predicates(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Expressions from Argo's examples work",
        arguments: [
            ("jsonpath(workflow.parameters.config, '$.a')", "1"),
            (
                "concat(['always'], 'true' == 'true' ? ['test'] : []) | toJSON()",
                "[\n  \"always\",\n  \"test\"\n]"
            ),
            ("get({type: 'test'}, 'type') ?? 'always'", "test"),
            ("get('text', 'type') ?? 'always'", "always"),
            ("'[\"a\",\"b\"]' | fromJSON() | join('\",\"')", "a\",\"b"),
            ("int('5') + int(workflow.parameters.n)", "10"),
            (#"sprig.replace("/", "-", "foo/bar")"#, "foo-bar"),
            ("let cron = nil; cron == nil || (now() - cron).Seconds() > 360", "true"),
            ("(now() - date('2024-03-05T06:00:00Z')).Seconds() > 360", "true"),
            ("toJson({b: 1, a: [nil]})", #"{"a":[null],"b":1}"#),
            (
                "tasks['a-b'].outputs.result == 'heads' ? tasks.map.outputs.result : tasks.absent.outputs.x",
                "mapped"
            ),
        ])
    func argo(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "An expression tells what it begins names with",
        arguments: [
            ("workflow.name + inputs['x']", ["workflow", "inputs"]), ("map(list, .name + #)", ["list"]),
            ("let a = b; a + c", ["b", "c"]), ("sprig.trim(x)", ["x"]), ("len(text) | string()", ["text"]),
            ("{a: b, 'c': d}", ["b", "d"]), ("$env.x", []), ("let x = x; x", ["x"]),
            ("a.b.c(d)", ["a", "d"]),
        ] as [(String, Set<String>)])
    func rootNames(source: String, names: Set<String>) throws {
        #expect(try Expression(source).rootNames == names)
    }

    @Test("An expression tells every word that it mentions")
    func words() throws {
        let expression = try Expression("steps['a-b'].outputs.in ?? $env[`x`] | get(y) + {k: 'v'}.k")
        #expect(
            expression.words == ["steps", "a-b", "outputs", "in", "$env", "x", "get", "y", "k", "v"])
    }

    @Test(
        "A value has a text and a JSON form",
        arguments: [
            (.string("a\"b"), "a\"b", .string("a\"b")), (.none, "null", .null),
            (.double(2.5), "2.5", .double(2.5)),
            (.array([.string("a"), .int(1)]), #"["a",1]"#, .array(["a", 1])),
            (
                .object(["b": .bool(true), "a": .none]), #"{"a":null,"b":true}"#,
                .object(["b": true, "a": .null])
            ),
            (.time(ExpressionSample.now, .utc), #""2024-03-05T06:07:08.5Z""#, "2024-03-05T06:07:08.5Z"),
            (
                .time(ExpressionSample.now, ExpressionSample.berlin), #""2024-03-05T07:07:08.5+01:00""#,
                "2024-03-05T07:07:08.5+01:00"
            ), (.duration(.seconds(2)), "2000000000", .int(2_000_000_000)),
        ] as [(ExpressionValue, String, JSONValue)])
    func output(value: ExpressionValue, text: String, json: JSONValue) {
        #expect(value.json == json)
        #expect(value.text == text)
    }
}
