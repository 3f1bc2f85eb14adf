// What can be done with the models that runs have made, for the command line and the server alike.

package import Artifacts
package import Persistence
package import Scheduling
package import Text

/// A model by its name, as people write it: `NAME`, `NAME:TAG`, `NAME:v3`, `NAMESPACE/NAME:TAG`.
package struct ModelName: Sendable, Hashable {
    package var namespace: String
    package var name: String
    /// A tag, a version or the beginning of a hash; nil for the newest.
    package var reference: String?

    /// Nil for what is no name.
    package init?(_ text: String, namespace: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let place = (parts.first ?? "").split(separator: "/", omittingEmptySubsequences: false).map(
            String.init)
        guard (1...2).contains(place.count), let last = place.last, place.allSatisfy(RepositoryWords.isPart)
        else { return nil }
        if parts.count == 2 {
            guard ModelName.isTag(parts[1]) else { return nil }
            reference = parts[1]
        }
        self.namespace = place.count == 2 ? place[0] : namespace
        name = last
    }

    package static func isTag(_ text: String) -> Bool { RepositoryWords.isPart(text) }
}

/// The registry of one data directory. What it throws is an `OperationError`.
package struct ModelOperations: Sendable {
    /// Which versions garbage collection takes.
    package struct Collection: Sendable, Hashable {
        /// Younger ones stay.
        package var age = Duration.seconds(7 * 86_400)
        /// So many of each name stay, the newest.
        package var keep = 1
        package var isDryRun = false

        package init() {}
    }

    package struct Collected: Sendable, Hashable {
        package var models: [ModelRow] = []
        package var bytes = 0
    }

    let store: Store
    let artifacts: LocalArtifactStore
    package let shelf: ModelShelf
    package let recorder: ModelRecorder
    let now: @Sendable () -> Timestamp

    /// - Parameter version: of this program, noted with what is recorded.
    package init(
        store: Store, artifacts: LocalArtifactStore, dataDirectory: String, version: String,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.store = store
        self.artifacts = artifacts
        self.now = now
        shelf = ModelShelf(dataDirectory: dataDirectory)
        recorder = ModelRecorder(
            store: store, artifacts: artifacts, shelf: shelf, version: version, now: now)
    }

    /// Records what runs have made since the last time, and names it for who serves the folder.
    package func refresh() async throws {
        try await OperationError.naming {
            guard try await recorder.record() > 0 else { return }
            try await rename(try await store.models(limit: 10_000))
        }
    }

    /// Names all versions for who serves the folder: a process that was killed may have recorded some
    /// without.
    package func nameAll() async throws {
        try await OperationError.naming { try await rename(try await store.models(limit: 10_000)) }
    }

    private func rename(_ rows: [ModelRow]) async throws {
        let shelf = shelf
        let families = Dictionary(grouping: rows) { "\($0.namespace)/\($0.name)" }
        try await BlockingThreads.run {
            for family in families.values { try shelf.name(family.sorted { $0.version > $1.version }) }
        }
    }

    private func rename(_ row: ModelRow) async throws {
        try await rename(
            try await store.models(namespaces: [row.namespace], name: row.name, limit: 10_000))
    }

    // MARK: Finding

    /// - Parameter namespaces: nil for all.
    package func list(_ namespaces: Set<String>?, name: String? = nil, limit: Int = 1_000) async throws
        -> [ModelRow]
    {
        try await refresh()
        return try await OperationError.naming {
            try await store.models(namespaces: namespaces, name: name, limit: limit)
        }
    }

    /// - Throws: `OperationError`: `invalid`, `notFound`; `precondition` for one whose bytes were deleted.
    package func model(_ text: String, namespace: String, mayBeDeleted: Bool = false) async throws -> ModelRow
    {
        guard let name = ModelName(text, namespace: namespace) else {
            throw OperationError(
                .invalid,
                "\"\(text.prefix(200))\" is no name of a model; write NAME, NAME:TAG or NAMESPACE/NAME:TAG")
        }
        try await refresh()
        return try await OperationError.naming {
            let found = try await store.model(namespace: name.namespace, name: name.name, name.reference)
            guard let found else {
                let known = try await store.models(namespaces: [name.namespace], limit: 200)
                let names = Set(known.map(\.name)).sorted().prefix(20).joined(separator: ", ")
                throw OperationError(
                    .notFound,
                    "there is no model \"\(text)\" in namespace \"\(name.namespace)\"; "
                        + (names.isEmpty ? "no run has made one yet" : "there are \(names)"))
            }
            guard mayBeDeleted || found.deletedAt == nil else {
                throw OperationError(
                    .precondition, "the bytes of model \"\(text)\" were deleted; run \(found.workflow) again")
            }
            return found
        }
    }

    /// All that a version comes from, and all that came from it, oldest first; at most 1,000.
    package func family(of row: ModelRow) async throws -> [ModelRow] {
        let all = try await OperationError.naming { try await store.models(limit: 10_000) }
        return ModelFamily.members(of: row.id, in: all)
    }

    package func evaluations(of row: ModelRow) async throws -> [EvaluationRow] {
        try await OperationError.naming { try await store.evaluations(sha256: row.sha256) }
    }

    /// Deployments that serve a version, or may go back to it.
    package func deployments(of row: ModelRow) async throws -> [Deployment] {
        try await OperationError.naming {
            try await store.deployments().filter { deployment in
                deployment.revisions.contains { $0.origin.modelHash == row.sha256 && $0.phase != .failed }
            }
        }
    }

    // MARK: Changing

    package func tag(_ row: ModelRow, _ tag: String) async throws {
        guard ModelName.isTag(tag), tag != "main", tag != "latest", Self.isNoVersion(tag) else {
            throw OperationError(
                .invalid,
                "\"\(tag.prefix(100))\" cannot be a tag: use letters, digits and -_., and not main, latest or v1"
            )
        }
        try await OperationError.naming { try await store.tagModel(row, tag) }
        try await rename(row)
    }

    private static func isNoVersion(_ tag: String) -> Bool {
        Int(tag.hasPrefix("v") ? String(tag.dropFirst()) : tag) == nil
    }

    package func untag(_ text: String, namespace: String) async throws {
        guard let name = ModelName(text, namespace: namespace), let tag = name.reference else {
            throw OperationError(.invalid, "\"\(text.prefix(200))\" names no tag; write NAME:TAG")
        }
        let was = try await OperationError.naming {
            try await store.untagModel(namespace: name.namespace, name: name.name, tag)
        }
        guard was else { throw OperationError(.notFound, "model \(name.name) has no tag \"\(tag)\"") }
        try await rename(
            try await store.models(namespaces: [name.namespace], name: name.name, limit: 10_000))
    }

    /// Copies a version's files to a path that must not be there.
    package func export(_ row: ModelRow, to path: String) async throws {
        let shelf = shelf
        try await OperationError.naming {
            try await BlockingThreads.run {
                guard !Disk.exists(path) else {
                    throw OperationError(.conflict, "\(path) is there already; name a directory that is not")
                }
                try Disk.makeDirectories(Disk.parent(of: path))
                try shelf.export(row, to: path)
            }
        }
    }

    /// Deletes the bytes of versions that nobody holds: not tagged, not deployed, not the newest, not young.
    /// What is known of them stays.
    package func collect(_ rule: Collection) async throws -> Collected {
        try await refresh()
        return try await OperationError.naming {
            let rows = try await store.models(limit: 10_000)
            let served = Set(
                try await store.deployments().flatMap { $0.revisions.map(\.origin.modelHash) }.filter {
                    !$0.isEmpty
                })
            let doomed = ModelFamily.garbage(rows, served: served, rule, at: now())
            var collected = Collected()
            guard !rule.isDryRun else {
                collected.models = doomed
                collected.bytes = Self.bytes(of: doomed, among: rows)
                return collected
            }
            let gone = Set(try await store.markModelsDeleted(doomed.map(\.id), at: now()))
            collected.models = doomed.filter { gone.contains($0.id) }
            collected.bytes = Self.bytes(of: collected.models, among: rows)
            try await sweep()
            return collected
        }
    }

    /// Equal contents under one name lie in one place, which goes with the last of them.
    private static func bytes(of doomed: [ModelRow], among rows: [ModelRow]) -> Int {
        let ids = Set(doomed.map(\.id))
        let kept = Set(rows.filter { $0.deletedAt == nil && !ids.contains($0.id) }.map(\.place))
        return Dictionary(doomed.map { ($0.place, $0.bytes) }, uniquingKeysWith: { first, _ in first })
            .filter { !kept.contains($0.key) }.values.reduce(0, +)
    }

    /// Deletes places that only deleted rows name: also those that an earlier collection did not come to.
    private func sweep() async throws {
        let rows = try await store.models(limit: 10_000)
        let living = Set(rows.filter { $0.deletedAt == nil }.map(\.place))
        let dead = Set(rows.filter { $0.deletedAt != nil }.map(\.place)).subtracting(living)
        let (shelf, artifacts, moment) = (shelf, artifacts, now())
        try await rename(rows)
        try await BlockingThreads.run {
            for place in dead { shelf.remove(place) }
            _ = try artifacts.collectGarbage(now: moment.nanoseconds)
        }
    }
}

/// The registry's rules, on values.
package enum ModelFamily {
    /// Members of one answer.
    static let limit = 1_000

    /// Ancestors and descendants of a version with itself, oldest first. Siblings by an ancestor are in it:
    /// a family is what can be compared.
    package static func members(of id: Int64, in rows: [ModelRow]) -> [ModelRow] {
        let byID = Dictionary(rows.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var children: [Int64: [Int64]] = [:]
        for row in rows { for parent in row.parents { children[parent.id, default: []].append(row.id) } }
        var found: Set<Int64> = [id]
        var waiting = [id]
        while let next = waiting.popLast(), found.count < limit {
            let near = (byID[next]?.parents.map(\.id) ?? []) + (children[next] ?? [])
            for other in near where found.insert(other).inserted { waiting.append(other) }
        }
        return found.compactMap { byID[$0] }.sorted { $0.id < $1.id }
    }

    /// Versions whose bytes may go.
    package static func garbage(
        _ rows: [ModelRow], served: Set<String>, _ rule: ModelOperations.Collection, at now: Timestamp
    ) -> [ModelRow] {
        let families = Dictionary(grouping: rows.filter { $0.deletedAt == nil }) {
            "\($0.namespace)/\($0.name)"
        }
        return families.values.flatMap { family in
            family.sorted { $0.version > $1.version }.dropFirst(rule.keep).filter { row in
                row.tags.isEmpty && !served.contains(row.sha256) && now - row.createdAt > rule.age
            }
        }.sorted { $0.id < $1.id }
    }
}
