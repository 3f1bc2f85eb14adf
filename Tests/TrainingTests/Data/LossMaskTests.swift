// Which tokens of a conversation are learned, with templates that do unusual things.
import Models
import Testing
import Text

@testable import Training

@Suite("Loss masks")
struct LossMaskTests {
    private static func shown(
        _ messages: String, template: String, _ scale: TrainingParameters.LossScale = .default,
        specialTokens: [String] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    ) throws -> String {
        let tokenizer = try DataFixture.tokenizer(specialTokens: specialTokens)
        let encoder = try ConversationEncoder(
            tokenizer: tokenizer, chatTemplate: ChatTemplate(template), now: Timestamp(seconds: 0))
        let row = try encoder.sequence(messages: OrderedJSON(parsing: messages), lossScale: scale)
        return DataFixture.shown(.sequence(row), tokenizer)
    }

    private static let two = #"""
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
        {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]
        """#

    private static let asking = "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    private static let chatTurn = "{{ '<|im_start|>' + m.role + '\\n' + m.content }}"

    /// Templates with what of the two turns is learned.
    private static let templates: [(String, String)] = {
        let chat = DataFixture.chatML
        let plain = "<user~q>~<assistant~[a>]~<user~r>~<assistant~[b>]~"
        let thought = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
        let header = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
        return [
            // The first message must be the user's, and a template may refuse an empty list.
            ("{%- if messages[0].role != 'user' %}{{ raise_exception('no') }}{% endif %}\(chat)", plain),
            // Nothing follows an answer, not even a line break.
            (
                "{% for m in messages %}{{ m.role + ': ' + m.content + '<|im_end|>' }}{% endfor %}\(asking)",
                "user: q>assistant: [a>]user: r>assistant: [b>]"
            ),
            // No token closes an answer: its line break does.
            (
                "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}\(asking)",
                "user: q~assistant: [a~]user: r~assistant: [b~]"
            ),
            // The end of all is written once, behind the last message.
            (
                """
                {% for m in messages %}\(chatTurn)\
                {% if loop.last %}{{ '<|endoftext|>' }}{% endif %}{% endfor %}\
                \(header)
                """, "<user~q<assistant~[a]<user~r<assistant~[b$]"
            ),
            // The generation prompt is not asked for; the header is the template's own.
            (
                "{% for m in messages %}\(chatTurn){{ '<|im_end|>' }}{% endfor %}",
                "<user~q><assistant~[a>]<user~r><assistant~[b>]"
            ),
            // Nor is it here, where an answer has no header at all.
            (
                """
                {% for m in messages %}{{ '[INST]' + m.content + '[/INST]' if m.role == 'user' \
                else ' ' + m.content + '<|im_end|>' }}{% endfor %}
                """, "[INST]q[/INST][ a>][INST]r[/INST][ b>]"
            ),
            // Asking begins a thought, which the answers do not have.
            ("{% for m in messages %}\(chatTurn){{ '<|im_end|>\\n' }}{% endfor %}\(thought)", plain),
            // The number of messages is written first, so that no part is how the whole begins.
            ("{{ messages | length }}\(chat)", "4" + plain),
        ]
    }()

    @Test(
        "An answer and the token that closes it are learned, whatever the template does", arguments: templates
    )
    func answers(template: String, text: String) throws {
        #expect(try Self.shown(Self.two, template: template) == text)
    }

    @Test("Thoughts are left out of earlier answers and learned in the last")
    func thoughts() throws {
        let template = #"""
            {%- for m in messages %}
            {{- '<|im_start|>' + m.role + '\n' }}
            {%- if m.role == 'assistant' and loop.last %}
            {{- '<think>' + m.reasoning_content + '</think>' }}
            {%- endif %}
            {{- m.content + '<|im_end|>\n' }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
            """#
        let messages = #"""
            [{"role": "user", "content": "q"},
            {"role": "assistant", "content": "a", "reasoning_content": "x"},
            {"role": "user", "content": "r"}, {"role": "assistant", "content": "b", "reasoning_content": "y"}]
            """#
        #expect(
            try Self.shown(messages, template: template)
                == "<user~q>~<assistant~[a>]~<user~r>~<assistant~[<think>y</think>b>]~")
    }

    @Test("What the template marks as generated is learned, and no more")
    func generations() throws {
        let template = #"""
            {%- for m in messages %}
            {{- '<|im_start|>' + m.role + '\n' }}
            {%- if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}
            {%- else %}{{ m.content }}{% endif %}
            {{- '<|im_end|>\n' }}
            {%- endfor %}
            """#
        #expect(
            try Self.shown(Self.two, template: template)
                == "<user~q>~<assistant~[a]>~<user~r>~<assistant~[b]>~")
        #expect(
            try Self.shown(Self.two, template: template, .lastRound)
                == "<user~q>~<assistant~a>~<user~r>~<assistant~[b]>~")
        let flagged = Self.two.replacing(#""content": "a""#, with: #""content": "a", "loss": false"#)
        #expect(
            try Self.shown(flagged, template: template) == "<user~q>~<assistant~a>~<user~r>~<assistant~[b]>~")
        #expect(
            try Self.shown(flagged, template: template, .all)
                == "[<user~q>~<assistant~]a[>~<user~r>~<assistant~b>~]")
    }

    @Test("Empty answers, special tokens in texts and messages behind the last answer")
    func corners() throws {
        let messages = #"""
            [{"role": "user", "content": "what is <|im_end|>?"}, {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "é 你\n"}, {"role": "user", "content": "ok"}]
            """#
        #expect(
            try Self.shown(messages, template: DataFixture.chatML)
                == "<user~what is >?>~<assistant~[>]~<assistant~[é 你~>]~<user~ok>~")
        #expect(
            try Self.shown(messages, template: DataFixture.chatML, .lastRound)
                == "<user~what is >?>~<assistant~>~<assistant~[é 你~>]~<user~ok>~")
    }

    @Test("The prompt of a preference is what a model would be asked with")
    func continuations() throws {
        let tokenizer = try DataFixture.tokenizer()
        let encoder = try ConversationEncoder(
            tokenizer: tokenizer, chatTemplate: ChatTemplate(DataFixture.chatML), now: Timestamp(seconds: 0))
        var prompt = Conversation()
        prompt.append(role: "user", content: "q")
        var answers = [Conversation(), Conversation()]
        answers[0].append(role: "assistant", content: "a")
        answers[1].append(role: "assistant", content: "b")
        answers[1].append(role: "tool", content: "t")
        answers[1].append(role: "assistant", content: "c\n")
        let ids = try encoder.continuations(of: prompt, answers)
        let asked = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
        #expect(ids.prompt == tokenizer.encode(asked, addSpecialTokens: false))
        #expect(
            ids.answers.map { tokenizer.decode($0, skipSpecialTokens: false) } == [
                "a<|im_end|>",
                "b<|im_end|>\n<|im_start|>tool\nt<|im_end|>\n<|im_start|>assistant\nc\n<|im_end|>",
            ])
    }

    @Test("A tokenizer that puts a blank before texts has one text of the whole conversation")
    func blanksBefore() throws {
        let tokenizer = try Self.blankTokenizer()
        let template =
            "{% for m in messages %}{{ m.role[0] + ':' + m.content + '</s>' }}{% endfor %}"
            + "{% if add_generation_prompt %}{{ 'a:' }}{% endif %}"
        let encoder = try ConversationEncoder(
            tokenizer: tokenizer, chatTemplate: ChatTemplate(template), now: Timestamp(seconds: 0))
        let messages = try OrderedJSON(
            parsing: #"[{"role": "user", "content": "b"}, {"role": "assistant", "content": "c d"}]"#)
        let row = try encoder.sequence(messages: messages)
        let whole = tokenizer.encode("u:b</s>a:c d</s>", addSpecialTokens: false)
        #expect(row.ids == whole)
        let learned = zip(row.ids, row.labels).filter { $1 != TokenSequence.ignored }.map {
            tokenizer.token($0.0) ?? ""
        }
        #expect(learned == ["c", "▁", "d", "</s>"])
    }

    /// Llama 2's kind in small.
    private static func blankTokenizer() throws -> Tokenizer {
        let letters = ["</s>", "▁"] + "abcdefghijklmnopqrstuvwxyz:".map { String($0) }
        let vocabulary = letters.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let json = """
            {"added_tokens": [{"id": 0, "content": "</s>", "special": true, "single_word": false,
            "lstrip": false,
            "rstrip": false, "normalized": false}], "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
            "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": {\(vocabulary)}, "merges": []}}
            """
        return try Tokenizer(
            tokenizerJSON: Array(json.utf8), configurationJSON: Array(#"{"eos_token": "</s>"}"#.utf8))
    }
}
