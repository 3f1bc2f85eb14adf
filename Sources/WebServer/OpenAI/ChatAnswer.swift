// What one choice of a chat answer says: the model's text taken apart into thoughts, content and calls of
// tools, as a whole or piece by piece.
import Inference
import Text

/// A piece of an answer as it is streamed.
enum ChatPiece: Equatable, Sendable {
    case content(String)
    case reasoning(String)
    case callStarted(index: Int, name: String)
    case arguments(index: Int, String)
}

/// How the texts of one request's choices are to be read.
struct ChatAnswerFormat: Sendable {
    /// Nil leaves thoughts in the content.
    var splitsReasoning = false
    /// The rendered prompt, which may have opened the thoughts.
    var prompt = ""
    var includesReasoning = true
    /// Nil if the request has no tools, or wants no calls.
    var toolFormat: ToolCallFormat?
    var toolNames: Set<String> = []
    /// Whether the answer is a call, by constraint.
    var mustCall = false
    var allowsParallelCalls = true

    fileprivate func makeReasoning() -> ReasoningParser? {
        splitsReasoning && !mustCall ? ReasoningParser(prompt: prompt) : nil
    }

    fileprivate func makeTools() -> ToolCallParser? {
        toolFormat.map { ToolCallParser(format: $0, names: toolNames, isForced: mustCall) }
    }
}

/// Reads one choice's text while it comes.
struct ChatAnswerStream {
    private let format: ChatAnswerFormat
    private var reasoning: ReasoningParser?
    private var tools: ToolCallParser?
    /// Whether a call was told, which decides the finish reason.
    private(set) var hasCalls = false

    init(_ format: ChatAnswerFormat) {
        self.format = format
        reasoning = format.makeReasoning()
        tools = format.makeTools()
    }

    mutating func feed(_ text: String) -> [ChatPiece] {
        if text.isEmpty { return [] }
        guard let pieces = reasoning?.feed(text) else { return answer(text) }
        return take(pieces)
    }

    mutating func finish() -> [ChatPiece] {
        var result = take(reasoning?.finish() ?? [])
        result += keep(tools?.finish() ?? [])
        return result
    }

    private mutating func take(_ pieces: [ReasoningParser.Piece]) -> [ChatPiece] {
        var result: [ChatPiece] = []
        for piece in pieces {
            switch piece {
            case .reasoning(let text):
                if format.includesReasoning { result.append(.reasoning(text)) }
            case .answer(let text): result += answer(text)
            }
        }
        return result
    }

    private mutating func answer(_ text: String) -> [ChatPiece] {
        guard let events = tools?.feed(text) else { return [.content(text)] }
        return keep(events)
    }

    private mutating func keep(_ events: [ToolCallParser.Event]) -> [ChatPiece] {
        var result: [ChatPiece] = []
        for event in events {
            switch event {
            case .content(let text): result.append(.content(text))
            case .callStarted(let index, let name):
                guard index == 0 || format.allowsParallelCalls else { continue }
                hasCalls = true
                result.append(.callStarted(index: index, name: name))
            case .arguments(let index, let text):
                guard index == 0 || format.allowsParallelCalls else { continue }
                result.append(.arguments(index: index, text))
            }
        }
        return result
    }
}

/// One choice's text, read as a whole.
struct ChatAnswer: Equatable, Sendable {
    var reasoning: String?
    /// Nil if there is nothing but calls.
    var content: String?
    var calls: [ToolCall] = []

    init(_ text: String, _ format: ChatAnswerFormat) {
        var answer = text
        if var parser = format.makeReasoning() {
            answer = ""
            var thoughts = ""
            for piece in parser.feed(text) + parser.finish() {
                switch piece {
                case .reasoning(let text): thoughts += text
                case .answer(let text): answer += text
                }
            }
            reasoning = thoughts.isEmpty || !format.includesReasoning ? nil : thoughts
        }
        guard let toolFormat = format.toolFormat else {
            content = answer
            return
        }
        let parsed = ToolCallParser.parse(
            answer, format: toolFormat, names: format.toolNames, isForced: format.mustCall)
        content = parsed.content
        calls = format.allowsParallelCalls ? parsed.calls : Array(parsed.calls.prefix(1))
    }
}

/// Names of finish reasons on the wire.
enum FinishName {
    /// - Parameter isNamed: a call of one named function ends with "stop", as OpenAI has it.
    static func text(_ reason: FinishReason?, hasCalls: Bool, isNamed: Bool) -> String {
        let text = (reason ?? .stop).rawValue
        return hasCalls && !isNamed && text == "stop" ? "tool_calls" : text
    }

    static func stopReason(_ reason: StopReason?) -> OrderedJSON {
        switch reason {
        case nil: return .null
        case .string(let text)?: return .string(text)
        case .token(let id)?: return .int(Int(id))
        }
    }
}
