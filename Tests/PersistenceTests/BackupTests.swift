// Backups are whole or absent, and restoring loses nothing.

import Foundation
import Scheduling
import Testing

@testable import Persistence

@Suite struct BackupTests {
    let directory: TemporaryDirectory
    var backup: String { directory.path + "/copy.db" }

    init() throws { directory = try TemporaryDirectory() }

    @Test("A backup taken while others write is one consistent moment") func backupWhileWriting() async throws
    {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [directory] in
                let other = try directory.open()
                for number in 0..<50 {
                    // Two rows always come together.
                    let nodes = [0, 1].map { Node.sample("w.\(number).\($0)", sequence: number) }
                    try await other.apply([WorkflowChange(uid: "uid-ml-a", nodes: nodes)])
                }
            }
            group.addTask { [backup] in for _ in 0..<3 { try await store.backup(to: backup) } }
            try await group.waitForAll()
        }
        #expect(try Snapshot.verify(backup).version == Migration.all.count)
        try Store.restore(from: backup, dataDirectory: directory.path + "/elsewhere")
        let copy = try Store.open(dataDirectory: directory.path + "/elsewhere")
        #expect(try await copy.nodes("uid-ml-a").count.isMultiple(of: 2))
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(!files.contains { $0.contains("partial") })
    }

    @Test("Restoring brings the old rows back and keeps the newer database aside") func restoring()
        async throws
    {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("old"))
        try await store.backup(to: backup)
        try await store.insertWorkflow(.sample("new"))
        try store.close()

        let kept = try Store.restore(from: backup, dataDirectory: directory.data)
        #expect(kept == directory.database + ".replaced-1")
        let restored = try directory.open()
        #expect(try await restored.workflows(WorkflowQuery()).workflows.map(\.name) == ["old"])
        try restored.close()
        // The way back is the same.
        #expect(
            try Store.restore(from: try #require(kept), dataDirectory: directory.data)
                == directory.database + ".replaced-2")
        #expect(try await directory.open().workflows(WorkflowQuery()).workflows.count == 2)
    }

    @Test("A directory in use is not restored unless forced") func inUse() async throws {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("old"))
        try await store.backup(to: backup)
        let error = await storeError { try Store.restore(from: backup, dataDirectory: directory.data) }
        #expect(error == .busy(path: directory.database, detail: "a martlet process has it open"))
        #expect(try await store.workflow(uid: "uid-ml-old") != nil)
        #expect(try Store.restore(from: backup, dataDirectory: directory.data, force: true) != nil)
        #expect(try await directory.open().workflow(uid: "uid-ml-old") != nil)
    }

    @Test("A damaged database is replaced by a backup, as its error message says") func afterDamage()
        async throws
    {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("old"))
        try await store.backup(to: backup)
        try store.close()
        try directory.overwrite(directory.database, at: 0, with: [UInt8](repeating: 7, count: 4096))
        #expect(await storeError { _ = try directory.open() } != nil)
        try Store.restore(from: backup, dataDirectory: directory.data)
        #expect(try await directory.open().workflow(uid: "uid-ml-old") != nil)
    }

    @Test("What is no good backup is refused, and the database stays") func badBackups() async throws {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("old"))
        try await store.backup(to: backup)
        #expect(await storeError { try await store.backup(to: store.path) } != nil)
        #expect(await storeError { try await store.backup(to: directory.path + "/no/such/place.db") } != nil)
        try store.close()
        func refused(_ file: String) async -> StoreError? {
            await storeError { try Store.restore(from: file, dataDirectory: directory.data) }
        }
        #expect(
            await refused(directory.path + "/absent")
                == .notFound(kind: "backup", name: directory.path + "/absent"))
        #expect(await refused(directory.database) != nil)
        let empty = directory.path + "/empty.db"
        try Data().write(to: URL(fileURLWithPath: empty))
        #expect(await refused(empty) == .corrupt(path: empty, detail: "it is empty"))
        // Cut off in the middle, as by a copy that did not finish.
        let whole = try Data(contentsOf: URL(fileURLWithPath: backup))
        try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: backup))
        guard case .corrupt = await refused(backup) else {
            Issue.record("half a backup was accepted")
            return
        }
        #expect(try await directory.open().workflow(uid: "uid-ml-old") != nil)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.data)
        #expect(!files.contains { $0.contains("replaced") || $0.contains("incoming") })
    }
}
