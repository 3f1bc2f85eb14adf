// Which chat template `martlet tokenizer` writes.

import ArgumentParser
import Models
import Testing
import Text

@testable import martlet

@Suite("Chat template of a trained tokenizer")
struct ChatTemplateChoiceTests {
    private func request(_ words: [String]) throws -> TokenizerRequest {
        let usual = ["--dataset", "a.txt", "--vocab-size", "300", "--output-dir", "out"]
        return try TokenizerRequest(TokenizerTrainingOptions.parse(usual + words)) { _ in nil }
    }

    @Test(
        "It is ChatML where its tokens are special ones, and none elsewhere, unless one is asked for",
        arguments: [
            ([], ChatML.template), (["--chat-template", "none"], nil),
            (["--special-tokens", "<s>"], nil),
            (["--special-tokens", "<|im_end|>", "--special-tokens", "<|im_start|>"], ChatML.template),
        ] as [([String], String?)])
    func choice(words: [String], template: String?) throws {
        #expect(try request(words).chatTemplate() == template)
    }

    @Test("ChatML without its tokens is refused, and a file that is not there")
    func refusals() throws {
        let error = #expect(throws: CommandError.self) {
            try request(["--special-tokens", "<s>", "--chat-template", "chatml"])
        }
        #expect(error?.status == 2)
        #expect(error?.message.contains("<|im_start|> and <|im_end|>") == true)
        let missing = try request(["--chat-template", "/nowhere/template.jinja"])
        #expect(throws: CommandError.self) { try missing.chatTemplate() }
    }

    @Test("ChatML renders turns between its tokens, and asks for the next")
    func rendering() throws {
        let template = try ChatTemplate(ChatML.template)
        let messages: OrderedJSON = .array([
            .object([.init(key: "role", value: .string("user")), .init(key: "content", value: .string("Hi"))])
        ])
        let text = try template.render(
            messages: messages, tools: nil, addGenerationPrompt: true, bosToken: nil, eosToken: nil,
            now: Timestamp(seconds: 0))
        #expect(text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    }
}
