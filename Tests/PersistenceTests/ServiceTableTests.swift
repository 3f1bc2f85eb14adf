// What a server keeps: tokens, audit log, outbox, settings, instants of cron.

import Testing
import Text

@testable import Persistence

@Suite struct ServiceTableTests {
    let directory: TemporaryDirectory
    let store: Store

    init() throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
    }

    func moment(_ seconds: Int) -> Timestamp { Timestamp(seconds: seconds) }

    @Test("A token is found by its hash until it is revoked, and its use is noted once a minute")
    func tokens() async throws {
        let hash = String(repeating: "a", count: 64)
        let token = TokenRow(
            id: "t1", name: "ci", roles: ["ml": "editor"], createdAt: moment(10), expiresAt: moment(1000))
        try await store.insertToken(token, sha256: hash)
        #expect(try await store.token(sha256: hash) == token)
        #expect(try await store.token(id: "t1") == token)
        #expect(try await store.token(sha256: String(repeating: "b", count: 64)) == nil)
        let taken = await storeError { try await store.insertToken(token, sha256: hash) }
        #expect(taken == .nameTaken(kind: "token", namespace: "", name: "t1"))
        #expect(try await store.hasUsableToken(at: moment(999)))
        #expect(try await !store.hasUsableToken(at: moment(1000)))
        for second in [100, 130, 159] { try await store.noteTokenUse("t1", at: moment(second)) }
        #expect(try await store.token(id: "t1")?.lastUsedAt == moment(100))
        try await store.noteTokenUse("t1", at: moment(160))
        #expect(try await store.token(id: "t1")?.lastUsedAt == moment(160))
        #expect(try await store.revokeToken("t1", at: moment(200)))
        #expect(try await store.revokeToken("t1", at: moment(300)))
        #expect(try await store.tokens().map(\.revokedAt) == [moment(200)])
        #expect(try await !store.hasUsableToken(at: moment(201)))
        #expect(try await !store.revokeToken("t2", at: moment(1)))
        #expect(try await store.deleteToken("t1"))
    }

    @Test("A token without a hash of 64 digits is not stored") func badHash() async throws {
        let token = TokenRow(id: "t", name: "n", roles: [:], createdAt: moment(1))
        #expect(await storeError { try await store.insertToken(token, sha256: "mrt_plain") } != nil)
        #expect(try await store.tokens().isEmpty)
    }

    @Test("The audit log is read newest first, page by page, though lines come meanwhile") func audit()
        async throws
    {
        func row(_ number: Int) -> AuditRow {
            AuditRow(
                at: moment(number), who: "ann", what: "DeleteWorkflow",
                namespace: number % 2 == 0 ? "ml" : "dev",
                target: "w-\(number)", source: "127.0.0.1", status: 200)
        }
        try await store.appendAudit((1...7).map(row))
        let first = try await store.audit(limit: 3)
        #expect(first.map(\.target) == ["w-7", "w-6", "w-5"])
        try await store.appendAudit([row(8)])
        let rest = try await store.audit(before: first.last?.id, limit: 100)
        #expect(rest.map(\.target) == ["w-4", "w-3", "w-2", "w-1"])
        #expect(try await store.audit(namespace: "ml").map(\.target) == ["w-8", "w-6", "w-4", "w-2"])
    }

    @Test("The oldest lines of the audit log go when there are too many") func auditLimit() async throws {
        let row = AuditRow(
            at: moment(1), who: "", what: "", namespace: "", target: "old", source: "", status: 0)
        try await store.appendAudit([row])
        try await store.execute(
            "UPDATE sqlite_sequence SET seq = \(Store.auditLimit) WHERE name = 'audit'")
        var new = row
        new.target = "new"
        try await store.appendAudit([new])
        #expect(try await store.audit().map(\.target) == ["new"])
    }

    @Test("A notification comes with the change it tells of, is tried until it is done, and is never twice")
    func outbox() async throws {
        try await store.insertWorkflow(.sample("a"))
        let new = NewNotification(
            workflowUID: "uid-ml-a", key: "end", target: .object(["url": "http://x"]), at: moment(10))
        var change = WorkflowChange(uid: "uid-ml-a", header: HeaderUpdate(phase: "Failed"))
        change.notifications = [new]
        try await store.apply([change])
        try await store.enqueueNotifications([new])
        #expect(try await store.dueNotifications(at: moment(9)).isEmpty)
        let due = try await store.dueNotifications(at: moment(10))
        #expect(due.count == 1)
        let id = try #require(due.first).id
        try await store.postponeNotification(id, to: moment(60), error: "refused")
        #expect(try await store.dueNotifications(at: moment(59)).isEmpty)
        let backlog = try await store.notificationBacklog()
        #expect(backlog == NotificationBacklog(waiting: 1, failing: 1, nextAttemptAt: moment(60)))
        // The run may go meanwhile.
        try await store.deleteWorkflow("uid-ml-a")
        try await store.finishNotification(id, at: moment(61))
        try await store.finishNotification(id, at: moment(99), error: "late")
        let row = try #require(try await store.notifications(of: "uid-ml-a").first)
        #expect(row.doneAt == moment(61) && row.attempts == 2 && row.lastError == nil)
        #expect(try await store.notificationBacklog().waiting == 0)
    }

    @Test("A change that is refused tells nobody") func refusedChange() async throws {
        var change = WorkflowChange(uid: "nobody", header: HeaderUpdate(phase: "Failed"))
        change.notifications = [
            NewNotification(workflowUID: "nobody", key: "k", target: .null, at: moment(1))
        ]
        #expect(await storeError { try await store.apply([change]) } != nil)
        #expect(try await store.dueNotifications(at: moment(2)).isEmpty)
    }

    @Test("Settings are kept, replaced and taken away") func settings() async throws {
        #expect(try await store.setting("a.b") == nil)
        try await store.setSetting("a.b", .int(1))
        try await store.setSetting("a.b", .int(2))
        try await store.setSetting("a.c", .null)
        try await store.setSetting("x", "y")
        #expect(try await store.setting("a.b") == .int(2))
        #expect(try await store.settings(prefix: "a.") == ["a.b": .int(2), "a.c": .null])
        try await store.setSetting("a.b", nil)
        #expect(try await store.setting("a.b") == nil)
    }
}

@Suite struct CronInstantTests {
    let directory: TemporaryDirectory
    let store: Store
    let instant = CronInstant(namespace: "ml", cron: "nightly", at: Timestamp(seconds: 3600))

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        try await store.putDefinition(
            .cronWorkflow, namespace: "ml", name: "nightly", body: .object([:]), at: Timestamp(seconds: 1))
    }

    @Test("Many who try the same instant make one run, which stays the only one when it is deleted")
    func once() async throws {
        let other = try directory.open()
        let inserted = try await withThrowingTaskGroup(of: CronInsertion.self) { group in
            for index in 0..<20 {
                let store = index % 2 == 0 ? store : other
                group.addTask { [instant] in
                    try await store.insertCronRun(
                        .sample("nightly-\(index)"), for: instant, status: .int(index))
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let made = inserted.filter { if case .inserted = $0 { true } else { false } }
        #expect(made.count == 1)
        let runs = try await store.workflows(WorkflowQuery()).workflows
        #expect(runs.count == 1)
        let uid = try #require(runs.first).uid
        #expect(inserted.filter { $0 == .known(uid: uid) }.count == 19)
        let cron = try #require(try await store.definition(.cronWorkflow, namespace: "ml", name: "nightly"))
        #expect(made == [.inserted(resourceVersion: cron.resourceVersion)])
        #expect(runs.first?.name == "nightly-\(cron.status.scalarText ?? "")")
        try await store.deleteWorkflow(uid)
        #expect(
            try await store.insertCronRun(.sample("again"), for: instant, status: nil) == .known(uid: uid))
        #expect(try await store.cronRun(for: instant) == uid)
    }

    @Test("Nothing is written for a cron workflow that is gone, was changed, or whose run's name is taken")
    func refusals() async throws {
        let version = try #require(
            try await store.definition(.cronWorkflow, namespace: "ml", name: "nightly")
        )
        .resourceVersion
        let gone = CronInstant(namespace: "ml", cron: "weekly", at: instant.at)
        #expect(
            await storeError { _ = try await store.insertCronRun(.sample("a"), for: gone, status: nil) }
                == .notFound(kind: "CronWorkflow", name: "weekly"))
        let stale = await storeError {
            _ = try await store.insertCronRun(
                .sample("a"), for: instant, status: .null, ifVersion: version - 1)
        }
        #expect(
            stale == .conflict(kind: "CronWorkflow", name: "nightly", expected: version - 1, found: version))
        try await store.insertWorkflow(.sample("a"))
        let taken = await storeError {
            _ = try await store.insertCronRun(.sample("a"), for: instant, status: .int(1))
        }
        #expect(taken == .nameTaken(kind: "workflow", namespace: "ml", name: "a"))
        #expect(try await store.cronRun(for: instant) == nil)
        #expect(try await store.definition(.cronWorkflow, namespace: "ml", name: "nightly")?.status == .null)
        #expect(
            try await store.insertCronRun(.sample("b"), for: instant, status: nil, ifVersion: version)
                == .inserted(resourceVersion: version))
    }

    @Test("Of too many instants the oldest are forgotten") func forgetting() async throws {
        for index in 0..<6 {
            let at = Timestamp(seconds: 60 * index)
            _ = try await store.insertCronRun(
                .sample("r\(index)"), for: CronInstant(namespace: "ml", cron: "nightly", at: at), status: nil)
        }
        try await store.forgetOldInstants(keeping: 2)
        let kept = try await store.cronInstants(
            namespace: "ml", cron: "nightly", from: Timestamp(seconds: 0), through: Timestamp(seconds: 999))
        #expect(kept.map(\.at.seconds) == [240, 300])
    }
}

@Suite struct GroupCommitTests {
    let directory: TemporaryDirectory
    let store: Store

    init() throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
    }

    @Test("Of many who store runs at the same time each gets its own answer") func ownAnswers() async throws {
        let errors = await withTaskGroup(of: StoreError?.self) { group in
            for index in 0..<200 {
                // Every name comes twice, and some rows are no rows at all.
                let phase = index % 20 == 19 ? "Sleeping" : "Pending"
                var row = WorkflowRow.sample("run-\(index / 2)", phase: phase)
                row.uid = "uid-\(index)"
                group.addTask { [row] in await storeError { try await store.insertWorkflow(row) } }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let stored = try await store.workflowCount(WorkflowQuery())
        #expect(errors.filter { $0 == nil }.count == stored)
        #expect(stored == 100)
        let taken = errors.filter { if case .nameTaken = $0 { true } else { false } }.count
        let invalid = errors.filter { if case .invalid = $0 { true } else { false } }.count
        #expect(taken + invalid == 100)
        try await store.verify()
    }

    @Test("A batch keeps its good rows and says what is wrong with the others") func batch() async throws {
        let results = try await store.insertWorkflows([
            .sample("a"), .sample("a"), .sample("b", phase: "Sleeping"), .sample("c"),
        ])
        #expect(results.map { (try? $0.get()) != nil } == [true, false, false, true])
        #expect(try await store.workflows(WorkflowQuery()).workflows.map(\.name) == ["c", "a"])
        #expect(try await store.latestRevision() == 2)
    }

    @Test("When the disk is full all who wait are told, and all goes on once there is space") func fullDisk()
        async throws
    {
        try await store.limitGrowth(pages: 0)
        let errors = await withTaskGroup(of: StoreError?.self) { group in
            for index in 0..<50 {
                var row = WorkflowRow.sample("run-\(index)")
                row.manifest = .string(String(repeating: "x", count: 100_000))
                group.addTask { [row] in await storeError { try await store.insertWorkflow(row) } }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.allSatisfy { $0 == .full(path: store.path) })
        try await store.limitGrowth(pages: nil)
        try await store.insertWorkflow(.sample("run-1"))
        #expect(try await store.workflowCount(WorkflowQuery()) == 1)
        try await store.verify()
    }

    @Test("A write that waits with others is finished though its task is cancelled") func cancelled()
        async throws
    {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await store.insertWorkflow(.sample("w"))
        }
        try await task.value
        #expect(try await store.workflow(uid: "uid-ml-w") != nil)
    }
}
