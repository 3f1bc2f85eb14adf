// The plain Secrets of earlier versions: encrypted once, in the database and in the copies that lie beside it.

import Foundation
import GRDB
import Glibc

enum SecretSweep {
    /// Set while parts of the file that nothing uses may still hold plain text.
    private static let mark = "secrets.sweep"

    /// Encrypts what is plain, then writes the database anew, so that its free pages and its log hold no trace. What
    /// cannot be done because others use the database now is done when it is opened next.
    /// - Parameter schema: the version of the database.
    static func run(_ pool: DatabasePool, vault: SecretVault, schema: Int) throws {
        // Looked at without a transaction first: nearly always there is nothing to do.
        if schema == Migration.all.count,
            try !pool.writeWithoutTransaction({ try $0.mayHoldPlainSecrets(mark) })
        {
            return
        }
        let isNeeded = try pool.write { database in
            guard try database.tableExists("settings") else { return false }
            let isMarked = try database.integer("SELECT 1 FROM settings WHERE key = ?", [mark]) != nil
            guard try database.sealPlainSecrets(vault) > 0 || isMarked else { return false }
            try database.run(
                "INSERT OR IGNORE INTO settings (key, value) VALUES (?, 'true')", [mark])
            return true
        }
        guard isNeeded else { return }
        for copy in copies(of: pool.path) { try sweep(copy: copy, vault: vault) }
        do {
            try pool.vacuum()
            try pool.writeWithoutTransaction { database in
                try database.execute(sql: "DELETE FROM settings WHERE key = ?", arguments: [mark])
                _ = try database.checkpoint(.truncate)
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            try pool.write { database in
                try database.run("INSERT OR IGNORE INTO settings (key, value) VALUES (?, 'true')", [mark])
            }
        }
    }

    /// What migrations and restores have left beside the database.
    private static func copies(of path: String) -> [String] {
        let directory = (path as NSString).deletingLastPathComponent
        let name = (path as NSString).lastPathComponent
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return files.filter { file in
            (file.hasPrefix("\(name).v") && file.hasSuffix(".backup"))
                || (file.hasPrefix("\(name).replaced-") && !file.hasSuffix("-wal") && !file.hasSuffix("-shm"))
        }.map { "\(directory)/\($0)" }
    }

    /// A copy of a version that does not know of encryption says so when it is restored there and a Secret is read;
    /// all else in it is as it was.
    private static func sweep(copy: String, vault: SecretVault) throws {
        do {
            let queue = try DatabaseQueue(path: copy)
            defer { try? queue.close() }
            let count = try queue.write { database in
                try database.tableExists("definitions") ? database.sealPlainSecrets(vault) : 0
            }
            guard count > 0 else { return }
            try queue.vacuum()
            try queue.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        } catch let error as DatabaseError where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
        {
            // A damaged copy must not keep the database from being opened.
        }
    }
}

extension Database {
    /// Whether a Secret is stored as it is, or a part of the file may still hold one.
    fileprivate func mayHoldPlainSecrets(_ mark: String) throws -> Bool {
        try integer(
            """
            SELECT EXISTS (SELECT 1 FROM definitions WHERE kind = 'Secret' AND encryption = '')
                OR EXISTS (SELECT 1 FROM settings WHERE key = ?)
            """, [mark]) == 1
    }
}
