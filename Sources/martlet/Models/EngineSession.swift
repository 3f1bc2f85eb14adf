// An engine that runs as long as a command needs it.

import Inference
import Text

struct EngineSession: Sendable {
    let engine: InferenceEngine
    private let adapter: String?

    /// A generation from beginning to end.
    struct Whole: Sendable {
        var ids: [Int32] = []
        var text = ""
        var finishReason: FinishReason?

        func json(_ promptIDs: [Int32]) -> OrderedJSON {
            func list(_ ids: [Int32]) -> OrderedJSON { .array(ids.map { .int(Int($0)) }) }
            return .object([
                .init(key: "prompt_ids", value: list(promptIDs)), .init(key: "ids", value: list(ids)),
                .init(key: "text", value: .string(text)),
                .init(key: "finish_reason", value: finishReason.map { .string($0.rawValue) } ?? .null),
            ])
        }
    }

    /// Runs the engine beside `body`, and ends it with that.
    static func run(
        _ engine: InferenceEngine, adapter: String? = nil,
        _ body: @escaping @Sendable (EngineSession) async throws -> Void
    ) async throws {
        do {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await engine.run()
                    return false
                }
                group.addTask {
                    if let adapter { try await engine.loadAdapter(name: "adapter", path: adapter) }
                    try await body(EngineSession(engine: engine, adapter: adapter == nil ? nil : "adapter"))
                    return true
                }
                defer { group.cancelAll() }
                while let isDone = try await group.next(), !isDone {}
            }
        } catch let error as EngineError {
            throw CommandError("\(error)", status: 2)
        } catch let error as ConstraintError {
            throw CommandError("\(error)", status: 2)
        }
    }

    /// - Parameter show: called with the text as it comes.
    func generate(
        _ promptIDs: [Int32], _ parameters: SamplingParameters, show: (String) -> Void = { _ in }
    ) async throws -> Whole {
        var whole = Whole()
        let request = GenerationRequest(
            id: "", promptIDs: promptIDs, sampling: parameters, adapter: adapter)
        for try await update in try await engine.generate(request) {
            whole.ids += update.newIDs
            whole.text += update.text
            whole.finishReason = update.finishReason
            show(update.text)
        }
        return whole
    }
}
