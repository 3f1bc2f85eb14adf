// The functions and methods that expressions may call.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("Functions of expressions")
struct ExpressionBuiltinTests {
    @Test(
        "Functions of text",
        arguments: [
            ("trim('  a ')", "a"), ("trim('__a___', '_')", "a"), ("trimPrefix('pre_a', 'pre_')", "a"),
            ("trimPrefix(' a')", "a"),
            ("trimSuffix('a_suf', '_suf')", "a"), ("trimSuffix('a', 'x')", "a"), ("upper('aß')", "Aß"),
            ("lower('ÀB')", "àb"),
            ("split('a,b,c', ',')", #"["a","b","c"]"#), ("split('a,b,c', ',', 2)", #"["a","b,c"]"#),
            ("split('a,b', ',', 0)", "[]"),
            ("split('aé', '')", #"["a","é"]"#), ("split('abc', '', 2)", #"["a","bc"]"#),
            ("split('', ',')", #"[""]"#),
            ("split('', '')", "[]"), ("splitAfter('a,b,c', ',')", #"["a,","b,","c"]"#),
            ("splitAfter('a,b,c', ',', 2)", #"["a,","b,c"]"#), ("replace('a,b,a', 'a', 'x')", "x,b,x"),
            ("replace('aaa', 'a', 'b', 2)", "bba"), ("replace('aa', 'a', 'b', 0)", "aa"),
            ("replace('ab', '', '-')", "-a-b-"),
            ("replace('ab', '', '-', 2)", "-a-b"), ("replace('a', 'a', 'b', 9223372036854775807)", "b"),
            ("repeat('ab', 3)", "ababab"),
            ("repeat('', 9223372036854775807)", ""), ("join(['a', 'b'], '-')", "a-b"),
            ("join(['a', 'b'])", "ab"),
            ("indexOf('abcab', 'ab')", "0"), ("indexOf('abc', 'x')", "-1"),
            ("lastIndexOf('abcab', 'ab')", "3"),
            ("lastIndexOf('aaa', 'aa')", "1"), ("lastIndexOf('a', 'ab')", "-1"),
            ("hasPrefix('abc', 'ab')", "true"),
            ("hasSuffix('abc', 'bc')", "true"), ("hasSuffix('c', 'bc')", "false"), ("len('aé😀')", "3"),
            ("'  A ' | trim() | lower()", "a"),
        ])
    func text(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Functions of numbers",
        arguments: [
            ("abs(-5)", .int(5)), ("abs(-.5)", .double(0.5)), ("abs(-9223372036854775807 - 1)", .int(.min)),
            ("ceil(5.2)", .double(6)), ("ceil(5)", .double(5)), ("floor(-5.2)", .double(-6)),
            ("round(2.5)", .double(3)),
            ("round(-2.5)", .double(-3)), ("int(5.9)", .int(5)), ("int('-12')", .int(-12)),
            ("asInt('+7')", .int(7)),
            ("int(duration('1s'))", .int(1_000_000_000)), ("float('5.5')", .double(5.5)),
            ("asFloat(2)", .double(2)),
            ("float('inf') > 1", .bool(true)), ("max(1, 2.5, [7, [3]])", .int(7)), ("max([])", .none),
            ("min(3, 1.5)", .double(1.5)),
            ("min(-1, [1.5])", .int(-1)), ("mean([1, 2, 3.0, 4])", .double(2.5)), ("mean([])", .double(0)),
            ("median(1..9)", .double(5)), ("median([1, 2, 3, 4])", .double(2.5)), ("median([])", .double(0)),
            ("bitand(12, 10)", .int(8)), ("bitor(12, 10)", .int(14)), ("bitxor(12, 10)", .int(6)),
            ("bitnand(12, 10)", .int(4)),
            ("bitnot(0)", .int(-1)), ("bitshl(1, 4)", .int(16)), ("bitshl(1, 64)", .int(0)),
            ("bitshr(-8, 1)", .int(-4)),
            ("bitshr(-8, 100)", .int(-1)), ("bitushr(-1, 63)", .int(1)), ("bitushr(-1, 64)", .int(0)),
            ("bitshl(1, 9223372036854775807)", .int(0)),
        ] as [(String, ExpressionValue)])
    func numbers(source: String, value: ExpressionValue) throws {
        #expect(try ExpressionSample.value(source) == value)
    }

    @Test(
        "Functions of lists and maps",
        arguments: [
            ("len(list)", "3"), ("len({a: 1})", "1"), ("first(list)", "3"), ("last(list)", "2"),
            ("first([])", "null"),
            ("last(nil)", "null"), ("get(list, -1)", "2"), ("get(list, 9)", "null"),
            ("get({a: 1}, 'a')", "1"),
            ("get(nil, 'a')", "null"), ("get(5, 'a')", "null"), ("take(list, 2)", "[3,1]"),
            ("take(list, 99)", "[3,1,2]"),
            ("reverse(list)", "[2,1,3]"), ("concat([1], [2, 3], [])", "[1,2,3]"),
            ("flatten([1, [2, [3, []]]])", "[1,2,3]"),
            ("uniq([1, 1.0, 'a', [1], [1.0], 'a'])", #"[1,"a",[1]]"#), ("sort(list)", "[1,2,3]"),
            ("sort(list, 'desc')", "[3,2,1]"),
            ("sort(words)", #"["apple","fig","pear"]"#), ("sort([1, 0.5])", "[0.5,1]"), ("sort([])", "[]"),
            ("keys({b: 1, a: 2})", #"["a","b"]"#), ("values({b: 1, a: 2})", "[2,1]"),
            ("toPairs({b: 1, a: 2})", #"[["a",2],["b",1]]"#),
            ("fromPairs([['a', 1], ['b', 2]])", #"{"a":1,"b":2}"#),
            ("fromPairs(toPairs({a: 1}))", #"{"a":1}"#),
        ])
    func lists(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Functions between values and text",
        arguments: [
            ("string(5)", "5"), ("string(1e6)", "1e+06"), ("string(nil)", "<nil>"),
            ("string([1, 'a'])", "[1 a]"),
            ("string({b: 1, a: 2})", "map[a:2 b:1]"), ("string(true)", "true"), ("type(1)", "int"),
            ("type(1.0)", "float"),
            ("type(nil)", "nil"), ("type('a')", "string"), ("type([])", "array"), ("type({})", "map"),
            ("type(true)", "bool"),
            ("type(now())", "time.Time"), ("type(duration('1s'))", "time.Duration"),
            ("toJSON({foo: 1, bar: [2]})", "{\n  \"bar\": [\n    2\n  ],\n  \"foo\": 1\n}"),
            ("toJSON('a')", "\"a\""),
            ("toJson([1, 'a', nil, 1.5])", #"[1,"a",null,1.5]"#),
            ("fromJSON('{\"a\": [1, 2.5]}').a[1]", "2.5"),
            ("fromJSON('1000000')", "1000000"), ("toBase64('hello')", "aGVsbG8="),
            ("fromBase64('aGVsbG8=')", "hello"),
            ("jsonpath(workflow.parameters.config, '$.list[2].b')", "3"),
            ("jsonpath(workflow.parameters.config, '$.list[0:2]')", "[1,2]"),
            ("fromJSON(workflow.parameters.config).list[2].b + 1", "4"),
            ("sprig.upper('a') + sprig.trim(' b ')", "Ab"),
            ("sprig.list(1, 2)[1]", "2"),
        ])
    func formats(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test(
        "Times and durations",
        arguments: [
            ("now().Year()", "2024"), ("now().Month()", "3"), ("now().Day()", "5"), ("now().Hour()", "6"),
            ("now().Minute()", "7"),
            ("now().Second()", "8"), ("now().Nanosecond()", "500000000"), ("now().Weekday()", "2"),
            ("now().YearDay()", "65"),
            ("now().Unix()", "1709618828"), ("now().UnixMilli()", "1709618828500"),
            ("now().Format('2006-01-02T15:04:05Z07:00')", "2024-03-05T06:07:08Z"),
            ("now(timezone('Europe/Berlin')).Format('15:04 -0700')", "07:07 +0100"),
            ("timezone('Europe/Berlin').String()", "Europe/Berlin"),
            ("now().In(timezone('Europe/Berlin')).Hour()", "7"), ("now().Add(duration('1h')).Hour()", "7"),
            ("now().AddDate(0, 1, 27).Format('2006-01-02')", "2024-05-02"),
            ("(now() + duration('30m')).Minute()", "37"),
            ("(duration('30m') + now()).Minute()", "37"), ("(now() - duration('8s')).Second()", "0"),
            ("(now() - now()).Seconds()", "0"),
            ("now().Sub(now().Add(duration('-90s'))).String()", "1m30s"), ("now().Before(now())", "false"),
            ("now().After(date('2020-01-01'))", "true"), ("now().Equal(now())", "true"),
            ("now() == now()", "true"),
            ("now() > date('2020-01-01')", "true"),
            ("date('2006-01-02T15:04:05Z').Format('Jan 2, 2006')", "Jan 2, 2006"),
            ("date('2023-04-05 06:07:08').Minute()", "7"),
            ("date('2006.01.02', '2006.01.02').Day()", "2"),
            ("date('2023-04-23T00:30:00', '2006-01-02T15:04:05', 'Europe/Berlin').Unix()", "1682206200"),
            ("date(timezone('Europe/Berlin'), '2023-04-23').Unix()", "1682204400"),
            ("date('2023-04-23T00:30:00+02:00').Hour()", "0"),
            ("toJson(date('2023-04-23T00:30:00+02:00'))", #""2023-04-23T00:30:00+02:00""#),
            ("now().Truncate(duration('1h')).Format('15:04:05')", "06:00:00"),
            ("now().Round(duration('1m')).Format('15:04:05')", "06:07:00"),
            ("date('2024-03-05T23:30:00Z').Round(duration('24h')).Format('2006-01-02')", "2024-03-06"),
            ("duration('90m').Hours()", "1.5"), ("duration('90s').Minutes()", "1.5"),
            ("duration('1500ms').Seconds()", "1.5"),
            ("duration('1h').Milliseconds()", "3600000"), ("duration('1h30m').String()", "1h30m0s"),
            ("string(duration('2s'))", "2s"),
            ("(duration('1h') * 2).Hours()", "2"), ("(1.5 * duration('1h')).Minutes()", "90"),
            ("duration('1h') > duration('59m')", "true"),
            ("(duration('1h') - duration('30m')).Minutes()", "30"),
            ("duration('1h30m').Round(duration('1h')).Hours()", "2"),
            ("duration('-1h29m').Truncate(duration('1h')).Hours()", "-1"),
        ])
    func times(source: String, text: String) throws {
        #expect(try ExpressionSample.value(source).text == text)
    }

    @Test("Every function can be called by its name and refuses nonsense without a trap")
    func nonsense() {
        let values = [
            "nil", "true", "-1", "9223372036854775807", "1e300", "'é'", "''", "[[1], nil]", "{a: nil}",
            "now()",
            "duration('-1ns')", "timezone('UTC')",
        ]
        var answers = 0
        for name in Builtin.names {
            guard let arity = Builtin.named(name)?.arity else { continue }
            for first in values {
                for second in values {
                    let count = max(arity.lowerBound, min(arity.upperBound, 3))
                    let arguments = [first, second, first].prefix(count).joined(separator: ", ")
                    if (try? ExpressionSample.value("\(name)(\(arguments))")) != nil { answers += 1 }
                }
            }
        }
        #expect(answers > 1_000)
    }

    @Test(
        "Every method refuses nonsense without a trap",
        arguments: [
            "now()", "duration('-1ns')", "duration('-2562047h')", "date('1678-01-01')", "date('2262-04-11')",
            "timezone('UTC')",
        ])
    func methods(receiver: String) {
        let names = [
            "Year", "Month", "Unix", "UnixMilli", "UnixNano", "YearDay", "Format", "Add", "Sub", "AddDate",
            "In", "Truncate",
            "Round", "Compare", "String", "Hours", "Abs", "Milliseconds", "UTC",
        ]
        let arguments = [
            "", "1", "'15:04'", "duration('2562047h')", "duration('1ns')", "now()",
            "9223372036854775807, 9223372036854775807, -9223372036854775807",
        ]
        var answers = 0
        for name in names {
            for argument in arguments {
                if (try? ExpressionSample.value("\(receiver).\(name)(\(argument)).String()")) != nil {
                    answers += 1
                }
                if (try? ExpressionSample.value("toJson(\(receiver).\(name)(\(argument)))")) != nil {
                    answers += 1
                }
            }
        }
        #expect(answers > 0)
    }
}
