// Why the store could not do something, said so that its reader knows the file and what to do next.

import Foundation
import GRDB

/// A failure of the store. Where it came from a transaction, nothing of that transaction was kept.
package enum StoreError: Error, Sendable, Hashable {
    /// No space is left on the disk of the database. The same call works again once there is space.
    case full(path: String)
    /// Another process held the database, or the data directory, for longer than the busy timeout.
    case busy(path: String, detail: String)
    /// The file is damaged or is not Martlet's.
    case corrupt(path: String, detail: String)
    /// The database was written by a newer Martlet.
    case newerSchema(path: String, found: Int, known: Int)
    /// The database is older, and was opened for reading only, so that it could not be migrated.
    case olderSchema(path: String, found: Int, known: Int)
    /// `kind` is a word such as "workflow"; `name` is the name or uid that was asked for.
    case notFound(kind: String, name: String)
    /// The name is used already, in this namespace.
    case nameTaken(kind: String, namespace: String, name: String)
    /// A definition was changed by somebody else since its version was read.
    case conflict(kind: String, name: String, expected: Int, found: Int)
    /// Another process has taken over driving the run; this one must stop.
    case superseded(uid: String)
    /// What changed after this revision is not known any more, or the revision is of another database.
    case expired(revision: Int64)
    /// The key that these Secrets (`namespace/name`) are encrypted with is not where it was, or is another now.
    case keyMissing(secrets: [String], place: String)
    /// A limit or a rule of the schema was broken by the caller.
    case invalid(detail: String)
    /// Reading or writing the file failed.
    case io(path: String, detail: String)

    /// What happened and what to do next, in one or two sentences.
    package var message: String {
        switch self {
        case .full(let path):
            "no space is left to write \(path); free space on its disk and try again"
        case .busy(let path, let detail):
            "\(path) is in use: \(detail); try again when the other process is done"
        case .corrupt(let path, let detail):
            "\(path) is damaged: \(detail); restore a backup with `martlet restore`"
        case .newerSchema(let path, let found, let known):
            """
            \(path) has schema version \(found), and this martlet knows versions up to \(known); \
            use a newer martlet, or restore an older backup with `martlet restore`
            """
        case .olderSchema(let path, let found, let known):
            """
            \(path) has schema version \(found), older than \(known); \
            run a command that writes, such as `martlet run`, to bring it up to date
            """
        case .notFound(let kind, let name): "there is no \(kind) \"\(name)\""
        case .nameTaken(let kind, let namespace, let name):
            """
            a \(kind) named "\(name)" exists already in \
            \(namespace.isEmpty ? "the cluster" : "namespace \"\(namespace)\""); \
            use another name, or delete it first
            """
        case .conflict(let kind, let name, let expected, let found):
            """
            \(kind) "\(name)" has been changed: resource version \(expected) was expected, \(found) found; \
            read it again and repeat the change
            """
        case .superseded(let uid):
            "workflow \(uid) is driven by another process now; this one no longer may write its state"
        case .expired(let revision):
            "the changes after revision \(revision) are not kept any more; read the list again and go on from there"
        case .keyMissing(let secrets, let place):
            """
            the key that the secrets \(secrets.joined(separator: ", ")) are encrypted with is not in \(place); \
            put it back there (or set MARTLET_SECRET_KEY_FILE to where it is), or delete these secrets and set them anew
            """
        case .invalid(let detail): detail
        case .io(let path, let detail):
            "\(path) cannot be read or written: \(detail); check the disk and the file's permissions"
        }
    }
}

extension StoreError: CustomStringConvertible, LocalizedError {
    package var description: String { message }
    package var errorDescription: String? { message }
}

extension StoreError {
    /// The store's own word for an error of SQLite; other errors, cancellation among them, stay as they are.
    static func named(_ error: any Error, path: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let detail = error.message ?? "SQLite result code \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_FULL: return StoreError.full(path: path)
        case .SQLITE_BUSY, .SQLITE_LOCKED: return StoreError.busy(path: path, detail: detail)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return StoreError.corrupt(path: path, detail: detail)
        case .SQLITE_CONSTRAINT, .SQLITE_TOOBIG, .SQLITE_MISMATCH:
            return StoreError.invalid(detail: "the database refused a row: \(detail)")
        case .SQLITE_INTERRUPT: return CancellationError()
        // A full disk can also surface as an input/output error, when a side file cannot grow.
        case .SQLITE_IOERR where isDiskFull(path):
            return StoreError.full(path: path)
        default: return StoreError.io(path: path, detail: detail)
        }
    }

    /// Runs `body` and gives its errors the store's names.
    static func naming<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw named(error, path: path) }
    }

    private static func isDiskFull(_ path: String) -> Bool {
        let directory = (path as NSString).deletingLastPathComponent
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: directory)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value else { return false }
        // The shared-memory file grows by 32 KiB at a time.
        return free < 65_536
    }
}
