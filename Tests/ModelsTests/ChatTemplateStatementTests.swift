// Statements of chat templates: loops, scopes, macros, whitespace. The expected texts are those of Jinja2 3.1.6
// with the settings of transformers.
import Models
import Testing
import Text

@Suite("Statements of chat templates")
struct ChatTemplateStatementTests {
    private static func render(_ source: String) throws -> String {
        let values: [String: OrderedJSON] = [
            "l": .array([.int(3), .int(1), .int(2)]), "i": .int(7), "t": .bool(true), "f": .bool(false),
            "d": .object([
                OrderedJSON.Member(key: "b", value: .int(1)), OrderedJSON.Member(key: "a", value: .int(2)),
            ]),
        ]
        return try ChatTemplate(source).render(values, now: Timestamp(seconds: 1_721_471_415))
    }

    @Test(
        "Whitespace control, trim_blocks and lstrip_blocks leave exactly the wanted blanks",
        arguments: [
            ("a\n  {% for x in l %}\n  {{ x }}\n  {% endfor %}\nb\n", "a\n  3\n  1\n  2\nb"),
            ("{%- if t -%}\n x \n{%- endif -%}\n", "x"), ("  {%+ if t %}x{% endif +%}\ny", "  x\ny"),
            ("{{ 1 }}\n{{ 2 }}\n\n", "1\n2\n"), ("{# c #}\na{# d -#}  \n b", "ab"), ("a {#- c -#} b", "ab"),
            ("x\r\ny\r{% if t %}\r\nz{% endif %}", "x\ny\nz"), ("x{{ 1 }}  {% if t %}y{% endif %}", "x1  y"),
            ("{{ 1 }}\n  {% if t %}y{% endif %}", "1\ny"), ("{# x #}  {% if t %}y{% endif %}", "  y"),
            ("{% raw %}{{ x }}{% if %}{% endraw %}\nz", "{{ x }}{% if %}z"),
            ("{%- raw -%}  a {{ b }}  {%- endraw -%}  c", "a {{ b }}c"), ("a {{- 1 -}} b", "a1b"),
            ("{{ {'a': {'b': 1}}}}", "{'a': {'b': 1}}"), ("{{ '}}' }}{% if '%}' %}a{% endif %}", "}}a"),
            ("a{b}c{", "a{b}c{"), ("a\u{2003}{%- if t -%}\u{2003}x{% endif %}", "ax"),
        ])
    func whitespace(source: String, text: String) throws {
        #expect(try Self.render(source) == text)
    }

    @Test(
        "Loops know where they are, filter, unpack, break, continue and recurse",
        arguments: [
            (
                "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }} "
                    + "{% endfor %}",
                "103True 212False 321False "
            ),
            (
                "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{{ loop.last }} {% endfor %}",
                "<3>1False 3<1>2False 1<2>True "
            ),
            (
                "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
                "1/2:3 2/2:2 "
            ),
            ("{% for x in l if x > 9 %}a{% else %}none{% endfor %}", "none"),
            ("{% for x in zz %}a{% else %}none{% endfor %}", "none"),
            ("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "b=1;a=2;"),
            ("{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"),
            ("{% for c in 'hé' %}{{ c }}-{% endfor %}", "h-é-"),
            ("{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"),
            ("{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"),
            (
                "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }} {% endfor %}",
                "aTrue bTrue aTrue "
            ),
            (
                "{% for x in [[1, [[2, []], [3, []]]]] recursive %}{{ x[0] }}({{ loop.depth }}"
                    + "{{ loop(x[1]) }}){% endfor %}", "1(12(2)3(2))"
            ),
            (
                "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
                "1231 1232 1233 "
            ),
            (
                "{% for x in l | map('string') %}{{ x }}{{ loop.length }}{{ loop.last }} {% endfor %}",
                "33False 13False 23True "
            ),
        ])
    func loops(source: String, text: String) throws {
        #expect(try Self.render(source) == text)
    }

    @Test(
        "A name set in a loop, macro or block is forgotten behind it; namespaces remember",
        arguments: [
            ("{% set x = 1 %}{% for a in l %}{{ x }}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "1212121"),
            (
                "{% set ns = namespace(x=1) %}{% for a in l %}{% set ns.x = ns.x + a %}{% endfor %}"
                    + "{{ ns.x }}",
                "7"
            ),
            ("{% if t %}{% set q = 1 %}{% endif %}{{ q }}", "1"), ("{% set i = i + 1 %}{{ i }}", "8"),
            ("{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"), ("{% set a = 1, 2 %}{{ a }}", "(1, 2)"),
            ("{% set a | upper %}x{{ 1 }}y{% endset %}[{{ a }}]", "[X1Y]"),
            ("{% with a = i, i = 1 %}{{ a }}{{ i }}{% endwith %}{{ i }}", "717"),
            ("{% generation %}x{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "xFalse"),
            ("{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(1) }}{{ y is defined }}", "1False"),
            ("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me is sameas ns }}", "True"),
        ])
    func scopes(source: String, text: String) throws {
        #expect(try Self.render(source) == text)
    }

    @Test(
        "Macros take defaults, names, extra arguments and callers",
        arguments: [
            (
                "{% macro m(a, b=2, c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}"
                    + "{{ m(1) }}{{ m(1, 3) }}{{ m(a=5, c=1) }}",
                "[121][131][521]"
            ),
            (
                "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
                "1(2, 3){'x': 4}"
            ),
            (
                "{% macro m() %}<{{ caller(1) }}>{% endmacro %}{% call(a) m() %}{{ a }}{{ i }}{% endcall %}",
                "<17>"
            ),
            (
                "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
                "3210"
            ),
            ("{% macro m() %}{{ late }}{% endmacro %}{% set late = 9 %}{{ m() }}", "9"),
            ("{% filter replace('a', 'b') | upper %}aaa{% endfilter %}", "BBB"),
            ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}", "abb"),
            ("{% set j = joiner() %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "3, 1, 2"),
        ])
    func macros(source: String, text: String) throws {
        #expect(try Self.render(source) == text)
    }

    @Test(
        "strftime_now writes the given moment in UTC",
        arguments: [
            ("%d %b %Y", "20 Jul 2024"), ("%Y-%m-%d %H:%M:%S", "2024-07-20 10:30:15"),
            ("%-d/%-m %I %p", "20/7 10 AM"),
            ("%A, %B %j %U %u %% %Q", "Saturday, July 202 28 6 % %Q"),
            ("%c|%x|%X", "Sat Jul 20 10:30:15 2024|07/20/24|10:30:15"),
            ("%_m %3d %^a %f %Z.", " 7 020 SAT 000000 ."),
        ])
    func dates(format: String, text: String) throws {
        #expect(try Self.render("{{ strftime_now('\(format)') }}") == text)
    }
}
