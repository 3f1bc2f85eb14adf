// Large workflows, counted instead of timed: no stack overflow, and as much work for each node however many
// there are.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Scale")
struct ScaleTests {
    /// Drives a run by answering each launch at once, and counts what that takes.
    private static func drive(_ spec: String) throws -> (
        state: WorkflowState, handled: Int, effects: Int, written: Int
    ) {
        let definition = try InMemoryRun.definition(spec)
        var state = WorkflowState(definition: definition, at: definition.createdAt)
        var (handled, effects, written) = (1, 0, 0)
        var open = state.handle(.attached, at: definition.createdAt)[...]
        while let effect = open.popFirst() {
            effects += 1
            guard case .launch(let launch) = effect else { continue }
            handled += 1
            let report = ExecutorReport.finished(launch.key, AttemptOutcome(phase: .succeeded, exitCode: 0))
            open += state.handle(.report(report), at: definition.createdAt)
            written += state.takeChanges().nodes.count
        }
        return (state, handled, effects, written)
    }

    private static let leaf =
        "- {name: leaf, inputs: {parameters: [{name: x, default: d}]}, container: {image: i}}"

    private static func check(_ spec: String, leaves: Int, nodes: Int, writes: Int = 2) throws {
        let run = try drive(spec)
        #expect(run.state.phase == .succeeded)
        #expect(run.state.nodes.count == nodes)
        #expect(run.handled == leaves + 1)
        // A launch for each leaf, and what the end of the run asks for.
        #expect(run.effects <= leaves + 2)
        // A node is written when it is made, when it ends, and when it is launched if it waited for that;
        // those around it are not written for each.
        #expect(run.written <= writes * nodes + 4)
    }

    @Test("A group of 20,000 steps ends, with one event and one launch for each")
    func wideGroup() throws {
        let steps = (0..<20_000).map { "\($0 == 0 ? "  - -" : "    -") {name: s\($0), template: leaf}" }
        try Self.check(
            "entrypoint: main\ntemplates:\n\(Self.leaf)\n- name: main\n  steps:\n"
                + steps.joined(separator: "\n"),
            leaves: 20_000, nodes: 20_002)
    }

    @Test("A chain of 20,000 tasks ends without a deep stack", arguments: [(false, 20_000), (true, 3_000)])
    func chain(usesDepends: Bool, count: Int) throws {
        let tasks = (0..<count).map { index in
            let after = usesDepends ? ", depends: t\(index - 1)" : ", dependencies: [t\(index - 1)]"
            return "    - {name: t\(index), template: leaf\(index == 0 ? "" : after)}"
        }.joined(separator: "\n")
        try Self.check(
            "entrypoint: main\ntemplates:\n\(Self.leaf)\n- name: main\n  dag:\n    tasks:\n\(tasks)",
            leaves: count, nodes: count + 1)
    }

    @Test("A chain whose first task is skipped is omitted to its end")
    func omittedChain() throws {
        let tasks = (0..<3_000).map { index in
            let after = index == 0 ? ", when: 1 == 2" : ", depends: t\(index - 1).Succeeded"
            return "    - {name: t\(index), template: leaf\(after)}"
        }.joined(separator: "\n")
        let run = try Self.drive(
            "entrypoint: main\ntemplates:\n\(Self.leaf)\n- name: main\n  dag:\n    tasks:\n\(tasks)")
        #expect(run.state.phase == .succeeded)
        #expect(run.handled == 1)
        #expect(run.state.nodes.values.filter { $0.phase == .omitted }.count == 2_999)
    }

    @Test("A loop of 5,000 items under limits ends, and its results come together")
    func loop() throws {
        try Self.check(
            """
            entrypoint: main
            parallelism: 50
            templates:
            \(Self.leaf)
            - name: main
              parallelism: 100
              dag:
                tasks:
                - name: l
                  template: leaf
                  withSequence: {count: 5000}
                  arguments: {parameters: [{name: x, value: "{{item}}"}]}
                - {name: end, template: leaf, depends: l}
            """, leaves: 5_001, nodes: 5_003, writes: 3)
    }

    @Test(
        "Steps may call themselves up to the limit; further they fail in clear words",
        arguments: [
            (times: 100, phase: Phase.succeeded, nodes: 2 * 101 + 1),
            (times: 101, phase: .failed, nodes: 2 * 101 + 1),
            (times: 5_000, phase: .failed, nodes: 2 * 101 + 1),
        ])
    func recursion(times: Int, phase: Phase, nodes: Int) throws {
        let run = try Self.drive(
            """
            entrypoint: main
            arguments: {parameters: [{name: n, value: "\(times)"}]}
            templates:
            - name: main
              inputs: {parameters: [{name: n}]}
              steps:
              - - name: again
                  template: main
                  when: "{{inputs.parameters.n}} > 0"
                  arguments: {parameters: [{name: n, value: "{{=string(int(inputs.parameters.n) - 1)}}"}]}
            """)
        #expect(run.state.phase == phase)
        #expect(run.state.nodes.count == nodes)
        let wasTooDeep = run.state.nodes.values.contains {
            $0.message.contains("maximum recursion depth exceeded")
        }
        #expect(wasTooDeep == (phase == .failed))
    }
}
