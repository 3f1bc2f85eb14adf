// What is done with a run that is there: retry, resubmit, resume, suspend, stop, terminate, set.

import Controller
import Persistence
import Scheduling
import Text

extension WorkflowRoutes {
    var verbRoutes: [ServiceRoute] {
        [
            verb("retry", "RetryWorkflow") { row, body, _ in try await retry(row, body) },
            verb("resubmit", "ResubmitWorkflow") { try await resubmit($0, $1, $2) },
            verb("resume", "ResumeWorkflow") { row, body, _ in
                let selector = try Self.selector(body["nodeFieldSelector"]?.stringValue)
                return try await control(row, .resume(selector: selector))
            },
            verb("suspend", "SuspendWorkflow") { row, _, _ in try await control(row, .suspend) },
            verb("stop", "StopWorkflow") { row, body, _ in
                let selector = try Self.selector(body["nodeFieldSelector"]?.stringValue)
                let message = body["message"]?.stringValue ?? ""
                return try await control(row, .stop(message: message, selector: selector))
            },
            verb("terminate", "TerminateWorkflow") { row, _, _ in try await control(row, .terminate) },
            verb("set", "SetWorkflow") { row, body, _ in try await control(row, try Self.settings(body)) },
        ]
    }

    private func verb(
        _ word: String, _ operation: String,
        _ body: @escaping @Sendable (WorkflowRow, JSONValue, ServiceRequest) async throws -> HTTPReply
    ) -> ServiceRoute {
        ServiceRoute(
            "PUT", "/api/v1/workflows/{namespace}/{name}/\(word)", "WorkflowService_\(operation)",
            .namespaced(.editor)
        ) { request in
            let given = try await request.json()
            return try await body(try await row(request), given, request)
        }
    }

    func control(_ row: WorkflowRow, _ command: Scheduling.Command) async throws -> HTTPReply {
        let state = try await context.operations.control(row.uid, command)
        return .json(try await document(state.uid))
    }

    func retry(_ row: WorkflowRow, _ body: JSONValue) async throws -> HTTPReply {
        let wish = RetryRequest(
            restartSuccessful: body["restartSuccessful"]?.boolValue ?? false,
            selector: try Self.selector(body["nodeFieldSelector"]?.stringValue),
            parameters: try Self.parameters(body["parameters"]))
        let state = try await context.operations.retry(row.uid, wish)
        return .json(try await document(state.uid))
    }

    func resubmit(_ row: WorkflowRow, _ body: JSONValue, _ request: ServiceRequest) async throws -> HTTPReply
    {
        let state = try await context.operations.resubmit(
            row.uid, memoized: body["memoized"]?.boolValue ?? false,
            parameters: try Self.parameters(body["parameters"]), creator: Self.creator(request))
        return .json(try await document(state.uid))
    }

    /// The `set` of nodes that wait: a phase, a message, and outputs as a JSON object in a text.
    private static func settings(_ body: JSONValue) throws(ServiceError) -> Scheduling.Command {
        var phase: Phase?
        if let word = body["phase"]?.stringValue, !word.isEmpty {
            phase = Phase(rawValue: word)
            guard let known = phase, known.isFulfilled, known != .omitted else {
                throw .invalid(
                    "phase is \"\(word.shortened)\"; it is one of Succeeded, Failed, Error, Skipped")
            }
        }
        let message = body["message"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        var outputs: [String: String] = [:]
        if let text = body["outputParameters"]?.stringValue, !text.isEmpty {
            guard let value = try? JSONValue(parsing: text), let members = value.objectValue else {
                throw .invalid("outputParameters is no JSON object of texts, such as {\"approved\": \"yes\"}")
            }
            outputs = members.mapValues { $0.scalarText ?? $0.compactText }
        }
        guard phase != nil || message != nil || !outputs.isEmpty else {
            throw .invalid("nothing to set: give phase, message or outputParameters")
        }
        return .set(
            selector: try selector(body["nodeFieldSelector"]?.stringValue), phase: phase, message: message,
            outputs: outputs)
    }
}
