// Why a step of a run was, or was not, taken from the cache: the fields that differ from the nearest finished one.

import Controller
import Persistence
import Scheduling
import Text

extension MartletRoutes {
    var reasonRoutes: [ServiceRoute] {
        [
            route(
                "GET", "/runs/{uid}/nodes/{node}/why", "MartletAPI_GetNodeReason", .run(.viewer),
                summary: "Why a step ran although one like it had finished, or whose outputs it took over."
            ) { try await getReason($0) }
        ]
    }

    private func getReason(_ reader: APIReader) async throws -> HTTPReply {
        let run = try await summary(reader)
        let word = reader.request["node"]
        let node: Node
        if let stored = try await context.store.node(run.uid, word) {
            node = stored
        } else if let named = ContentReason.node(word, among: try await view(reader).nodes) {
            node = named
        } else {
            throw ServiceError.notFound("run \(run.name) has no node \(word.shortened)")
        }
        let reason = try await ContentReason.of(
            node, run: run.name, namespace: run.namespace, annotations: run.annotations, in: context.store)
        return .json(reason.json)
    }
}
