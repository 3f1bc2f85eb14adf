// Lists of runs against a plain filter of the same rows.

import TestSupport
import Testing
import Text

@testable import Persistence

/// A query, and the same said in Swift.
struct FilterCase: Sendable {
    var query: WorkflowQuery
    var isWanted: @Sendable (WorkflowSummary) -> Bool

    init(_ query: WorkflowQuery, _ isWanted: @escaping @Sendable (WorkflowSummary) -> Bool) {
        self.query = query
        self.isWanted = isWanted
    }

    static let all: [FilterCase] = byField + byLabel

    private static let byField: [FilterCase] = [
        FilterCase(WorkflowQuery()) { _ in true },
        FilterCase(WorkflowQuery(namespace: "ml")) { $0.namespace == "ml" },
        FilterCase(WorkflowQuery(phases: ["Failed", "Error"])) { ["Failed", "Error"].contains($0.phase) },
        FilterCase(WorkflowQuery(namespace: "ml", phases: [""])) { $0.namespace == "ml" && $0.phase == "" },
        FilterCase(WorkflowQuery(namePrefix: "train-1")) { $0.name.hasPrefix("train-1") },
        FilterCase(WorkflowQuery(namePrefix: "eval%")) { _ in false },
        FilterCase(WorkflowQuery(nameContains: "_1")) { $0.name.contains("_1") },
        FilterCase(WorkflowQuery(archived: true)) { $0.archived },
        FilterCase(WorkflowQuery(archived: false)) { !$0.archived },
        FilterCase(WorkflowQuery(createdAfter: Timestamp(seconds: 4))) { $0.createdAt.seconds > 4 },
        FilterCase(WorkflowQuery(createdBefore: Timestamp(seconds: 4))) { $0.createdAt.seconds < 4 },
        FilterCase(WorkflowQuery(finishedBefore: Timestamp(seconds: 50))) {
            ($0.finishedAt?.seconds ?? 99) < 50
        },
    ]

    private static let byLabel: [FilterCase] = [
        FilterCase(WorkflowQuery(labels: [.equals(key: "team", value: "text")])) {
            $0.labels["team"] == "text"
        },
        FilterCase(WorkflowQuery(labels: [.notEquals(key: "team", value: "text")])) {
            $0.labels["team"] != "text"
        },
        FilterCase(WorkflowQuery(labels: [.isIn(key: "team", values: ["text", "speech"])])) {
            ["text", "speech"].contains($0.labels["team"])
        },
        FilterCase(
            WorkflowQuery(labels: [.notIn(key: "team", values: ["text", "speech"]), .exists(key: "gpu")])
        ) { !["text", "speech"].contains($0.labels["team"]) && $0.labels["gpu"] != nil },
        FilterCase(WorkflowQuery(labels: [.absent(key: "gpu")])) { $0.labels["gpu"] == nil },
        FilterCase(WorkflowQuery(labels: [.isIn(key: "team", values: [])])) { _ in false },
        FilterCase(WorkflowQuery(labels: [.equals(key: "team", value: "' OR 1 --")])) { _ in false },
    ]
}

@Suite struct WorkflowQueryTests {
    let directory: TemporaryDirectory
    let store: Store
    /// All rows that are stored, newest first, as lists must show them.
    let all: [WorkflowSummary]

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        var chance = SeededGenerator(seed: 7)
        var rows: [WorkflowRow] = []
        for number in 0..<120 {
            var labels: [String: String] = [:]
            if Bool.random(using: &chance) {
                labels["team"] = ["speech", "text", "vision"].randomElement(using: &chance)
            }
            if number % 5 == 0 { labels["gpu"] = "" }
            var row = WorkflowRow.sample(
                number % 3 == 0 ? "train-\(number)" : "eval_\(number)",
                namespace: number % 4 == 0 ? "other" : "ml",
                phase: ["", "Pending", "Running", "Succeeded", "Failed", "Error"].randomElement(
                    using: &chance) ?? "",
                // Few different moments, so that many runs share one.
                second: Int.random(in: 0..<10, using: &chance), labels: labels)
            if number % 2 == 0 { row.finishedAt = Timestamp(seconds: number) }
            row.archived = number % 7 == 0
            rows.append(row)
            try await store.insertWorkflow(row)
        }
        // An insert takes the next revision.
        for index in rows.indices { rows[index].revision = Int64(index + 1) }
        // Of runs of the same moment the one that came later is newer.
        all = rows.enumerated().sorted { left, right in
            (left.element.createdAt, left.offset) > (right.element.createdAt, right.offset)
        }.map(\.element.summary)
    }

    // The rows of these tables share one database: filling it costs more than asking it.
    @Test("A filter gives what a plain filter gives, newest first") func filters() async throws {
        for filter in FilterCase.all {
            var query = filter.query
            query.limit = 1000
            let wanted = all.filter(filter.isWanted)
            let page = try await store.workflows(query)
            #expect(page.workflows.map(\.name) == wanted.map(\.name), "\(query)")
            #expect(page.workflows == wanted, "\(query)")
            #expect(page.next == nil, "\(query)")
            #expect(try await store.workflowCount(query) == wanted.count, "\(query)")
        }
    }

    @Test("Pages put together are the whole list, whatever their size") func pages() async throws {
        for limit in [1, 7, 40, 119, 120, 121] {
            var query = WorkflowQuery(limit: limit)
            var names: [String] = []
            repeat {
                let page = try await store.workflows(query)
                #expect(page.workflows.count <= limit)
                names += page.workflows.map(\.name)
                // The cursor goes through a client as text.
                query.after = page.next.flatMap { WorkflowCursor(text: $0.text) }
            } while query.after != nil
            #expect(names == all.map(\.name), "pages of \(limit)")
        }
    }

    @Test("Runs that come and go between two pages neither repeat nor hide others") func movingList()
        async throws
    {
        let first = try await store.workflows(WorkflowQuery(limit: 50))
        try await store.insertWorkflow(.sample("newest", second: 99))
        try await store.deleteWorkflow(try #require(first.workflows.last).uid)
        let rest = try await store.workflows(WorkflowQuery(limit: 1000, after: first.next))
        #expect(rest.workflows == Array(all.dropFirst(50)))
    }

    @Test("A cursor that no page gave is not read", arguments: ["", "1", "1.", ".1", "a.b", "1.2.3"])
    func badCursor(text: String) {
        #expect(WorkflowCursor(text: text) == nil)
    }

    @Test("The latest run of a namespace is the newest that is not archived") func latest() async throws {
        let wanted = all.first { $0.namespace == "ml" && !$0.archived }
        #expect(try await store.latestWorkflow(namespace: "ml")?.summary == wanted)
        #expect(try await store.latestWorkflow(namespace: "nowhere") == nil)
    }

    @Test("A name is used once in a namespace, and freely in another") func names() async throws {
        let error = await storeError { try await store.insertWorkflow(.sample("train-3")) }
        #expect(error == .nameTaken(kind: "workflow", namespace: "ml", name: "train-3"))
        try await store.insertWorkflow(.sample("train-3", namespace: "third"))
        #expect(try await store.workflow(namespace: "third", name: "train-3")?.uid == "uid-third-train-3")
    }

    @Test("Archiving moves a run between the lists") func archiving() async throws {
        let uid = try #require(all.first { !$0.archived }).uid
        try await store.setArchived(uid, true)
        #expect(try await store.workflow(uid: uid)?.archived == true)
        try await store.setArchived(uid, false)
        #expect(try await store.workflow(uid: uid)?.archived == false)
    }

    @Test("Label keys and values are those in use") func labels() async throws {
        #expect(try await store.labelKeys() == ["gpu", "team"])
        #expect(try await store.labelValues("team") == ["speech", "text", "vision"])
        #expect(try await store.labelValues("gpu") == [""])
    }
}
