// Which runs `list` and `delete` mean, and the table that `list` prints.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Testing
import Text

@testable import martlet

@Suite("Lists of runs")
struct ListFilterTests {
    private let now = Timestamp(seconds: 1_000_000)

    @Test(
        "Options become conditions",
        arguments: [
            ([], WorkflowQuery(namespace: "default")),
            (
                ["--status", "Failed,error"],
                WorkflowQuery(namespace: "default", phases: ["Failed", "Error"])
            ),
            (["--status", "Pending"], WorkflowQuery(namespace: "default", phases: ["Pending", ""])),
            (["--running"], WorkflowQuery(namespace: "default", phases: ["", "Pending", "Running"])),
            (["--completed"], WorkflowQuery(namespace: "default", phases: ["Succeeded", "Failed", "Error"])),
            (["--completed", "--status", "Failed"], WorkflowQuery(namespace: "default", phases: ["Failed"])),
            (["--prefix", "train-"], WorkflowQuery(namespace: "default", namePrefix: "train-")),
            (
                ["--since", "1h"],
                WorkflowQuery(namespace: "default", createdAfter: Timestamp(seconds: 996_400))
            ),
            (
                ["--older", "1d"],
                WorkflowQuery(namespace: "default", finishedBefore: Timestamp(seconds: 913_600))
            ),
            (["-l", "a=b"], WorkflowQuery(namespace: "default", labels: [.equals(key: "a", value: "b")])),
        ] as [([String], WorkflowQuery)])
    func conditions(words: [String], expected: WorkflowQuery) throws {
        var expected = expected
        expected.archived = false
        expected.limit = 1_000
        #expect(try RunFilter.parse(words).query(namespace: "default", now: now) == expected)
        #expect(try RunFilter.parse(words).isSet == !words.isEmpty)
    }

    @Test(
        "Options that mean nothing are refused with status 64",
        arguments: [
            ["--status", "Broken"], ["--running", "--completed"], ["--running", "--status", "Failed"],
            ["--since", "soon"], ["--older", "1y"], ["-l", "a b"],
        ])
    func refused(words: [String]) throws {
        let filter = try RunFilter.parse(words)
        let error = #expect(throws: CommandError.self) { try filter.query(namespace: nil, now: now) }
        #expect(error?.status == 64)
    }

    @Test(
        "Label selectors are read as Kubernetes reads them",
        arguments: [
            ("a=b", [.equals(key: "a", value: "b")]), ("a==b", [.equals(key: "a", value: "b")]),
            ("a!=b", [.notEquals(key: "a", value: "b")]), (" a = b ", [.equals(key: "a", value: "b")]),
            ("a in (x, y)", [.isIn(key: "a", values: ["x", "y"])]),
            ("a notin (x),b", [.notIn(key: "a", values: ["x"]), .exists(key: "b")]),
            ("!example.com/old", [.absent(key: "example.com/old")]), ("", []),
            ("a=", [.equals(key: "a", value: "")]),
        ] as [(String, [LabelRequirement])])
    func labels(text: String, expected: [LabelRequirement]) throws {
        #expect(try LabelSelector.parse(text) == expected)
    }

    @Test(
        "Text that is no label selector is refused",
        arguments: ["a in x", "a within (x)", "=b", "!", "a in ()"])
    func badLabels(text: String) {
        #expect(throws: OperationError.self) { try LabelSelector.parse(text) }
    }

    @Test("The table has Argo's columns")
    func table() {
        var table = RunTable(isWide: false, hasNamespace: true, now: now)
        table.add(
            WorkflowSummary(
                uid: "1", namespace: "argo", name: "steps-z2zdn", phase: "Succeeded",
                createdAt: Timestamp(seconds: 999_880), startedAt: Timestamp(seconds: 999_881),
                finishedAt: Timestamp(seconds: 999_891)), state: nil)
        table.add(
            WorkflowSummary(
                uid: "2", namespace: "argo", name: "new", createdAt: now, priority: 5), state: nil)
        table.add(
            WorkflowSummary(
                uid: "3", namespace: "a", name: "dag-x4f2k", phase: "Failed", message: "child\nfailed",
                createdAt: now, startedAt: now), state: nil)
        #expect(
            table.text == """
                NAMESPACE   NAME          STATUS      AGE   DURATION   PRIORITY   MESSAGE
                argo        steps-z2zdn   Succeeded   2m    10s        0
                argo        new           Pending     0s    0s         5
                a           dag-x4f2k     Failed      0s    0s         0          child failed

                """)
    }

    @Test("The wide table counts pods and shows arguments")
    func wide() {
        var run = SyntheticRun("w")
        run.add("w", .dag, .running)
        run.add("w.a", .pod, .pending)
        run.add("w.b", .pod, .running)
        run.add("w.c", .pod, .failed)
        let state = run.state(
            .running,
            spec: [
                "arguments": ["parameters": [["name": "text", "value": "a rather long value that is cut"]]]
            ])
        var table = RunTable(isWide: true, hasNamespace: false, hasHeaders: false, now: now)
        table.add(
            WorkflowSummary(uid: "1", namespace: "n", name: "w", phase: "Running", createdAt: now),
            state: state)
        #expect(table.text == "w   Running   0s   0s   0   1/1/1   text=a rather long val...\n")
    }

    @Test(
        "Node selectors name a field that there is",
        arguments: [
            ("phase=Failed", true), ("displayName=a,templateName!=b", true),
            ("inputs.parameters.x.value=1", true),
            ("color=red", false), ("nothing", false), ("", false),
        ])
    func nodeSelectors(text: String, isGood: Bool) throws {
        if isGood {
            #expect(try SelectorOption.selector(text)?.source == text)
        } else {
            #expect(throws: CommandError.self) { try SelectorOption.selector(text) }
        }
    }

    @Test("A status is short for a selector of phases, and excludes another")
    func statusSelector() throws {
        #expect(try SelectorOption.selector(nil, status: "failed")?.source == "phase=Failed")
        #expect(try SelectorOption.selector(nil) == nil)
        #expect(throws: CommandError.self) { try SelectorOption.selector("phase=Failed", status: "Failed") }
        #expect(throws: CommandError.self) { try SelectorOption.selector(nil, status: "broken") }
    }
}
