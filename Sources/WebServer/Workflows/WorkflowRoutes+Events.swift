// `stream/events`: what happened in runs, as events of Kubernetes.

import Controller
import Persistence
import Synchronization
import Text

/// Events that belong to no run, such as a webhook that could not be submitted: the newest few, in memory.
final class RecentEvents: Sendable {
    struct Entry: Sendable {
        var number: Int
        var namespace: String
        var event: JSONValue
    }

    private struct State {
        var count = 0
        var entries: [Entry] = []
    }

    private static let limit = 200
    private let state = Mutex(State())

    func add(namespace: String, _ event: (_ number: Int) -> JSONValue) {
        state.withLock { state in
            state.count += 1
            state.entries.append(Entry(number: state.count, namespace: namespace, event: event(state.count)))
            if state.entries.count > Self.limit { state.entries.removeFirst() }
        }
    }

    func entries(after number: Int) -> [Entry] { state.withLock { $0.entries.filter { $0.number > number } } }

    var latest: Int { state.withLock { $0.count } }
}

/// An event as Kubernetes has it.
enum KubernetesEvent {
    private static let warnings: Set<String> = [
        "WorkflowFailed", "WorkflowTimedOut", "WorkflowNodeFailed", "WorkflowNodeError",
        "WorkflowEventBindingError",
    ]

    static func json(
        kind: String = "Workflow", name: String, namespace: String, uid: String, id: String,
        at moment: Timestamp,
        reason: String, message: String
    ) -> JSONValue {
        let time = JSONValue.string(moment.rfc3339)
        return .object([
            "apiVersion": "v1", "kind": "Event", "count": 1, "reason": .string(reason),
            "message": .string(message), "type": .string(warnings.contains(reason) ? "Warning" : "Normal"),
            "firstTimestamp": time, "lastTimestamp": time, "eventTime": .null, "reportingComponent": "",
            "reportingInstance": "",
            "source": ["component": "workflow-controller"],
            "involvedObject": .object([
                "apiVersion": "argoproj.io/v1alpha1", "kind": .string(kind), "name": .string(name),
                "namespace": .string(namespace), "uid": .string(uid),
            ]),
            "metadata": .object([
                "name": .string("\(name).\(id)"), "namespace": .string(namespace),
                "uid": .string("\(uid)-\(id)"),
                "creationTimestamp": time, "resourceVersion": .string(id),
            ]),
        ])
    }
}

extension WorkflowRoutes {
    /// Events that are read of a run at one time.
    private static let eventPage = 500
    /// Runs whose last sent event is remembered by one stream.
    private static let placeLimit = 10_000
    /// Runs that are looked through for a reader who comes back.
    private static let resumedRuns = 200
    /// How often events without a run are looked for.
    private static let recentInterval = Duration.seconds(1)

    func watchEvents(_ request: ServiceRequest) async throws -> HTTPReply {
        let wish = try EventWish(request)
        let uid = try await uid(of: wish)
        let start = try await context.store.latestRevision()
        let namespaces = wish.namespace.map { Set([$0]) } ?? request.principal.namespaces(.viewer)
        let changes = try await told {
            try await context.feed.changes(after: start, uid: uid, namespaces: namespaces)
        }
        let (recentStart, startedAt) = (webhookEvents.latest, context.now())
        return stream(request).reply { [self] outlet in
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask {
                    try await sendRunEvents(wish, uid, changes, startedAt: startedAt, to: outlet)
                }
                group.addTask {
                    var last = recentStart
                    while true {
                        try await context.surroundings.sleep(Self.recentInterval)
                        for entry in webhookEvents.entries(after: last) {
                            last = entry.number
                            guard namespaces?.contains(entry.namespace) ?? true, wish.wants(entry.event)
                            else { continue }
                            try await outlet.send(outlet.framing.frame(result: entry.event))
                        }
                    }
                }
                // The feed's end is the stream's.
                try await group.next()
            }
        }
    }

    /// The run that is asked for by name; nil for all.
    private func uid(of wish: EventWish) async throws -> String? {
        guard let name = wish.name, wish.kind == nil || wish.kind == "Workflow" else { return nil }
        guard let namespace = wish.namespace else { return nil }
        return try await context.store.workflow(namespace: namespace, name: name)?.uid
    }

    private func sendRunEvents(
        _ wish: EventWish, _ uid: String?, _ changes: AsyncStream<[RunChange]>, startedAt: Timestamp,
        to outlet: ResultStream.Outlet
    ) async throws {
        var last: [String: Int64] = [:]
        for run in try await known(wish, uid) {
            last[run.uid] = try await send(run, after: wish.after ?? 0, since: nil, wish, to: outlet)
        }
        for await batch in changes {
            for change in batch {
                guard !change.isDeleted else {
                    last[change.uid] = nil
                    continue
                }
                let run = RunIdentity(uid: change.uid, name: change.name, namespace: change.namespace)
                // Of a run that went on before the stream began, only what happened since is told.
                let isNew = last[run.uid] == nil && wish.after == nil
                last[run.uid] = try await send(
                    run, after: last[run.uid] ?? wish.after ?? 0, since: isNew ? startedAt : nil, wish,
                    to: outlet)
                // Dropped places are found again by their time.
                if last.count > Self.placeLimit { last = [run.uid: last[run.uid] ?? 0] }
            }
        }
    }

    /// The runs whose events are told at once: the one that is asked for by name, and for a reader who goes on from an
    /// event the newest.
    private func known(_ wish: EventWish, _ uid: String?) async throws -> [RunIdentity] {
        if let uid { return try await context.store.workflow(uid: uid).map { [$0.summary.identity] } ?? [] }
        guard wish.after != nil, let namespace = wish.namespace else { return [] }
        let query = WorkflowQuery(namespace: namespace, limit: Self.resumedRuns)
        return try await context.store.workflows(query).workflows.reversed().map(\.identity)
    }

    /// - Returns: the id of the last event.
    private func send(
        _ run: RunIdentity, after id: Int64, since: Timestamp?, _ wish: EventWish,
        to outlet: ResultStream.Outlet
    ) async throws -> Int64 {
        var last = id
        while true {
            let events = try await context.store.events(run.uid, after: last, limit: Self.eventPage)
            for (id, event) in events {
                last = id
                if let since, event.at < since { continue }
                let json = KubernetesEvent.json(
                    name: run.name, namespace: run.namespace, uid: run.uid, id: "\(id)", at: event.at,
                    reason: event.kind, message: event.message)
                if wish.wants(json) { try await outlet.send(outlet.framing.frame(result: json)) }
            }
            if events.count < Self.eventPage { return last }
        }
    }
}

/// Which run something belongs to.
struct RunIdentity: Sendable, Hashable {
    var uid: String
    var name: String
    var namespace: String
}

extension WorkflowSummary {
    var identity: RunIdentity { RunIdentity(uid: uid, name: name, namespace: namespace) }
}

/// Which events a stream is to show: `involvedObject.kind=Workflow,involvedObject.name=x,type=Warning`.
private struct EventWish: Sendable {
    /// nil for all that the reader may see.
    var namespace: String?
    var name: String?
    var kind: String?
    /// The last event that the reader has.
    var after: Int64?
    private var conditions: [(path: [String], value: String)] = []

    init(_ request: ServiceRequest) throws(ServiceError) {
        namespace = request["namespace"].isEmpty ? nil : request["namespace"]
        after = try WorkflowRoutes.revision(request.query)
        for clause in (request.query["listOptions.fieldSelector"] ?? "").split(separator: ",").prefix(20) {
            guard let place = clause.firstIndex(of: "=") else {
                throw .invalid("fieldSelector: \"\(String(clause).shortened)\" is no a=b")
            }
            let path = clause[..<place].split(separator: ".").map(String.init)
            let value = clause[clause.index(after: place)...].drop { $0 == "=" }
            conditions.append((path, String(value)))
            if path == ["involvedObject", "name"] { name = String(value) }
            if path == ["involvedObject", "kind"] { kind = String(value) }
        }
    }

    func wants(_ event: JSONValue) -> Bool {
        conditions.allSatisfy { condition in
            condition.path.reduce(event as JSONValue?) { $0?[$1] }?.scalarText == condition.value
        }
    }
}
