// Queries with any mixture of conditions, against a plain filter of the same rows.

import TestSupport
import Testing
import Text

@testable import Persistence

@Suite struct SearchTests {
    let directory: TemporaryDirectory
    let store: Store
    /// Newest first.
    let all: [WorkflowRow]

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        var chance = SeededGenerator(seed: 11)
        var rows: [WorkflowRow] = []
        for number in 0..<300 {
            var labels = ["team": ["speech", "text", "vision"].randomElement(using: &chance) ?? ""]
            if number % 4 == 0 { labels[WorkflowQuery.pipelineLabels[number % 8 == 0 ? 0 : 1]] = "train" }
            if number % 40 == 0 { for key in WorkflowQuery.pipelineLabels { labels[key] = "train" } }
            if number % 6 == 0 { labels[WorkflowQuery.cronLabel] = "nightly" }
            let name = ["Train-a", "eval_b", "nightly-é"].randomElement(using: &chance) ?? ""
            var row = WorkflowRow.sample(
                "\(name)-\(number)", namespace: number % 3 == 0 ? "other" : "ml",
                phase: WorkflowQuery.allPhases.sorted().randomElement(using: &chance) ?? "",
                second: Int.random(in: 0..<40, using: &chance) * 100_000, labels: labels,
                revision: Int64(number + 1))
            if ["Succeeded", "Failed", "Error"].contains(row.phase) {
                row.finishedAt = row.createdAt + .seconds(Int.random(in: 0..<300_000, using: &chance))
            }
            row.archived = number % 9 == 0
            row.manifest = Self.manifest(["lr": "\(number % 5)", "mode": number % 2 == 0 ? "fast" : "slow"])
            rows.append(row)
        }
        let results = try await store.insertWorkflows(rows)
        #expect(results.allSatisfy { (try? $0.get()) != nil })
        all = rows.enumerated().sorted { left, right in
            (left.element.createdAt, left.offset) > (right.element.createdAt, right.offset)
        }.map(\.element)
    }

    static func manifest(_ parameters: [String: String]) -> JSONValue {
        let list = parameters.sorted { $0.key < $1.key }.map { name, value in
            JSONValue.object(["name": .string(name), "value": .string(value)])
        }
        return .object(["spec": .object(["arguments": .object(["parameters": .array(list)])])])
    }

    /// A random query, and the same in Swift.
    private func randomCase(_ chance: inout SeededGenerator) -> (
        WorkflowQuery, [@Sendable (WorkflowRow) -> Bool]
    ) {
        var query = WorkflowQuery()
        var tests: [@Sendable (WorkflowRow) -> Bool] = []
        func add(_ test: @escaping @Sendable (WorkflowRow) -> Bool) { tests.append(test) }
        func isChosen() -> Bool { Int.random(in: 0..<6, using: &chance) == 0 }
        if isChosen() {
            query.namespace = "ml"
            add { $0.namespace == "ml" }
        }
        if isChosen() {
            let phases = Set(WorkflowQuery.allPhases.filter { _ in Bool.random(using: &chance) })
            query.phases = phases
            add { phases.isEmpty || phases.contains($0.phase) }
        }
        if isChosen() {
            query.pipeline = "train"
            add { row in WorkflowQuery.pipelineLabels.contains { row.labels[$0] == "train" } }
        }
        if isChosen() {
            query.cron = "nightly"
            add { $0.labels[WorkflowQuery.cronLabel] == "nightly" }
        }
        if isChosen() {
            let value = "\(Int.random(in: 0..<6, using: &chance))"
            query.parameters = [.init(name: "lr", value: value), .init(name: "mode", value: "fast")]
            add { $0.manifest == Self.manifest(["lr": value, "mode": "fast"]) }
        }
        if isChosen() {
            query.labels = [.isIn(key: "team", values: ["text", "vision", "none"])]
            add { ["text", "vision"].contains($0.labels["team"]) }
        }
        if isChosen() {
            let archived = Bool.random(using: &chance)
            query.archived = archived
            add { $0.archived == archived }
        }
        addNames(&query, &tests, &chance)
        addTimes(&query, &tests, &chance)
        return (query, tests)
    }

    private func addNames(
        _ query: inout WorkflowQuery, _ tests: inout [@Sendable (WorkflowRow) -> Bool],
        _ chance: inout SeededGenerator
    ) {
        let parts = [
            "train", "Train", "-1", "é-2", "al_b-1", "nothing like it", "\"", "a\" OR \"", "'", "\0é-",
        ]
        guard Int.random(in: 0..<3, using: &chance) == 0, let part = parts.randomElement(using: &chance)
        else {
            return
        }
        if Bool.random(using: &chance) {
            query.namePrefix = part
            tests.append { $0.name.hasPrefix(part) }
        } else if Bool.random(using: &chance) {
            query.nameContains = part
            tests.append { $0.name.contains(part) }
        } else {
            query.nameContains = part
            query.ignoresCase = true
            tests.append { $0.name.lowercased().contains(part.lowercased()) }
        }
    }

    private func addTimes(
        _ query: inout WorkflowQuery, _ tests: inout [@Sendable (WorkflowRow) -> Bool],
        _ chance: inout SeededGenerator
    ) {
        let moment = Timestamp(seconds: Int.random(in: 0..<45, using: &chance) * 100_000)
        switch Int.random(in: 0..<10, using: &chance) {
        case 0:
            query.createdAfter = moment
            tests.append { $0.createdAt > moment }
        case 1:
            query.createdBefore = moment
            tests.append { $0.createdAt < moment }
        case 2:
            query.finishedAfter = moment
            tests.append { $0.finishedAt.map { $0 > moment } ?? false }
        case 3:
            query.finishedBefore = moment
            tests.append { $0.finishedAt.map { $0 < moment } ?? false }
        default: break
        }
    }

    @Test("Any mixture of conditions gives what a plain filter gives, in pages of any size")
    func mixtures() async throws {
        var chance = SeededGenerator(seed: 5)
        var found = 0
        for _ in 0..<250 {
            var (query, tests) = randomCase(&chance)
            let wanted = all.filter { row in tests.allSatisfy { $0(row) } }
            found += wanted.count
            #expect(try await store.workflowCount(query) == wanted.count, "\(query)")
            let counts = Dictionary(grouping: wanted, by: \.phase).mapValues(\.count)
            #expect(try await store.workflowCounts(query) == counts, "\(query)")
            query.limit = [3, 20, 400].randomElement(using: &chance) ?? 20
            var rows: [WorkflowSummary] = []
            repeat {
                let page = try await store.workflows(query)
                rows += page.workflows
                query.after = page.next
            } while query.after != nil && rows.count <= all.count
            #expect(rows == wanted.map(\.summary), "\(query)")
        }
        // Queries that find nothing would prove nothing.
        #expect(found > 5_000)
    }

    @Test("Runs are found by uid, unknown ones left out") func uids() async throws {
        let uids = [all[3].uid, all[77].uid, "nobody"]
        let page = try await store.workflows(WorkflowQuery(uids: Set(uids)))
        #expect(page.workflows == [all[3].summary, all[77].summary])
        #expect(try await store.workflows(WorkflowQuery(uids: [])).workflows.isEmpty)
        let parameters = try await store.workflowParameters(uids)
        #expect(parameters.count == 2)
        #expect(parameters[all[3].uid]?.map(\.name) == ["lr", "mode"])
    }

    @Test("Counting ends at its cap") func caps() async throws {
        #expect(try await store.workflowCount(WorkflowQuery(), cap: 10) == 10)
        let counts = try await store.workflowCounts(WorkflowQuery(), cap: 7)
        #expect(counts.values.allSatisfy { $0 == 7 } && counts.count == 6)
    }

    @Test("A deleted run is in no list, though its rows are still there") func hidden() async throws {
        let uid = all[0].uid
        try await store.write { database in
            try database.hideWorkflow(try database.workflowKey(uid))
        }
        for query in [
            WorkflowQuery(), WorkflowQuery(phases: [all[0].phase]), WorkflowQuery(uids: [uid]),
            WorkflowQuery(nameContains: all[0].name), WorkflowQuery(archived: all[0].archived),
            WorkflowQuery(createdBefore: Timestamp(seconds: 99_999_999)),
        ] {
            let names = try await store.workflows(query).workflows.map(\.name)
            #expect(!names.contains(all[0].name) && !names.contains { $0.hasPrefix("deleted") })
            #expect(try await store.workflowCount(query) == names.count || names.count == query.limit)
        }
        #expect(try await store.workflow(uid: uid) == nil)
        #expect(try await store.finishDeletions() == 1)
        #expect(try await store.finishDeletions() == 0)
        try await store.verify()
    }

    @Test("Namespaces and labels are those in use") func names() async throws {
        #expect(try await store.namespaces() == ["ml", "other"])
        #expect(try await store.labelValues("team") == ["speech", "text", "vision"])
        let keys = Set(WorkflowQuery.pipelineLabels + [WorkflowQuery.cronLabel, "team"])
        #expect(try await Set(store.labelKeys()) == keys)
    }
}
