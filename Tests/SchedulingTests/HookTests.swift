// Exit handlers and lifecycle hooks, of the workflow and of steps.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Hooks")
struct HookTests {
    private static let leaves = """
        - {name: leaf, container: {image: i}}
        - name: tell
          inputs: {parameters: [{name: x, default: ""}]}
          container: {image: i, args: ["{{inputs.parameters.x}}{{workflow.status}} {{workflow.failures}}"]}
        """

    private static func exit(_ more: String = "") -> String {
        """
        entrypoint: main
        onExit: tell
        \(more)
        templates:
        - {name: main, steps: [[{name: a, template: leaf}], [{name: b, template: leaf}]]}
        \(leaves)
        """
    }

    private static func text(_ launch: Launch?) -> String {
        launch?.template.raw["container"]?["args"]?.arrayValue?.first?.stringValue ?? ""
    }

    @Test(
        "The exit handler runs once after the entry node, and its failure counts only if all else went well",
        arguments: [
            ([:], Phase.succeeded, ""),
            (["b": .fails(2)], .failed, "child 'w-1433642545' failed"),
            (["tell": .fails(2)], .failed, "main: Error (exit code 2)"),
            (["tell": .errs("no")], .error, "no"),
            (["a": .fails(), "tell": .errs("no")], .failed, "child 'w-2078810217' failed"),
        ] as [([String: Behavior], Phase, String)])
    func exitHandler(_ table: [String: Behavior], _ phase: Phase, _ message: String) throws {
        let world = try InMemoryRun.run(Self.exit(), table)
        #expect(world.launched.last == ".onExit")
        #expect(world.launched.filter { $0 == ".onExit" }.count == 1)
        #expect(world.phase == phase)
        #expect(world.message == message)
        #expect(try world.node(".onExit").isHook)
        #expect(try world.node(".onExit").boundaryID == nil)
    }

    @Test("The exit handler sees how the run ended and what failed")
    func status() throws {
        let world = try InMemoryRun.run(Self.exit(), ["b": .fails(2)])
        let text = Self.text(world.executor.launches.last)
        #expect(text.hasPrefix("Failed \"[{"))
        #expect(text.contains(#"\"displayName\":\"b\""#))
        #expect(text.contains(#"\"message\":\"main: Error (exit code 2)\""#))
        #expect(text.contains(#"\"templateName\":\"leaf\""#))
    }

    @Test(
        "The exit handler runs after a stop and after the deadline, but not after Terminate",
        arguments: [
            (Command.stop(message: "", selector: nil), true), (.terminate, false),
            (.interrupt(message: "interrupted"), false),
        ])
    func stopped(_ command: Command, _ runs: Bool) throws {
        let world = try InMemoryRun.run(
            Self.exit(), ["a": .succeeds().lasting(.seconds(100))], commands: [(command, .seconds(5))])
        #expect(world.phase == .failed)
        #expect(world.phases[".onExit"] == (runs ? .succeeded : nil))
        #expect(world.phases["[0].a"] == .failed)
        #expect(world.phases["[1].b"] == nil)
    }

    @Test("The exit handler is not subject to the workflow's deadline")
    func deadline() throws {
        let world = try InMemoryRun.run(
            Self.exit("activeDeadlineSeconds: 3"),
            ["a": .succeeds().lasting(.seconds(100)), "tell": .succeeds().lasting(.seconds(50))])
        #expect(world.phase == .failed)
        #expect(try world.node("[0].a").message == "Step exceeded its deadline")
        #expect(try world.node(".onExit").phase == .succeeded)
    }

    @Test("Terminate during the exit handler ends it")
    func terminateDuringExit() throws {
        let world = try InMemoryRun.run(
            Self.exit(), ["tell": .succeeds().lasting(.seconds(100))], commands: [(.terminate, .seconds(10))])
        #expect(try world.node(".onExit").phase == .failed)
        #expect(world.elapsed < .seconds(20))
    }

    private static func step(_ hooks: String, _ root: String = "steps") -> String {
        let body = "{name: a, template: leaf, hooks: \(hooks)}"
        let main =
            root == "steps"
            ? "{name: main, steps: [[\(body)], [{name: b, template: leaf}]]}"
            : "{name: main, dag: {tasks: [\(body), {name: b, template: leaf, depends: a}]}}"
        return "entrypoint: main\ntemplates:\n- \(main)\n\(leaves)"
    }

    @Test(
        "A step's exit hook runs once it completed; what comes after waits for it, whatever it does",
        arguments: [
            ("steps", Behavior.succeeds(), Behavior.succeeds(), Phase.succeeded),
            ("steps", .succeeds(), .fails(), .succeeded), ("steps", .fails(), .succeeds(), .failed),
            ("tasks", .succeeds(), .fails(), .succeeded),
        ])
    func stepExit(_ root: String, _ step: Behavior, _ hook: Behavior, _ phase: Phase) throws {
        let spec = Self.step(
            "{exit: {template: tell, arguments: {parameters: [{name: x, value: '{{\(root).a.status}} '}]}}}",
            root)
        let world = try InMemoryRun.run(spec, ["a": step, "tell": hook.lasting(.seconds(40))])
        let name = root == "steps" ? "[0].a" : ".a"
        #expect(world.phase == phase)
        let node = try world.node("\(name).onExit")
        #expect(node.isHook)
        #expect(world.names(of: node.parents) == [name])
        #expect(node.inputs.parameter("x")?.value == (phase == .failed ? "Failed " : "Succeeded "))
        guard phase == .succeeded else { return }
        let after = try world.node(root == "steps" ? "[1].b" : ".b")
        #expect(try #require(after.startedAt) >= #require(node.finishedAt))
    }

    @Test("A skipped step has no exit hook")
    func skipped() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps: [[{name: a, template: leaf, when: 1 == 2, hooks: {exit: {template: leaf}}}]]
            \(Self.leaves)
            """)
        #expect(world.names == ["", "[0]", "[0].a"])
    }

    @Test(
        "Other hooks fire when their expression holds, at most once, beside the step",
        arguments: [
            ("steps.a.status == \"Running\"", Behavior.succeeds(), true),
            ("steps.a.status == \"Succeeded\"", .succeeds(), true),
            ("steps.a.status == \"Failed\"", .succeeds(), false),
            ("steps.a.status == \"Failed\"", .fails(), true),
        ])
    func conditions(_ expression: String, _ behavior: Behavior, _ fires: Bool) throws {
        let world = try InMemoryRun.run(
            Self.step("{seen: {template: tell, expression: '\(expression)'}}"), ["a": behavior])
        #expect(world.launched.filter { $0 == "[0].a.hooks.seen" }.count == (fires ? 1 : 0))
        #expect(world.names.contains("[0].a.hooks.seen") == fires)
    }

    @Test("A hook that cannot be called ends its step in Error, once the step's own work has ended")
    func brokenHook() throws {
        let world = try InMemoryRun.run(
            Self.step(
                "{exit: {template: tell, arguments: {parameters: [{name: x, value: '{{steps.a.ip}}'}]}}}"
            ))
        #expect(try world.node("[0].a").phase == .error)
        #expect(try world.node("[0].a").message.hasPrefix("hook exit: "))
        #expect(world.phase == .failed)
    }

    @Test("Hooks of a step with retries sit on the Retry node and see the last attempt")
    func retries() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - - name: a
                  template: flaky
                  hooks:
                    exit:
                      template: tell
                      arguments: {parameters: [{name: x, value: "{{steps.a.outputs.result}}"}]}
            - {name: flaky, retryStrategy: {limit: 2}, container: {image: i}}
            \(Self.leaves)
            """, ["a(0)": .fails(), "a(1)": .prints("second")])
        #expect(world.names == ["", "[0]", "[0].a", "[0].a(0)", "[0].a(1)", "[0].a.onExit"])
        #expect(try world.node("[0].a.onExit").inputs.parameter("x")?.value == "second")
        #expect(try world.node("[0].a").isHook == false)
    }

    @Test("Workflow hooks fire at most once each, and the run waits for them")
    func workflowHooks() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: leaf
            hooks:
              running: {template: tell, expression: workflow.status == "Running"}
              failed: {template: tell, expression: workflow.status == "Failed"}
              done: {template: tell, expression: workflow.status == "Succeeded"}
            templates:
            \(Self.leaves)
            """, ["w.hooks.running": .succeeds().lasting(.seconds(50))])
        #expect(world.phase == .succeeded)
        #expect(Set(world.names) == ["", ".hooks.running", ".hooks.done"])
        #expect(world.elapsed >= .seconds(50))
        #expect(world.state?.progress.text == "3/3")
    }
}
