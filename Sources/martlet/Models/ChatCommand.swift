// `martlet chat`: a conversation in the terminal.

import ArgumentParser
import Glibc
import Inference
import Models
import Synchronization
import Text

struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat", abstract: "Talk with a model in the terminal.",
        discussion: """
            /clear begins anew, /exit or the end of the input leaves, Ctrl-C stops an answer.
            Examples:
              martlet chat ./Qwen2.5-0.5B-Instruct --quant int8
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var sampling: SamplingOptions

    @Option(help: "What the system message says.")
    var system: String?

    @Option(help: ArgumentHelp("Directory of a LoRA adapter.", valueName: "DIR"))
    var adapter: String?

    @Option(help: "YAML or JSON file with these options.")
    var config: String?

    func run() async throws {
        let engine = try await options.makeEngine(EngineSettings())
        let conversation = try Conversation(engine.tokenizer)
        let parameters = try sampling.parameters(options.generationConfiguration())
        try await EngineSession.run(engine, adapter: adapter) { [self] session in
            try await talk(conversation, parameters, session)
        }
    }

    private func talk(
        _ conversation: Conversation, _ parameters: SamplingParameters, _ session: EngineSession
    ) async throws {
        let first = system.map { [GenerateCommand.message("system", $0)] } ?? []
        var messages = first
        let isTerminal = isatty(STDIN_FILENO) == 1
        while true {
            if isTerminal { Output.text("> ") }
            guard let line = readLine() else { return }
            switch line {
            case "": continue
            case "/exit", "/quit": return
            case "/clear":
                messages = first
                continue
            default: messages.append(GenerateCommand.message("user", line))
            }
            let text = try conversation.render(.array(messages), tools: nil, addsGenerationPrompt: true)
            let promptIDs = engine(session, encode: text)
            let answer = try await Self.answer(promptIDs, parameters, session)
            Output.line("")
            messages.append(GenerateCommand.message("assistant", answer))
        }
    }

    private func engine(_ session: EngineSession, encode text: String) -> [Int32] {
        session.engine.tokenizer.encode(text, addSpecialTokens: false)
    }

    /// Ctrl-C ends the answer, not the conversation; what was said until then stays.
    private static func answer(
        _ promptIDs: [Int32], _ parameters: SamplingParameters, _ session: EngineSession
    ) async throws -> String {
        let said = Said()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let (interrupts, interrupt) = AsyncStream<Void>.makeStream()
            let signals = SignalWatch { _ in interrupt.yield() }
            defer { signals.cancel() }
            group.addTask {
                _ = try await session.generate(promptIDs, parameters) { text in
                    Output.text(text)
                    said.text.withLock { $0 += text }
                }
            }
            group.addTask { for await _ in interrupts { return } }
            // Whichever comes first: the end of the answer, or the interruption.
            try await group.next()
            group.cancelAll()
            return said.text.withLock { $0 }
        }
    }
}

/// The answer so far, which is kept when it is interrupted.
private final class Said: Sendable {
    let text = Mutex("")
}
