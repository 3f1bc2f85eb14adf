// The write-ahead log: counted rightly, and emptied by a process that is done, without loss and without waiting.

import Foundation
import GRDB
import Testing

@testable import Persistence

@Suite struct LogFileTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Runs until the log holds more frames than a process that is done leaves.
    private func fill(_ store: Store) async throws -> Int {
        var count = 0
        while LogFile.frames(store.path) <= LogFile.frameLimit {
            try await store.insertWorkflow(.sample("w\(count)"))
            count += 1
        }
        return count
    }

    @Test("The frames that count are those that SQLite counts, also after the log began anew") func counts()
        async throws
    {
        let store = try directory.open()
        for turn in 0..<3 {
            for row in 0..<5 { try await store.insertWorkflow(.sample("w\(turn)-\(row)")) }
            let counted = LogFile.frames(store.path)
            #expect(counted > 0)
            let known = try await store.pool.writeWithoutTransaction { try $0.checkpoint(.passive) }
            #expect(counted == known.walFrameCount)
        }
    }

    @Test(
        "A file that is no log counts nothing", arguments: [[], [1, 2, 3], [UInt8](repeating: 0, count: 32)])
    func noLog(_ bytes: [UInt8]) throws {
        let path = directory.path + "/other.db"
        #expect(LogFile.frames(path) == 0)
        #expect(!LogFile.isBegun(path))
        try Data(bytes).write(to: URL(fileURLWithPath: path + "-wal"))
        #expect(LogFile.frames(path) == 0)
    }

    @Test("A long log is emptied, and nothing is lost when the process ends without closing") func shortened()
        async throws
    {
        let store = try directory.open()
        let count = try await fill(store)
        try await store.shortenLog()
        #expect(LogFile.frames(store.path) == 1)
        // As a process leaves it that is killed now: the files, without what closing would do.
        let copy = directory.path + "/copy"
        try FileManager.default.copyItem(atPath: directory.data, toPath: copy)
        let later = try Store.open(dataDirectory: copy)
        #expect(try await later.workflow(uid: "uid-ml-w\(count - 1)") != nil)
        #expect(try await later.writerSettings() == .durable)
        try await store.insertWorkflow(.sample("next"))
    }

    @Test("A short log stays") func short() async throws {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("w"))
        let frames = LogFile.frames(store.path)
        try await store.shortenLog()
        #expect(LogFile.frames(store.path) == frames)
    }

    @Test("The log stays as it is while another process reads an older moment") func readers() async throws {
        let store = try directory.open()
        let other = try Snapshot.reader(store.path)
        let count = try await fill(store)
        let path = store.path
        try await other.read { database in
            #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM workflows") == count)
            let writer = try DatabaseQueue(path: path)
            try writer.write { try $0.execute(sql: "UPDATE workflows SET message = 'x'") }
        }
        try await store.shortenLog()
        #expect(try await store.workflow(uid: "uid-ml-w0")?.message == "x")
    }
}

/// A database that has a log already is looked at through the one connection that stays.
@Suite struct QuickOpeningTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A second opening while the first store has left a log.
    private func afterWriting(_ change: String) async throws -> StoreError? {
        let first = try directory.open()
        try await first.insertWorkflow(.sample("w"))
        #expect(LogFile.isBegun(first.path))
        try await first.pool.writeWithoutTransaction { try $0.execute(sql: change) }
        return await storeError { _ = try directory.open() }
    }

    @Test("A newer schema is refused") func newer() async throws {
        let known = Migration.all.count
        let error = try await afterWriting("PRAGMA user_version = \(known + 1)")
        #expect(error == .newerSchema(path: directory.database, found: known + 1, known: known))
    }

    @Test("Another program's database is refused") func foreign() async throws {
        let error = try await afterWriting("PRAGMA application_id = 7")
        #expect(error == .corrupt(path: directory.database, detail: "it is not a database of Martlet"))
    }

    @Test("What a process sees is what others have written, and its writes wait for the disk") func second()
        async throws
    {
        let first = try directory.open()
        try await first.insertWorkflow(.sample("w"))
        let second = try directory.open()
        #expect(try await second.writerSettings() == .durable)
        #expect(try await second.workflow(uid: "uid-ml-w") != nil)
        let seen = try await second.dataVersion()
        try await first.insertWorkflow(.sample("v"))
        #expect(try await second.dataVersion() != seen)
    }

    @Test("A plain Secret that lies in the database is encrypted, whatever the log holds") func sweep()
        async throws
    {
        let first = try directory.open()
        try await first.pool.write { database in
            try database.execute(
                sql: """
                    INSERT INTO definitions (kind, namespace, name, body, generation, resource_version,
                        created_at, updated_at)
                    VALUES ('Secret', 'ml', 's', '{}', 1, 1000, 1, 1)
                    """)
        }
        let second = try directory.open()
        let kept = try await second.read {
            try String.fetchOne($0, sql: "SELECT encryption FROM definitions WHERE name = 's'")
        }
        #expect(kept?.hasPrefix("aes256gcm:") == true)
    }
}
