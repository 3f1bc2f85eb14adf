// Martlet's own API for its page and for programs: `/api/martlet/v1`. Each family of routes has a file of its own.

import Controller
import Executors
import NIOPosix
import Persistence
import Scheduling
import Text

struct MartletRoutes: RouteGroup {
    static let prefix = "/api/martlet/v1"

    let context: ServiceContext
    let logs: LogLibrary
    let summaries: RunSummaries
    let streams: StreamHub
    /// When this server began.
    let startedAt: Timestamp
    /// Models that a cluster serves; nil where steps run on this machine.
    var cluster: ClusterDeploymentOperations?

    init(_ context: ServiceContext) {
        self.context = context
        let logs = LogLibrary(dataDirectory: context.dataDirectory, surroundings: context.surroundings)
        self.logs = logs
        summaries = RunSummaries(
            store: context.store,
            medians: PipelineMedians(store: context.store, clock: context.surroundings.now))
        streams = StreamHub(context, logs: logs, summaries: summaries)
        startedAt = context.now()
        cluster = ClusterDeploymentOperations(context.operations.controller?.settings.clusterDeployments)
    }

    var routes: [ServiceRoute] {
        runRoutes + nodeRoutes + reasonRoutes + logRoutes + metricRoutes + pipelineRoutes + submissionRoutes
            + scheduleRoutes
            + deploymentRoutes + modelRoutes + frameRoutes + secretRoutes + streamRoutes + documentRoutes
    }

    /// A route of the own API, below its prefix.
    func route(
        _ method: String, _ path: String, _ operation: String, _ access: RouteAccess, isWrite: Bool? = nil,
        summary: String, bodyLimitBytes: Int = 4 << 20,
        answer: @escaping @Sendable (APIReader) async throws -> HTTPReply
    ) -> ServiceRoute {
        ServiceRoute(
            method, Self.prefix + path, operation, access, isWrite: isWrite, summary: summary,
            bodyLimitBytes: bodyLimitBytes
        ) { request in try await answer(APIReader(request, operation)) }
    }

    // MARK: What many routes need

    /// The run of the path's `{uid}`, if the principal has the role in its namespace.
    ///
    /// To who may not see a run, it is not there.
    func summary(_ reader: APIReader, _ role: Role = .viewer) async throws -> WorkflowSummary {
        let uid = reader.request["uid"]
        guard let summary = try await context.store.workflowSummary(uid: uid),
            reader.request.principal.may(.viewer, in: summary.namespace)
        else { throw Self.noRun(uid) }
        try reader.request.require(role, in: summary.namespace)
        return summary
    }

    /// The same with all that was stored of the run.
    func view(_ reader: APIReader, _ role: Role = .viewer) async throws -> RunView {
        _ = try await summary(reader, role)
        guard let view = try await RunView.load(reader.request["uid"], from: context.store, at: context.now())
        else { throw Self.noRun(reader.request["uid"]) }
        return view
    }

    static func noRun(_ uid: String) -> ServiceError {
        .notFound("there is no run \(uid.shortened); it may have been deleted")
    }

    /// A node of the path's `{node}`: by its id, its name, or the name that people see.
    func node(_ reader: APIReader, of view: RunView) throws -> Node {
        let text = reader.request["node"]
        if let node = view.state.nodes[text] { return node }
        let named = view.nodes.filter { $0.name == text || $0.displayName == text }
        guard let node = named.last else {
            throw ServiceError.notFound("run \(view.summary.name) has no node \(text.shortened)")
        }
        return node
    }

    /// The node of the path without its children. Only that is loaded where the path has its id, as the page's have.
    func storedNode(_ reader: APIReader) async throws -> Node {
        let found = try await context.store.node(reader.request["uid"], reader.request["node"])
        if let found { return found }
        let view = try await view(reader)
        return try node(reader, of: view)
    }

    /// The namespaces that a list is about: the one asked for, if the principal may see it, or all that it may.
    /// - Returns: nil for all there are.
    func namespaces(_ reader: APIReader) throws -> Set<String>? {
        guard let namespace = try reader.text("namespace") else {
            return reader.request.principal.namespaces(.viewer)
        }
        try reader.request.require(.viewer, in: namespace)
        return [namespace]
    }

    /// Runs something that blocks on a thread of its own.
    func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive(work)
    }
}
