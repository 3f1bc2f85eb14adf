// Why a step ran, over HTTP: by its id or name, and only to who may see the run.

import Controller
import Persistence
import Testing
import Text
import WorkflowLanguage

@testable import Scheduling
@testable import WebServer

@Suite("Why a step ran, in Martlet's own API")
struct MartletAPIReasonTests {
    private static let cache = ContentEntry.cacheName

    @Test("The fields that differ from the nearest finished step are told by id and by name")
    func fields() async throws {
        let fixture = try MartletAPIFixture()
        let record = ContentRecord(
            key: "old", fields: ["step": "dpo", "beta": "0.1"], outputs: Outputs(), workflowName: "before",
            nodeName: "dpo", finishedAt: MartletAPIFixture.start)
        try await fixture.store.saveCacheEntry(
            CacheEntry(
                key: "old", nodeID: "n", outputs: ContentEntry(record: record, digests: [:]).json,
                createdAt: MartletAPIFixture.start, lastHitAt: MartletAPIFixture.start),
            namespace: "default", cache: Self.cache)
        let node = MartletAPIFixture.node("tune.dpo", of: "tune") { node in
            node.memoization = .init(hit: false, key: "new", cacheName: Self.cache)
            node.contentFields = ["step": "dpo", "beta": "0.2"]
        }
        let uid = try await fixture.add("tune", nodes: [node])
        for word in [node.id, "dpo", "tune.dpo"] {
            let reason = try await fixture.get(
                "/runs/\(uid)/nodes/\(word)/why", "MartletAPI_GetNodeReason")
            #expect(reason["words"] == "ran, since 1 field differs from dpo of before")
            #expect(reason["fields"] == [["name": "beta", "before": "0.1", "now": "0.2"]])
            #expect(reason["cached"] == false)
        }
        let missing = try await fixture.service.get("/api/martlet/v1/runs/\(uid)/nodes/nobody/why")
        #expect(missing.status == 404)
    }
}
