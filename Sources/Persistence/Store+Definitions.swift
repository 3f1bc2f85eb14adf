// Templates, cron workflows, ConfigMaps and Secrets: written, read, and gathered for a run.

import GRDB
package import Text
package import WorkflowLanguage

/// A document that is to be written.
package struct DefinitionOrder: Sendable, Hashable {
    fileprivate var kind: DefinitionKind
    fileprivate var namespace: String
    fileprivate var name: String
    fileprivate var body: JSONValue

    /// - Parameter namespace: left aside for cluster-wide kinds.
    package init(_ kind: DefinitionKind, namespace: String, name: String, body: JSONValue) {
        self.kind = kind
        self.namespace = kind.isClusterWide ? "" : namespace
        self.name = name
        self.body = body
    }
}

extension Database {
    fileprivate func put(
        _ order: DefinitionOrder, at now: Timestamp, if condition: WriteCondition, path: String,
        _ vault: SecretVault
    ) throws -> DefinitionRow {
        let (kind, namespace, name) = (order.kind, order.namespace, order.name)
        // A Secret whose key is lost may be replaced: what it held does not matter.
        let stored = try definition(kind, namespace, name, path: path, vault, orAnything: true)
        try Store.check(condition, against: stored, kind, namespace, name)
        if let stored, stored.body == order.body { return stored }
        let columns = try kind.columns(
            order.body.compactText, namespace: namespace, name: name, self, vault)
        let version = try nextResourceVersion()
        if var stored {
            stored.body = order.body
            stored.generation += 1
            stored.resourceVersion = version
            stored.updatedAt = now
            try run(
                """
                UPDATE definitions SET body = ?, encryption = ?, generation = ?, resource_version = ?,
                    updated_at = ? WHERE kind = ? AND namespace = ? AND name = ?
                """,
                [
                    columns.body, columns.encryption, stored.generation, version, now.nanoseconds,
                    kind.rawValue, namespace, name,
                ])
            return stored
        }
        try run(
            """
            INSERT INTO definitions (kind, namespace, name, body, encryption, generation,
                resource_version, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)
            """,
            [
                kind.rawValue, namespace, name, columns.body, columns.encryption, version, now.nanoseconds,
                now.nanoseconds,
            ])
        return DefinitionRow(
            kind: kind, namespace: namespace, name: name, body: order.body, status: .null, generation: 1,
            resourceVersion: version, createdAt: now, updatedAt: now)
    }
}

extension Store {
    /// Writes a document. Writing the body that is there already changes nothing and keeps its version.
    /// - Parameter namespace: left aside for cluster-wide kinds.
    /// - Throws: `StoreError`: `nameTaken`, `notFound` or `conflict` if the condition does not hold.
    @discardableResult
    package func putDefinition(
        _ kind: DefinitionKind, namespace: String, name: String, body: JSONValue, at now: Timestamp,
        if condition: WriteCondition = .always
    ) async throws -> DefinitionRow {
        let order = DefinitionOrder(kind, namespace: namespace, name: name, body: body)
        let (path, vault) = (path, vault)
        return try await write { try $0.put(order, at: now, if: condition, path: path, vault) }
    }

    /// Writes documents, all of them or, if the condition does not hold for one, none.
    /// - Throws: `StoreError`, as `putDefinition`.
    package func putDefinitions(
        _ orders: [DefinitionOrder], at now: Timestamp, if condition: WriteCondition = .always
    ) async throws -> [DefinitionRow] {
        let (path, vault) = (path, vault)
        return try await write { database in
            try orders.map { try database.put($0, at: now, if: condition, path: path, vault) }
        }
    }

    /// Writes what the controller notes beside a document; its generation stays.
    /// - Parameter version: the resource version under which the caller read the document.
    /// - Returns: the new resource version.
    /// - Throws: `StoreError.notFound`; `conflict` if the document was changed since `version`.
    @discardableResult
    package func setDefinitionStatus(
        _ kind: DefinitionKind, namespace: String, name: String, status: JSONValue,
        ifVersion version: Int? = nil
    ) async throws -> Int {
        let text = status.compactText
        return try await writeTogether { database in
            if let version {
                let found = try database.integer(
                    "SELECT resource_version FROM definitions WHERE kind = ? AND namespace = ? AND name = ?",
                    [kind.rawValue, kind.isClusterWide ? "" : namespace, name])
                if let found, Int(found) != version {
                    throw StoreError.conflict(
                        kind: kind.rawValue, name: name, expected: version, found: Int(found))
                }
            }
            let next = try database.nextResourceVersion()
            try database.run(
                """
                UPDATE definitions SET status = ?, resource_version = ?
                WHERE kind = ? AND namespace = ? AND name = ?
                """,
                [
                    text, next, kind.rawValue, kind.isClusterWide ? "" : namespace, name,
                ])
            guard database.changesCount > 0 else {
                throw StoreError.notFound(kind: kind.rawValue, name: name)
            }
            return next
        }
    }

    package func definition(_ kind: DefinitionKind, namespace: String, name: String) async throws
        -> DefinitionRow?
    {
        let (path, vault) = (path, vault)
        return try await read { database in
            try database.definition(kind, kind.isClusterWide ? "" : namespace, name, path: path, vault)
        }
    }

    /// By namespace and name.
    /// - Parameter namespace: nil for all.
    package func definitions(_ kind: DefinitionKind, namespace: String? = nil) async throws -> [DefinitionRow]
    {
        let (path, vault) = (path, vault)
        return try await read { database in
            try database.rows(
                """
                SELECT \(DefinitionRow.columns) FROM definitions
                WHERE kind = ?1 AND (?2 IS NULL OR namespace = ?2) ORDER BY namespace, name
                """, [kind.rawValue, kind.isClusterWide ? nil : namespace]
            ).map { try DefinitionRow(row: $0, kind: kind, path: path, database, vault) }
        }
    }

    /// Whether there is any of a kind, readable or not.
    package func hasDefinitions(_ kind: DefinitionKind) async throws -> Bool {
        try await read { database in
            try !database.rows("SELECT 1 FROM definitions WHERE kind = ? LIMIT 1", [kind.rawValue]).isEmpty
        }
    }

    /// - Returns: whether there was one.
    @discardableResult
    package func deleteDefinition(_ kind: DefinitionKind, namespace: String, name: String) async throws
        -> Bool
    {
        try await write { database in
            try database.run(
                "DELETE FROM definitions WHERE kind = ? AND namespace = ? AND name = ?",
                [kind.rawValue, kind.isClusterWide ? "" : namespace, name])
            guard database.changesCount > 0 else { return false }
            _ = try database.next(.resourceVersion)
            return true
        }
    }

    /// What a run of a namespace can refer to, of one moment. Time zones are for the caller to add.
    package func catalog(namespace: String) async throws -> TemplateCatalog {
        try await read { [self] in try catalog(namespace: namespace, in: $0) }
    }

    /// The same for a process that has just opened the store: through the connection that writes, since another would
    /// have to be opened first. Blocks the calling thread.
    package func catalogAtOpening(namespace: String) throws -> TemplateCatalog {
        try StoreError.naming(path) {
            try pool.writeWithoutTransaction { try catalog(namespace: namespace, in: $0) }
        }
    }

    private func catalog(namespace: String, in database: Database) throws -> TemplateCatalog {
        var catalog = TemplateCatalog()
        let rows = try database.rows(
            """
            SELECT kind, \(DefinitionRow.columns) FROM definitions
            WHERE namespace IN (?, '') AND kind NOT IN ('CronWorkflow', 'WorkflowEventBinding')
            """, [namespace])
        for row in rows {
            guard let kind = DefinitionKind(rawValue: row["kind"]) else { continue }
            let definition = try DefinitionRow(row: row, kind: kind, path: path, database, vault)
            var document = definition.body.objectValue ?? [:]
            // The catalog sorts documents by these, which a client may have left out.
            var metadata = document["metadata"]?.objectValue ?? [:]
            metadata["name"] = .string(row["name"])
            document["metadata"] = .object(metadata)
            document["kind"] = .string(kind.rawValue)
            catalog.add(.object(document))
        }
        return catalog
    }

    fileprivate static func check(
        _ condition: WriteCondition, against stored: DefinitionRow?, _ kind: DefinitionKind,
        _ namespace: String, _ name: String
    ) throws {
        switch condition {
        case .always: return
        case .absent:
            guard stored == nil else {
                throw StoreError.nameTaken(kind: kind.rawValue, namespace: namespace, name: name)
            }
        case .present:
            guard stored != nil else { throw StoreError.notFound(kind: kind.rawValue, name: name) }
        case .version(let expected):
            guard let stored else { throw StoreError.notFound(kind: kind.rawValue, name: name) }
            guard stored.resourceVersion == expected else {
                throw StoreError.conflict(
                    kind: kind.rawValue, name: name, expected: expected, found: stored.resourceVersion)
            }
        }
    }
}

extension DefinitionRow {
    fileprivate static let columns = """
        namespace, name, encryption, body, status, generation, resource_version, created_at, updated_at
        """

    fileprivate init(
        row: Row, kind: DefinitionKind, path: String, _ database: Database, _ vault: SecretVault
    ) throws {
        let (encryption, stored): (String, String) = (row["encryption"], row["body"])
        var body = stored
        if !encryption.isEmpty {
            body = try vault.open(
                stored, encryption: encryption, namespace: row["namespace"], name: row["name"], database)
        }
        self.init(
            kind: kind, namespace: row["namespace"], name: row["name"],
            body: try JSONValue(column: body, of: "definitions", path: path),
            status: try JSONValue(column: row["status"], of: "definitions", path: path),
            generation: row["generation"], resourceVersion: row["resource_version"],
            createdAt: row.moment("created_at"), updatedAt: row.moment("updated_at"))
    }

    /// A Secret whose key is lost, without what it holds.
    fileprivate init(unreadable row: Row, kind: DefinitionKind, path: String) throws {
        self.init(
            kind: kind, namespace: row["namespace"], name: row["name"], body: .null,
            status: try JSONValue(column: row["status"], of: "definitions", path: path),
            generation: row["generation"], resourceVersion: row["resource_version"],
            createdAt: row.moment("created_at"), updatedAt: row.moment("updated_at"))
    }
}

extension DefinitionKind {
    /// What the columns hold of a body: Secrets are encrypted.
    fileprivate func columns(
        _ text: String, namespace: String, name: String, _ database: Database, _ vault: SecretVault
    ) throws -> (encryption: String, body: String) {
        guard self == .secret else { return ("", text) }
        return try vault.seal(text, namespace: namespace, name: name, database)
    }
}

extension Database {
    fileprivate func definition(
        _ kind: DefinitionKind, _ namespace: String, _ name: String, path: String, _ vault: SecretVault,
        orAnything: Bool = false
    ) throws -> DefinitionRow? {
        let found = try row(
            "SELECT \(DefinitionRow.columns) FROM definitions WHERE kind = ? AND namespace = ? AND name = ?",
            [kind.rawValue, namespace, name])
        guard let found else { return nil }
        do {
            return try DefinitionRow(row: found, kind: kind, path: path, self, vault)
        } catch  where orAnything && kind == .secret {
            return try DefinitionRow(unreadable: found, kind: kind, path: path)
        }
    }

    fileprivate func nextResourceVersion() throws -> Int { Int(try next(.resourceVersion)) }
}
