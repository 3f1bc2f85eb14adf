// What expressions refuse, and in which words.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("Errors of expressions")
struct ExpressionErrorTests {
    @Test(
        "Text that is no expression is refused",
        arguments: [
            ("", "ends too early"), ("1 +", "ends too early"), ("(1", "expected ')'"),
            ("[1 2]", "expected ','"),
            ("{a 1}", "expected ':'"), ("{+: 1}", "map's key"), ("'abc", "not closed"),
            ("`abc", "not closed"),
            ("\"a\\q\"", "unknown escape"), ("'\\x4'", "needs 2 digits"), ("'\\uD800'", "no Unicode"),
            ("/* a", "comment is not closed"), ("1 & 2", "no meaning"), ("a @ b", "no meaning"),
            ("12ab", "bad number"),
            ("0xZZ", "bad number"), ("0b12", "bad number"), ("99999999999999999999", "too large"),
            ("1e999", "too large"),
            ("a b", "unexpected 'b'"), ("a not b", "unexpected 'b'"), ("a ?? b + 1", "cannot be mixed"),
            ("foo(1)", "unknown name foo"), ("tojson(1)", "did you mean toJson?"),
            ("trimAll('a')", "sprig.trimAll"),
            ("len()", "takes 1 argument, not 0"), ("len(1, 2)", "takes 1 argument, not 2"),
            ("split('a')", "takes 2 to 3 arguments, not 1"), ("max()", "at least 1 arguments, not 0"),
            ("map([1])", "takes 2 arguments"), ("filter([], 1, 2)", "takes 2 arguments, not 3"),
            ("#", "needs a function"), ("# + 1", "needs a function"), (".a", "needs a function"),
            ("map([1], #foo)", "unknown pointer #foo"), ("1 | 2", "call of a function"),
            ("a |", "call of a function"),
            ("'x' | sprig.upper()", "call of a function"), ("let = 1; 2", "unexpected '='"),
            ("let a 1", "expected '='"),
            ("if a { 1 }", "expected 'else'"), ("a.", "expected a name"), ("a[", "ends too early"),
            ("a[1", "expected ']'"),
            ("a ? 1", "expected ':'"), ("1 = 1", "unexpected '='"), ("x ? : 1 :", "unexpected ':'"),
            ("a..b..", "too early"),
            ("a matches 'b('", "invalid regular expression"),
        ])
    func refused(source: String, message: String) {
        #expect(throws: ExpressionError.self) { try Expression(source) }
        #expect(ExpressionSample.message(source).contains(message), "\(ExpressionSample.message(source))")
    }

    @Test(
        "Operands of the wrong kind are refused",
        arguments: [
            ("unknown", "unknown name unknown"), ("txt", "did you mean text?"),
            ("unknown.a.b", "unknown name unknown"),
            ("nothing.a", "cannot get .a of nil"), ("nothing[0]", "cannot get [0] of nil"),
            ("tasks.absent.outputs", "cannot get .outputs of nil"), ("text.a", "cannot get .a of string"),
            ("list[3]", "index out of range: 3"), ("list[-4]", "index out of range"),
            ("list['a']", "must be an integer"),
            ("list[9223372036854775807]", "index out of range"),
            ("list[-9223372036854775807 - 1]", "index out of range"),
            ("'a' + 1", "string + int; make the other side a string"), ("1 + 'a'", "int + string"),
            ("1 - 'a'", "int - string"),
            ("nil + 1", "nil + int"), ("'a' * 2", "string * int"), ("1 % 0", "integer divide by zero"),
            ("1 % 2.0", "int % float"),
            ("1 < 'a'", "int < string"), ("'a' >= 1", "string"), ("1 and true", "&& needs a bool"),
            ("false or 1", "|| needs a bool, not int"), ("!1", "needs a bool"), ("-'a'", "needs a number"),
            ("1 ? 2 : 3", "condition must be a bool"), ("'a' in 'abc'", "string in string"),
            ("1 contains 'a'", "int contains string"),
            ("'a' matches '' + '('", "invalid regular expression"), ("1..'a'", "int .. string"),
            ("text()", "unknown name text"),
            ("tasks.map('x')", "map has no method map"), ("now().Foo()", "a time has no method Foo"),
            ("now().Year", "write .Year()"),
            ("duration('1h').Foo()", "a duration has no method Foo"),
            ("now().Format()", "takes 1 arguments, not 0"),
            ("nothing.Year()", "cannot call .Year() of nil"), ("map(1, #)", "map needs an array, not int"),
            ("filter([1], #)", "must give a bool"), ("map([1], #acc)", "#acc has a meaning in reduce only"),
            ("sum(['a'])", "sum needs numbers"), ("reduce([], #)", "needs an initial value"),
            ("count([1])", "array of bools"),
            ("sort([1, 'a'])", "sort: invalid operation"), ("sort([1], 'up')", "asc"),
            ("sortBy([1], #, 2)", "asc"),
            ("{[1]: 2}", "map's key"), ("{([1]): 2}", "cannot be array"),
            ("groupBy([1], [#])", "cannot group by array"),
            ("int('1.5')", "'1.5' is not a whole number"), ("int(1e30)", "beyond 64 bits"),
            ("float('x')", "not a number"),
            ("float('1e999')", "not a number"), ("int(nil)", "cannot convert nil"),
            ("len(1)", "needs an array"),
            ("join([1])", "element 0 is int"), ("repeat('a', -1)", "cannot repeat"),
            ("take([1], -1)", "cannot take"),
            ("fromJSON('{')", "invalid JSON"), ("fromBase64('!')", "not base64"),
            ("bitshl(1, -1)", "negative shift"),
            ("bitand('1', 1)", "argument 1 must be an integer"), ("date('x')", "no date"),
            ("duration('x')", "no duration"),
            ("timezone('No/Where')", "unknown time zone No/Where"), ("now(1)", "timezone()"),
            ("max(1, 'a')", "needs numbers"),
            ("fromPairs([1])", "pair"), ("jsonpath('x', '$.a')", "invalid JSON"),
            ("upper(1)", "must be a string, not int"),
            ("sprig.nope()", "sprig.nope"), ("sprig.upper", "sprig.NAME(...)"),
            ("sprig", "unknown name sprig"), ("list[nil:]", "bounded by integers"),
        ])
    func mismatched(source: String, message: String) {
        #expect(ExpressionSample.message(source).contains(message), "\(ExpressionSample.message(source))")
    }

    @Test(
        "An error says where it is",
        arguments: [("1 + nothing.a", 12), ("'1' + 'é' + unknown", 13), ("len(1)", 0), ("(1", 2)])
    func offsets(source: String, offset: Int) throws {
        let error = #expect(throws: ExpressionError.self) { try ExpressionSample.value(source) }
        #expect(error?.offset == offset)
    }

    @Test(
        "Deep nesting is refused, not a full stack",
        arguments: [
            (String(repeating: "(", count: 100_000), ""), (String(repeating: "[", count: 100_000), ""),
            (String(repeating: "-", count: 100_000), "1"), (String(repeating: "!", count: 100_000), "true"),
            (String(repeating: "true ? ", count: 10_000), "1"),
            (String(repeating: "let a = 1; ", count: 10_000), "a"),
            ("1", String(repeating: " | string()", count: 10_000)),
            ("2", String(repeating: " ** 2", count: 10_000)),
            (String(repeating: "map([1], ", count: 10_000), "1"),
            (String(repeating: "{a:", count: 10_000), ""),
            ("1", String(repeating: " ? 1 : 1", count: 10_000)),
            (String(repeating: "if true {1} else ", count: 10_000), "{1}"),
        ])
    func deepNesting(before: String, after: String) {
        #expect(ExpressionSample.message(before + after).contains("levels deep"))
    }

    @Test(
        "Long but flat expressions are no problem",
        arguments: [
            ("1" + String(repeating: " + 1", count: 50_000), "50001"),
            ("true" + String(repeating: " && true", count: 50_000), "true"),
            ("nil" + String(repeating: " ?? nil", count: 50_000), "null"),
            ("tasks" + String(repeating: "?.x", count: 50_000), "null"),
            ("1" + String(repeating: " <= 1", count: 50_000), "true"),
            (String(repeating: "1;", count: 50_000) + "2", "2"),
        ])
    func longExpressions(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Too much work is an error in time",
        arguments: [
            "1..1000000000", "1..9223372036854775807", "(-9223372036854775807)..9223372036854775807",
            "repeat('a', 9223372036854775807)", "repeat(repeat('a', 100000), 100000)",
            "map(1..10000, map(1..10000, #))", "sum(1..600000, # * 2)",
            "reduce(1..100, #acc + #acc, 'aaaaaaaa')",
            "reduce(1..100, concat(#acc, #acc), [1])", "reduce(1..100, [#acc, #acc], [1])",
            "toJSON(reduce(1..500, [#acc], 1..10000))",
            "let a = [1,1,1,1,1,1,1,1]; let b = [a,a,a,a,a,a,a,a]; let c = [b,b,b,b,b,b,b,b]; "
                + "let d = [c,c,c,c,c,c,c,c]; "
                + "let e = [d,d,d,d,d,d,d,d]; let f = [e,e,e,e,e,e,e,e]; let g = [f,f,f,f,f,f,f,f]; g",
            "filter(1..100000, repeat('a', 1000) matches '^(a+)+$')",
            "repeat('a', 100000) matches '((a{100}){100})'", "let a = map(1..5000, true); map(a, count(a))",
            "let a = 1..5000; map(a, sum(a))", "join(map(1..100000, repeat('x', 1000)))",
            "replace(repeat('a', 100000), 'a', repeat('b', 100000))",
            "replace(repeat('a', 100000), '', repeat('b', 100000))",
        ])
    func work(source: String) {
        #expect(
            ExpressionSample.message(source).contains("too much work"), "\(ExpressionSample.message(source))")
    }

    @Test(
        "A value that would nest without end is refused",
        arguments: [
            "reduce(1..100000, [#acc], 0)", "reduce(1..100000, {{a: #acc}}, 0)",
            "reduce(1..100000, sprig.list(#acc), 0)",
        ])
    func deepValues(source: String) {
        #expect(ExpressionSample.message(source).contains("nests more than 512"))
    }

    @Test("Work is counted, also when the evaluation fails")
    func accounting() throws {
        var context = ExpressionSample.context(workLeft: 1_000)
        _ = try Expression("sum(1..10)").evaluate(ExpressionEnvironment(), &context)
        #expect(context.workLeft < 1_000)
        let before = context.workLeft
        #expect(throws: ExpressionError.self) {
            try Expression("sum(1..10) + 'a'").evaluate(ExpressionEnvironment(), &context)
        }
        #expect(context.workLeft < before)
    }
}
