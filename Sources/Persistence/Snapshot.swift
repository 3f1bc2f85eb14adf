// A consistent copy of a database in one file, made while others read and write it.

import Foundation
import GRDB
import Glibc

enum Snapshot {
    /// Copies the database at `source` to `destination`, checks the copy, and only then gives it its name:
    /// a file of that name is always whole. An older file of that name is replaced.
    ///
    /// Blocks the calling thread for as long as the copy takes.
    static func write(of source: String, to destination: String) throws {
        let partial = "\(destination).\(UUID().uuidString).partial"
        defer { try? FileManager.default.removeItem(atPath: partial) }
        try createPrivateFile(partial)
        try StoreError.naming(source) {
            // VACUUM INTO reads one snapshot, so writers go on meanwhile, and fails where a page cannot be
            // read.
            try reader(source).writeWithoutTransaction { database in
                try database.execute(sql: "VACUUM INTO ?", arguments: [partial])
            }
        }
        try verify(partial)
        try synchronizeToDisk(partial)
        guard rename(partial, destination) == 0 else {
            throw StoreError.io(path: destination, detail: String(cString: strerror(errno)))
        }
        try synchronizeToDisk((destination as NSString).deletingLastPathComponent)
    }

    /// Reads every page of the database at `path`; throws `StoreError.corrupt` with the first problem found.
    @discardableResult
    static func verify(_ path: String) throws -> SchemaStamp {
        try StoreError.naming(path) {
            try reader(path).writeWithoutTransaction { database in
                let problem = try String.fetchOne(database, sql: "PRAGMA integrity_check(1)")
                guard problem == "ok" else {
                    throw StoreError.corrupt(path: path, detail: problem ?? "no answer from integrity_check")
                }
                if let row = try Row.fetchOne(database, sql: "PRAGMA foreign_key_check") {
                    throw StoreError.corrupt(
                        path: path, detail: "a row of \(row[0] as String) has lost its owner")
                }
                return try SchemaStamp(database)
            }
        }
    }

    /// A connection of its own that never writes to the file.
    static func reader(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(Store.busyTimeoutSeconds)
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// SQLite gives its side files the permissions of the database, which holds Secrets: for the owner only.
    /// - Returns: what the first bytes of the file say.
    @discardableResult
    static func createPrivateFile(_ path: String) throws -> DatabaseHead {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.io(path: path, detail: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        return DatabaseHead(descriptor)
    }
}
