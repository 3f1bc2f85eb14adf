// Deployments: each is one row, read, changed and written in one transaction.

import GRDB
package import Scheduling
import Text

extension Store {
    /// Deployments of a data directory.
    static let deploymentLimit: Int64 = 200

    /// All deployments by name, those that are being taken down included.
    package func deployments() async throws -> [Deployment] {
        let path = path
        return try await read { database in
            try database.rows("SELECT name, namespace, body FROM deployments ORDER BY name", []).compactMap {
                try Deployment(row: $0, path: path)
            }
        }
    }

    package func deployment(_ name: String) async throws -> Deployment? {
        let path = path
        return try await read { database in
            try database.row("SELECT name, namespace, body FROM deployments WHERE name = ?", [name])
                .flatMap { try Deployment(row: $0, path: path) }
        }
    }

    /// Changes a deployment and saves it, if it did change.
    ///
    /// - Parameters:
    ///   - fresh: what it begins as where there is none; nil: `notFound` is thrown then.
    ///   - change: pure; what it throws is thrown here, and nothing is changed.
    /// - Throws: `StoreError.notFound`; `nameTaken` if `fresh` is of another namespace than what is stored.
    @discardableResult
    package func changeDeployment<Value: Sendable>(
        _ name: String, orMake fresh: Deployment? = nil,
        _ change: @escaping @Sendable (inout Deployment) throws -> Value
    ) async throws -> (value: Value, deployment: Deployment) {
        let path = path
        return try await write { database in
            let found = try database.row(
                "SELECT name, namespace, body FROM deployments WHERE name = ?", [name]
            ).flatMap { try Deployment(row: $0, path: path) }
            guard var deployment = found ?? fresh else {
                throw StoreError.notFound(kind: "deployment", name: name)
            }
            if let fresh, fresh.namespace != deployment.namespace {
                throw StoreError.nameTaken(kind: "deployment", namespace: deployment.namespace, name: name)
            }
            if found == nil {
                let count = try database.integer("SELECT count(*) FROM deployments", []) ?? 0
                guard count < Self.deploymentLimit else {
                    throw StoreError.invalid(
                        detail: "there are \(Self.deploymentLimit) deployments already; delete some first")
                }
            }
            let value = try change(&deployment)
            if deployment != found { try database.save(deployment) }
            return (value, deployment)
        }
    }

    /// Forgets a deployment that is taken down; one that was asked for again meanwhile stays.
    package func forgetDeployment(_ name: String) async throws {
        let path = path
        try await write { database in
            let found = try database.row(
                "SELECT name, namespace, body FROM deployments WHERE name = ?", [name]
            ).flatMap { try Deployment(row: $0, path: path) }
            guard found?.isDeleted == true else { return }
            try database.run("DELETE FROM deployments WHERE name = ?", [name])
        }
    }
}

extension Database {
    fileprivate func save(_ deployment: Deployment) throws {
        try run(
            """
            INSERT INTO deployments (name, namespace, body, updated_at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at
            """,
            [
                deployment.name, deployment.namespace, deployment.storedJSON.compactText,
                deployment.updatedAt.nanoseconds,
            ])
    }
}

extension Deployment {
    fileprivate init?(row: Row, path: String) throws {
        self.init(
            name: row[0], namespace: row[1],
            stored: try JSONValue(column: row[2], of: "deployments", path: path))
    }
}
