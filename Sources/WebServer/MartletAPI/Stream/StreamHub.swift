// What all event streams share: what is sent is made once for all who stand at the same place.

import Controller
import Persistence
import Scheduling
import Text

/// The line of a run in a stream, with the revision that it shows.
struct StreamItem: Sendable {
    var uid: String
    var revision: Int64
    var json: [UInt8]
}

/// A run's change as a stream sends it.
struct StreamDelta: Sendable {
    /// Where the next one begins.
    var revision: Int64
    /// The event's data line.
    var json: [UInt8]
}

final class StreamHub: Sendable {
    private struct DeltaKey: Hashable {
        var uid: String
        var after: Int64
        var change: Int64
    }

    let context: ServiceContext
    let logs: LogLibrary
    let beat: DatabaseBeat
    private let summaries: RunSummaries
    private let items: SharedPayloads<[Int64], [StreamItem]>
    private let deltas: SharedPayloads<DeltaKey, StreamDelta?>

    init(_ context: ServiceContext, logs: LogLibrary, summaries: RunSummaries) {
        self.context = context
        self.logs = logs
        self.summaries = summaries
        beat = DatabaseBeat(store: context.store, clock: context.surroundings.now)
        items = SharedPayloads(limit: 256)
        deltas = SharedPayloads(limit: 256)
    }

    /// The lines of changed runs as they are now, in the order of the changes. Runs that are gone are left out.
    func items(_ changes: [RunChange]) async throws -> [StreamItem] {
        let (store, summaries) = (context.store, summaries)
        return try await items.value(for: changes.map(\.revision)) {
            let rows = try await store.workflowSummaries(changes.map(\.uid))
            let present = changes.compactMap { rows[$0.uid] }
            let lines = try await summaries.json(present)
            return zip(present, lines).map { row, line in
                StreamItem(uid: row.uid, revision: row.revision, json: Array(line.compactText.utf8))
            }
        }
    }

    /// What of a run is newer than a revision; nil if the run is gone.
    /// - Parameter change: the change that made somebody ask.
    func delta(_ uid: String, after revision: Int64, change: Int64) async throws -> StreamDelta? {
        let (store, summaries) = (context.store, summaries)
        return try await deltas.value(for: DeltaKey(uid: uid, after: revision, change: change)) {
            guard let delta = try await store.runDelta(uid, after: revision) else { return nil }
            let body = JSONValue.object([
                "uid": .string(uid), "revision": .int(Int(delta.summary.revision)),
                "whole": .bool(delta.isWhole),
                "summary": .object(try await summaries.json(delta.summary)),
                "nodes": delta.isWhole ? NodeJSON.list(delta.nodes) : NodeJSON.part(delta.nodes),
            ])
            return StreamDelta(revision: delta.summary.revision, json: Array(body.compactText.utf8))
        }
    }
}
