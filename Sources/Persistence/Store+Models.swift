// The registry of models: recorded from nodes that have ended, found by name, version, tag and contents.

import GRDB
package import Scheduling
package import Text

extension Store {
    /// Where the recording has got to: a revision.
    private static let recordedSetting = "models.recorded"
    /// What evaluations give.
    private static let reportArtifact = "report"

    /// Nodes that have succeeded since the models were last recorded and may have made or rated one, and the
    /// revision to note behind them, also where there are none: else all would be looked through again.
    /// - Parameter limit: nodes at most.
    /// - Returns: nil if nothing has been saved since.
    package func unrecordedNodes(limit: Int = 2_000) async throws -> (
        nodes: [(uid: String, node: Node)], upTo: Int64
    )? {
        let names = (NewModel.Kind.allCases.map(\.rawValue) + [Self.reportArtifact]).map { "'\($0)'" }
        let path = path
        return try await read { database -> (nodes: [(uid: String, node: Node)], upTo: Int64)? in
            let text: String? = try database.row(
                "SELECT value FROM settings WHERE key = ?", [Self.recordedSetting])?[0]
            let last = text.flatMap { Int64($0) } ?? 0
            let newest =
                try database.integer("SELECT value FROM counters WHERE name = 'run_revision'", []) ?? 0
            guard newest > last else { return nil }
            let rows = try database.rows(
                """
                SELECT uid, sequence, body, nodes.revision FROM workflows
                JOIN nodes ON nodes.workflow = workflows.id
                WHERE workflows.revision > ?1 AND nodes.revision > ?1 AND nodes.phase = 'Succeeded'
                    AND nodes.type = 'Pod' AND EXISTS (
                        SELECT 1 FROM json_each(body, '$.outputs.artifacts')
                        WHERE json_extract(value, '$.name') IN (\(names.joined(separator: ", "))))
                ORDER BY nodes.revision LIMIT ?2
                """, [last, limit])
            let nodes = try rows.compactMap { row -> (uid: String, node: Node)? in
                let body = try JSONValue(column: row[2], of: "nodes", path: path)
                return Node(row: body, sequence: row[1]).map { (row[0], $0) }
            }
            // Nodes of one transaction share a revision: those behind the last one may be cut off.
            let isCut = rows.count == limit
            let end: Int64? = isCut ? rows.last.map { max(($0[3] as Int64) - 1, last + 1) } : nil
            return (nodes, end ?? newest)
        }
    }

    /// Records models and evaluations, those that are there already left as they are, and how far that got.
    package func record(_ models: [NewModel], _ evaluations: [EvaluationRow], upTo revision: Int64)
        async throws
    {
        let bodies = models.map(\.body.compactText)
        let metrics = evaluations.map(\.metrics.compactText)
        try await write { database in
            for (model, body) in zip(models, bodies) { try database.record(model, body) }
            for (evaluation, metrics) in zip(evaluations, metrics) {
                try database.run(
                    """
                    INSERT INTO model_evaluations (sha256, adapter_sha256, workflow_uid, workflow, node_id,
                        template, metrics, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, metrics = excluded.metrics,
                        adapter_sha256 = excluded.adapter_sha256, created_at = excluded.created_at
                    """,
                    [
                        evaluation.sha256, evaluation.adapterSHA256, evaluation.workflowUID,
                        evaluation.workflow, evaluation.nodeID, evaluation.template, metrics,
                        evaluation.createdAt.nanoseconds,
                    ])
            }
            try database.run(
                """
                INSERT INTO settings (key, value) VALUES (?, ?)
                ON CONFLICT DO UPDATE SET value = excluded.value
                """, [Self.recordedSetting, String(revision)])
        }
    }

    // MARK: Finding

    /// Versions, newest first.
    /// - Parameters:
    ///   - namespaces: nil for all.
    ///   - limit: at most 10,000.
    package func models(
        namespaces: Set<String>? = nil, name: String? = nil, limit: Int = 1_000
    ) async throws -> [ModelRow] {
        let path = path
        return try await read { database in
            let rows = try database.rows(
                """
                SELECT \(ModelRow.columns) FROM models WHERE ifnull(name = ?1, 1)
                ORDER BY created_at DESC, id DESC LIMIT ?2
                """, [name, min(max(limit, 0), 10_000)])
            return try database.complete(
                try rows.map { try ModelRow(row: $0, path: path) }.filter {
                    namespaces?.contains($0.namespace) ?? true
                })
        }
    }

    /// - Parameter reference: a tag, a version as `3` or `v3`, at least eight digits of the hash; nil: the
    ///   newest.
    package func model(namespace: String, name: String, _ reference: String?) async throws -> ModelRow? {
        let path = path
        return try await read { database in
            let found = try database.rows(
                """
                SELECT \(ModelRow.columns) FROM models WHERE namespace = ? AND name = ?
                ORDER BY version DESC LIMIT 10000
                """, [namespace, name]
            ).map { try ModelRow(row: $0, path: path) }
            let rows = try database.complete(found)
            guard let reference, reference != "latest", reference != "main" else {
                return rows.first { $0.deletedAt == nil } ?? rows.first
            }
            if let tagged = rows.first(where: { $0.tags.contains(reference) }) { return tagged }
            let digits = reference.hasPrefix("v") ? String(reference.dropFirst()) : reference
            if let number = Int(digits), let row = rows.first(where: { $0.version == number }) { return row }
            return reference.utf8.count >= 8 ? rows.first { $0.sha256.hasPrefix(reference) } : nil
        }
    }

    /// The evaluations of a model, newest first, at most 200.
    package func evaluations(sha256: String) async throws -> [EvaluationRow] {
        let path = path
        return try await read { database in
            try database.rows(
                """
                SELECT sha256, adapter_sha256, workflow_uid, workflow, node_id, template, metrics, created_at
                FROM model_evaluations WHERE sha256 = ?1 OR adapter_sha256 = ?1
                ORDER BY created_at DESC LIMIT 200
                """, [sha256]
            ).map { row in
                EvaluationRow(
                    sha256: row[0], adapterSHA256: row[1], workflowUID: row[2], workflow: row[3],
                    nodeID: row[4],
                    template: row[5],
                    metrics: try JSONValue(column: row[6], of: "model_evaluations", path: path),
                    createdAt: Timestamp(column: row[7]))
            }
        }
    }

    // MARK: Changing

    /// Puts a tag on a version, taking it from another version of the name.
    package func tagModel(_ row: ModelRow, _ tag: String) async throws {
        try await write { database in
            try database.run(
                """
                INSERT INTO model_tags (namespace, name, tag, model) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET model = excluded.model
                """, [row.namespace, row.name, tag, row.id])
        }
    }

    /// - Returns: whether there was such a tag.
    package func untagModel(namespace: String, name: String, _ tag: String) async throws -> Bool {
        try await write { database in
            try database.run(
                "DELETE FROM model_tags WHERE namespace = ? AND name = ? AND tag = ?", [namespace, name, tag])
            return database.changesCount > 0
        }
    }

    /// Notes that the bytes of versions are to be deleted; tagged ones are left as they are.
    /// - Returns: the ids of those that are deleted now.
    package func markModelsDeleted(_ ids: [Int64], at now: Timestamp) async throws -> [Int64] {
        try await write { database in
            try ids.filter { id in
                try database.run(
                    """
                    UPDATE models SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL
                        AND NOT EXISTS (SELECT 1 FROM model_tags WHERE model = models.id)
                    """, [now.nanoseconds, id])
                return database.changesCount > 0
            }
        }
    }
}

extension Database {
    fileprivate func record(_ model: NewModel, _ body: String) throws {
        let version =
            1
            + (try integer(
                "SELECT max(version) FROM models WHERE namespace = ? AND name = ?",
                [model.namespace, model.name])
                ?? 0)
        try run(
            """
            INSERT INTO models (namespace, name, version, kind, step, sha256, place, bytes, workflow_uid,
                workflow, node_id, body, created_at, deleted_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """,
            [
                model.namespace, model.name, version, model.kind.rawValue, model.step, model.sha256,
                model.place,
                model.bytes, model.workflowUID, model.workflow, model.nodeID, body,
                model.createdAt.nanoseconds, model.deletedAt?.nanoseconds,
            ])
        guard changesCount > 0 else { return }
        let id = lastInsertedRowID
        for input in model.inputs {
            // Of equal contents the newest made before: a model may be made again.
            let parent = try integer(
                "SELECT max(id) FROM models WHERE sha256 = ? AND id < ?", [input.sha256, id])
            guard let parent else { continue }
            try run(
                "INSERT INTO model_parents (model, parent, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [id, parent, input.role])
        }
    }

    /// Adds tags and parents.
    fileprivate func complete(_ models: [ModelRow]) throws -> [ModelRow] {
        try models.map { model in
            var model = model
            model.tags = try rows("SELECT tag FROM model_tags WHERE model = ? ORDER BY tag", [model.id])
                .map { $0[0] }
            model.parents = try rows(
                "SELECT parent, role FROM model_parents WHERE model = ? ORDER BY role", [model.id]
            ).map { ModelRow.Parent(id: $0[0], role: $0[1]) }
            return model
        }
    }
}

extension ModelRow {
    fileprivate static let columns = """
        id, namespace, name, version, kind, step, sha256, place, bytes, workflow_uid, workflow, node_id, body, \
        created_at, deleted_at
        """

    fileprivate init(row: Row, path: String) throws {
        guard let kind = NewModel.Kind(rawValue: row[4]) else {
            throw StoreError.corrupt(path: path, detail: "a row of models has an unknown kind")
        }
        var model = NewModel(
            namespace: row[1], name: row[2], kind: kind, step: row[5], sha256: row[6], place: row[7],
            bytes: row[8], workflowUID: row[9], workflow: row[10], nodeID: row[11],
            createdAt: row.moment("created_at"))
        model.body = try JSONValue(column: row[12], of: "models", path: path)
        model.deletedAt = row.timestamp("deleted_at")
        self.init(id: row[0], version: row[3], model: model)
    }
}
