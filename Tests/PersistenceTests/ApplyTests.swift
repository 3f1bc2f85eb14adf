// Saving what happened: whole batches or nothing.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Persistence

@Suite struct ApplyTests {
    let directory: TemporaryDirectory
    let store: Store

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        try await store.insertWorkflow(.sample("a"))
        try await store.insertWorkflow(.sample("b", labels: ["team": "speech"]))
    }

    @Test("A run comes back as it was saved") func roundTrip() async throws {
        var done = Node.sample("w.one", sequence: 2, phase: .succeeded)
        done.message = "ends with a quote \" and a line\nbreak"
        done.outputs.result = "7"
        let running = Node.sample("w.two", sequence: 1)
        let effect = EffectRow(key: "launch/w.two/0", kind: "launch", body: .object(["attempt": 0]))
        let header = HeaderUpdate(
            phase: "Failed", message: "step failed", startedAt: Timestamp(seconds: 5),
            finishedAt: Timestamp(nanoseconds: 6_000_000_001), state: .object(["step": 2]),
            labels: ["team": "text"], annotations: ["note": "é"])
        let event = EventRow(at: Timestamp(seconds: 5), nodeID: running.id, kind: "phase", message: "Running")
        try await store.apply([
            WorkflowChange(
                uid: "uid-ml-b", header: header, nodes: [done, running], newEffects: [effect], events: [event]
            )
        ])

        let run = try #require(try await store.loadRun("uid-ml-b"))
        #expect(run.nodes == [running, done])
        #expect(run.effects == [effect])
        #expect(run.row.phase == "Failed")
        #expect(run.row.message == "step failed")
        #expect(run.row.startedAt == header.startedAt)
        #expect(run.row.finishedAt == header.finishedAt)
        #expect(run.row.state == .object(["step": 2]))
        #expect(run.row.labels == ["team": "text"])
        #expect(run.row.annotations == ["note": "é"])
        #expect(run.row.manifest == WorkflowRow.sample("b").manifest)
        let events = try await store.events("uid-ml-b")
        #expect(events.map(\.event) == [event])
        let last = try #require(events.last).id
        #expect(try await store.events("uid-ml-b", after: last).isEmpty)
        #expect(try await store.loadRun("uid-ml-a")?.nodes == [])
        #expect(try await store.loadRun("nobody") == nil)
    }

    @Test("A run that a change inserts comes to disk with the change, or neither does") func insertion()
        async throws
    {
        var row = WorkflowRow.sample("new", phase: "Pending", labels: ["team": "vision"])
        row.summary.driverEpoch = 1
        let node = Node.sample("w.one", sequence: 1)
        var change = WorkflowChange(
            uid: "uid-ml-new", driverEpoch: 1, header: HeaderUpdate(phase: "Running"), nodes: [node])
        change.insertion = row
        let superseded = WorkflowChange(uid: "uid-ml-a", driverEpoch: 9, nodes: [node])
        let error = await storeError { try await store.apply([change, superseded]) }
        #expect(error == .superseded(uid: "uid-ml-a"))
        #expect(try await store.loadRun("uid-ml-new") == nil)
        try await store.apply([change])
        let run = try #require(try await store.loadRun("uid-ml-new"))
        #expect(run.nodes == [node])
        #expect(run.row.phase == "Running")
        #expect(run.row.driverEpoch == 1)
        #expect(run.row.labels == ["team": "vision"])
        let taken = await storeError { try await store.apply([change]) }
        #expect(taken == .nameTaken(kind: "workflow", namespace: "ml", name: "new"))
    }

    @Test("A header without state, labels and annotations leaves those as they are") func partialHeader()
        async throws
    {
        try await store.apply([WorkflowChange(uid: "uid-ml-b", header: HeaderUpdate(phase: "Succeeded"))])
        let row = try #require(try await store.workflow(uid: "uid-ml-b"))
        #expect(row.phase == "Succeeded")
        #expect(row.state == .object(["step": 1]))
        #expect(row.labels == ["team": "speech"])
    }

    @Test("Saving a node again replaces it; deleting it removes it") func upsert() async throws {
        var node = Node.sample("w.one", sequence: 1)
        try await store.apply([WorkflowChange(uid: "uid-ml-a", nodes: [node])])
        node.phase = .succeeded
        try await store.apply([WorkflowChange(uid: "uid-ml-a", nodes: [node])])
        #expect(try await store.nodes("uid-ml-a") == [node])
        // Deleting goes first: a manual retry makes the same node anew.
        node.phase = .pending
        try await store.apply([WorkflowChange(uid: "uid-ml-a", nodes: [node], deletedNodes: [node.id])])
        #expect(try await store.nodes("uid-ml-a") == [node])
        try await store.apply([WorkflowChange(uid: "uid-ml-a", deletedNodes: [node.id, "unknown"])])
        #expect(try await store.nodes("uid-ml-a").isEmpty)
    }

    @Test("Effects stay until they are done, and adding one twice is adding it once") func effects()
        async throws
    {
        let effects = (0..<3).map { EffectRow(key: "timer/\($0)", kind: "timer", body: .int($0)) }
        try await store.apply([WorkflowChange(uid: "uid-ml-a", newEffects: effects)])
        try await store.apply([WorkflowChange(uid: "uid-ml-a", newEffects: [effects[1]])])
        try await store.apply([WorkflowChange(uid: "uid-ml-a", doneEffects: ["timer/0", "unknown"])])
        #expect(try await store.loadRun("uid-ml-a")?.effects == [effects[1], effects[2]])
    }

    @Test(
        "A batch with one bad change is not saved at all, and the store goes on",
        arguments: [
            (WorkflowChange(uid: "nobody"), StoreError.notFound(kind: "workflow", name: "nobody")),
            (WorkflowChange(uid: "uid-ml-b", driverEpoch: 7), .superseded(uid: "uid-ml-b")),
            (WorkflowChange(uid: "uid-ml-b", header: HeaderUpdate(phase: "Sleeping")), nil),
            (WorkflowChange(uid: "uid-ml-b", newEffects: [EffectRow(key: "k", kind: "", body: .null)]), nil),
        ] as [(WorkflowChange, StoreError?)])
    func atomicity(bad: WorkflowChange, expected: StoreError?) async throws {
        let good = WorkflowChange(
            uid: "uid-ml-a", header: HeaderUpdate(phase: "Failed"), nodes: [.sample("w.one", sequence: 1)],
            newEffects: [EffectRow(key: "e", kind: "launch", body: .null)],
            events: [EventRow(at: Timestamp(seconds: 1), kind: "phase", message: "")])
        let before = try await store.loadRun("uid-ml-a")
        let error = await storeError { try await store.apply([good, bad, good]) }
        if let expected {
            #expect(error == expected)
        } else {
            guard case .invalid = error else {
                Issue.record("not refused as invalid: \(String(describing: error))")
                return
            }
        }
        #expect(try await store.loadRun("uid-ml-a") == before)
        #expect(try await store.events("uid-ml-a").isEmpty)
        try await store.apply([good])
        #expect(try await store.loadRun("uid-ml-a")?.nodes.count == 1)
    }

    @Test("A driver that was succeeded by another can write no more") func supersededDriver() async throws {
        let first = try await store.claimRun("uid-ml-a")
        try await store.apply([WorkflowChange(uid: "uid-ml-a", driverEpoch: first)])
        let second = try await store.claimRun("uid-ml-a")
        #expect(second == first + 1)
        let error = await storeError {
            try await store.apply([WorkflowChange(uid: "uid-ml-a", driverEpoch: first)])
        }
        #expect(error == .superseded(uid: "uid-ml-a"))
        try await store.apply([WorkflowChange(uid: "uid-ml-a", driverEpoch: second)])
        #expect(
            await storeError { _ = try await store.claimRun("no") } == .notFound(kind: "workflow", name: "no")
        )
    }

    @Test("When the disk is full nothing is half written, and all goes on once there is space")
    func fullDisk() async throws {
        var change = WorkflowChange(uid: "uid-ml-a", header: HeaderUpdate(phase: "Failed"))
        change.nodes = (0..<400).map { number in
            var node = Node.sample("w.\(number)", sequence: number)
            node.message = String(repeating: "long ", count: 200)
            return node
        }
        let before = try await store.loadRun("uid-ml-a")
        try await store.limitGrowth(pages: 4)
        for _ in 0..<2 {
            let error = await storeError { try await store.apply([change]) }
            #expect(error == .full(path: store.path))
            #expect(try await store.loadRun("uid-ml-a") == before)
        }
        try await store.limitGrowth(pages: nil)
        try await store.apply([change])
        #expect(try await store.loadRun("uid-ml-a")?.nodes == change.nodes)
        try await store.verify()
    }

    @Test("Deleting a run deletes what hangs on it and nothing else") func deletion() async throws {
        for uid in ["uid-ml-a", "uid-ml-b"] {
            try await store.apply([
                WorkflowChange(
                    uid: uid, nodes: [.sample("w.one", sequence: 1)],
                    newEffects: [EffectRow(key: "e", kind: "launch", body: .null)])
            ])
        }
        #expect(try await store.deleteWorkflow("uid-ml-a"))
        #expect(try await !store.deleteWorkflow("uid-ml-a"))
        #expect(try await store.loadRun("uid-ml-a") == nil)
        #expect(try await store.nodes("uid-ml-a").isEmpty)
        #expect(try await store.loadRun("uid-ml-b")?.nodes.count == 1)
        // The name is free again, and the new run starts empty.
        try await store.insertWorkflow(.sample("a"))
        #expect(try await store.loadRun("uid-ml-a")?.effects == [])
    }
}
