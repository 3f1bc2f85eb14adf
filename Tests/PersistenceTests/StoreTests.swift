// Opening a data directory: what is made, what is checked, what is refused.

import Foundation
import Testing
import Text

@testable import Persistence

@Suite struct StoreTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test("A new data directory is for its owner only") func permissions() throws {
        let store = try directory.open()
        func permissions(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try permissions(directory.data) == 0o700)
        #expect(try permissions(store.path) == 0o600)
        #expect(try permissions(store.path + "-wal") == 0o600)
    }

    @Test("Every commit waits for the disk, although GRDB would not have it so") func durability()
        async throws
    {
        let store = try directory.open()
        #expect(try await store.writerSettings() == .durable)
        try await store.insertWorkflow(.sample("w"))
        #expect(try await store.writerSettings() == .durable)
    }

    @Test("Reading only creates nothing and writes nothing") func readOnly() async throws {
        let absent = await storeError { _ = try directory.open(readOnly: true) }
        #expect(absent == .notFound(kind: "database", name: directory.database))
        #expect(!FileManager.default.fileExists(atPath: directory.data))

        let writer = try directory.open()
        try await writer.insertWorkflow(.sample("w"))
        let reader = try directory.open(readOnly: true)
        #expect(try await reader.workflow(namespace: "ml", name: "w") == .sample("w", revision: 1))
        let refused = await storeError { try await reader.insertWorkflow(.sample("x")) }
        #expect(refused?.message.contains("reading only") == true)
    }

    @Test("Two stores of one directory see each other's writes, and that there were some")
    func twoStores() async throws {
        let (left, right) = (try directory.open(), try directory.open())
        let before = try await right.dataVersion()
        #expect(try await right.dataVersion() == before)
        try await left.insertWorkflow(.sample("w"))
        let after = try await right.dataVersion()
        #expect(after != before)
        #expect(try await right.workflow(uid: "uid-ml-w")?.name == "w")
        #expect(try await right.dataVersion() == after)
        try await right.deleteWorkflow("uid-ml-w")
        #expect(try await left.workflow(uid: "uid-ml-w") == nil)
    }

    @Test("Writers of several stores follow one another and none is lost") func concurrentWriters()
        async throws
    {
        let stores = try (0..<3).map { _ in try directory.open() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, store) in stores.enumerated() {
                group.addTask {
                    for number in 0..<20 { try await store.insertWorkflow(.sample("w-\(index)-\(number)")) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await stores[0].workflowCount(WorkflowQuery()) == 60)
    }

    @Test("What was committed is there after the store is closed and opened again") func reopening()
        async throws
    {
        let store = try directory.open()
        try await store.insertWorkflow(.sample("w"))
        try store.close()
        let again = try directory.open()
        #expect(try await again.workflow(uid: "uid-ml-w") == .sample("w", revision: 1))
    }

    @Test("A write that has begun is finished though its task is cancelled") func cancelledWrite()
        async throws
    {
        let store = try directory.open()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await store.insertWorkflow(.sample("w"))
        }
        try await task.value
        #expect(try await store.workflow(uid: "uid-ml-w") != nil)
    }

    @Test(
        "A file that is no database is named, with the remedy, and left as it is",
        arguments: ["A text, not a database. ", "\u{0}", "SQLite format 3\u{0}"])
    func notADatabase(pattern: String) async throws {
        let bytes = Array(String(repeating: pattern, count: 8192).utf8.prefix(8192))
        try FileManager.default.createDirectory(atPath: directory.data, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: directory.database))
        let error = await storeError { _ = try directory.open() }
        guard case .corrupt(let path, _) = error else {
            Issue.record("not refused as corrupt: \(String(describing: error))")
            return
        }
        #expect(path == directory.database)
        #expect(error?.message.contains("martlet restore") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.database)) == Data(bytes))
    }

    @Test("Another program's database is refused and left as it is") func foreignDatabase() async throws {
        try directory.open().close()
        let applicationIDOffset: UInt64 = 68
        try directory.overwrite(directory.database, at: applicationIDOffset, with: [1, 2, 3, 4])
        let before = try Data(contentsOf: URL(fileURLWithPath: directory.database))
        let error = await storeError { _ = try directory.open() }
        #expect(error == .corrupt(path: directory.database, detail: "it is not a database of Martlet"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.database)) == before)
    }

    @Test("Damaged pages are found by verifying and named when they are met") func damagedPages() async throws
    {
        let store = try directory.open()
        for number in 0..<200 { try await store.insertWorkflow(.sample("w-\(number)")) }
        try await store.verify()
        try store.close()
        let size = try FileManager.default.attributesOfItem(atPath: directory.database)[.size] as? Int
        let pages = try #require(size) / 4096
        let noise = [UInt8](repeating: 0xFF, count: 4096)
        // All but the first page, which has the schema's beginning.
        for page in 1..<pages {
            try directory.overwrite(directory.database, at: UInt64(page * 4096), with: noise)
        }
        let error = await storeError {
            let damaged = try directory.open()
            try await damaged.verify()
        }
        guard case .corrupt = error else {
            Issue.record("not reported as corrupt: \(String(describing: error))")
            return
        }
    }

    @Test("A closed store throws instead of trapping") func closed() async throws {
        let store = try directory.open()
        try store.close()
        await #expect(throws: (any Error).self) { _ = try await store.workflow(uid: "x") }
        await #expect(throws: (any Error).self) { try await store.insertWorkflow(.sample("w")) }
        await #expect(throws: (any Error).self) { _ = try await store.dataVersion() }
    }
}
