// The schema as a list of numbered steps, forward only. Its version is the number of steps taken.

import GRDB

/// One numbered SQL file of `migrations/`.
struct Migration: Sendable {
    var sql: String
    /// Fills new tables from rows that SQL cannot read.
    var fill: (@Sendable (Database) throws -> Void)?

    /// All steps, oldest first. A file that was released is never edited; changes are new files at the end.
    static let all = [
        Migration(PackageResources.v0001_workflow_sql), Migration(PackageResources.v0002_definition_sql),
        Migration(PackageResources.v0003_lock_sql), Migration(PackageResources.v0004_record_sql),
        Migration(PackageResources.v0005_revision_sql), Migration(PackageResources.v0006_service_sql),
        Migration(PackageResources.v0007_search_sql, fill: { try $0.fillArguments() }),
        Migration(PackageResources.v0008_deployment_sql), Migration(PackageResources.v0009_suspended_sql),
    ]

    private init(_ file: [UInt8], fill: (@Sendable (Database) throws -> Void)? = nil) {
        self.init(sql: String(decoding: file, as: UTF8.self), fill: fill)
    }

    init(sql: String, fill: (@Sendable (Database) throws -> Void)? = nil) {
        self.sql = sql
        self.fill = fill
    }

    /// "MRTL": says in the file's header whose database it is.
    static let applicationID = 0x4D52_544C
}

/// What a database file says of itself.
struct SchemaStamp: Sendable, Equatable {
    var applicationID: Int
    var version: Int
    var isEmpty: Bool

    init(_ database: Database) throws {
        applicationID = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        // One that has a version has tables too.
        isEmpty =
            try version == 0 && Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") == 0
    }

    /// Throws if the file is another program's or newer than `known`.
    func check(known: Int, path: String) throws {
        if isEmpty, version == 0, applicationID == 0 { return }
        guard applicationID == Migration.applicationID else {
            throw StoreError.corrupt(path: path, detail: "it is not a database of Martlet")
        }
        if version > known { throw StoreError.newerSchema(path: path, found: version, known: known) }
    }
}

extension Migration {
    /// Brings the database to the newest version, in one transaction. A database with contents is copied to
    /// `<path>.v<version>.backup` before, while the transaction already keeps other writers out.
    static func run(_ migrations: [Migration], on pool: DatabasePool) throws {
        try pool.writeWithoutTransaction { database in
            try database.inTransaction(.immediate) {
                let stamp = try SchemaStamp(database)
                try stamp.check(known: migrations.count, path: pool.path)
                guard stamp.version < migrations.count else { return .rollback }
                if !stamp.isEmpty {
                    try Snapshot.write(of: pool.path, to: "\(pool.path).v\(stamp.version).backup")
                }
                for migration in migrations.dropFirst(stamp.version) {
                    try database.execute(sql: migration.sql)
                    try migration.fill?(database)
                }
                try database.checkForeignKeys()
                // Pragmas take no arguments; both values are numbers of ours.
                try database.execute(sql: "PRAGMA application_id = \(applicationID)")
                try database.execute(sql: "PRAGMA user_version = \(migrations.count)")
                return .commit
            }
        }
    }
}
