// One reader's event stream: what changed, in order, from where the reader was. A slow reader gets the newest state of
// what changed meanwhile; a reader that comes back with its last id misses nothing and gets nothing twice.

import Controller
import Executors
import Persistence
import Scheduling
import Text

/// What a reader wants to hear of.
struct StreamOrder: Sendable {
    /// In place of a node's id: the logs of all nodes.
    static let allLogs = "*"

    /// Whose runs; nil for all.
    var namespaces: Set<String>?
    /// The run in focus.
    var run: WorkflowSummary?
    /// The log in focus, with the node that was asked for.
    var log: (node: NodeID, log: NodeLog)?
    /// Whether any log of the run in focus is, as one of them all is shown.
    var hearsLogs = false
    /// Where the reader was.
    var since: Int64?
}

/// Used by the one task that writes the stream.
struct EventStream: ~Copyable {
    /// What wakes the writing task.
    private enum Signal: Sendable {
        case changes([RunChange])
        /// Time to look at what is not told: logs, metrics, definitions.
        case beat
    }

    /// The feed ended: the server stops.
    private struct FeedEnded: Error {}

    static let heartbeatInterval = Duration.seconds(10)
    /// Between two looks at a log that grows.
    private static let logInterval = Duration.milliseconds(200)
    private static let beatInterval = Duration.seconds(1)

    private let hub: StreamHub
    private let order: StreamOrder
    private let surroundings: ServerSurroundings
    /// All changes up to here have been sent.
    private var position: Int64 = 0
    /// The place that the reader knows.
    private var toldPosition: Int64 = 0
    /// What of the run in focus has been sent.
    private var runRevision: Int64 = 0
    /// Lines that were sent in a newer state than their change told: that newer change needs no line again.
    private var sentAhead: [String: Int64] = [:]
    private var metrics: DatabaseBeat.MetricState?
    private var definitionRevision: Int64?
    private var lastLog: [String: JSONValue]?
    private var growth = LogGrowth()
    private var lastWrite: Duration
    private var lastSlowBeat: Duration

    init(_ order: StreamOrder, _ hub: StreamHub) {
        self.order = order
        self.hub = hub
        surroundings = hub.context.surroundings
        lastWrite = surroundings.now()
        lastSlowBeat = .seconds(-1_000_000)
    }

    /// Writes until the reader is gone, the task is cancelled, or the feed ends.
    mutating func write(to sink: any ReplySink) async throws {
        let changes = try await begin(sink)
        let mailbox = Mailbox<Signal>(capacity: 1)
        let interval = order.log == nil && !order.hearsLogs ? Self.beatInterval : Self.logInterval
        let sleep = surroundings.sleep
        let feeding: @Sendable () async throws -> Void = {
            for await batch in changes { try await mailbox.put(.changes(batch)) }
            mailbox.close(FeedEnded())
        }
        let beating: @Sendable () async throws -> Void = {
            while true {
                try await sleep(interval)
                try await mailbox.put(.beat)
            }
        }
        async let _ = feeding()
        async let _ = beating()
        do {
            try await beat(sink)
            while true {
                for signal in try await mailbox.take() {
                    switch signal {
                    case .changes(let changes): try await send(changes, to: sink)
                    case .beat: try await beat(sink)
                    }
                }
            }
        } catch {
            mailbox.close(error)
            // Both children end with this scope, which cancels them.
            guard error is FeedEnded else { throw error }
        }
    }

    // MARK: The beginning

    /// Finds where to begin, and says it.
    private mutating func begin(_ sink: any ReplySink) async throws -> AsyncStream<[RunChange]> {
        var isReset = false
        let (store, feed) = (hub.context.store, hub.context.feed)
        var stream: AsyncStream<[RunChange]>?
        if let since = order.since {
            position = since
            do {
                stream = try await feed.changes(after: since, namespaces: feedNamespaces)
            } catch StoreError.expired {
                isReset = true
            }
        }
        let isResumed = stream != nil
        if !isResumed { position = try await store.latestRevision() }
        let changes: AsyncStream<[RunChange]>
        if let stream {
            changes = stream
        } else {
            changes = try await feed.changes(after: position, namespaces: feedNamespaces)
        }
        let hello = JSONValue.object([
            "revision": .int(Int(position)), "serverTime": .moment(hub.context.now()),
            "version": .string(hub.context.version), "reset": .bool(isReset),
        ])
        try await write(StreamEvent.bytes("hello", id: position, hello), to: sink)
        runRevision = position
        if let run = order.run, !isResumed {
            try await sendRun(run.uid, after: 0, change: position, to: sink)
        }
        return changes
    }

    /// The feed also tells of the run in focus, wherever it is.
    private var feedNamespaces: Set<String>? {
        guard var namespaces = order.namespaces else { return nil }
        if let run = order.run { namespaces.insert(run.namespace) }
        return namespaces
    }

    // MARK: Changes

    private mutating func send(_ changes: [RunChange], to sink: any ReplySink) async throws {
        // The run in focus goes first. A change stands for all of its run before it, so that another run's event in
        // front of it would tell a place behind changes of nodes that were not sent yet.
        if let run = order.run, let change = changes.last(where: { $0.uid == run.uid }), !change.isDeleted,
            change.revision > max(position, runRevision)
        {
            try await sendRun(run.uid, after: runRevision, change: change.revision, to: sink)
        }
        // Lines and deletions go in the order of their revisions, so that a lost connection loses none of them.
        var lines: [RunChange] = []
        var deletions: [RunChange] = []
        for change in changes where change.revision > position {
            if !deletions.isEmpty, !change.isDeleted { try await flush(&lines, &deletions, to: sink) }
            if change.isDeleted {
                if !lines.isEmpty { try await flush(&lines, &deletions, to: sink) }
                if isWanted(change) { deletions.append(change) }
                continue
            }
            if isWanted(change) { lines.append(change) }
        }
        try await flush(&lines, &deletions, to: sink)
        position = max(position, changes.last?.revision ?? 0)
        // What was sent ahead needs no event again, but the reader must know how far it has come.
        if position > toldPosition { try await write(StreamEvent.place(position), to: sink) }
    }

    private func isWanted(_ change: RunChange) -> Bool {
        order.namespaces?.contains(change.namespace) ?? true
    }

    private mutating func flush(
        _ lines: inout [RunChange], _ deletions: inout [RunChange], to sink: any ReplySink
    ) async throws {
        defer { (lines, deletions) = ([], []) }
        if let last = lines.last {
            let wanted = lines.filter { change in
                guard let sent = sentAhead[change.uid] else { return true }
                if sent <= change.revision { sentAhead[change.uid] = nil }
                return sent < change.revision
            }
            position = max(position, last.revision)
            if !wanted.isEmpty {
                let items = try await hub.items(wanted)
                for item in items where item.revision > last.revision { sentAhead[item.uid] = item.revision }
                if !items.isEmpty {
                    let json = StreamEvent.list(items.map(\.json))
                    try await write(StreamEvent.bytes("runs", id: position, json), to: sink)
                }
            }
        }
        guard let last = deletions.last else { return }
        position = max(position, last.revision)
        for change in deletions { sentAhead[change.uid] = nil }
        let items = deletions.map { change in
            JSONValue.object([
                "uid": .string(change.uid), "namespace": .string(change.namespace),
                "name": .string(change.name),
            ])
        }
        try await write(StreamEvent.bytes("deleted", id: position, ["items": .array(items)]), to: sink)
    }

    private mutating func sendRun(
        _ uid: String, after revision: Int64, change: Int64, to sink: any ReplySink
    ) async throws {
        guard let delta = try await hub.delta(uid, after: revision, change: change) else { return }
        runRevision = max(runRevision, delta.revision)
        try await write(StreamEvent.bytes("run", id: position, delta.json), to: sink)
    }

    // MARK: What is looked at

    private mutating func beat(_ sink: any ReplySink) async throws {
        if let log = order.log { try await sendLog(log.node, log.log, to: sink) }
        if order.hearsLogs, let run = order.run {
            let now = surroundings.now()
            if let bytes = try await growth.look(run.uid, revision: max(runRevision, position), hub, at: now)
            {
                let json: JSONValue = ["node": .string(StreamOrder.allLogs), "bytes": .int(bytes)]
                try await write(StreamEvent.bytes("log", id: position, json), to: sink)
            }
        }
        let now = surroundings.now()
        if now - lastSlowBeat >= Self.beatInterval {
            lastSlowBeat = now
            if let run = order.run { try await sendMetrics(run.uid, to: sink) }
            let revision = try await hub.beat.definitionRevision()
            if let old = definitionRevision, old != revision {
                try await write(StreamEvent.bytes("schedules", id: position, [:]), to: sink)
            }
            definitionRevision = revision
        }
        if surroundings.now() - lastWrite >= Self.heartbeatInterval {
            try await write(StreamEvent.heartbeat, to: sink)
        }
    }

    private mutating func sendMetrics(_ uid: String, to sink: any ReplySink) async throws {
        let state = try await hub.beat.metricState(of: uid)
        defer { metrics = state }
        // What there was before the reader came is fetched with the chart.
        guard let metrics else { return }
        for (node, names) in state.news(since: metrics) {
            let json: JSONValue = ["uid": .string(uid), "node": .string(node), "names": .texts(names)]
            try await write(StreamEvent.bytes("metrics", id: position, json), to: sink)
        }
    }

    private mutating func sendLog(_ node: NodeID, _ log: NodeLog, to sink: any ReplySink) async throws {
        var members = MartletRoutes.members(try await hub.logs.snapshot(log))
        members["node"] = .string(node)
        guard members != lastLog else { return }
        lastLog = members
        try await write(StreamEvent.bytes("log", id: position, .object(members)), to: sink)
    }

    private mutating func write(_ bytes: [UInt8], to sink: any ReplySink) async throws {
        try await sink.write(bytes)
        // Each event carries the place, comments come when it has been told.
        toldPosition = position
        lastWrite = surroundings.now()
    }
}
