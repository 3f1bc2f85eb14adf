// Cron on a real database: the run, the status and the moment are one write, and the verbs of people work.

import Artifacts
import Executors
import Foundation
import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Cron on the store")
struct CronStoreTests {
    private static let start = Timestamp(seconds: 1_767_225_600)
    private let directory = NSTemporaryDirectory() + "martlet-cron-" + UUID().uuidString

    private static let spec: [String: JSONValue] = [
        "schedules": ["*/10 * * * *"], "timezone": "UTC",
        "workflowSpec": [
            "entrypoint": "main",
            "arguments": ["parameters": [["name": "day", "value": "none"]]],
            "templates": [["name": "main", "container": ["image": "x", "command": ["true"]]]],
        ],
    ]

    private func operations(_ store: Store, _ clock: CronClock) throws -> WorkflowOperations {
        WorkflowOperations(
            store: store, artifacts: try LocalArtifactStore(directory: directory + "/artifacts"),
            dataDirectory: directory, controller: nil, now: { clock.now })
    }

    private func put(_ store: Store, _ clock: CronClock, _ spec: [String: JSONValue] = spec) async throws {
        try await store.putDefinition(
            .cronWorkflow, namespace: "default", name: "nightly",
            body: ["metadata": ["name": "nightly"], "spec": .object(spec)], at: clock.now)
    }

    @Test("Two runners on one database make one run of each moment, named and labeled as Argo does")
    func twoRunners() async throws {
        let clock = CronClock(Self.start + .seconds(1))
        let stores = [try Store.open(dataDirectory: directory), try Store.open(dataDirectory: directory)]
        try await put(stores[0], clock)
        let runners = try stores.map { store in
            CronRunner(
                ledger: StoreCronLedger(operations: try operations(store, clock)), now: { clock.now },
                sleep: { _ in }, local: .utc)
        }
        for step in 0...12 {
            clock.now = Self.start + .seconds(step * 300 + 2)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for runner in runners { group.addTask { try await runner.pass() } }
                try await group.waitForAll()
            }
        }
        let runs = try await stores[0].workflows(WorkflowQuery()).workflows
        let expected = (1...6).map { "nightly-\(Self.start.seconds + $0 * 600)" }
        #expect(runs.map(\.name).sorted() == expected)
        #expect(runs.allSatisfy { $0.labels[CronMachine.cronLabel] == "nightly" })
        #expect(runs.allSatisfy { $0.annotations[CronMachine.scheduledTimeAnnotation] != nil })
        let row = try #require(
            try await stores[1].definition(.cronWorkflow, namespace: "default", name: "nightly"))
        let status = CronStatus(row.status)
        #expect(status.active.map(\.name).sorted() == expected)
        #expect(status.lastScheduledTime == Self.start + .seconds(3_600))
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A moment whose run was deleted gets no other, from the schedule or a backfill")
    func deletedRun() async throws {
        let clock = CronClock(Self.start + .seconds(1))
        let store = try Store.open(dataDirectory: directory)
        try await put(store, clock)
        let operations = try operations(store, clock)
        let ledger = StoreCronLedger(operations: operations)
        clock.now = Self.start + .seconds(601)
        try await CronRunner(ledger: ledger, now: { clock.now }, sleep: { _ in }, local: .utc).pass()
        let run = try #require(try await store.workflows(WorkflowQuery()).workflows.first)
        try await store.deleteWorkflow(run.uid)
        // A new process within the grace period looks at the same moment.
        clock.now = Self.start + .seconds(620)
        try await CronRunner(ledger: ledger, now: { clock.now }, sleep: { _ in }, local: .utc).pass()
        #expect(try await store.workflows(WorkflowQuery()).workflows.isEmpty)
        let crons = CronOperations(operations: operations)
        let moment = Self.start + .seconds(600)
        let preview = try await crons.backfillPreview(
            "nightly", namespace: "default", from: Self.start, through: Self.start + .seconds(1_200))
        #expect(preview.map(\.instant) == [Self.start, moment, Self.start + .seconds(1_200)])
        #expect(preview.map(\.hadRun) == [false, true, false])
        #expect(try await crons.backfill("nightly", namespace: "default", at: moment) == nil)
        let made = try #require(
            try await crons.backfill("nightly", namespace: "default", at: Self.start, argument: "day"))
        let row = try #require(try await store.workflow(uid: made))
        #expect(row.name == "nightly-\(Self.start.seconds)")
        let definition = try #require(RunDefinition(stored: row.manifest))
        #expect(definition.spec.arguments.parameters.map(\.value) == [Self.start.rfc3339])
        #expect(
            try await crons.backfill("nightly", namespace: "default", at: Self.start, argument: "day") == nil)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A broken workflow is refused with its problems, and nothing is stored")
    func broken() async throws {
        let clock = CronClock(Self.start + .seconds(1))
        let store = try Store.open(dataDirectory: directory)
        var spec = Self.spec
        spec["workflowSpec"] = ["entrypoint": "missing", "templates": []]
        try await put(store, clock, spec)
        let ledger = StoreCronLedger(operations: try operations(store, clock))
        clock.now = Self.start + .seconds(601)
        try await CronRunner(ledger: ledger, now: { clock.now }, sleep: { _ in }, local: .utc).pass()
        #expect(try await store.workflows(WorkflowQuery()).workflows.isEmpty)
        let row = try #require(
            try await store.definition(.cronWorkflow, namespace: "default", name: "nightly"))
        let condition = try #require(CronStatus(row.status).conditions.first)
        #expect(condition.type == CronStatus.Condition.submissionError)
        #expect(condition.message.contains("missing"))
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("Suspended, no moment makes a run; resumed, the next one does")
    func suspends() async throws {
        let clock = CronClock(Self.start + .seconds(1))
        let store = try Store.open(dataDirectory: directory)
        try await put(store, clock)
        let operations = try operations(store, clock)
        let crons = CronOperations(operations: operations)
        let runner = CronRunner(
            ledger: StoreCronLedger(operations: operations), now: { clock.now }, sleep: { _ in }, local: .utc)
        try await runner.pass()
        try await crons.setSuspended("nightly", namespace: "default", true)
        clock.now = Self.start + .seconds(601)
        try await runner.pass()
        clock.now = Self.start + .seconds(620)
        let row = try await crons.setSuspended("nightly", namespace: "default", false)
        try await runner.pass()
        #expect(try await store.workflows(WorkflowQuery()).workflows.isEmpty)
        let outlook = CronOperations.outlook(of: row, at: clock.now, count: 2, local: .utc)
        #expect(outlook.next == [Self.start + .seconds(1_200), Self.start + .seconds(1_800)])
        #expect(outlook.lateSeconds == nil)
        clock.now = Self.start + .seconds(1_201)
        let late = CronOperations.outlook(of: row, at: clock.now + .seconds(9), count: 2, local: .utc)
        #expect(late.lateSeconds == 10)
        try await runner.pass()
        #expect(try await store.workflows(WorkflowQuery()).workflows.count == 1)
        await #expect(throws: OperationError.self) {
            try await crons.setSuspended("nobody", namespace: "default", true)
        }
        try FileManager.default.removeItem(atPath: directory)
    }
}
