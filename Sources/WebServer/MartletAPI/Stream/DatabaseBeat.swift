// Looks at the database for all streams together: whether anything was written, and what of metrics and definitions is
// new. However many readers ask, each question is asked once in a while.

import Persistence
import Scheduling

actor DatabaseBeat {
    /// The newest points of a run's curves.
    struct MetricState: Sendable, Hashable {
        var heads: [MetricHead] = []
    }

    /// Answers are given again for so long.
    private static let freshness = Duration.milliseconds(200)
    /// Runs whose curves are remembered.
    private static let runLimit = 1_000

    private let store: Store
    private let clock: @Sendable () -> Duration
    private var version: (value: Int, at: Duration)?
    private var definitions: (revision: Int64, version: Int)?
    private var metrics: [String: (state: MetricState, version: Int)] = [:]

    init(store: Store, clock: @escaping @Sendable () -> Duration) {
        self.store = store
        self.clock = clock
    }

    /// Differs when anything was committed in between.
    private func current() async throws -> Int {
        if let version, clock() - version.at < Self.freshness { return version.value }
        let value = try await store.dataVersion()
        version = (value, clock())
        return value
    }

    /// Goes up whenever a definition is written or deleted.
    func definitionRevision() async throws -> Int64 {
        let version = try await current()
        if let definitions, definitions.version == version { return definitions.revision }
        let revision = try await store.latestDefinitionRevision()
        definitions = (revision, version)
        return revision
    }

    func metricState(of uid: String) async throws -> MetricState {
        let version = try await current()
        if let known = metrics[uid], known.version == version { return known.state }
        let state = MetricState(heads: try await store.metricHeads(uid))
        if metrics.count >= Self.runLimit { metrics = [:] }
        metrics[uid] = (state, version)
        return state
    }
}

extension DatabaseBeat.MetricState {
    /// The names of the curves by node that have points which an earlier state did not have.
    func news(since old: DatabaseBeat.MetricState) -> [(node: NodeID, names: [String])] {
        let known = Set(old.heads)
        var names: [NodeID: Set<String>] = [:]
        for head in heads where !known.contains(head) {
            names[head.series.nodeID, default: []].insert(head.series.name)
        }
        return names.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sorted()) }
    }
}
