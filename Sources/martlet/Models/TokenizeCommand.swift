// `martlet tokenize`, `martlet detokenize` and `martlet chat-template`: what a model reads and writes, by hand.

import ArgumentParser
import Models
import Text

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Show the token ids of a text.",
        discussion: """
            Prints {"ids": [...]}.
            Examples:
              martlet tokenize ./Qwen2.5-0.5B --text "Hello, world"
              cat article.txt | martlet tokenize ./Qwen2.5-0.5B -
            """)

    @OptionGroup var place: TokenizerOptions

    @Argument(help: "- for standard input.")
    var input: String?

    @Option(help: "The text.")
    var text: String?

    @Flag(help: "With the special tokens that the tokenizer adds, such as one for the beginning.")
    var special = false

    func validate() throws {
        guard (input == nil) != (text == nil), input == nil || input == "-" else {
            throw ValidationError("give --text, or - to read standard input")
        }
    }

    func run() throws {
        let tokenizer = try place.loadTokenizer()
        let source = try text ?? String(decoding: Environment.read("-"), as: UTF8.self)
        Output.line(
            #"{"ids":"# + "\(tokenizer.encode(source, addSpecialTokens: special))}".filter { $0 != " " })
    }
}

struct DetokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detokenize", abstract: "Show the text of token ids.",
        discussion: """
            Prints {"text": "..."}.
            Examples:
              martlet detokenize ./Qwen2.5-0.5B --ids 9707,11,1879
            """)

    @OptionGroup var place: TokenizerOptions

    @Option(help: "The ids, with commas between them.")
    var ids: TokenIDs

    @Flag(help: "Leave special tokens out.")
    var skipSpecial = false

    func run() throws {
        let text = try place.loadTokenizer().decode(ids.ids, skipSpecialTokens: skipSpecial)
        Output.line(OrderedJSON.object([.init(key: "text", value: .string(text))]).compactText)
    }
}

struct ChatTemplateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat-template", abstract: "Show what a model reads of a conversation.",
        discussion: """
            Prints {"text": "...", "ids": [...]}.
            Examples:
              echo '[{"role": "user", "content": "Hi"}]' > messages.json
              martlet chat-template ./Qwen2.5-0.5B-Instruct --messages messages.json
            """)

    @OptionGroup var place: TokenizerOptions

    @Option(help: ArgumentHelp("JSON file with the list of messages; - for standard input.", valueName: "F"))
    var messages: String

    @Option(help: ArgumentHelp("JSON file with the list of tools.", valueName: "F"))
    var tools: String?

    @Flag(inversion: .prefixedNo, help: "End where the assistant's answer begins.")
    var addGenerationPrompt = true

    func run() throws {
        let conversation = try Conversation(place.loadTokenizer())
        let text = try conversation.render(
            try Self.read(messages), tools: try tools.map(Self.read),
            addsGenerationPrompt: addGenerationPrompt)
        let ids = conversation.tokenizer.encode(text, addSpecialTokens: false).map {
            OrderedJSON.int(Int($0))
        }
        Output.line(
            OrderedJSON.object([
                .init(key: "text", value: .string(text)), .init(key: "ids", value: .array(ids)),
            ])
            .compactText)
    }

    private static func read(_ path: String) throws -> OrderedJSON {
        let value: OrderedJSON
        do {
            value = try OrderedJSON(parsingUTF8: Environment.read(path))
        } catch let error as JSONParseError {
            throw CommandError("\(path): \(error)", status: 2)
        }
        guard value.arrayValue != nil else {
            throw CommandError("\(path): not a JSON list", status: 2)
        }
        return value
    }
}

/// A model's chat template with what it needs.
struct Conversation {
    let tokenizer: Tokenizer
    private let template: ChatTemplate

    init(_ tokenizer: Tokenizer) throws {
        self.tokenizer = tokenizer
        guard let source = tokenizer.chatTemplates["default"] else {
            throw CommandError(
                "the model has no chat template: use a model made for conversations, or a raw prompt",
                status: 1)
        }
        do {
            template = try ChatTemplate(source)
        } catch {
            throw CommandError("the model's chat template: \(error)", status: 1)
        }
    }

    func render(_ messages: OrderedJSON, tools: OrderedJSON?, addsGenerationPrompt: Bool) throws -> String {
        do {
            return try template.render(
                messages: messages, tools: tools, addGenerationPrompt: addsGenerationPrompt,
                bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken, extra: [:], now: Environment.now()
            )
        } catch {
            throw CommandError("the chat template refused the messages: \(error)", status: 1)
        }
    }
}
