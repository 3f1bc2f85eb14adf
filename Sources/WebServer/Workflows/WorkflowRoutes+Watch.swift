// `workflow-events`: the changes of runs as they come, from a list's resource version on, without gaps and repeats.

import Controller
import Persistence
import Text

extension WorkflowRoutes {
    /// Runs that a watch without a resource version is told of at its beginning.
    private static let backlogLimit = 10_000
    private static let backlogPage = 100

    var streamRoutes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", "/api/v1/workflow-events/{namespace}", "WorkflowService_WatchWorkflows",
                .namespaced(.viewer),
                answer: watchWorkflows),
            ServiceRoute(
                "GET", "/api/v1/stream/events/{namespace}", "WorkflowService_WatchEvents",
                .namespaced(.viewer),
                answer: watchEvents),
            ServiceRoute(
                "GET", "/api/v1/workflows/{namespace}/{name}/log", "WorkflowService_WorkflowLogs",
                .namespaced(.viewer), answer: workflowLogs),
            ServiceRoute(
                "GET", "/api/v1/workflows/{namespace}/{name}/{podName}/log", "WorkflowService_PodLogs",
                .namespaced(.viewer), answer: workflowLogs),
        ]
    }

    func stream(_ request: ServiceRequest) -> ResultStream {
        ResultStream(
            framing: StreamFraming(accept: request.call.headers["accept"]),
            connection: request.call.connection,
            surroundings: context.surroundings)
    }

    private func watchWorkflows(_ request: ServiceRequest) async throws -> HTTPReply {
        let selection = try RunSelection(request, namespace: request["namespace"])
        let mask = FieldMask(request.query["fields"]).ofWatch()
        let revision = try Self.revision(request.query)
        let start = try await context.store.latestRevision()
        let uid = try await uniqueRun(selection)
        // An expired revision is told before the stream begins, as a status.
        let changes = try await told {
            try await context.feed.changes(
                after: revision ?? start, uid: uid,
                namespaces: selection.namespace.map { [$0] } ?? selection.visible)
        }
        let watch = RunWatch(
            selection: selection, mask: mask, detail: DocumentDetail(mask, below: ["object"]),
            startedAt: context.now())
        return stream(request).reply { [self] outlet in
            var watch = watch
            if revision == nil { try await sendBacklog(&watch, upTo: start, to: outlet) }
            for await batch in changes {
                for change in batch {
                    guard let meaning = watch.meaning(of: change) else { continue }
                    try await send(change, meaning, watch, to: outlet)
                }
            }
        }
    }

    /// The run that alone is meant, so that the feed need not tell of others.
    private func uniqueRun(_ selection: RunSelection) async throws -> String? {
        if let uid = selection.uid { return uid }
        guard let namespace = selection.namespace, let name = selection.exactName else { return nil }
        return try await context.store.workflow(namespace: namespace, name: name)?.uid
    }

    /// The revision to go on from; nil for a watch that begins with what there is.
    static func revision(_ query: URLQuery) throws(ServiceError) -> Int64? {
        guard let text = query["listOptions.resourceVersion"], !text.isEmpty, text != "0" else { return nil }
        guard let revision = Int64(text), revision > 0 else {
            throw .invalid(
                "listOptions.resourceVersion is \"\(text.shortened)\"; give the metadata.resourceVersion of a list"
            )
        }
        return revision
    }

    /// Kubernetes' clients know 410 as "list again".
    func told<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as StoreError {
            guard case .expired(let revision) = error else { throw error }
            throw ServiceError(
                410, 410,
                "too old resource version: \(revision); list again, and watch from that list's version")
        }
    }

    /// What is there when a watch begins without a resource version.
    private func sendBacklog(_ watch: inout RunWatch, upTo start: Int64, to outlet: ResultStream.Outlet)
        async throws
    {
        var after: WorkflowCursor?
        var sent = 0
        repeat {
            let page = try await summaries(watch.selection, limit: Self.backlogPage, after: after)
            for summary in page.workflows {
                let change = RunChange(
                    revision: summary.revision, uid: summary.uid, namespace: summary.namespace,
                    name: summary.name,
                    labels: summary.labels, phase: summary.phase)
                watch.note(backlog: change, after: start)
                try await send(change, .told(.added), watch, to: outlet)
            }
            sent += page.workflows.count
            after = page.next
        } while after != nil && sent < Self.backlogLimit
    }

    private func send(
        _ change: RunChange, _ meaning: RunWatch.Meaning, _ watch: RunWatch, to outlet: ResultStream.Outlet
    ) async throws {
        guard let object = try await object(change, watch) else { return }
        let type: WatchType
        switch meaning {
        case .told(let known): type = known
        case .unseen: type = object.createdAt.map { $0 >= watch.startedAt } == true ? .added : .modified
        }
        let bytes =
            Array("{\"result\":{\"object\":".utf8) + object.text
            + Array(",\"type\":\"\(type.rawValue)\"}}".utf8)
        try await outlet.send(outlet.framing.frame(bytes))
    }

    /// A run at a change, made once for all who want the same; nil for one that is gone, of which a later change
    /// tells.
    private func object(_ change: RunChange, _ watch: RunWatch) async throws -> WatchedObject? {
        let key = FrameKey(uid: change.uid, revision: change.revision, mask: watch.mask)
        return try await frames.object(key) {
            var object: JSONValue
            if change.isDeleted {
                object = WorkflowDocument.json(deleted: change)
            } else {
                guard let found = try await document(change.uid, watch.detail) else { return nil }
                object = found
            }
            // The document may be newer than the change. Who goes on from its version must not miss what came between.
            object = Self.versioned(object, change.revision)
            let created = object["metadata"]?["creationTimestamp"]?.stringValue.flatMap {
                Timestamp(rfc3339: $0)
            }
            var text: [UInt8] = []
            (watch.mask.clean(.object(["object": object]))["object"] ?? [:]).appendCompact(to: &text)
            return WatchedObject(text: text, createdAt: created)
        }
    }

    private static func versioned(_ object: JSONValue, _ revision: Int64) -> JSONValue {
        guard var members = object.objectValue, var metadata = members["metadata"]?.objectValue else {
            return object
        }
        metadata["resourceVersion"] = .string("\(revision)")
        members["metadata"] = .object(metadata)
        return .object(members)
    }
}

enum WatchType: String, Sendable {
    case added = "ADDED"
    case modified = "MODIFIED"
    case deleted = "DELETED"
}

/// What one watcher was told, and so what a change is to it.
struct RunWatch: Sendable {
    /// Runs that are remembered one by one.
    private static let memoryLimit = 50_000

    let selection: RunSelection
    let mask: FieldMask
    let detail: DocumentDetail
    /// Runs that were created later are new to the watcher. Whole seconds, as creation times are shown.
    let startedAt: Timestamp
    /// Whether the run is among those that the watcher has.
    private var has: [String: Bool] = [:]
    /// Revisions that were told at the beginning although they are newer than it.
    private var told: [String: Int64] = [:]

    init(selection: RunSelection, mask: FieldMask, detail: DocumentDetail, startedAt: Timestamp) {
        self.selection = selection
        self.mask = mask
        self.detail = detail
        self.startedAt = Timestamp(seconds: startedAt.seconds)
    }

    mutating func note(backlog change: RunChange, after start: Int64) {
        remember(change.uid, true)
        if change.revision > start { told[change.uid] = change.revision }
    }

    /// What a change is to the watcher.
    enum Meaning: Sendable, Hashable {
        case told(WatchType)
        /// The first that it hears of the run: it is new, or is among those that the watcher has from a list.
        case unseen
    }

    /// Nil for what the watcher need not hear of. Changes must come in order.
    mutating func meaning(of change: RunChange) -> Meaning? {
        if let known = told[change.uid] {
            if known >= change.revision { return nil }
            told[change.uid] = nil
        }
        guard selection.covers(change) else { return nil }
        let had = has[change.uid]
        if change.isDeleted {
            has[change.uid] = nil
            return had == false ? nil : .told(.deleted)
        }
        guard selection.covers(phase: change.phase) else {
            remember(change.uid, false)
            // It left the selection. One that was never in it is told of once, too: the list that the watcher began
            // with may have had it.
            return had == false ? nil : .told(.deleted)
        }
        remember(change.uid, true)
        return had.map { .told($0 ? .modified : .added) } ?? .unseen
    }

    private mutating func remember(_ uid: String, _ isThere: Bool) {
        if has.count >= Self.memoryLimit { has.removeAll() }
        has[uid] = isThere
    }
}
