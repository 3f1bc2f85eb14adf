// The schema's versions: newer ones are refused, older ones are copied and brought up to date.

import Foundation
import Testing

@testable import Persistence

@Suite struct MigrationTests {
    let directory: TemporaryDirectory
    let first = Migration(sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;")
    let second = Migration(sql: "ALTER TABLE notes ADD COLUMN author TEXT; CREATE INDEX n ON notes (author);")

    init() throws { directory = try TemporaryDirectory() }

    func open(_ migrations: [Migration], readOnly: Bool = false) throws -> Store {
        try Store.open(dataDirectory: directory.data, readOnly: readOnly, migrations: migrations)
    }

    @Test("A database of a newer martlet is refused, and both versions are named") func newer() async throws {
        try open([first, second]).close()
        let error = await storeError { _ = try open([first]) }
        #expect(error == .newerSchema(path: directory.database, found: 2, known: 1))
        #expect(error?.message.contains("version 2") == true)
        #expect(error?.message.contains("up to 1") == true)
    }

    @Test("An older database is copied beside itself, then migrated") func older() throws {
        try open([first]).close()
        try open([first, second]).close()
        let backup = directory.database + ".v1.backup"
        #expect(FileManager.default.fileExists(atPath: backup))
        #expect(try Snapshot.verify(backup).version == 1)
        #expect(try Snapshot.verify(directory.database).version == 2)
        // The third opening has nothing to do, and so leaves the copy alone.
        try FileManager.default.removeItem(atPath: backup)
        try open([first, second]).close()
        #expect(!FileManager.default.fileExists(atPath: backup))
    }

    @Test("A new database needs no backup") func fresh() throws {
        try open([first, second]).close()
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.data)
        #expect(!files.contains { $0.contains("backup") || $0.contains("partial") })
    }

    @Test("A migration that fails leaves the version and the tables as they were") func failing() throws {
        try open([first]).close()
        let broken = Migration(sql: "CREATE TABLE more (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")
        #expect(throws: StoreError.self) { _ = try open([first, broken]) }
        let stamp = try Snapshot.verify(directory.database)
        #expect(stamp.version == 1)
        try open([first, second]).close()
        #expect(try Snapshot.verify(directory.database).version == 2)
    }

    @Test("Reading only does not migrate") func readOnly() async throws {
        try open([first]).close()
        let error = await storeError { _ = try open([first, second], readOnly: true) }
        #expect(error == .olderSchema(path: directory.database, found: 1, known: 2))
        #expect(try Snapshot.verify(directory.database).version == 1)
    }

    @Test("A process that was there before a migration writes no more") func migratedMeanwhile() async throws
    {
        let early = try Store.open(dataDirectory: directory.data)
        let extra = Migration(sql: "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT;")
        let late = try open(Migration.all + [extra])
        let known = Migration.all.count
        let error = await storeError { try await early.insertWorkflow(.sample("w")) }
        #expect(error == .newerSchema(path: directory.database, found: known + 1, known: known))
        try await late.insertWorkflow(.sample("w"))
        #expect(try await early.workflow(uid: "uid-ml-w") != nil)
    }

    @Test("Several processes may open a new directory at the same time") func race() async throws {
        try await withThrowingTaskGroup(of: Store.self) { group in
            for _ in 0..<4 { group.addTask { [directory] in try directory.open() } }
            var stores: [Store] = []
            for try await store in group { stores.append(store) }
            #expect(stores.count == 4)
        }
        #expect(try Snapshot.verify(directory.database).version == Migration.all.count)
    }
}
