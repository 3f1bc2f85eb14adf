// What `martlet get` prints, line by line. The first tree is that of Argo's own documentation.

import Scheduling
import Testing
import Text

@testable import martlet

@Suite("Tree")
struct TreeRendererTests {
    private func options(after seconds: Int = 10) -> TreeOptions {
        TreeOptions(now: SyntheticRun.start + .seconds(seconds), zone: .utc)
    }

    private func tree(_ state: WorkflowState, _ options: TreeOptions? = nil) -> String {
        var options = options ?? self.options()
        options.columns = .short
        let lines = TreeRenderer.render(state: state, options: options).split(
            separator: "\n", omittingEmptySubsequences: false)
        return lines.dropFirst().dropLast().joined(separator: "\n")
    }

    private func documented() -> SyntheticRun {
        var run = SyntheticRun("steps-z2zdn")
        let root = run.add(
            "steps-z2zdn", .steps, .succeeded, template: "hello-hello-hello", to: 10)
        let first = run.add("steps-z2zdn[0]", .stepGroup, .succeeded, display: "[0]", in: root, under: [root])
        let hello = run.add(
            "steps-z2zdn[0].hello1", .pod, .succeeded, display: "hello1", template: "print-message", in: root,
            under: [first], to: 2)
        let second = run.add(
            "steps-z2zdn[1]", .stepGroup, .succeeded, display: "[1]", in: root, under: [hello])
        for (name, end) in [("hello2a", 6), ("hello2b", 6)] {
            run.add(
                "steps-z2zdn[1].\(name)", .pod, .succeeded, display: name, template: "print-message",
                in: root,
                under: [second], from: 3, to: end)
        }
        return run
    }

    @Test("A run of steps looks as in Argo, header and tree")
    func steps() throws {
        var run = documented()
        run.edit(run.nodes[2].id) { $0.resourcesDuration = ["cpu": 0, "memory": 6] }
        let state = run.state(
            .succeeded, finished: 10,
            spec: ["arguments": ["parameters": [["name": "message", "value": "hello"], ["name": "unset"]]]])
        let text = TreeRenderer.render(state: state, options: options())
        #expect(
            text == """
                Name:                steps-z2zdn
                Namespace:           argo
                ServiceAccount:      unset (will run with the default ServiceAccount)
                Status:              Succeeded
                Conditions:
                 PodRunning          False
                 Completed           True
                Created:             Mon Nov 18 18:17:06 +0000 (10 seconds ago)
                Started:             Mon Nov 18 18:17:06 +0000 (10 seconds ago)
                Finished:            Mon Nov 18 18:17:16 +0000 (now)
                Duration:            10 seconds
                Progress:            3/3
                ResourcesDuration:   0s*(1 cpu),6s*(100Mi memory)
                Parameters:
                  message:           hello

                STEP            TEMPLATE           PODNAME                               DURATION  MESSAGE
                 ✔ steps-z2zdn  hello-hello-hello
                 ├───✔ hello1   print-message      steps-z2zdn-print-message-27420706    2s
                 └─┬─✔ hello2a  print-message      steps-z2zdn-print-message-2006760091  3s
                   └─✔ hello2b  print-message      steps-z2zdn-print-message-2023537710  3s

                """)
    }

    @Test("Tasks of a dag stand in the order in which they were made; omitted ones are left out")
    func dag() {
        var run = SyntheticRun("dag")
        let root = run.add("dag", .dag, .failed, template: "main")
        let a = run.add("dag.A", .pod, .succeeded, display: "A", in: root, under: [root], to: 1)
        let inner = run.add("dag.B", .dag, .failed, display: "B", template: "inner", in: root, under: [a])
        run.add(
            "dag.B.x", .pod, .failed, display: "x", in: inner, under: [inner], to: 1, message: "exit\ncode 1")
        run.add("dag.B.y", .skipped, .skipped, display: "y", in: inner, under: [inner], message: "when false")
        run.add("dag.C", .skipped, .omitted, display: "C", in: root, under: [inner])
        run.add("dag.D", .pod, .error, display: "D", in: root, under: [a], from: nil)
        #expect(
            tree(run.state(.failed, finished: 9)) == """
                 ✖ dag    main
                 ├─✔ A              dag-624426498   1s
                 ├─✖ B    inner
                 │ ├─✖ x            dag-4289671601  1s        exit code 1
                 │ └─○ y                                      when false
                 └─⚠ D              dag-574093641
                """)
    }

    @Test("A retry with one attempt is that attempt; with more they hang under it")
    func retries() {
        var run = SyntheticRun("r")
        let root = run.add("r", .steps, .running, template: "main")
        let group = run.add("r[0]", .stepGroup, .running, display: "[0]", in: root, under: [root])
        let once = run.add("r[0].a", .retry, .succeeded, display: "a", in: root, under: [group])
        run.add("r[0].a(0)", .pod, .succeeded, display: "a(0)", in: root, under: [once], to: 1)
        let twice = run.add("r[0].b", .retry, .running, display: "b", template: "t", in: root, under: [group])
        run.add("r[0].b(0)", .pod, .failed, display: "b(0)", template: "t", in: root, under: [twice], to: 1)
        run.add(
            "r[0].b(1)", .pod, .running, display: "b(1)", template: "t", in: root, under: [twice], from: 2)
        let names = tree(run.state(.running)).split(separator: "\n").map { $0.prefix { $0 != ")" } }
        #expect(
            names == [
                " ● r           main", " └─┬─✔ a(0", "   └─● b       t", "     ├─✖ b(0", "     └─● b(1",
            ])
    }

    @Test("Hooks and the exit handler of the run follow after an empty line each")
    func exitHandler() {
        var run = SyntheticRun("w")
        run.add("w", .pod, .succeeded, template: "main", to: 1)
        run.add("w.onExit", .pod, .running, template: "bye", from: 2)
        run.add("w.hooks.started", .pod, .succeeded, template: "note", to: 1)
        let lines = tree(run.state(.running), options(after: 65)).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.map { $0.prefix(8) } == [" ✔ w    ", "", " ✔ w.hoo", "", " ● w.onE"])
        #expect(lines[4].hasSuffix("1m"))
    }

    @Test("Only nodes that match the selector are drawn; what is inside the others moves up")
    func selector() {
        var options = options()
        options.selector = NodeSelector("displayName=hello2a")
        #expect(tree(documented().state(.succeeded), options).contains("✔ hello2a  print-message"))
        #expect(!tree(documented().state(.succeeded), options).contains("hello1"))
        options.selector = NodeSelector("phase=Failed")
        #expect(
            TreeRenderer.render(state: documented().state(.succeeded), options: options).contains("Name:"))
        #expect(tree(documented().state(.succeeded), options) == "")
    }

    @Test(
        "The status says when a run is suspended or was terminated",
        arguments: [
            (Phase?.none, [:], "Pending"), (.running, [:], "Running"),
            (.running, ["suspended": true], "Running (Suspended)"),
            (.failed, [:], "Failed"), (.failed, ["shutdown": "Terminate"], "Failed (Terminated)"),
            (.succeeded, ["shutdown": "Stop"], "Succeeded"), (.error, [:], "Error"),
        ] as [(Phase?, [String: JSONValue], String)])
    func status(phase: Phase?, header: [String: JSONValue], text: String) {
        #expect(RunHeader.status(SyntheticRun("s").state(phase, header: header)) == text)
    }

    @Test("A suspend node that waits makes the run suspended and has a sign of its own")
    func suspendNode() {
        var run = SyntheticRun("s")
        run.add("s", .suspend, .running, template: "approve")
        #expect(RunHeader.status(run.state(.running)) == "Running (Suspended)")
        #expect(tree(run.state(.running)).hasPrefix(" ǁ s"))
    }

    @Test("The live variant has one line above the tree, no newline at its end, and is cut to the width")
    func live() {
        var options = options(after: 65)
        let text = TreeRenderer.renderTreeOnly(state: documented().state(.running), options: options)
        #expect(text.hasPrefix("steps-z2zdn  Running  3/3  1 minute 5 seconds\nSTEP  "))
        #expect(!text.hasSuffix("\n"))
        options.width = 10
        let cut = TreeRenderer.renderTreeOnly(state: documented().state(.running), options: options)
        #expect(cut.split(separator: "\n").allSatisfy { $0.unicodeScalars.count <= 10 })
    }

    @Test("Colors change nothing but the signs, and what steps say cannot add any")
    func colors() {
        var run = SyntheticRun("c")
        run.add("c", .pod, .failed, template: "main", to: 1, message: "\u{1B}[2Jgone\u{9B}1m")
        var options = options()
        let plain = tree(run.state(.failed, finished: 1), options)
        #expect(!plain.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x9B })
        options.isColored = true
        let colored = tree(run.state(.failed, finished: 1), options)
        #expect(colored.replacing("\u{1B}[31m✖\u{1B}[0m", with: "✖") == plain)
    }

    @Test("A run without nodes has a header only")
    func empty() {
        let text = TreeRenderer.render(state: SyntheticRun("e").state(nil), options: options())
        #expect(text.hasSuffix("Progress:            0/0\n"))
        #expect(!text.contains("STEP"))
        #expect(!text.contains("Conditions"))
    }

    @Test("Two hundred levels of steps are drawn")
    func deep() {
        var run = SyntheticRun("d")
        var boundary = run.add("d", .steps, .running)
        for level in 1..<200 {
            boundary = run.add(
                "d.\(level)", .steps, .running, display: "\(level)", in: boundary, under: [boundary])
        }
        #expect(tree(run.state(.running)).split(separator: "\n").count == 200)
    }
}
