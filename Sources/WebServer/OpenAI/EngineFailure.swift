// What the engine throws, as what the client is told.
import Inference

enum EngineFailure {
    /// Nil for failures that are not the client's to know.
    static func translate(_ error: any Error, maxModelLength: Int) -> APIError? {
        if let error = error as? ConstraintError {
            return .badRequest(
                "the answer's form cannot be enforced: \(error)", parameter: "structured_outputs")
        }
        if let error = error as? SamplingError { return .badRequest("\(error)") }
        guard let error = error as? EngineError else { return nil }
        switch error {
        case .queueFull:
            return .tooManyRequests("the server's queue is full; try again in a moment")
        case .tooLong:
            return .badRequest(
                "This model's maximum context length is \(maxModelLength) tokens: \(error)",
                parameter: "max_tokens")
        case .unknownAdapter(let name): return .unknownModel(name)
        case .badRequest(let message): return .badRequest(message)
        }
    }
}
