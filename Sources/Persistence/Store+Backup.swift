// Backups: a copy of the database while it is in use, and its way back.

import Foundation
import GRDB
import Glibc

extension Store {
    /// Writes a checked copy of the database as it is now to one file; runs go on meanwhile. The file gets
    /// its name when it is whole; an older file of that name is replaced. Only the database is copied:
    /// artifacts, logs and models are plain files beside it.
    package func backup(to path: String) async throws {
        let source = self.path
        guard Self.canonical(path) != Self.canonical(source) else {
            throw StoreError.invalid(detail: "a backup cannot replace the database \(source) itself")
        }
        try await onThreadOfItsOwn { try Snapshot.write(of: source, to: path) }
    }

    /// Puts a backup in the place of a data directory's database. The database that was there is kept beside
    /// it as `martlet.db.replaced-<n>`. Blocks the calling thread for as long as the copy takes.
    /// - Parameter force: also while processes have the directory open. They go on with the replaced file,
    ///   and what they write is lost to those that start later.
    /// - Returns: the path of the database that was kept, nil if there was none.
    /// - Throws: `StoreError`: `busy` (in use), `notFound`, `corrupt` or `newerSchema` (the backup).
    @discardableResult
    package static func restore(from backup: String, dataDirectory: String, force: Bool = false) throws
        -> String?
    {
        guard FileManager.default.fileExists(atPath: backup) else {
            throw StoreError.notFound(kind: "backup", name: backup)
        }
        let path = databasePath(dataDirectory)
        guard canonical(backup) != canonical(path) else {
            throw StoreError.invalid(detail: "\(backup) is the database itself, not a backup of it")
        }
        try createDirectory(dataDirectory)
        let opening = try DirectoryLock.opening(dataDirectory)
        let lock = try DirectoryLock.use(dataDirectory, exclusive: true)
        defer { withExtendedLifetime((opening, lock)) {} }
        guard lock != nil || force else {
            throw StoreError.busy(path: path, detail: "a martlet process has it open")
        }
        let stamp = try Snapshot.verify(backup)
        try stamp.check(known: Migration.all.count, path: backup)
        guard !stamp.isEmpty else { throw StoreError.corrupt(path: backup, detail: "it is empty") }
        let incoming = path + ".incoming"
        try Snapshot.write(of: backup, to: incoming)
        let kept = try setAside(path)
        try move(incoming, to: path)
        try synchronizeToDisk(dataDirectory)
        return kept
    }

    /// Gives the database a second name, under which it stays when the first goes to another file. The
    /// write-ahead log is folded in before, or goes along: SQLite would otherwise play it into the new
    /// database.
    private static func setAside(_ path: String) throws -> String? {
        let files = FileManager.default
        guard files.fileExists(atPath: path) else { return nil }
        let limit = 10_000
        guard
            let kept = (1...limit).lazy.map({ "\(path).replaced-\($0)" })
                .first(where: { !files.fileExists(atPath: $0) })
        else {
            throw StoreError.invalid(detail: "\(limit) replaced databases lie beside \(path); delete some")
        }
        // The last connection to close folds the log in; a damaged database keeps it, which is as well.
        if let queue = try? DatabaseQueue(path: path) {
            _ = try? queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
            try? queue.close()
        }
        // With a link there is no moment without a database; not every file system knows links.
        if link(path, kept) != 0 { try move(path, to: kept) }
        if files.fileExists(atPath: path + "-wal") { try move(path + "-wal", to: kept + "-wal") }
        // The shared-memory index is made anew from the log.
        unlink(path + "-shm")
        return kept
    }

    private static func move(_ source: String, to destination: String) throws {
        guard rename(source, destination) == 0 else {
            throw StoreError.io(path: destination, detail: String(cString: strerror(errno)))
        }
    }

    private static func canonical(_ path: String) -> String {
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    }
}
