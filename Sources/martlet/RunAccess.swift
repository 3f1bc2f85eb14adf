// Stored runs as the client verbs see them: found by name, loaded whole, and watched until they end.

import Controller
import Persistence
import Scheduling
import Text

/// Where a verb finds the runs that it is about.
struct RunAccess: Sendable {
    let backend: any RunBackend
    let namespace: String
    /// The data directory, if that is where the runs are.
    var directory: DirectoryBackend? { backend as? DirectoryBackend }

    /// - Parameter execution: how steps run where a verb needs a run that nobody drives.
    init(_ options: ClientOptions, execution: ExecutionSettings? = nil) throws {
        namespace = options.namespace
        if let endpoint = try options.endpoint() {
            backend = ServerBackend(connection: ServerConnection(endpoint), namespace: options.namespace)
        } else {
            backend = try DirectoryBackend(options.location, execution: execution)
        }
    }

    func reference(_ name: String) async throws -> RunReference { try await backend.reference(name) }

    func state(_ run: RunReference) async throws -> WorkflowState { try await backend.state(run) }

    /// - Parameter name: a name, a uid, or `@latest`.
    func state(of name: String) async throws -> WorkflowState {
        try await backend.state(try await backend.reference(name))
    }

    /// Says so on standard error when a run that has not ended has no driver.
    func noteMissingDriver(of state: WorkflowState) {
        guard !backend.isServed, let directory, !state.isFinished, !directory.isDriven(state.uid) else {
            return
        }
        let waits = RunHeader.isSuspended(state)
        Output.note(
            "no process drives workflow \(state.name); "
                + (waits
                    ? "`martlet resume \(state.name)` releases it and goes on"
                    : "`martlet run --resume \(state.name)` goes on with it"))
    }

    /// Drives a run here, or, where somebody else does, waits for its end; then shows it.
    /// - Returns: the exit status that DESIGN gives the outcome.
    func follow(
        _ run: RunReference, _ execution: ExecutionSettings, output: RunOutput, waits: Bool
    ) async throws -> Int32 {
        if let directory, !backend.isServed {
            var driver = try RunDriver(
                store: directory.store, data: directory.location, execution: execution)
            driver.output = output
            driver.waits = waits
            return try await driver.drive(run.uid)
        }
        var watch = RunWatch(access: self)
        watch.output = output
        watch.waits = waits
        return RunDriver.status(of: try await watch.watch(run))
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
