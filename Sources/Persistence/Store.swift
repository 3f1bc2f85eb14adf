// The database of a data directory: opened, checked, and shared by many processes that read and write it.

import Foundation
import GRDB
import Synchronization

/// One process's door to `martlet.db`. Reads see a snapshot and never wait for a writer; writes of all
/// processes follow one another, each a transaction that is on the disk when the call returns.
///
/// All methods may be called from anywhere; they suspend and never block the calling thread. A write that has
/// begun is finished even if the calling task is cancelled, so that a decision once made is also saved.
package final class Store: Sendable {
    /// How long a write waits for the writers of other processes before it throws `StoreError.busy`.
    static let busyTimeoutSeconds = 10.0
    /// Reads that run at the same time; more wait for one of these to end.
    private static let readerLimit = 4

    /// The database file.
    package let path: String
    package let isReadOnly: Bool
    let pool: DatabasePool
    /// Looks at nothing but the version counter, so that polling never waits behind a long read. Opened when it is
    /// first needed: each connection reads the whole schema, and a run's first process need not wait for that.
    private let versionReader = Mutex<DatabaseQueue?>(nil)
    let schemaVersion: Int
    private let calls: Mutex<Calls>
    /// Small writes that share a transaction; see `writeTogether`.
    let sharedWrites = Mutex(SharedWrites())
    /// Encrypts Secrets; the key is not in the data directory.
    let vault: SecretVault

    /// The calls that use the connections now. GRDB reads through a null pointer where a closed connection is
    /// used, so connections close when the last call has left.
    private struct Calls {
        var count = 0
        var isClosed = false
        /// Tells other processes that the directory is in use; nil where a reader could not take it.
        var lock: DirectoryLock?
    }

    private init(
        path: String, isReadOnly: Bool, pool: DatabasePool, schemaVersion: Int, lock: DirectoryLock?,
        vault: SecretVault
    ) {
        self.vault = vault
        self.path = path
        self.isReadOnly = isReadOnly
        self.pool = pool
        self.schemaVersion = schemaVersion
        calls = Mutex(Calls(lock: lock))
    }

    /// Opens the database of a data directory, creating both where they are missing, and brings an older
    /// schema up to date after keeping a copy of it as `martlet.db.v<version>.backup`.
    ///
    /// Blocks the calling thread: for a moment usually, for as long as the migration takes after an update.
    /// - Parameter readOnly: creates and migrates nothing, and refuses every write.
    ///
    /// Secrets that an earlier version stored as they were are encrypted here.
    /// - Parameter secretKey: where the key of Secrets is, or will be when the first is stored.
    /// - Throws: `StoreError`: `notFound` (read-only and absent), `newerSchema`, `olderSchema` (read-only),
    ///   `corrupt`, `busy` (being restored), `io`.
    package static func open(
        dataDirectory: String, readOnly: Bool = false, secretKey: SecretKeySource = .standard()
    ) throws -> Store {
        try open(
            dataDirectory: dataDirectory, readOnly: readOnly, secretKey: secretKey, migrations: Migration.all)
    }

    static func open(
        dataDirectory: String, readOnly: Bool, secretKey: SecretKeySource = .standard(),
        migrations: [Migration]
    ) throws -> Store {
        let path = databasePath(dataDirectory)
        if readOnly {
            guard FileManager.default.fileExists(atPath: path) else {
                throw StoreError.notFound(kind: "database", name: path)
            }
        } else {
            try createDirectory(dataDirectory)
        }
        let opening = try DirectoryLock.opening(dataDirectory)
        defer { withExtendedLifetime(opening) {} }
        let lock = readOnly ? try? DirectoryLock.use(dataDirectory) : try DirectoryLock.use(dataDirectory)
        guard readOnly || lock != nil else {
            throw StoreError.busy(path: path, detail: "a backup is being restored")
        }
        let vault = SecretVault(source: secretKey, dataDirectory: dataDirectory)
        return try StoreError.naming(path) {
            let (pool, stamp) = try openPool(path, readOnly: readOnly, known: migrations.count)
            if !readOnly {
                try makeDurable(pool)
                if stamp.version < migrations.count { try Migration.run(migrations, on: pool) }
                try SecretSweep.run(pool, vault: vault, schema: migrations.count)
            }
            return Store(
                path: path, isReadOnly: readOnly, pool: pool, schemaVersion: migrations.count, lock: lock,
                vault: vault)
        }
    }

    /// The connections, and what the file says of itself. A file that is not ours, or a newer Martlet's, stays as it is.
    private static func openPool(_ path: String, readOnly: Bool, known: Int) throws -> (
        DatabasePool, SchemaStamp
    ) {
        // To open a pool changes nothing of a database that has a log already; then no other connection has to look
        // first, which would read all of the log only for that.
        if !readOnly, try Snapshot.createPrivateFile(path).isLogged, LogFile.isBegun(path) {
            let pool = try DatabasePool(path: path, configuration: configuration(readOnly: false))
            let stamp = try pool.writeWithoutTransaction(SchemaStamp.init)
            try stamp.check(known: known, path: path)
            return (pool, stamp)
        }
        let stamp = try Snapshot.reader(path).unsafeRead(SchemaStamp.init)
        try stamp.check(known: known, path: path)
        if readOnly, stamp.version < known {
            throw StoreError.olderSchema(path: path, found: stamp.version, known: known)
        }
        return (try DatabasePool(path: path, configuration: configuration(readOnly: readOnly)), stamp)
    }

    /// Closes the connections, at once or when the calls that run now have ended. Calls made later throw. A
    /// store that is let go closes by itself.
    package func close() throws {
        let isIdle = calls.withLock { calls in
            defer { calls.isClosed = true }
            return calls.count == 0 && !calls.isClosed
        }
        if isIdle { try closeConnections() }
    }

    /// A number that differs from an earlier answer of this store if anything was committed in between, by
    /// this process or another. Costs microseconds: made for asking several times a second.
    package func dataVersion() async throws -> Int {
        try await call {
            try await versionConnection().read { database in
                try Int.fetchOne(database.cachedStatement(sql: "PRAGMA data_version")) ?? 0
            }
        }
    }

    /// Reads every page and index; throws `StoreError.corrupt` with the first problem. Takes seconds a
    /// gigabyte.
    package func verify() async throws {
        let path = path
        try await onThreadOfItsOwn { _ = try Snapshot.verify(path) }
    }

    static func databasePath(_ dataDirectory: String) -> String { dataDirectory + "/martlet.db" }

    private func versionConnection() async throws -> DatabaseQueue {
        if let reader = versionReader.withLock({ $0 }) { return reader }
        return try await onThreadOfItsOwn { [self] in
            try versionReader.withLock { reader in
                if let reader { return reader }
                let opened = try Snapshot.reader(path)
                reader = opened
                return opened
            }
        }
    }
}

extension Store {
    /// Reads one snapshot of the database.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await call { try await pool.read(body) }
    }

    /// Runs `body` in one transaction; it is on the disk when this returns, or nothing of it is kept.
    ///
    /// GRDB's own asynchronous `write` ends a transaction when the calling task is cancelled. A cancelled run
    /// still has to save how it ended, so this goes through the callback form, which goes on.
    func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value
    {
        try refuseIfReadOnly()
        return try await call {
            try await withCheckedThrowingContinuation { continuation in
                pool.asyncWrite(
                    { [self] database in
                        try checkSchema(database)
                        return try body(database)
                    },
                    completion: { _, result in continuation.resume(with: result) })
            }
        }
    }

    func refuseIfReadOnly() throws {
        guard !isReadOnly else {
            throw StoreError.invalid(detail: "\(path) was opened for reading only and cannot be written")
        }
    }

    /// A newer Martlet may have migrated the file since this process opened it.
    func checkSchema(_ database: Database) throws {
        let found = try Int.fetchOne(database.cachedStatement(sql: "PRAGMA user_version")) ?? 0
        guard found == schemaVersion else {
            throw StoreError.newerSchema(path: path, found: found, known: schemaVersion)
        }
    }

    /// Keeps the connections open for the time of a call, and gives its errors the store's names.
    func call<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let isOpen = calls.withLock { calls in
            if !calls.isClosed { calls.count += 1 }
            return !calls.isClosed
        }
        guard isOpen else { throw StoreError.io(path: path, detail: "this process has closed it") }
        defer {
            let isLast = calls.withLock { calls in
                calls.count -= 1
                return calls.isClosed && calls.count == 0
            }
            // The caller has its answer; connections that do not close now do when the store is let go.
            if isLast { try? closeConnections() }
        }
        do { return try await body() } catch { throw StoreError.named(error, path: path) }
    }

    private func closeConnections() throws {
        try StoreError.naming(path) {
            try versionReader.withLock { reader in
                try reader?.close()
                reader = nil
            }
            try pool.close()
        }
        calls.withLock { $0.lock = nil }
    }

    /// Lets go of the pages that the connections keep in memory; what is asked for next is read anew.
    package func releaseMemory() async throws {
        try await call { try await onThreadOfItsOwn { [pool] in pool.releaseMemory() } }
    }

    /// Runs blocking work away from the threads that tasks share.
    func onThreadOfItsOwn<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(with: Result(catching: body)) }
        }
    }

    private static func configuration(readOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readOnly
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.maximumReaderCount = readerLimit
        configuration.label = "martlet.db"
        configuration.prepareDatabase { database in
            // 16 MiB of pages a connection; a WAL that grew in a burst shrinks to 64 MiB afterwards.
            try database.execute(sql: "PRAGMA cache_size = -16384")
            try database.execute(sql: "PRAGMA journal_size_limit = 67108864")
            // What was deleted is gone from the file too; some builds of SQLite would leave it in unused places.
            try database.execute(sql: "PRAGMA secure_delete = ON")
        }
        return configuration
    }

    /// GRDB sets `synchronous` to NORMAL when it opens a pool, which loses the last transactions in a power
    /// cut: set after that, and looked at, since SQLite ignores a pragma that it does not like.
    private static func makeDurable(_ pool: DatabasePool) throws {
        let settings = try pool.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            return try WriterSettings(database)
        }
        guard settings == .durable else {
            throw StoreError.io(path: pool.path, detail: "the disk does not allow durable shared writing")
        }
    }

    static func createDirectory(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw StoreError.io(path: path, detail: error.localizedDescription) }
    }
}

/// What decides whether a transaction survives a power cut, and whether rows keep their owners.
struct WriterSettings: Sendable, Equatable {
    var journalMode: String
    /// 2 is FULL: a commit waits for the disk.
    var synchronous: Int
    var foreignKeys: Bool

    static let durable = WriterSettings(journalMode: "wal", synchronous: 2, foreignKeys: true)

    private init(journalMode: String, synchronous: Int, foreignKeys: Bool) {
        self.journalMode = journalMode
        self.synchronous = synchronous
        self.foreignKeys = foreignKeys
    }

    init(_ database: Database) throws {
        journalMode = try String.fetchOne(database, sql: "PRAGMA journal_mode") ?? ""
        synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous") ?? 0
        foreignKeys = try Bool.fetchOne(database, sql: "PRAGMA foreign_keys") ?? false
    }
}

extension Store {
    func writerSettings() async throws -> WriterSettings { try await write(WriterSettings.init) }

    /// Lets the database grow by a number of pages of 4 KiB only: stands for a disk that is nearly full. nil
    /// lifts the limit.
    func limitGrowth(pages: Int?) async throws {
        try await write { database in
            let used = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            let most = pages.map { used + $0 } ?? 0xFFFF_FFFE
            _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(most)")
        }
    }
}
