// Whole conversations through templates built like those of well-known models, but smaller.
import Models
import Testing
import Text

@Suite("Conversations through chat templates")
struct ChatTemplateConversationTests {
    private static let now = Timestamp(seconds: 0)

    /// Reasoning is printed only behind the last question; answers of tools share one turn.
    private static let thinking = #"""
        {%- if tools %}
            {{- '<|sys|>' }}
            {%- for tool in tools %}
                {{- '\n' ~ (tool | tojson) }}
            {%- endfor %}
            {{- '<|end|>\n' }}
        {%- endif %}
        {%- set ns = namespace(searching=true, last=messages | length - 1) %}
        {%- for m in messages[::-1] if ns.searching %}
            {%- set place = messages | length - 1 - loop.index0 %}
            {%- if m.role == 'user' and not m.content.startswith('<result>') %}
                {%- set ns.searching = false %}
                {%- set ns.last = place %}
            {%- endif %}
        {%- endfor %}
        {%- for m in messages %}
            {%- set content = m.content if m.content is string else '' %}
            {%- if m.role == 'assistant' %}
                {%- set why = '' %}
                {%- if m.reasoning_content is string %}
                    {%- set why = m.reasoning_content %}
                {%- elif '</think>' in content %}
                    {%- set why = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
                    {%- set content = content.split('</think>')[-1].lstrip('\n') %}
                {%- endif %}
                {{- '<|a|>' }}
                {%- if loop.index0 > ns.last and why %}{{- '[' ~ why.strip() ~ ']' }}{% endif %}
                {{- content }}
                {%- for call in m.tool_calls or [] %}
                    {{- '<call>{"name": "' ~ call.function.name ~ '", "arguments": ' }}
                    {{- call.function.arguments if call.function.arguments is string else
                        call.function.arguments | tojson }}
                    {{- '}</call>' }}
                {%- endfor %}
                {{- '<|end|>\n' }}
            {%- elif m.role == 'tool' %}
                {%- if loop.first or loop.previtem.role != 'tool' %}{{- '<|u|>' }}{% endif %}
                {{- '<result>' ~ content ~ '</result>' }}
                {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|end|>\n' }}{% endif %}
            {%- else %}
                {{- '<|' ~ m.role[0] ~ '|>' ~ content ~ '<|end|>\n' }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|a|>' }}
            {%- if enable_thinking is defined and enable_thinking is false %}{{- '[]' }}{% endif %}
        {%- endif %}
        """#

    private static let conversation = #"""
        [{"role": "user", "content": "one"},
         {"role": "assistant", "content": "<think>\nold\n</think>\n\nfirst"},
         {"role": "user", "content": "two"},
         {"role": "assistant", "content": null, "reasoning_content": "look\n", "tool_calls": [
            {"function": {"name": "get", "arguments": {"city": "Zürich <1>", "exact": 1.0}}},
            {"function": {"name": "raw", "arguments": "{}"}}]},
         {"role": "tool", "content": "4"}, {"role": "tool", "content": "5"},
         {"role": "assistant", "content": "<think>new</think>done"}]
        """#

    @Test("Thinking, tool calls and grouped tool answers")
    func rendersThinking() throws {
        let template = try ChatTemplate(Self.thinking)
        let tools = try OrderedJSON(parsing: #"[{"type": "function", "function": {"name": "get"}}]"#)
        let text = try template.render(
            messages: OrderedJSON(parsing: Self.conversation), tools: tools, addGenerationPrompt: true,
            bosToken: nil, eosToken: nil, extra: ["enable_thinking": .bool(false)], now: Self.now)
        #expect(
            text == #"""
                <|sys|>
                {"type": "function", "function": {"name": "get"}}<|end|>
                <|u|>one<|end|>
                <|a|>first<|end|>
                <|u|>two<|end|>
                <|a|>[look]<call>{"name": "get", "arguments": {"city": "Zürich <1>", "exact": 1.0}}</call>\#
                <call>{"name": "raw", "arguments": {}}</call><|end|>
                <|u|><result>4</result><result>5</result><|end|>
                <|a|>[new]done<|end|>
                <|a|>[]
                """#)
    }

    /// Types of parameters through a macro that calls itself; alternating turns are demanded.
    private static let typed = #"""
        {%- macro type_of(spec) -%}
            {%- if spec.type == 'array' -%}
                {{- type_of(spec['items']) ~ '[]' -}}
            {%- elif spec.type == 'object' -%}
                {
                {%- for name, inner in spec.properties | items -%}
                    {{ name }}{{ '?' if name not in spec.required | default([]) }}: {{ type_of(inner) -}}
                    {{ ', ' if not loop.last }}
                {%- endfor -%}
                }
            {%- elif spec.type is defined and spec.type is iterable and spec.type is not string -%}
                {{ spec.type | join(' | ') }}
            {%- else -%}
                {{ spec.type or 'any' }}
            {%- endif -%}
        {%- endmacro -%}
        {{ bos_token }}
        {%- if messages[0].role == 'system' -%}
            {%- set prefix = messages[0].content | trim ~ '\n\n' -%}
            {%- set messages = messages[1:] -%}
        {%- else -%}
            {%- set prefix = '' -%}
        {%- endif -%}
        {%- for tool in tools or [] %}
        type {{ tool.function.name }} = {{ type_of(tool.function.parameters) }};
        {% endfor -%}
        {%- for m in messages -%}
            {%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
                {{ raise_exception('roles must alternate, but message ' ~ loop.index ~ ' is of ' ~ m.role) }}
            {%- endif -%}
            {% if m.role == 'user' %}[{{ prefix if loop.first }}{{ m.content | trim }}]{% else -%}
        {% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endif %}
        {%- endfor -%}
        """#

    private static func renderTyped(_ messages: String, tools: String? = nil) throws -> String {
        try ChatTemplate(typed).render(
            messages: OrderedJSON(parsing: messages), tools: tools.map { try OrderedJSON(parsing: $0) },
            addGenerationPrompt: false, bosToken: "<s>", eosToken: "</s>", now: now)
    }

    @Test("A macro writes nested types; the system message joins the first turn")
    func rendersTypes() throws {
        let text = try Self.renderTyped(
            #"""
            [{"role": "system", "content": " Be kind. "}, {"role": "user", "content": "q "},
             {"role": "assistant", "content": "a"}]
            """#,
            tools: #"""
                [{"function": {"name": "f", "parameters": {"type": "object", "required": ["a"],
                  "properties": {"a": {"type": "array", "items": {"type": "string"}},
                  "b": {"type": ["integer", "null"]},
                  "c": {"type": "object", "properties": {}}, "d": {}}}}}]
                """#)
        #expect(
            text == "<s>type f = {a: string[], b?: integer | null, c?: {}, d?: any};\n[Be kind.\n\nq]a</s>")
    }

    @Test("What the template raises comes out word for word, with its line")
    func raises() throws {
        let error = #expect(throws: ChatTemplateError.self) {
            try Self.renderTyped(#"[{"role": "user", "content": "q"}, {"role": "user", "content": "q"}]"#)
        }
        #expect(error?.kind == .raised)
        #expect(error?.problem == "roles must alternate, but message 2 is of user")
        #expect(error?.line == 29)
    }

    @Test("Reasoning is found under each name that templates read")
    func namesReasoning() throws {
        let messages = try OrderedJSON(
            parsing:
                #"[{"role": "a", "reasoning": "r"}, {"role": "b", "reasoning_content": "c"}, {"role": "c"}]"#)
        #expect(
            ChatTemplate.namingReasoning(in: messages).compactText
                == #"[{"thinking":"r","role":"a","reasoning":"r","reasoning_content":"r"},"#
                + #"{"thinking":"c","role":"b","reasoning_content":"c"},{"role":"c"}]"#)
    }
}
