// Expressions of chat templates print what Python prints. The right sides are those of Jinja2 3.1.6 under
// Python 3.11, in an immutable sandbox with `tojson` as transformers defines it.
import Models
import Testing
import Text

@Suite("Expressions of chat templates")
struct ChatTemplateExpressionTests {
    private static let variables = #"""
        {"s": "Hello World", "u": "é\u0301ß😀 ΑΣ", "i": 7, "j": -3, "x": 2.5, "n": null,
         "t": true, "f": false,
         "e": "", "l": [3, 1, 2], "names": ["b", "A", "c", "a"], "sp": "  a b  c  ",
         "d": {"b": 1, "a": {"c": [1, {"k": null}]}, "items": "it"},
         "m": [{"role": "system", "content": "S"}, {"role": "user", "content": "U", "n": 1},
               {"role": "tool", "content": null}]}
        """#

    /// An expression and what it prints.
    struct Row: Sendable, CustomTestStringConvertible {
        var expression: String
        var printed: String
        var testDescription: String { expression }
    }

    /// - Parameter table: a row a line, with `=>` between the sides.
    private static func rows(_ table: String) -> [Row] {
        table.split(separator: "\n").map { line in
            let mark = line.firstRange(of: "  =>")
            let printed = mark.map { line[$0.upperBound...].dropFirst(2) } ?? ""
            return Row(
                expression: String(line[..<(mark?.lowerBound ?? line.endIndex)]), printed: String(printed))
        }
    }

    private static func check(_ row: Row) throws {
        var values: [String: OrderedJSON] = [:]
        for member in try OrderedJSON(parsing: variables).objectValue ?? [] {
            values[member.key] = member.value
        }
        let template = try ChatTemplate("{{ \(row.expression) }}")
        let text = try template.render(values, now: Timestamp(seconds: 0))
        // Swift's == would take different spellings of a letter for the same.
        #expect(Array(text.utf8) == Array(row.printed.utf8), "printed \(text)")
    }

    @Test("Numbers are calculated and written as in Python", arguments: rows(numbers))
    func number(_ row: Row) throws { try Self.check(row) }

    @Test("Texts are cut, searched and formatted by code points, as in Python", arguments: rows(texts))
    func text(_ row: Row) throws { try Self.check(row) }

    @Test("Lists, dictionaries and missing values behave as in Python", arguments: rows(collections))
    func collection(_ row: Row) throws { try Self.check(row) }

    @Test("tojson writes what Python's json.dumps writes", arguments: rows(json))
    func writesJSON(_ row: Row) throws { try Self.check(row) }

    @Test("Tests tell the kinds of values apart", arguments: rows(tests))
    func test(_ row: Row) throws { try Self.check(row) }

    private static let numbers = #"""
        1 + 2 * 3  =>  7
        2 ** 3 ** 2  =>  64
        -2 ** 2  =>  4
        7 // -2  =>  -4
        -7 % 3  =>  2
        j // 2  =>  -2
        -2.5 // 1  =>  -3.0
        -2.5 % 1  =>  0.5
        7 / 2  =>  3.5
        10 / 5  =>  2.0
        2 ** -1  =>  0.5
        i is odd and j is odd  =>  True
        0.1 + 0.2  =>  0.30000000000000004
        1e16  =>  1e+16
        1e-5  =>  1e-05
        123456789012345678.0  =>  1.2345678901234568e+17
        100.0  =>  100.0
        -0.0  =>  -0.0
        1e300 * 1e300  =>  inf
        true + true  =>  2
        1_000 + 0x1F + 0b11  =>  1034
        1 == 1.0 == true  =>  True
        1 < 2 < 3  =>  True
        1 < 3 < 2  =>  False
        9007199254740993 == 9007199254740992.0  =>  False
        2.5 | round  =>  2.0
        3.5 | round  =>  4.0
        2.675 | round(2)  =>  2.67
        25 | round(-1)  =>  20
        2.1 | round(0, 'ceil')  =>  3.0
        '42.7' | int  =>  42
        '0x1f' | int(0, 16)  =>  31
        'abc' | int(5)  =>  5
        '1e3' | float  =>  1000.0
        ' .5 ' | float  =>  0.5
        n | int  =>  0
        -3 | abs  =>  3
        9 in range(0, 10, 3)  =>  True
        range(5)[::2] | list  =>  [0, 2, 4]
        range(3)  =>  range(0, 3)
        """#

    private static let texts = #"""
        s[1:4]  =>  ell
        s[::-1]  =>  dlroW olleH
        s[-3:]  =>  rld
        s[100:]  =>
        s[0] ~ s[-1]  =>  Hd
        u | length  =>  7
        u[::-1]  =>  ΣΑ 😀ß́é
        u | upper  =>  É́SS😀 ΑΣ
        u | lower  =>  é́ß😀 ας
        u | title  =>  É́ß😀 Ασ
        "they're bill's-x" | title  =>  They're Bill's-X
        "they're bill's".title()  =>  They'Re Bill'S
        'ß'.upper()  =>  SS
        'é' == 'e\u0301'  =>  False
        'a\tb\x41\q' | length  =>  6
        'a,b,,c'.split(',')  =>  ['a', 'b', '', 'c']
        'a,b,,c'.rsplit(',', 1)  =>  ['a,b,', 'c']
        sp.split()  =>  ['a', 'b', 'c']
        sp.split(none, 1)  =>  ['a', 'b  c  ']
        sp.rsplit(none, 1)  =>  ['  a b', 'c']
        sp | trim  =>  a b  c
        'xxaxx'.strip('x')  =>  a
        'aaa'.replace('', '-', 2)  =>  -a-aa
        s.find('o', 5)  =>  7
        s.count('l')  =>  3
        s.startswith(('x', 'He'))  =>  True
        s.removeprefix('Hello ')  =>  World
        s.partition(' ')  =>  ('Hello', ' ', 'World')
        '-5'.zfill(4)  =>  -005
        'ab'.center(5, '*')  =>  **ab*
        '²'.isdigit()  =>  True
        '½'.isnumeric()  =>  True
        'Ab Cd'.istitle()  =>  True
        '%s-%05.2f|%x' | format('a', 3.14159, 255)  =>  a-03.14|ff
        '%(a)s' % {'a': 1}  =>  1
        '{:,} {:+.1f} {:#x}'.format(1234567, 2.55, 255)  =>  1,234,567 +2.5 0xff
        '{0[1]}{a.b}'.format([1, 2], a={'b': 3})  =>  23
        'ab' * 2 ~ 1 ~ none ~ true  =>  abab1NoneTrue
        ['it\'s', "say \"hi\"", 'a\\b\n\x07é']  =>  ["it's", 'say "hi"', 'a\\b\n\x07é']
        'a' 'b' | upper  =>  AB
        'foo bar baz qux' | truncate(9)  =>  foo...
        '<a>&"' | e  =>  &lt;a&gt;&amp;&#34;
        ('<' | safe) + '<'  =>  <&lt;
        'a b/c?é' | urlencode  =>  a%20b/c%3F%C3%A9
        'a b-c d_e' | wordcount  =>  4
        'ΑΣ ΑΣΑ'.lower()  =>  ας ασα
        """#

    private static let collections = #"""
        l | sort  =>  [1, 2, 3]
        names | sort  =>  ['A', 'a', 'b', 'c']
        names | sort(case_sensitive=true)  =>  ['A', 'a', 'b', 'c']
        l | sort(reverse=true)  =>  [3, 2, 1]
        names | unique | list  =>  ['b', 'A', 'c']
        ['a', 'A'] | unique | list  =>  ['a']
        l | sum  =>  6
        l | max  =>  3
        names | join(', ')  =>  b, A, c, a
        l | reverse | list  =>  [2, 1, 3]
        l + [4]  =>  [3, 1, 2, 4]
        [0] * 3  =>  [0, 0, 0]
        (1,) + (2, 3)  =>  (1, 2, 3)
        d  =>  {'b': 1, 'a': {'c': [1, {'k': None}]}, 'items': 'it'}
        d['items']  =>  it
        d.keys()  =>  dict_keys(['b', 'a', 'items'])
        d.items() | list | length  =>  3
        d.get('zz', 5)  =>  5
        d | dictsort | first  =>  ('a', {'c': [1, {'k': None}]})
        d.a.c[1].k  =>  None
        d.zz is defined  =>  False
        d.pop is defined  =>  False
        {1: 'a', true: 'b'}  =>  {1: 'b'}
        m | map(attribute='role') | list  =>  ['system', 'user', 'tool']
        m | map(attribute='n', default=0) | list  =>  [0, 1, 0]
        m | selectattr('role', 'equalto', 'user') | map(attribute='content') | join  =>  U
        m | rejectattr('role', 'in', ['user', 'tool']) | list | length  =>  1
        m | selectattr('n', 'defined') | list | length  =>  1
        m | groupby('role') | map('first') | list  =>  ['system', 'tool', 'user']
        [1, 2, 3, 4, 5] | batch(2, 'x') | list  =>  [[1, 2], [3, 4], [5, 'x']]
        [1, 2, 3, 4, 5] | slice(2) | list  =>  [[1, 2, 3], [4, 5]]
        [0, 1, none, 'a'] | select | list  =>  [1, 'a']
        [1, 5, 3] | select('gt', 2) | list  =>  [5, 3]
        m[1].role in m | map(attribute='role')  =>  True
        'x' if f  =>
        (1 if f) | default('q')  =>  q
        e | default('q')  =>
        e | default('q', true)  =>  q
        n or 'd'  =>  d
        0 and 1  =>  0
        not l  =>  False
        [1, [2]] == [1, [2.0]]  =>  True
        [1, 2] < [1, 3]  =>  True
        zz is undefined  =>  True
        zz | length  =>  0
        zz == yy  =>  True
        'b' in d and 'zz' not in d  =>  True
        dict(a=1, **{'b': 2})  =>  {'a': 1, 'b': 2}
        namespace(a=1).a  =>  1
        """#

    private static let json = #"""
        d | tojson  =>  {"b": 1, "a": {"c": [1, {"k": null}]}, "items": "it"}
        [1.0, 1e16, 1e-7, true, none] | tojson  =>  [1.0, 1e+16, 1e-07, true, null]
        'é<>&"\n\u2028' | tojson  =>  "é<>&\"\n "
        'é😀' | tojson(ensure_ascii=true)  =>  "\u00e9\ud83d\ude00"
        {'b': [1, 2], 'a': {}} | tojson(separators=(',', ':'))  =>  {"b":[1,2],"a":{}}
        {'b': 1, 'a': 2} | tojson(sort_keys=true)  =>  {"a": 2, "b": 1}
        {1: 2, none: 3, true: 4, 1.5: 5} | tojson  =>  {"1": 4, "null": 3, "1.5": 5}
        (1, 2) | tojson  =>  [1, 2]
        [] | tojson(indent=2)  =>  []
        [[1]] | tojson(indent=2) | replace('\n', '/')  =>  [/  [/    1/  ]/]
        """#

    private static let tests = #"""
        n is none  =>  True
        t is boolean  =>  True
        i is integer  =>  True
        t is integer  =>  False
        x is float  =>  True
        t is number  =>  True
        s is string  =>  True
        d is mapping  =>  True
        l is sequence  =>  True
        d is iterable  =>  True
        i is iterable  =>  False
        i is divisibleby 7  =>  True
        i is eq(7)  =>  True
        i is in [7]  =>  True
        'abc' is lower  =>  True
        'upper' is filter  =>  True
        'odd' is test  =>  True
        l is sameas l  =>  True
        range is callable  =>  True
        i is not none  =>  True
        not i is none  =>  True
        zz is not defined  =>  True
        """#
}
