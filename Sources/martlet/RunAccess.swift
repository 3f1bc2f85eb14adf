// Stored runs as the client verbs see them: found by name, loaded whole, and watched for change.

import Controller
import Persistence
import Scheduling
import Text

/// A data directory with its store open.
struct RunAccess {
    /// How often a change is looked for while something is awaited.
    static let pollInterval = Duration.milliseconds(200)

    let store: Store
    let data: DataOptions
    let operations: WorkflowOperations

    /// - Parameter execution: how steps run where a verb needs a run that nobody drives.
    init(_ data: DataOptions, execution: ExecutionSettings? = nil) throws {
        self.data = data
        let (store, location) = (try data.openStore(), data.location)
        self.store = store
        var borrowed: (@Sendable () throws -> WorkflowController)?
        if let execution {
            borrowed = { try ExecutorFactory.controller(store, execution, location) }
        }
        operations = WorkflowOperations(
            store: store, artifacts: try ExecutorFactory.artifactStore(location),
            dataDirectory: location.path, controller: nil, borrowed: borrowed, now: Environment.now)
    }

    /// - Parameter name: a name in the namespace, `@latest`, or the uid of a run of any namespace.
    func uid(of name: String) async throws -> String {
        try await RunLookup.uid(of: name, in: operations, namespace: data.namespace)
    }

    /// - Parameter name: a name, a uid, or `@latest`.
    func state(of name: String) async throws -> WorkflowState { try await state(uid: uid(of: name)) }

    func state(uid: String) async throws -> WorkflowState {
        do {
            return try await operations.state(uid)
        } catch let error as OperationError {
            throw CommandError(error.message, status: 2)
        }
    }

    func runDirectory(_ uid: String) -> String { "\(data.path)/runs/\(uid)" }

    /// Whether some process drives the run now.
    func isDriven(_ uid: String) -> Bool { DriverLock.isHeld(runDirectory: runDirectory(uid)) }

    /// Says so on standard error when a run that has not ended has no driver.
    func noteMissingDriver(of state: WorkflowState) {
        guard !state.isFinished, !isDriven(state.uid) else { return }
        let waits = RunHeader.isSuspended(state)
        Output.note(
            "no process drives workflow \(state.name); "
                + (waits
                    ? "`martlet resume \(state.name)` releases it and goes on"
                    : "`martlet run --resume \(state.name)` goes on with it"))
    }
}

/// Finding stored runs by what people call them.
enum RunLookup {
    static func uid(of name: String, in operations: WorkflowOperations, namespace: String) async throws
        -> String
    {
        do {
            return try await operations.uid(of: name, namespace: namespace)
        } catch let error as OperationError where error.reason == .notFound && name != "@latest" {
            guard let uid = try? await operations.uid(of: name, namespace: "") else { throw error }
            return uid
        }
    }
}

/// The answer of `--node-field-selector` and `--status`.
enum SelectorOption {
    /// - Throws: `CommandError` for text that is no selector.
    static func selector(_ text: String?, status: String? = nil) throws -> NodeSelector? {
        guard text == nil || status == nil else {
            throw CommandError("give --status or --node-field-selector, not both", status: 64)
        }
        if let status {
            guard let phase = Phase.allCases.first(where: { $0.rawValue.lowercased() == status.lowercased() })
            else {
                let words = Phase.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandError("\"\(status)\" is no status of a node; it is one of \(words)", status: 64)
            }
            return NodeSelector("phase=\(phase.rawValue)")
        }
        guard let text else { return nil }
        guard let selector = NodeSelector(text), !selector.clauses.isEmpty else {
            throw CommandError(
                "node field selector \"\(text)\" has no =; write displayName=approve or phase=Failed",
                status: 64)
        }
        let known = [
            "displayName", "name", "id", "templateName", "templateRef", "phase", "inputs", "outputs",
        ]
        for clause in selector.clauses where !known.contains(String(clause.field.prefix { $0 != "." })) {
            throw CommandError(
                "node selector: there is no field \"\(clause.field)\"; there are displayName, name, id, "
                    + "templateName, templateRef.name, templateRef.template, phase, "
                    + "inputs.parameters.NAME.value and outputs.parameters.NAME.value", status: 64)
        }
        return selector
    }
}

/// `-p NAME=VALUE` as pairs.
enum ParameterOption {
    static func pairs(_ texts: [String]) throws -> [(name: String, value: String)] {
        try texts.map { text in
            guard let (name, value) = SubmissionRequest.pair(text) else {
                throw CommandError("parameter \"\(text)\" has no =; write -p name=value", status: 64)
            }
            return (name, value)
        }
    }
}
