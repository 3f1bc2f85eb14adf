// A world for the cron runner: a ledger in memory that enforces the rules, fails where it is told to, and counts.

import Persistence
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

@testable import Controller

/// The process is killed here.
struct Killed: Error {}

/// Virtual time.
final class CronClock: Sendable {
    private let moment: Mutex<Timestamp>

    init(_ start: Timestamp) { moment = Mutex(start) }

    var now: Timestamp {
        get { moment.withLock { $0 } }
        set { moment.withLock { $0 = newValue } }
    }
}

/// Keeps what a database would keep. A second run of a moment is a failure of the test, not of the ledger.
final class CronWorld: CronLedger {
    struct Contents: Sendable {
        var rows: [String: DefinitionRow] = [:]
        var runs: [String: WorkflowSummary] = [:]
        /// Which run each moment of each cron workflow had.
        var instants: [String: [Timestamp: String]] = [:]
        var begun: [(cron: String, instant: Timestamp)] = []
        var terminated: [String] = []
        var deleted: [String] = []
        var version = 0
        var resourceVersion = 0
        /// Calls until the process is killed; nil: never.
        var callsLeft: Int?
        /// Whether the killing call has done its work.
        var diesAfterwards = false
        var refusal: String?
    }

    let contents = Mutex(Contents())
    let clock: CronClock

    init(_ clock: CronClock) { self.clock = clock }

    /// Counts a call and does its work; a call that kills may or may not have done it.
    private func call<Value>(_ body: (inout Contents) throws -> Value) throws -> Value {
        try contents.withLock { contents in
            if let left = contents.callsLeft {
                if left <= 0 {
                    guard contents.diesAfterwards else { throw Killed() }
                    _ = try body(&contents)
                    throw Killed()
                }
                contents.callsLeft = left - 1
            }
            return try body(&contents)
        }
    }

    func put(_ name: String, _ spec: [String: JSONValue]) {
        let now = clock.now
        contents.withLock { contents in
            contents.resourceVersion += 1
            contents.version += 1
            var spec = spec
            spec["workflowSpec"] = spec["workflowSpec"] ?? ["entrypoint": "main"]
            let old = contents.rows[name]
            contents.rows[name] = DefinitionRow(
                kind: .cronWorkflow, namespace: "default", name: name,
                body: .object(["metadata": .object(["name": .string(name)]), "spec": .object(spec)]),
                status: old?.status ?? .null, generation: 1, resourceVersion: contents.resourceVersion,
                createdAt: old?.createdAt ?? now, updatedAt: now)
        }
    }

    /// Ends the runs that have not ended.
    func endRuns(_ phase: Phase) {
        let now = clock.now
        contents.withLock { contents in
            for (uid, run) in contents.runs where run.finishedAt == nil {
                contents.runs[uid]?.phase = phase.rawValue
                contents.runs[uid]?.finishedAt = now
            }
            contents.version += 1
        }
    }

    func status(_ name: String) -> CronStatus {
        CronStatus(contents.withLock { $0.rows[name]?.status ?? .null })
    }

    func begun(_ name: String) -> [Timestamp] {
        contents.withLock { $0.begun.filter { $0.cron == name }.map(\.instant) }
    }

    // MARK: CronLedger

    func definitionRevision() async throws -> Int64 { try call { Int64($0.resourceVersion) } }
    func version() async throws -> Int { try call { $0.version } }
    func crons() async throws -> [DefinitionRow] { try call { $0.rows.values.sorted { $0.name < $1.name } } }
    func cron(namespace: String, name: String) async throws -> DefinitionRow? { try call { $0.rows[name] } }

    func runs(namespace: String, cron: String) async throws -> [WorkflowSummary] {
        try call { contents in
            contents.runs.values.filter { $0.labels[CronMachine.cronLabel] == cron }
                .sorted { $0.createdAt > $1.createdAt }
        }
    }

    func begin(_ request: CronRequest) async throws -> CronAnswer {
        let now = clock.now
        return try call { contents in
            if let refusal = contents.refusal { return .refused(refusal) }
            if contents.instants[request.cron]?[request.instant] != nil { return .existed }
            if let version = request.ifVersion, contents.rows[request.cron]?.resourceVersion != version {
                return .changed
            }
            contents.instants[request.cron, default: [:]][request.instant] = request.child.uid
            contents.begun.append((request.cron, request.instant))
            contents.runs[request.child.uid] = WorkflowSummary(
                uid: request.child.uid, namespace: "default", name: request.child.name, phase: "Running",
                createdAt: now, labels: [CronMachine.cronLabel: request.cron])
            if let status = request.status {
                contents.resourceVersion += 1
                contents.rows[request.cron]?.status = status.json
                contents.rows[request.cron]?.resourceVersion = contents.resourceVersion
            }
            contents.version += 1
            return .begun
        }
    }

    func writeStatus(namespace: String, cron: String, _ status: CronStatus) async throws {
        try call { contents in
            contents.resourceVersion += 1
            contents.version += 1
            contents.rows[cron]?.status = status.json
            contents.rows[cron]?.resourceVersion = contents.resourceVersion
        }
    }

    func markStopped(namespace: String, cron: String) async throws {
        try call { contents in
            guard let row = contents.rows[cron] else { return }
            contents.resourceVersion += 1
            contents.version += 1
            contents.rows[cron]?.body = row.body.setting(label: CronMachine.completedLabel, to: "true")
            contents.rows[cron]?.resourceVersion = contents.resourceVersion
        }
    }

    func terminate(_ uid: String) async throws {
        let now = clock.now
        try call { contents in
            contents.terminated.append(uid)
            guard contents.runs[uid]?.finishedAt == nil else { return }
            contents.runs[uid]?.phase = "Failed"
            contents.runs[uid]?.finishedAt = now
            contents.version += 1
        }
    }

    func delete(_ uid: String) async throws {
        try call { contents in
            contents.deleted.append(uid)
            contents.runs[uid] = nil
            contents.version += 1
        }
    }
}
