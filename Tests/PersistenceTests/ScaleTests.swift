// A hundred thousand finished runs: what a list costs must not depend on them. Costs are steps of SQLite's machine,
// which are the same on every machine.

import Testing
import Text

@testable import Persistence

/// A database of many runs, made by SQL in one transaction.
struct ManyRuns {
    static let count = 100_000
    /// A run a second, from this moment on.
    static let start = 1_700_000_000

    static func fill(_ store: Store) async throws {
        try await store.execute(
            """
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
            INSERT INTO workflows (id, uid, namespace, name, phase, created_at, started_at, finished_at, labels,
                annotations, archived, revision)
            SELECT i, 'uid-' || i, iif(i % 1000 = 0, 'rare', 'ml'),
                iif(i % 3 = 0, 'nightly-train', 'evaluate') || '-' || printf('%05x', (i * 7919) % 1048573),
                CASE WHEN i > \(count) - 20 THEN 'Running' WHEN i % 100 = 0 THEN 'Error'
                    WHEN i % 10 = 0 THEN 'Failed' ELSE 'Succeeded' END,
                (\(start) + i) * 1000000000, (\(start) + i) * 1000000000,
                iif(i > \(count) - 20, NULL, (\(start) + i + 60 + i % 7) * 1000000000),
                '{"team":"t' || (i % 4) || '"}', '{}', i % 5000 = 0, i FROM n;
            INSERT INTO workflow_labels (key, value, created_at, workflow)
                SELECT 'team', 't' || (id % 4), created_at, id FROM workflows;
            INSERT INTO workflow_labels (key, value, created_at, workflow)
                SELECT '\(WorkflowQuery.pipelineLabels[0])', 'p' || (id % 50), created_at, id FROM workflows;
            INSERT INTO workflow_labels (key, value, created_at, workflow)
                SELECT '\(WorkflowQuery.cronLabel)', 'nightly', created_at, id FROM workflows WHERE id % 30 = 0;
            INSERT INTO workflow_parameters (name, value, created_at, workflow, position)
                SELECT 'lr', '1e-' || (id % 6), created_at, id, 0 FROM workflows;
            INSERT INTO workflow_parameters (name, value, created_at, workflow, position)
                SELECT 'seed', id, created_at, id, 1 FROM workflows;
            INSERT INTO workflow_names (rowid, name) SELECT id, name FROM workflows;
            UPDATE counters SET value = \(count) WHERE name = 'run_revision';
            """)
    }

    static func moment(_ run: Int) -> Timestamp { Timestamp(seconds: start + run) }
}

@Suite("Lists of a hundred thousand runs")
struct ScaleTests {
    /// A page of fifty rows costs about two thousand steps.
    static let pageSteps = 6_000
    /// Up to a thousand rows of a short range in another order are read and sorted.
    static let sortedSteps = 40_000

    static let filters: [(String, WorkflowQuery)] = [
        ("all", WorkflowQuery()),
        ("namespace", WorkflowQuery(namespace: "ml")),
        ("rare namespace", WorkflowQuery(namespace: "rare")),
        ("no such namespace", WorkflowQuery(namespace: "none")),
        ("phase", WorkflowQuery(phases: ["Failed"])),
        ("phases", WorkflowQuery(phases: ["Failed", "Error", "Succeeded"])),
        ("unfinished", WorkflowQuery(phases: ["", "Pending", "Running"])),
        ("namespace and phases", WorkflowQuery(namespace: "ml", phases: ["Failed", "Error"])),
        ("label", WorkflowQuery(labels: [.equals(key: "team", value: "t1")])),
        ("labels", WorkflowQuery(labels: [.isIn(key: "team", values: ["t1", "t2", "t9"])])),
        ("no such label", WorkflowQuery(labels: [.equals(key: "team", value: "t9")])),
        (
            "label and rare namespace",
            WorkflowQuery(namespace: "rare", labels: [.equals(key: "team", value: "t0")])
        ),
        ("not this label", WorkflowQuery(labels: [.notEquals(key: "team", value: "t1")])),
        ("part of a name", WorkflowQuery(nameContains: "train")),
        ("part of few names", WorkflowQuery(nameContains: "fffff")),
        ("one name", WorkflowQuery(nameContains: "nightly-train-ffff")),
        ("beginning of names", WorkflowQuery(namePrefix: "nightly-train-ff")),
        ("after", WorkflowQuery(createdAfter: ManyRuns.moment(99_990))),
        ("before", WorkflowQuery(createdBefore: ManyRuns.moment(50))),
        (
            "between",
            WorkflowQuery(
                createdAfter: ManyRuns.moment(50_000), createdBefore: ManyRuns.moment(50_010))
        ),
        ("archived", WorkflowQuery(archived: true)),
        ("not archived", WorkflowQuery(archived: false)),
        ("uids", WorkflowQuery(uids: ["uid-7", "uid-99999"])),
    ]

    static let more: [(String, WorkflowQuery)] = {
        var parameter = WorkflowQuery()
        parameter.parameters = [.init(name: "lr", value: "1e-3")]
        var rare = WorkflowQuery()
        rare.parameters = [.init(name: "seed", value: "777")]
        var pipeline = WorkflowQuery(namespace: "ml")
        pipeline.pipeline = "p7"
        var cron = WorkflowQuery()
        cron.cron = "nightly"
        var finished = WorkflowQuery()
        finished.finishedAfter = ManyRuns.moment(99_900)
        var page = WorkflowQuery(phases: ["Failed", "Succeeded"])
        page.after = WorkflowCursor(createdAt: ManyRuns.moment(30_000), rowID: 30_000)
        return [
            ("parameter", parameter), ("parameter of one run", rare), ("pipeline", pipeline), ("cron", cron),
            ("finished after", finished),
            ("finished before", WorkflowQuery(finishedBefore: ManyRuns.moment(500))),
            ("a page in the middle", page),
        ]
    }()

    @Test("The first page of any filter walks a range of an index, in its order, and no further than it must")
    func filters() async throws {
        let directory = try TemporaryDirectory()
        let store = try directory.open()
        try await ManyRuns.fill(store)
        for (name, query) in Self.filters + Self.more {
            var query = query
            query.limit = 50
            let cost = try await store.cost(of: query)
            for line in cost.plan where line.hasPrefix("SCAN") {
                #expect(
                    line.contains("USING") || line.contains("VIRTUAL TABLE") || line.contains("json_each"),
                    "\(name): \(cost.plan)")
            }
            let isShort = ["part", "one name", "beginning", "uids", "finished"].contains {
                name.hasPrefix($0)
            }
            #expect(cost.steps < (isShort ? Self.sortedSteps : Self.pageSteps), "\(name): \(cost)")
            #expect(isShort || !cost.plan.contains { $0.contains("TEMP B-TREE") }, "\(name): \(cost.plan)")
        }
        try await counts(store)
        try await changes(store)
        try await statistics(store)
    }

    private func counts(_ store: Store) async throws {
        let counts = try await store.workflowCounts(WorkflowQuery(namespace: "ml"))
        // The newest run is of the rare namespace; a count stops at ten thousand.
        #expect(counts == ["Running": 19, "Succeeded": 10_000, "Failed": 8_999, "Error": 900])
        // Phases of a namespace are counted without a look at the runs themselves.
        let cost = try await store.countCost(of: WorkflowQuery(namespace: "ml", phases: ["Succeeded"]))
        #expect(cost.plan.contains { $0.contains("COVERING INDEX") }, "\(cost.plan)")
        #expect(cost.steps < 100_000)
    }

    private func changes(_ store: Store) async throws {
        let page = try await store.runChanges(after: 99_990)
        #expect(page.map(\.revision) == Array(99_991...100_000))
        #expect(try await store.labelValues("team") == ["t0", "t1", "t2", "t3"])
    }

    private func statistics(_ store: Store) async throws {
        let now = ManyRuns.moment(ManyRuns.count)
        let hours = try await store.hourCounts(until: now)
        #expect(hours.count == 24)
        // The newest run began with the hour, the others that go on began in the hour before.
        #expect(hours.suffix(2).map(\.running) == [19, 1])
        // A run a second ends all the time.
        #expect(hours[20].ended.values.reduce(0, +) == 3_600)
        let ended = try await store.cost(
            of: Store.endedByHour(namespace: nil),
            [ManyRuns.moment(90_000).nanoseconds, Int64(3_600_000_000_000), String?.none])
        #expect(ended.plan.contains { $0.contains("COVERING INDEX workflows_by_finish") }, "\(ended.plan)")
        var pipeline = WorkflowQuery(namespace: "ml")
        pipeline.pipeline = "p3"
        let recent = try #require(try await store.recentRuns([pipeline]).first)
        #expect(recent.runs.count == 20)
        #expect(recent.runs.allSatisfy { $0.uid.hasSuffix("3") })
        #expect(recent.medianSeconds.map { $0 >= 60 && $0 < 67 } == true)
    }
}
