// Named values that a server keeps from one start to the next: watermarks, what was set once.

import GRDB
package import Text

extension Store {
    /// A setting; nil if it was never made.
    package func setting(_ key: String) async throws -> JSONValue? {
        let path = path
        return try await read { database in
            let text: String? = try database.row("SELECT value FROM settings WHERE key = ?", [key])?[0]
            return try text.map { try JSONValue(column: $0, of: "settings", path: path) }
        }
    }

    /// Keeps a setting; nil takes it away.
    package func setSetting(_ key: String, _ value: JSONValue?) async throws {
        let text = value?.compactText
        try await writeTogether { database in
            guard let text else { return try database.run("DELETE FROM settings WHERE key = ?", [key]) }
            try database.run(
                """
                INSERT INTO settings (key, value) VALUES (?, ?)
                ON CONFLICT DO UPDATE SET value = excluded.value
                """, [key, text])
        }
    }

    /// All settings whose keys begin with a text; at most 10,000.
    package func settings(prefix: String = "") async throws -> [String: JSONValue] {
        let path = path
        return try await read { database in
            var found: [String: JSONValue] = [:]
            let rows = try database.rows(
                "SELECT key, value FROM settings WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT 10000",
                [prefix])
            for row in rows { found[row[0]] = try JSONValue(column: row[1], of: "settings", path: path) }
            return found
        }
    }
}
