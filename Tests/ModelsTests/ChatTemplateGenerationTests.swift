// Where `{% generation %}` blocks wrote: the part of a conversation that a model learns.
import Models
import Testing
import Text

@Suite("Generation blocks of chat templates")
struct ChatTemplateGenerationTests {
    private static func marked(_ source: String) throws -> [String] {
        let values: [String: OrderedJSON] = ["l": .array([.string("é"), .string(""), .string("你好")])]
        let (text, ranges) = try ChatTemplate(source).renderTracked(values, now: Timestamp(seconds: 0))
        let bytes = Array(text.utf8)
        return ranges.map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test(
        "The text of each block is found again, in bytes and in order",
        arguments: [
            ("a{% generation %}b{% endgeneration %}c", ["b"]), ("no block", []),
            ("{% for x in l %}ü{% generation %}{{ x }}!{% endgeneration %}{% endfor %}", ["é!", "!", "你好!"]),
            ("{% generation %}a{% if false %}b{% endif %}{% endgeneration %}", ["a"]),
            ("{% if false %}{% generation %}a{% endgeneration %}{% endif %}", []),
            ("x {%- generation -%} y {%- endgeneration -%} z", ["y"]),
            ("{% for x in l %}{% generation %}{{ x }}{% break %}{% endgeneration %}{% endfor %}z", ["é"]),
            ("{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %}", ["b", "ab"]),
            ("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}", []),
            ("{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}", []),
            ("{% generation %}{% set y %}q{% endset %}{{ y }}{% endgeneration %}", ["q"]),
        ])
    func ranges(source: String, texts: [String]) throws {
        #expect(try Self.marked(source) == texts)
    }

    @Test("A template knows whether it has such blocks")
    func hasBlocks() throws {
        #expect(
            try ChatTemplate("{% if x %}{% generation %}{% endgeneration %}{% endif %}").hasGenerationBlocks)
        #expect(try !ChatTemplate("{{ 'generation' }}").hasGenerationBlocks)
    }

    @Test("Variables of a rendering are those of transformers")
    func variables() throws {
        let template = try ChatTemplate("{{ bos_token }}{{ messages | length }}{{ tools }}{{ extra }}")
        let variables = ChatTemplate.variables(
            messages: .array([]), tools: nil, addGenerationPrompt: false, bosToken: "<s>", eosToken: nil,
            extra: ["extra": .int(7)])
        #expect(try template.render(variables, now: Timestamp(seconds: 0)) == "<s>0None7")
    }
}
