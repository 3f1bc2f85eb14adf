// The route of the event stream: one a tab of the page.

import Executors
import Persistence
import Text

extension MartletRoutes {
    var streamRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/stream", "MartletAPI_Stream", .signedIn,
                summary:
                    "Server-sent events of what changes: runs, a run's nodes, metrics, a log, definitions."
            ) { try await openStream($0) }
        ]
    }

    private func openStream(_ reader: APIReader) async throws -> HTTPReply {
        var order = StreamOrder(namespaces: try namespaces(reader))
        order.since = try reader.integer("since").map { Int64($0) }
        // What the reader saw last counts more than where its page began.
        if let text = reader.request.call.headers["last-event-id"], !text.isEmpty {
            guard let revision = Int64(text), revision >= 0 else {
                throw ServiceError.invalid("the header Last-Event-ID is no revision of this stream")
            }
            order.since = revision
        }
        if let uid = try reader.text("run") {
            guard let run = try await context.store.workflowSummary(uid: uid),
                reader.request.principal.may(.viewer, in: run.namespace)
            else { throw Self.noRun(uid) }
            order.run = run
        }
        if let id = try reader.text("log") {
            guard let run = order.run else {
                throw ServiceError.invalid("`log` names a node of a run: give `run`, too")
            }
            if id == StreamOrder.allLogs {
                order.hearsLogs = true
            } else {
                guard let node = try await context.store.node(run.uid, id) else {
                    throw ServiceError.notFound("run \(run.name) has no node \(id.shortened)")
                }
                order.log = NodeLog(node, workflowUID: run.uid).map { (id, $0) }
            }
        }
        let (chosen, streams) = (order, streams)
        return HTTPReply(
            headers: ServerSentEvents.headers,
            body: .stream { sink in
                var stream = EventStream(chosen, streams)
                try await stream.write(to: sink)
            })
    }
}
