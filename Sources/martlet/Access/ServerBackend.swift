// The runs of a server, over HTTP: Argo's routes for the verbs, Martlet's own for lists and whole states.

import Controller
import Dispatch
import Persistence
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

struct ServerBackend: RunBackend {
    /// How long the thread that watches waits before it asks again after a broken connection.
    private static let reconnectPause = Duration.seconds(1)
    /// Runs that a list asks for at a time.
    private static let pageLimit = 500

    let connection: ServerConnection
    let namespace: String

    var isServed: Bool { true }

    private static let argo = ["api", "v1"]
    private static let own = ["api", "martlet", "v1"]

    private func path(_ run: RunReference, _ more: String...) -> [String] {
        Self.argo + ["workflows", run.namespace, run.name] + more
    }

    func reference(_ name: String) async throws -> RunReference {
        do {
            let found = try await connection.ask(
                "GET", Self.argo + ["workflows", namespace, name],
                [("fields", "metadata.name,metadata.namespace,metadata.uid")])
            let metadata = ObjectMetadata(found["metadata"])
            guard !metadata.uid.isEmpty else {
                throw CommandError(
                    "\(connection.endpoint.root) does not answer as a martlet server does", status: 2)
            }
            return RunReference(uid: metadata.uid, namespace: metadata.namespace, name: metadata.name)
        } catch let error as OperationError where error.reason == .notFound {
            let isUID = Self.looksLikeUID(name)
            guard isUID, let summary = try? await connection.ask("GET", Self.own + ["runs", name]) else {
                throw Self.missing(name, namespace, error)
            }
            return RunReference(
                uid: name, namespace: summary["namespace"]?.stringValue ?? namespace,
                name: summary["name"]?.stringValue ?? name)
        }
    }

    /// A missing run in the words that a data directory has for it: the server's own are for programs.
    private static func missing(_ name: String, _ namespace: String, _ error: OperationError)
        -> OperationError
    {
        guard error.message.hasPrefix("workflows.argoproj.io") else { return error }
        return OperationError(
            .notFound,
            name == "@latest"
                ? "no workflows found in namespace \"\(namespace)\""
                : "no workflow is named \"\(name.prefix(100))\" in namespace \"\(namespace)\"; see `martlet list`"
        )
    }

    private static func looksLikeUID(_ name: String) -> Bool {
        name.utf8.count == 36 && name.split(separator: "-").count == 5
    }

    func state(_ run: RunReference) async throws -> WorkflowState {
        let json = try await connection.ask("GET", Self.own + ["runs", run.uid, "state"])
        guard let state = StoredRunJSON.state(json, at: Environment.now()) else {
            throw CommandError(
                "workflow \(run.name) cannot be read: the server is another version of martlet", status: 2)
        }
        return state
    }

    func summaries(_ selection: RunSelection) async throws -> [WorkflowSummary] {
        let query = selection.query
        var words: [(String, String)] = []
        if let namespace = query.namespace { words.append(("namespace", namespace)) }
        let phases = query.phases.subtracting([""]).sorted()
        if !phases.isEmpty { words.append(("phase", phases.joined(separator: ","))) }
        if let labels = selection.labels { words.append(("label", labels)) }
        if let prefix = query.namePrefix { words.append(("q", prefix)) }
        if let moment = query.createdAfter { words.append(("createdAfter", moment.rfc3339)) }
        if let moment = query.finishedBefore { words.append(("finishedBefore", moment.rfc3339)) }
        var found: [WorkflowSummary] = []
        var cursor: String?
        while true {
            let size = min(Self.pageLimit, (selection.limit ?? Int.max) - found.count)
            var asked = words + [("limit", "\(max(1, size))")]
            if let cursor { asked.append(("after", cursor)) }
            let page = try await connection.ask("GET", Self.own + ["runs"], asked)
            for item in page["items"]?.arrayValue ?? [] {
                guard let summary = WorkflowSummary(shown: item) else { continue }
                if let prefix = query.namePrefix, !summary.name.hasPrefix(prefix) { continue }
                found.append(summary)
            }
            cursor = page["next"]?.stringValue
            if let limit = selection.limit, found.count >= limit { return Array(found.prefix(limit)) }
            if cursor == nil { return found }
        }
    }

    /// The server's events of the run: each says that it is worth looking again. A thread reads them; after a broken
    /// connection it asks anew, and whoever waits looks in any case.
    func changes(of run: RunReference) -> AsyncStream<Void> {
        let (stream, signals) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let isOver = Flag()
        signals.onTermination = { _ in isOver.raise() }
        signals.yield()
        DispatchQueue(label: "martlet.watch").async { [connection] in
            while !isOver.isRaised {
                try? connection.lines(
                    Self.argo + ["workflow-events", run.namespace],
                    [
                        ("listOptions.fieldSelector", "metadata.name=\(run.name)"),
                        ("fields", "result.type,result.object.metadata.name"),
                    ],
                    accept: "text/event-stream", isCancelled: { isOver.isRaised }
                ) { line in
                    if line.hasPrefix("data:") { signals.yield() }
                    return !isOver.isRaised
                }
                guard !isOver.isRaised else { return }
                isOver.wait(Self.reconnectPause)
                signals.yield()
            }
        }
        return stream
    }

    /// A flag that one thread raises and another waits for.
    private final class Flag: Sendable {
        private let raised = DispatchSemaphore(value: 0)
        private let state = Mutex(false)

        var isRaised: Bool { state.withLock { $0 } }

        func raise() {
            state.withLock { $0 = true }
            raised.signal()
        }

        func wait(_ span: Duration) {
            _ = raised.wait(timeout: .now() + .nanoseconds(Int(span.wholeNanoseconds)))
        }
    }

    // MARK: Verbs

    func create(
        _ manifest: JSONValue, _ catalog: TemplateCatalog, namespace: String, _ options: SubmissionOptions,
        dryRun: Bool
    ) async throws -> WorkflowState {
        let sent = Submission.manifest(manifest, with: options)
        let made = try await connection.ask(
            "POST", Self.argo + ["workflows", namespace],
            body: .object(["workflow": sent, "namespace": .string(namespace), "serverDryRun": .bool(dryRun)]))
        let metadata = ObjectMetadata(made["metadata"])
        guard !dryRun else {
            var named = options
            named.name = metadata.name
            named.namespace = namespace
            return WorkflowState(
                definition: Submission.definition(
                    of: manifest, catalog: catalog, options: named, at: Environment.now()),
                at: Environment.now())
        }
        return try await state(RunReference(uid: metadata.uid, namespace: namespace, name: metadata.name))
    }

    func control(_ run: RunReference, _ command: Scheduling.Command) async throws
        -> WorkflowOperations.Delivery
    {
        var body: [String: JSONValue] = [:]
        let verb: String
        switch command {
        case .stop(let message, let selector):
            verb = "stop"
            body = ["message": .string(message), "nodeFieldSelector": .string(selector?.source ?? "")]
        case .resume(let selector):
            verb = "resume"
            body = ["nodeFieldSelector": .string(selector?.source ?? "")]
        case .set(let selector, let phase, let message, let outputs):
            verb = "set"
            body = [
                "nodeFieldSelector": .string(selector?.source ?? ""), "phase": .string(phase?.rawValue ?? ""),
                "message": .string(message ?? ""),
                "outputParameters": .string(
                    outputs.isEmpty ? "" : JSONValue.object(outputs.mapValues(JSONValue.string)).compactText),
            ]
        case .suspend: verb = "suspend"
        case .terminate, .interrupt: verb = "terminate"
        }
        _ = try await connection.ask("PUT", path(run, verb), body: .object(body))
        return .byDriver
    }

    private static func texts(_ parameters: [(name: String, value: String)]) -> JSONValue {
        .array(parameters.map { .string("\($0.name)=\($0.value)") })
    }

    func retry(_ run: RunReference, _ request: RetryRequest) async throws {
        _ = try await connection.ask(
            "PUT", path(run, "retry"),
            body: .object([
                "restartSuccessful": .bool(request.restartSuccessful),
                "nodeFieldSelector": .string(request.selector?.source ?? ""),
                "parameters": Self.texts(request.parameters),
            ]))
    }

    func resubmit(
        _ run: RunReference, memoized: Bool, parameters: [(name: String, value: String)], priority: Int?
    ) async throws -> RunReference {
        var body: [String: JSONValue] = ["memoized": .bool(memoized), "parameters": Self.texts(parameters)]
        body["priority"] = priority.map(JSONValue.int)
        let made = try await connection.ask("PUT", path(run, "resubmit"), body: .object(body))
        let metadata = ObjectMetadata(made["metadata"])
        return RunReference(uid: metadata.uid, namespace: metadata.namespace, name: metadata.name)
    }

    func delete(_ run: RunReference, force: Bool, dryRun: Bool) async throws -> Int {
        guard dryRun else {
            _ = try await connection.ask("DELETE", path(run), [("force", force ? "true" : "false")])
            return 0
        }
        let state = try await state(run)
        guard !force, !state.isFinished, state.startedAt != nil else { return 0 }
        throw OperationError(
            .precondition, "workflow \(state.name) has not ended; --force ends it and deletes it")
    }

    func labelKeys() async throws -> [String] {
        let answer = try await connection.ask("GET", Self.argo + ["archived-workflows-label-keys"])
        return (answer["items"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    func labelValues(_ key: String) async throws -> [String] {
        let answer = try await connection.ask(
            "GET", Self.argo + ["archived-workflows-label-values"], [("listOptions.labelSelector", key)])
        return (answer["items"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
}

extension WorkflowSummary {
    /// A run as the server's lists have it.
    fileprivate init?(shown json: JSONValue) {
        func moment(_ name: String) -> Timestamp? {
            json[name]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        }
        func texts(_ name: String) -> [String: String] {
            (json[name]?.objectValue ?? [:]).compactMapValues(\.stringValue)
        }
        guard let uid = json["uid"]?.stringValue, let name = json["name"]?.stringValue,
            let createdAt = moment("createdAt")
        else { return nil }
        self.init(
            uid: uid, namespace: json["namespace"]?.stringValue ?? "", name: name,
            phase: json["phase"]?.stringValue ?? "", message: json["message"]?.stringValue ?? "",
            createdAt: createdAt, startedAt: moment("startedAt"), finishedAt: moment("finishedAt"),
            priority: json["priority"]?.intValue ?? 0, labels: texts("labels"),
            annotations: texts("annotations"), archived: json["archived"]?.boolValue ?? false)
    }
}
