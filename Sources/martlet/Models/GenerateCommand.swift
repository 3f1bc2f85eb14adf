// `martlet generate`: text from one prompt, or from each line of a file.

import ArgumentParser
import Inference
import Models
import Text

enum GenerateOutput: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Generate text with a model, for one prompt or a file of prompts.",
        discussion: """
            Prompts go to the model as they are; with --chat they are a user's message.
            A file has a JSON object a line, with "prompt", "ids" or "messages"; the answers come in its order.
            With -o json the output is {"prompt_ids", "ids", "text", "finish_reason"}, a line for each prompt.
            Examples:
              martlet generate ./Qwen2.5-0.5B --prompt "Once upon a time" --max_new_tokens 50
              martlet generate ./Qwen2.5-0.5B-Instruct --chat --prompt "Name three birds" --temperature 0
              martlet generate ./Qwen2.5-0.5B --file prompts.jsonl -o json > answers.jsonl
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var sampling: SamplingOptions

    @Option(help: "The prompt.")
    var prompt: String?

    @Option(help: "The prompt as token ids, with commas between them.")
    var ids: TokenIDs?

    @Option(help: ArgumentHelp("JSONL file of prompts; - for standard input.", valueName: "F"))
    var file: String?

    @Flag(help: "Prompts are messages for the model's chat template.")
    var chat = false

    @Option(help: "With --chat: what the system message says.")
    var system: String?

    @Option(help: ArgumentHelp("Directory of a LoRA adapter.", valueName: "DIR"))
    var adapter: String?

    @Option(name: .shortAndLong, help: "text or json.")
    var output: GenerateOutput = .text

    @Option(help: "YAML or JSON file with these options.")
    var config: String?

    func validate() throws {
        guard [prompt != nil, ids != nil, file != nil].filter({ $0 }).count == 1 else {
            throw ValidationError("give one of --prompt, --ids and --file")
        }
    }

    func run() async throws {
        let engine = try await options.makeEngine(EngineSettings())
        try await EngineSession.run(engine, adapter: adapter) { [self] session in
            let parameters = try sampling.parameters(options.generationConfiguration())
            if let file {
                try await generate(file, parameters, session)
            } else {
                let promptIDs = try ids?.ids ?? promptIDs(.string(prompt ?? ""), engine.tokenizer)
                try await show(promptIDs, parameters, session)
            }
        }
    }

    /// Ids of a prompt, which is a text, or a list of messages.
    private func promptIDs(_ prompt: OrderedJSON, _ tokenizer: Tokenizer) throws -> [Int32] {
        var messages = prompt
        if let text = prompt.stringValue {
            guard chat else { return tokenizer.encode(text, addSpecialTokens: true) }
            let system = system.map { [Self.message("system", $0)] } ?? []
            messages = .array(system + [Self.message("user", text)])
        }
        let text = try Conversation(tokenizer).render(messages, tools: nil, addsGenerationPrompt: true)
        return tokenizer.encode(text, addSpecialTokens: false)
    }

    static func message(_ role: String, _ content: String) -> OrderedJSON {
        .object([.init(key: "role", value: .string(role)), .init(key: "content", value: .string(content))])
    }

    private func show(
        _ promptIDs: [Int32], _ parameters: SamplingParameters, _ session: EngineSession
    ) async throws {
        let whole = try await session.generate(promptIDs, parameters) { text in
            if output == .text { Output.text(text) }
        }
        try GeneratedRows.leave([GeneratedRows.row(.object([]), prompt: prompt, answer: whole.text)])
        Output.line(output == .json ? whole.json(promptIDs).compactText : "")
    }

    private func generate(
        _ path: String, _ parameters: SamplingParameters, _ session: EngineSession
    ) async throws {
        let lines = try Environment.read(path).split(separator: 0x0A, omittingEmptySubsequences: false)
        var prompts: [[Int32]] = []
        var rows: [OrderedJSON] = []
        for (index, line) in lines.enumerated() where line.contains(where: { $0 > 0x20 }) {
            do {
                let row = try OrderedJSON(parsingUTF8: Array(line))
                prompts.append(try self.prompt(row, session.engine.tokenizer))
                rows.append(row)
            } catch let error as JSONParseError {
                throw CommandError("\(path):\(index + 1): \(error.message)", status: 65)
            } catch let error as CommandError {
                throw CommandError("\(path):\(index + 1): \(error.message)", status: 65)
            }
        }
        let answers = try await answer(prompts, parameters, session)
        try GeneratedRows.leave(
            zip(rows, answers).map { GeneratedRows.row($0, prompt: nil, answer: $1) })
    }

    /// - Returns: the texts, in the order of the prompts.
    private func answer(
        _ prompts: [[Int32]], _ parameters: SamplingParameters, _ session: EngineSession
    ) async throws -> [String] {
        // As many as the engine runs at once; answers wait for those before them.
        let progress = ProgressLine("generating")
        defer { progress.finish() }
        return try await withThrowingTaskGroup(of: (Int, EngineSession.Whole).self) { group in
            var done: [Int: EngineSession.Whole] = [:]
            var texts: [String] = []
            var (begun, shown) = (0, 0)
            while shown < prompts.count {
                while begun < prompts.count, begun - shown < 64 {
                    let index = begun
                    group.addTask { (index, try await session.generate(prompts[index], parameters)) }
                    begun += 1
                }
                guard let (index, whole) = try await group.next() else { break }
                done[index] = whole
                while let next = done.removeValue(forKey: shown) {
                    Output.line(
                        output == .json
                            ? next.json(prompts[shown]).compactText
                            : OrderedJSON.string(next.text).compactText)
                    texts.append(next.text)
                    shown += 1
                    progress.show(shown, of: prompts.count)
                }
            }
            return texts
        }
    }

    private func prompt(_ line: OrderedJSON, _ tokenizer: Tokenizer) throws -> [Int32] {
        if let elements = line["ids"]?.arrayValue {
            return try elements.map {
                guard let id = $0.intValue.flatMap({ Int32(exactly: $0) }) else {
                    throw CommandError("ids: not a list of token ids", status: 65)
                }
                return id
            }
        }
        guard let prompt = line["messages"] ?? line["prompt"] else {
            throw CommandError("no \"prompt\", \"ids\" or \"messages\" in the line", status: 65)
        }
        return try promptIDs(prompt, tokenizer)
    }
}
