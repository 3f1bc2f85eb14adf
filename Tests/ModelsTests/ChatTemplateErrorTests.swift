// Wrong, hostile and damaged chat templates end in errors that say where and what, never in a trap.
import Models
import TestSupport
import Testing
import Text

@Suite("Errors of chat templates")
struct ChatTemplateErrorTests {
    private static func render(_ source: String) throws -> String {
        let messages = try OrderedJSON(parsing: #"[{"role": "user", "content": "hi"}]"#)
        return try ChatTemplate(source).render(
            ["messages": messages, "n": .null], now: Timestamp(seconds: 0))
    }

    @Test(
        "What is no template is refused with the line when it is compiled",
        arguments: [
            ("\n{% if x %}", 2), ("a\n\n{{ 1", 3), ("{{ 'a", 1), ("\n{# a", 2), ("{{ (1 }}", 1), ("{{ }}", 1),
            ("x\n{{ 1 2 }}", 2), ("{% foo %}", 1), ("{% endif %}", 1), ("{% for x l %}{% endfor %}", 1),
            ("{{ x | nofilter }}", 1), ("{% break %}", 1), ("{% set true = 2 %}", 1), ("{{ '\\x4' }}", 1),
            ("{{ 99999999999999999999 }}", 1), ("{% macro m(a=1, b) %}{% endmacro %}", 1),
            ("{{ f(x=1, 2) }}", 1),
        ])
    func syntax(source: String, line: Int) {
        let error = #expect(throws: ChatTemplateError.self) { try ChatTemplate(source) }
        #expect(error?.kind == .syntax)
        #expect(error?.line == line)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test(
        "What a value cannot do is named, in Python's words",
        arguments: [
            ("\n{{ zz.a }}", 2, "'zz' is undefined"), ("{{ zz + 1 }}", 1, "'zz' is undefined"),
            ("{{ messages[0].a.b }}", 1, "'dict object' has no attribute 'a'"),
            ("{{ messages[3].role }}", 1, "list object has no element 3"),
            ("{{ n.x.y }}", 1, "'None' has no attribute 'x'"),
            ("{{ 'a' + 1 }}", 1, "can only concatenate str (not \"int\") to str"),
            ("{{ 1 < 'a' }}", 1, "'<' not supported between instances of 'int' and 'str'"),
            ("{% for x in n %}{% endfor %}", 1, "'NoneType' object is not iterable"),
            ("{% for a, b in [[1]] %}{% endfor %}", 1, "not enough values to unpack (expected 2, got 1)"),
            ("{{ n | length }}", 1, "object of type 'NoneType' has no len()"),
            ("{{ 1 // 0 }}", 1, "integer division or modulo by zero"),
            ("{{ messages.append(1) }}", 1, "access to attribute 'append' of 'list' object is unsafe."),
            ("{{ ''.__class__.x }}", 1, "access to attribute '__class__' of 'str' object is unsafe."),
            ("{{ zz | tojson }}", 1, "Object of type Undefined is not JSON serializable"),
            ("{{ 'a'() }}", 1, "'str' object is not callable"),
        ])
    func rendering(source: String, line: Int, problem: String) {
        let error = #expect(throws: ChatTemplateError.self) { try Self.render(source) }
        #expect(error?.kind == .rendering)
        #expect(error?.line == line)
        #expect(error?.problem == problem)
        #expect(error.map { "\($0)".contains("line \(line)") } == true)
    }

    @Test(
        "A template cannot use up time, memory or stack",
        arguments: [
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
            "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x * 2 %}{% endfor %}",
            "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}",
            "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% set ns.x = joiner(ns.x) %}{% endfor %}",
            "{% set ns = namespace() %}{% for i in range(999) %}{% set ns.x = ns.x | map('e') %}{% endfor %}",
            "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "{{ 'a' * 1000000000000 }}",
            "{{ [1] * 1000000000000 }}", "{{ 'a'.center(10000000000) }}", "{{ '%1000000000d' % 1 }}",
            "{{ '{:1000000000}'.format(1) }}", "{{ ('a' * 10000000).replace('a', 'bb') }}",
            "{{ range(100001) }}",
            "{{ 2 ** 64 }}", "{{ -9223372036854775807 - 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}",
            "{{ {'a': 1} | tojson(indent=100000000000) }}", "{{ 1e300 | int }}",
        ])
    func limits(source: String) {
        let error = #expect(throws: ChatTemplateError.self) { try Self.render(source) }
        #expect(error?.kind == .limit)
    }

    @Test(
        "Deeply nested sources are refused",
        arguments: [
            ("{{ ", "(", "1"), ("{{ ", "[", ""), ("{{ ", "-", "1 }}"), ("{{ ", "not ", "1 }}"),
            ("", "{% if 1 %}", ""),
            ("{{ 1", " if 1 else 1", " }}"), ("", "{% macro f() %}", ""), ("{% set ", "(", ""),
        ])
    func nesting(start: String, repeated: String, end: String) {
        let source = start + String(repeating: repeated, count: 20_000) + end
        let error = #expect(throws: ChatTemplateError.self) { try ChatTemplate(source) }
        #expect(error?.kind == .syntax)
    }

    @Test("Long chains are no nesting")
    func chains() throws {
        let sum = try Self.render("{{ 1" + String(repeating: " + 1", count: 5_000) + " }}")
        #expect(sum == "5001")
        let text = try Self.render("{{ 'a'" + String(repeating: " | upper", count: 5_000) + " }}")
        #expect(text == "A")
    }

    /// A little of everything.
    private static let everything = #"""
        {%- macro f(a, b=2) -%}{{ a ~ b | int }}{%- endmacro -%}
        {% for m in messages[::-1] if m.role != "x" %}
          {{ loop.index0 % 2 }}{{ m['content'][1:] | upper | tojson(indent=2) }}{% set ns = namespace(q=1.5e3) %}
          {% if ns.q is divisibleby 3 and not n %}{{ "%5.2f|%s" | format(ns.q, n) }}{% else %}{# c #}{% endif %}
          {{ f(*[1], **{'b': "\x41"}) }}
        {% endfor %}{{ 'a-b'.split('-', 1) | map('title') | join }}
        """#

    @Test("Damaged templates render or fail, but never trap", arguments: [1, 2, 3, 4] as [UInt64])
    func damaged(seed: UInt64) throws {
        let source = Array(Self.everything.utf8)
        let pieces = [
            "{%", "%}", "{{", "}}", "-", "(", ")", "[", "]", "|", "'", "\"", "\\", " if ", " is ", "0", "é",
            ":",
        ]
        var random = SeededGenerator(seed: seed)
        var rendered = 0
        for _ in 0..<300 {
            var bytes = source
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(contentsOf: (pieces.randomElement(using: &random) ?? "").utf8, at: place)
                default: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &random))
                }
            }
            do {
                _ = try Self.render(String(decoding: bytes, as: UTF8.self))
                rendered += 1
            } catch let error as ChatTemplateError {
                #expect(error.line >= 1 && !error.problem.isEmpty)
            }
        }
        #expect(rendered > 0)
    }
}
