// Revisions: a reader that follows them knows in the end what the database knows.

import Scheduling
import TestSupport
import Testing
import Text

@testable import Persistence

@Suite struct FeedTests {
    let directory: TemporaryDirectory
    let store: Store

    init() throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
    }

    @Test("Every visible change takes the next number, and changes come in order, each run once")
    func numbers() async throws {
        #expect(try await store.latestRevision() == 0)
        #expect(try await store.runChanges(after: 0).isEmpty)
        try await store.insertWorkflow(.sample("a", labels: ["team": "speech"]))
        try await store.insertWorkflow(.sample("b"))
        try await store.apply([
            WorkflowChange(uid: "uid-ml-a", header: HeaderUpdate(phase: "Running", progress: "1/2")),
            WorkflowChange(uid: "uid-ml-b", nodes: [.sample("w.one", sequence: 1)]),
            WorkflowChange(uid: "uid-ml-a", progress: "2/2"),
        ])
        let changes = try await store.runChanges(after: 0)
        #expect(changes.map(\.revision) == [4, 5])
        #expect(changes.map(\.name) == ["b", "a"])
        #expect(changes.last?.labels == ["team": "speech"])
        #expect(try await store.workflow(uid: "uid-ml-a")?.progress == "2/2")
        #expect(try await store.latestRevision() == 5)
        try await store.setArchived("uid-ml-b", true)
        #expect(try await store.runChanges(after: 5).map(\.revision) == [6])
        try await store.deleteWorkflow("uid-ml-a")
        let last = try await store.runChanges(after: 6)
        #expect(last.map(\.uid) == ["uid-ml-a"])
        #expect(last.first?.isDeleted == true)
        #expect(last.first?.labels == ["team": "speech"])
    }

    @Test("What only the driver needs is no change") func invisible() async throws {
        try await store.insertWorkflow(.sample("a"))
        let effect = EffectRow(key: "e", kind: "launch", body: .null)
        try await store.apply([WorkflowChange(uid: "uid-ml-a", newEffects: [effect])])
        try await store.apply([WorkflowChange(uid: "uid-ml-a", doneEffects: ["e"])])
        _ = try await store.claimRun("uid-ml-a")
        #expect(try await store.latestRevision() == 1)
    }

    @Test("A delta has the nodes written since, and all of them once some were deleted") func deltas()
        async throws
    {
        try await store.insertWorkflow(.sample("a"))
        let nodes = (1...3).map { Node.sample("w.\($0)", sequence: $0) }
        try await store.apply([WorkflowChange(uid: "uid-ml-a", nodes: nodes)])
        let whole = try #require(try await store.runDelta("uid-ml-a", after: 0))
        #expect(whole.isWhole)
        #expect(whole.nodes == nodes)
        var changed = nodes[1]
        changed.phase = .succeeded
        try await store.apply([WorkflowChange(uid: "uid-ml-a", nodes: [changed])])
        let part = try #require(try await store.runDelta("uid-ml-a", after: whole.summary.revision))
        #expect(!part.isWhole)
        #expect(part.nodes == [changed])
        #expect(part.summary.revision == 3)
        let none = try #require(try await store.runDelta("uid-ml-a", after: part.summary.revision))
        #expect(none.nodes.isEmpty && !none.isWhole)
        try await store.apply([WorkflowChange(uid: "uid-ml-a", deletedNodes: [nodes[0].id])])
        let reset = try #require(try await store.runDelta("uid-ml-a", after: part.summary.revision))
        #expect(reset.isWhole)
        #expect(reset.nodes == [changed, nodes[2]])
        // A reader of a database that was restored meanwhile stands in the future.
        #expect(try await store.runDelta("uid-ml-a", after: 99)?.isWhole == true)
        #expect(try await store.runDelta("nobody", after: 0) == nil)
    }

    @Test("A reader that pages through the changes knows every run in the end", arguments: [1, 2, 3, 4])
    func following(seed: UInt64) async throws {
        var chance = SeededGenerator(seed: seed)
        var names: [String] = []
        var known: [String: String] = [:]
        var revision: Int64 = 0
        for step in 0..<150 {
            switch Int.random(in: 0..<4, using: &chance) {
            case 0:
                names.append("run-\(step)")
                try await store.insertWorkflow(.sample("run-\(step)"))
            case 1:
                guard let index = names.indices.randomElement(using: &chance) else { continue }
                try await store.deleteWorkflow("uid-ml-" + names.remove(at: index))
            default:
                let phases = ["Pending", "Running", "Succeeded", "Failed"]
                let batch = names.filter { _ in Bool.random(using: &chance) }.map { name in
                    WorkflowChange(
                        uid: "uid-ml-" + name,
                        header: HeaderUpdate(phase: phases.randomElement(using: &chance) ?? "Running"))
                }
                try await store.apply(batch)
            }
            guard Int.random(in: 0..<5, using: &chance) == 0 else { continue }
            revision = try await follow(&known, from: revision, limit: Int.random(in: 1...4, using: &chance))
        }
        _ = try await follow(&known, from: revision, limit: 3)
        let stored = try await store.workflows(WorkflowQuery(limit: 1000)).workflows
        #expect(known == Dictionary(uniqueKeysWithValues: stored.map { ($0.uid, $0.phase) }))
    }

    private func follow(_ known: inout [String: String], from start: Int64, limit: Int) async throws -> Int64
    {
        var revision = start
        while true {
            let page = try await store.runChanges(after: revision, limit: limit)
            guard let last = page.last else { return revision }
            #expect(page.count <= limit)
            for change in page {
                #expect(change.revision > revision)
                revision = change.revision
                known[change.uid] = change.isDeleted ? nil : change.phase
            }
            #expect(revision == last.revision)
        }
    }

    @Test("A reader is told to begin anew when deletions that it has not seen are forgotten") func expiry()
        async throws
    {
        for name in ["a", "b", "c", "d"] { try await store.insertWorkflow(.sample(name)) }
        try await store.deleteWorkflow("uid-ml-a")
        // As if all that is remembered had been deleted in between.
        try await store.execute(
            "UPDATE sqlite_sequence SET seq = \(Store.deletionLimit) WHERE name = 'workflow_deletions'")
        try await store.deleteWorkflow("uid-ml-b")
        let error = await storeError { _ = try await store.runChanges(after: 4) }
        #expect(error == .expired(revision: 4))
        #expect(try await store.runChanges(after: 5).map(\.uid) == ["uid-ml-b"])
        // Who has seen nothing misses nothing, and the future is not this database's.
        #expect(try await store.runChanges(after: 0).map(\.name) == ["c", "d", "b"])
        let future = await storeError { _ = try await store.runChanges(after: 7) }
        #expect(future == .expired(revision: 7))
    }

    @Test("Definitions count too, their deletion included") func definitions() async throws {
        let before = try await store.latestDefinitionRevision()
        try await store.putDefinition(
            .cronWorkflow, namespace: "ml", name: "c", body: .object([:]), at: Timestamp(seconds: 1))
        let put = try await store.latestDefinitionRevision()
        try await store.setDefinitionStatus(.cronWorkflow, namespace: "ml", name: "c", status: .int(1))
        let status = try await store.latestDefinitionRevision()
        try await store.deleteDefinition(.cronWorkflow, namespace: "ml", name: "c")
        let deleted = try await store.latestDefinitionRevision()
        #expect(before < put && put < status && status < deleted)
        #expect(try await store.latestRevision() == 0)
    }
}
