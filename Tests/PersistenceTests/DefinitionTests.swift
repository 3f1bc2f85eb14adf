// Stored definitions and the memoization cache.

import Testing
import Text
import WorkflowLanguage

@testable import Persistence

@Suite struct DefinitionTests {
    let directory: TemporaryDirectory
    let store: Store

    init() throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
    }

    func document(_ kind: DefinitionKind, _ name: String, _ members: [String: JSONValue] = [:]) -> JSONValue {
        var object = members
        object["kind"] = .string(kind.rawValue)
        object["metadata"] = .object(["name": .string(name)])
        return .object(object)
    }

    @discardableResult
    func put(
        _ kind: DefinitionKind, _ name: String, _ members: [String: JSONValue] = [:],
        namespace: String = "ml",
        second: Int = 1, if condition: WriteCondition = .always
    ) async throws -> DefinitionRow {
        try await store.putDefinition(
            kind, namespace: namespace, name: name, body: document(kind, name, members),
            at: Timestamp(seconds: second), if: condition)
    }

    @Test(
        "A definition comes back as it was put; a change counts, the same again does not",
        arguments: DefinitionKind.allCases)
    func roundTrip(kind: DefinitionKind) async throws {
        let first = try await put(kind, "t")
        #expect(first.generation == 1)
        #expect(first.namespace == (kind.isClusterWide ? "" : "ml"))
        #expect(try await store.definition(kind, namespace: "ml", name: "t") == first)
        #expect(try await put(kind, "t", second: 2) == first)
        let second = try await put(kind, "t", ["spec": 2], second: 3)
        #expect(second.generation == 2)
        #expect(second.resourceVersion > first.resourceVersion)
        #expect(second.createdAt == first.createdAt)
        #expect(second.updatedAt == Timestamp(seconds: 3))
        #expect(try await store.definitions(kind) == [second])
        #expect(try await store.deleteDefinition(kind, namespace: "ml", name: "t"))
        #expect(try await !store.deleteDefinition(kind, namespace: "ml", name: "t"))
        // A version is never used again, so a stale one cannot fit by chance.
        #expect(try await put(kind, "t").resourceVersion > second.resourceVersion)
    }

    @Test("A condition that does not hold refuses the write and says why") func conditions() async throws {
        let kind = "WorkflowTemplate"
        let absent = await storeError { try await put(.workflowTemplate, "t", if: .present) }
        #expect(absent == .notFound(kind: kind, name: "t"))
        let first = try await put(.workflowTemplate, "t", if: .absent)
        let taken = await storeError { try await put(.workflowTemplate, "t", ["spec": 2], if: .absent) }
        #expect(taken == .nameTaken(kind: kind, namespace: "ml", name: "t"))
        let second = try await put(.workflowTemplate, "t", ["spec": 2], if: .version(first.resourceVersion))
        let stale = await storeError {
            try await put(.workflowTemplate, "t", ["spec": 3], if: .version(first.resourceVersion))
        }
        #expect(
            stale
                == .conflict(
                    kind: kind, name: "t", expected: first.resourceVersion, found: second.resourceVersion))
        #expect(try await store.definition(.workflowTemplate, namespace: "ml", name: "t") == second)
    }

    @Test("A status is kept beside the body and counts as no new generation") func status() async throws {
        let cron = try await put(.cronWorkflow, "nightly")
        try await store.setDefinitionStatus(
            .cronWorkflow, namespace: "ml", name: "nightly", status: .object(["active": .array([])]))
        let after = try #require(try await store.definition(.cronWorkflow, namespace: "ml", name: "nightly"))
        #expect(after.status == .object(["active": .array([])]))
        #expect(after.generation == 1)
        #expect(after.resourceVersion > cron.resourceVersion)
        let error = await storeError {
            try await store.setDefinitionStatus(.cronWorkflow, namespace: "ml", name: "x", status: .null)
        }
        #expect(error == .notFound(kind: "CronWorkflow", name: "x"))
    }

    @Test("Lists are by namespace and name") func lists() async throws {
        for (namespace, name) in [("ml", "b"), ("ml", "a"), ("dev", "c")] {
            try await put(.configMap, name, namespace: namespace)
        }
        #expect(try await store.definitions(.configMap).map(\.name) == ["c", "a", "b"])
        #expect(try await store.definitions(.configMap, namespace: "ml").map(\.name) == ["a", "b"])
        #expect(try await store.definitions(.secret).isEmpty)
    }

    @Test("A catalog has its namespace's definitions and the cluster's, and no others") func catalog()
        async throws
    {
        try await put(.workflowTemplate, "mine")
        try await put(.workflowTemplate, "theirs", namespace: "dev")
        try await put(.clusterWorkflowTemplate, "ours")
        try await put(.cronWorkflow, "nightly")
        try await put(.workflowEventBinding, "hook")
        try await put(.configMap, "settings", ["data": .object(["size": "3"])])
        try await put(.secret, "keys", ["stringData": .object(["token": "t"])])
        // A document whose metadata does not say its name is filed under it all the same.
        try await store.putDefinition(
            .workflowTemplate, namespace: "ml", name: "bare", body: .object([:]), at: Timestamp(seconds: 1))
        let catalog = try await store.catalog(namespace: "ml")
        #expect(catalog.namespaced.keys.sorted() == ["bare", "mine"])
        #expect(catalog.cluster.keys.sorted() == ["ours"])
        #expect(catalog.configMaps["settings"]?.values == ["size": "3"])
        #expect(catalog.secrets["keys"]?.values == ["token": "t"])
        #expect(catalog.workflowTemplate("ours", clusterScope: true) != nil)
    }
}

@Suite struct CacheTests {
    let directory: TemporaryDirectory
    let store: Store

    init() throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
    }

    func entry(_ key: String, second: Int) -> CacheEntry {
        CacheEntry(
            key: key, nodeID: "w-1", outputs: .object(["result": .int(second)]),
            createdAt: Timestamp(seconds: second), lastHitAt: Timestamp(seconds: second))
    }

    @Test("An entry is found by its key, replaced by a later one, and remembers its last use") func entries()
        async throws
    {
        #expect(try await store.cacheEntry(namespace: "ml", cache: "c", key: "k") == nil)
        try await store.saveCacheEntry(entry("k", second: 1), namespace: "ml", cache: "c")
        #expect(try await store.cacheEntry(namespace: "ml", cache: "c", key: "k") == entry("k", second: 1))
        #expect(try await store.cacheEntry(namespace: "dev", cache: "c", key: "k") == nil)
        try await store.saveCacheEntry(entry("k", second: 2), namespace: "ml", cache: "c")
        try await store.touchCacheEntry(namespace: "ml", cache: "c", key: "k", at: Timestamp(seconds: 9))
        // Uses may be noted out of order.
        try await store.touchCacheEntry(namespace: "ml", cache: "c", key: "k", at: Timestamp(seconds: 5))
        var expected = entry("k", second: 2)
        expected.lastHitAt = Timestamp(seconds: 9)
        #expect(try await store.cacheEntries(namespace: "ml", cache: "c") == [expected])
    }

    @Test("Entries are deleted one by one, by cache, and by age") func deletion() async throws {
        for (cache, key, second) in [("c", "a", 1), ("c", "b", 2), ("d", "a", 3)] {
            try await store.saveCacheEntry(entry(key, second: second), namespace: "ml", cache: cache)
        }
        #expect(try await store.cacheNames(namespace: "ml") == ["c", "d"])
        #expect(try await store.deleteCacheEntries(namespace: "ml", cache: "c", key: "a") == 1)
        #expect(try await store.cacheEntries(namespace: "ml", cache: "c").map(\.key) == ["b"])
        #expect(try await store.deleteCacheEntries(notHitSince: Timestamp(seconds: 3)) == 1)
        #expect(try await store.deleteCacheEntries(namespace: "ml", cache: "d") == 1)
        #expect(try await store.cacheNames(namespace: "ml").isEmpty)
    }
}
