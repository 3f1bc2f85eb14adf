// A tokenizer as it lies in a model's directory: several files that complete each other.

import Foundation
import Testing
import Text

@testable import Models

@Suite("Tokenizer directories")
struct TokenizerDirectoryTests {
    /// Writes files into a new directory, which goes away after `body`.
    private static func withDirectory(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let directory = NSTemporaryDirectory() + "martlet-tokenizer-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (name, text) in files {
            let path = "\(directory)/\(name)"
            let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        try body(directory)
    }

    private static let tokenizer = String(
        decoding: TokenizerFixture(tokens: ["a", "b", "<s>"]).json, as: UTF8.self)

    @Test("Roles come from tokenizer_config.json, and what it lacks from special_tokens_map.json")
    func roles() throws {
        let files = [
            "tokenizer.json": Self.tokenizer,
            "tokenizer_config.json":
                #"{"bos_token": {"content": "<s>", "lstrip": true}, "pad_token": null, "unk_token": "<u>"}"#,
            "special_tokens_map.json":
                #"{"bos_token": "b", "eos_token": "</s>", "additional_special_tokens": []}"#,
        ]
        try Self.withDirectory(files) { directory in
            let tokenizer = try Tokenizer(directory: directory)
            #expect(tokenizer.bosToken == "<s>" && tokenizer.eosToken == "</s>" && tokenizer.padToken == nil)
            #expect(tokenizer.bosTokenID == 2 && tokenizer.unkTokenID == 3 && tokenizer.eosTokenID == 4)
            #expect(tokenizer.isSpecial(2) && tokenizer.isSpecial(4) && !tokenizer.isSpecial(0))
            #expect(tokenizer.encode("a</s>  <s>b", addSpecialTokens: false) == [0, 4, 2, 1])
            #expect(tokenizer.vocabularySize == 5)
        }
    }

    @Test("Tokens that tokenizer.json lacks are added in the order of their ids")
    func listedTokens() throws {
        let files = [
            "tokenizer.json": Self.tokenizer,
            "tokenizer_config.json": #"""
            {"added_tokens_decoder": {"10": {"content": "<t10>", "special": true}, "4": {"content": "<t4>"},
            "2": {"content": "<s>", "special": true, "rstrip": true}},
                "additional_special_tokens": ["<more>", "<t4>"]}
            """#,
        ]
        try Self.withDirectory(files) { directory in
            let tokenizer = try Tokenizer(directory: directory)
            #expect(tokenizer.encode("<s>  <t4><t10><more>", addSpecialTokens: false) == [2, 3, 4, 5])
            #expect([2, 3, 4, 5].allSatisfy { tokenizer.isSpecial($0) })
        }
    }

    @Test("Chat templates: one, several by name, in files of their own")
    func chatTemplates() throws {
        let several =
            #"{"chat_template": [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}]}"#
        let cases: [(files: [String: String], templates: [String: String])] = [
            ([:], [:]),
            (["tokenizer_config.json": #"{"chat_template": "one"}"#], ["default": "one"]),
            (["tokenizer_config.json": several], ["default": "d", "rag": "r"]),
            (
                ["tokenizer_config.json": several, "chat_template.jinja": "file"],
                ["default": "file", "rag": "r"]
            ),
            (["chat_template.json": #"{"chat_template": "json"}"#], ["default": "json"]),
            (
                [
                    "chat_template.jinja": "x", "additional_chat_templates/tool_use.jinja": "t",
                    "additional_chat_templates/note.txt": "n",
                ],
                ["default": "x", "tool_use": "t"]
            ),
        ]
        for (files, templates) in cases {
            try Self.withDirectory(files.merging(["tokenizer.json": Self.tokenizer]) { $1 }) { directory in
                let tokenizer = try Tokenizer(directory: directory)
                #expect(tokenizer.chatTemplates == templates)
            }
        }
    }

    @Test("A directory without tokenizer.json is refused with a remedy")
    func missing() throws {
        try Self.withDirectory(["other": ""]) { directory in
            #expect {
                try Tokenizer(directory: directory)
            } throws: { error in
                "\(error)".contains("tokenizer.json: no such file") && "\(error)".contains("--tokenizer")
            }
        }
        try Self.withDirectory(["tokenizer.json/x": ""]) { directory in
            #expect(throws: TokenizerError.self) { try Tokenizer(directory: directory) }
        }
    }
}
