// What the steps of a run wrote: whole, or on as they write, from one pod or merged by time.

import Controller
import Executors
import Glibc
import NIOPosix
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// What of the logs is asked for.
struct LogOptions: Sendable {
    var podName: String?
    /// Only this container's lines; nil for main and those of container sets.
    var container: String?
    var follows: Bool
    var hasTimes: Bool
    /// The last lines of each pod.
    var tail: Int?
    /// Of each pod's log, bytes beyond which no more lines are given.
    var limitBytes: Int?
    /// In the form of log files, which sorts as text.
    var earliest: String?
    var pattern: RegularExpression?
    var labels: [LabelRequirement]

    /// More lines are not kept for a tail.
    static let tailLimit = 100_000

    init(_ request: ServiceRequest, now: Timestamp) throws {
        let query = request.query
        func text(_ name: String) -> String? { query[name].flatMap { $0.isEmpty ? nil : $0 } }
        func number(_ name: String) throws(ServiceError) -> Int? {
            guard let text = text(name) else { return nil }
            guard let number = Int(text), number >= 0 else {
                throw .invalid("\(name) is \"\(text.shortened)\"; it is a number, 0 or more")
            }
            return number
        }
        podName = request.parameters["podName"] ?? text("podName")
        container = text("logOptions.container")
        follows = query.flag("logOptions.follow")
        hasTimes = query.flag("logOptions.timestamps")
        tail = try number("logOptions.tailLines").map { min($0, Self.tailLimit) }
        limitBytes = try number("logOptions.limitBytes")
        if let seconds = try number("logOptions.sinceSeconds") {
            earliest = (now + .zero - .seconds(min(seconds, 1_000_000_000))).logText
        } else if let seconds = try number("logOptions.sinceTime.seconds") {
            let nanoseconds = try number("logOptions.sinceTime.nanos") ?? 0
            earliest = (Timestamp(seconds: seconds) + .nanoseconds(nanoseconds)).logText
        } else if let moment = text("logOptions.sinceTime") {
            guard let moment = Timestamp(rfc3339: moment) else {
                throw ServiceError.invalid(
                    "logOptions.sinceTime is \"\(moment.shortened)\"; write a moment such as "
                        + "2026-01-31T12:00:00Z"
                )
            }
            earliest = moment.logText
        }
        do {
            pattern = try text("grep").map { text throws(RegularExpressionError) in
                try RegularExpression(text)
            }
        } catch {
            throw ServiceError.invalid("grep: \(error.description)")
        }
        labels = try LabelSelector.parse(text("selector") ?? "")
    }

    func shows(_ line: LogLine) -> Bool {
        if let earliest, line.time < earliest { return false }
        return pattern?.matches(line.text) ?? true
    }

    func text(_ line: LogLine) -> String { hasTimes ? line.time + " " + line.text : line.text }
}

extension Timestamp {
    /// As log files have it: with nine digits, so that texts compare as moments do.
    /// With nine digits always, as lines of log files begin: without them the same moment would sort later.
    var logText: String {
        let fraction = (nanoseconds % 1_000_000_000 + 1_000_000_000) % 1_000_000_000
        return rfc3339.dropLast() + "." + String(1_000_000_000 + fraction).dropFirst() + "Z"
    }

    fileprivate static func - (moment: Timestamp, span: Duration) -> Timestamp { moment + (.zero - span) }
}

/// A run as its logs are looked for: which pods it has, kept up to date node by node.
struct LoggedRun: Sendable {
    let state: WorkflowState
    let options: LogOptions
    private(set) var summary: WorkflowSummary
    private var nodes: [NodeID: Node] = [:]

    init(_ row: WorkflowRow, nodes: [Node], _ options: LogOptions) throws {
        state = try WorkflowDocument.state(row, nodes: [])
        self.options = options
        summary = row.summary
        take(nodes)
    }

    var isFinished: Bool { summary.finishedAt != nil }
    var revision: Int64 { summary.revision }

    mutating func take(_ delta: RunDelta) {
        summary = delta.summary
        if delta.isWhole { nodes = [:] }
        take(delta.nodes)
    }

    private mutating func take(_ changed: [Node]) {
        for node in changed where node.type == .pod || node.type == .container { nodes[node.id] = node }
    }

    /// The pods that are asked for, in the order in which they were made.
    var pods: [Node] {
        nodes.values.filter { $0.type == .pod && isWanted($0) }.sorted { $0.sequence < $1.sequence }
    }

    func podName(_ node: Node) -> String {
        Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
    }

    private func isWanted(_ node: Node) -> Bool {
        if let name = options.podName, ![podName(node), node.id, node.name, node.displayName].contains(name) {
            return false
        }
        guard !options.labels.isEmpty else { return true }
        let template = state.definition.spec.templates.first { $0.name == node.templateName }
        var labels = (template?.raw["metadata"]?["labels"]?.objectValue ?? [:]).compactMapValues(\.scalarText)
        labels["workflows.argoproj.io/workflow"] = state.name
        labels[RunSelection.completedLabel] = node.phase.isFulfilled ? "true" : "false"
        return options.labels.allSatisfy { $0.holds(labels) }
    }

    func file(_ node: Node, _ logs: StepLogs) -> LogFile {
        var containers: Set<String> = [options.container ?? "main"]
        if options.container == nil {
            for inner in nodes.values where inner.type == .container && inner.boundaryID == node.id {
                containers.insert(inner.displayName)
            }
        }
        return logs.file(node, of: state, containers: containers)
    }
}

extension WorkflowRoutes {
    /// Lines that are put together before they are sent.
    private static let batchBytes = 64 << 10
    /// A log that is answered as one object is no longer than this.
    private static let wholeBytes = 16 << 20
    private static let followInterval = Duration.milliseconds(200)

    func workflowLogs(_ request: ServiceRequest) async throws -> HTTPReply {
        let options = try LogOptions(request, now: context.now())
        let row = try await row(request)
        let nodes = try await context.store.nodes(row.uid)
        let run = try LoggedRun(row, nodes: nodes, options)
        if let pod = options.podName, run.pods.isEmpty, !options.follows || run.isFinished {
            throw ServiceError.notFound(
                "pods \"\(pod.shortened)\" not found: workflow \(row.name) has no such pod with a log")
        }
        let stream = stream(request)
        if options.follows {
            return stream.reply { [self] outlet in try await follow(run, to: outlet) }
        }
        let wantsOne =
            stream.framing == .lines && !(request.call.headers["accept"] ?? "").contains("ndjson")
        if wantsOne, let reply = try await wholeLog(run) { return reply }
        return stream.reply { [self] outlet in
            var lines = LogLines(run, StepLogs(dataDirectory: context.dataDirectory))
            while true {
                let (next, batch) = try await Self.onThread { [lines] in
                    var lines = lines
                    let batch = lines.next(bytes: Self.batchBytes)
                    return (lines, batch)
                }
                lines = next
                guard let batch else { return }
                try await outlet.send(batch.flatMap { Self.frame($0, options, outlet.framing) })
            }
        }
    }

    static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        try await NIOThreadPool.singleton.runIfActive(body)
    }

    static func frame(_ entry: LogLines.Entry, _ options: LogOptions, _ framing: StreamFraming) -> [UInt8] {
        framing.frame(
            result: ["content": .string(options.text(entry.line)), "podName": .string(entry.podName)])
    }

    /// The whole log as one JSON object, for clients that take the answer for one: the generated client of
    /// Argo's interface reads `result`, Hera reads `content` and `podName` beside it. Nil for a log that is
    /// too long.
    private func wholeLog(_ run: LoggedRun) async throws -> HTTPReply? {
        let logs = StepLogs(dataDirectory: context.dataDirectory)
        let options = run.options
        let entries: [LogLines.Entry]? = try await Self.onThread {
            var lines = LogLines(run, logs)
            var all: [LogLines.Entry] = []
            var bytes = 0
            while let batch = lines.next(bytes: Self.batchBytes) {
                for entry in batch { bytes += entry.line.text.utf8.count + 64 }
                guard bytes <= Self.wholeBytes else { return nil }
                all += batch
            }
            return all
        }
        guard let entries else { return nil }
        let pods = Set(entries.map(\.podName))
        let pod = pods.count == 1 ? pods.first ?? "" : options.podName ?? ""
        // As the command line shows the lines of several pods.
        let content = entries.map { entry in
            pods.count > 1 ? "\(entry.podName): \(options.text(entry.line))" : options.text(entry.line)
        }.joined(separator: "\n")
        let entry: [String: JSONValue] = ["content": .string(content), "podName": .string(pod)]
        return .json(.object(entry.merging(["result": .object(entry)]) { $1 }))
    }

    // MARK: Following

    /// Sends what there is, then what comes, until the pods that are asked for have ended.
    private func follow(_ first: LoggedRun, to outlet: ResultStream.Outlet) async throws {
        let changes = try await told {
            try await context.feed.changes(after: first.revision, uid: first.state.uid, namespaces: nil)
        }
        let news = ChangeFlag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                for await _ in changes { news.raise() }
            }
            var run = first
            var reader = LogFollower(StepLogs(dataDirectory: context.dataDirectory))
            while true {
                if news.lower() {
                    // A run that was deleted writes nothing more.
                    guard let delta = try await context.store.runDelta(run.state.uid, after: run.revision)
                    else {
                        return
                    }
                    run.take(delta)
                }
                let isLast = run.isFinished || reader.hasEnded(run)
                let horizon = isLast ? nil : context.now().logText
                reader = try await Self.onThread { [run, reader] in
                    var reader = reader
                    reader.look(run, horizon: horizon)
                    return reader
                }
                while true {
                    let (next, entries) = try await Self.onThread { [run, reader] in
                        var reader = reader
                        let entries = reader.next(run.options, bytes: Self.batchBytes)
                        return (reader, entries)
                    }
                    reader = next
                    if entries.isEmpty { break }
                    try await outlet.send(entries.flatMap { Self.frame($0, run.options, outlet.framing) })
                }
                if isLast { return }
                try await context.surroundings.sleep(Self.followInterval)
            }
        }
    }
}
