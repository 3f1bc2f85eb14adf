// A person's retry and resubmit: what runs again, what stays, and what the tree looks like afterwards.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Manual retry")
struct ManualRetryTests {
    private static let leaf =
        "- {name: leaf, inputs: {parameters: [{name: x, default: d}]}, container: {image: i}}"

    private static func failed(_ spec: String, _ table: [String: Behavior]) throws -> World {
        try InMemoryRun.run(spec, table)
    }

    /// Retries a run and drives it to its end; answers the world and what was launched by the retry.
    private static func retry(
        _ world: World, _ request: RetryRequest = RetryRequest(), _ table: [String: Behavior] = [:]
    ) throws -> (world: World, launched: [String]) {
        let state = try #require(world.state).retried(request, at: world.clock)
        #expect(state.phase == nil)
        #expect(state.uid == world.definition.uid)
        var next = try World(state, after: world, behavior: InMemoryRun.behavior(table))
        let before = next.launched.count
        try next.run()
        return (next, Array(next.launched.dropFirst(before)))
    }

    private static let steps = """
        entrypoint: main
        onExit: leaf
        templates:
        - name: main
          steps:
          - [{name: a, template: leaf}, {name: b, template: leaf}]
          - [{name: c, template: leaf}]
        \(leaf)
        """

    @Test(
        "What failed runs again with a new attempt number, what succeeded stays, the exit handler runs anew")
    func steps() throws {
        let first = try Self.failed(Self.steps, ["b": .fails()])
        let kept = try first.node("[0].a")
        let (world, launched) = try Self.retry(first)
        #expect(world.phase == .succeeded)
        #expect(launched == ["[0].b", "[1].c", ".onExit"])
        #expect(try world.node("[0].a") == kept.with(children: world.node("[0].a").children))
        #expect(world.executor.launches.map(\.key.attempt) == [0, 0, 0, 1, 0, 1])
        #expect(try world.node("").message == "")
        #expect(try world.node("").finishedAt == world.state?.nodes["w"]?.finishedAt)
    }

    @Test("A retry that fails again can be retried again")
    func twice() throws {
        let first = try Self.failed(Self.steps, ["b": .fails()])
        let (second, _) = try Self.retry(first, RetryRequest(), ["b": .fails()])
        #expect(second.phase == .failed)
        let (third, launched) = try Self.retry(second)
        #expect(third.phase == .succeeded)
        #expect(launched == ["[0].b", "[1].c", ".onExit"])
        #expect(third.executor.launches.filter { $0.nodeName == "w[0].b" }.map(\.key.attempt) == [0, 1, 2])
    }

    @Test("When only the exit handler failed, only it runs again")
    func exitHandlerOnly() throws {
        let first = try Self.failed(Self.steps, [".onExit": .fails()])
        #expect(first.phase == .failed)
        let (world, launched) = try Self.retry(first, RetryRequest(), [".onExit": .fails()])
        #expect(launched == [".onExit"])
        #expect(world.phase == .failed)
        #expect(world.nodes.count == first.nodes.count)
    }

    @Test("Tasks that were omitted are decided anew, skipped ones stay")
    func omitted() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: leaf}
                - {name: b, template: leaf, depends: a}
                - {name: c, template: leaf, depends: a.Failed}
                - {name: s, template: leaf, when: 1 == 2}
                - {name: f, template: leaf, depends: s}
            \(Self.leaf)
            """, ["a": .fails(), "f": .fails()])
        #expect(first.phases[".b"] == .omitted)
        #expect(first.phases[".c"] == .succeeded)
        let (world, launched) = try Self.retry(first)
        // The failure of a was dealt with by c, which succeeded: a stays as it is.
        #expect(launched == [".f"])
        #expect(world.phases[".s"] == .skipped)
        #expect(world.phases[".b"] == .omitted)
        #expect(world.phase == .failed)
        let plain = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              dag: {tasks: [{name: a, template: leaf}, {name: b, template: leaf, depends: a}]}
            \(Self.leaf)
            """, ["a": .fails()])
        let (retried, again) = try Self.retry(plain)
        #expect(again == [".a", ".b"])
        #expect(retried.phase == .succeeded)
    }

    @Test("Attempts of a retry strategy begin anew")
    func attempts() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - {name: main, steps: [[{name: a, template: flaky}, {name: b, template: flaky}]]}
            - {name: flaky, retryStrategy: {limit: 1}, container: {image: i}}
            """, ["a(0)": .fails(), "a(1)": .fails(), "b(0)": .fails()])
        let (world, launched) = try Self.retry(first, RetryRequest(), ["a(0)": .fails()])
        #expect(launched == ["[0].a(0)", "[0].a(1)"])
        #expect(world.phase == .succeeded)
        #expect(try world.node("[0].a").message == "")
        #expect(world.executor.launches.suffix(2).map(\.key.attempt) == [1, 1])
    }

    @Test("Of steps that were retried as a whole, the last attempt goes on and the others stay as they were")
    func compositeAttempts() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              retryStrategy: {limit: 1}
              steps: [[{name: a, template: leaf}], [{name: b, template: leaf}]]
            \(Self.leaf)
            """, ["b": .fails()])
        let (world, launched) = try Self.retry(first)
        #expect(launched == ["(1)[1].b"])
        #expect(world.phase == .succeeded)
        #expect(world.phases["(0)"] == .failed)
        #expect(world.phases["(0)[1].b"] == .failed)
    }

    @Test("A failure that was to be overlooked stays, with what came after it")
    func overlooked() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - [{name: a, template: group, continueOn: {failed: true}}]
              - [{name: b, template: leaf}]
              - [{name: c, template: leaf}]
            - {name: group, steps: [[{name: x, template: leaf}]]}
            \(Self.leaf)
            """, ["x": .fails(), "c": .fails()])
        let (world, launched) = try Self.retry(first)
        #expect(launched == ["[2].c"])
        #expect(world.phase == .succeeded)
        #expect(world.phases["[0].a"] == .failed)
    }

    @Test("With a selector, nodes that succeeded run again with all that is below them")
    func restartSuccessful() throws {
        let first = try Self.failed(Self.steps, [:])
        #expect(first.phase == .succeeded)
        let state = try #require(first.state)
        #expect(throws: RefusedRequest.self) { try state.retried(RetryRequest(), at: first.clock) }
        let request = RetryRequest(restartSuccessful: true, selector: NodeSelector("displayName=a"))
        let (world, launched) = try Self.retry(first, request)
        #expect(launched == ["[0].a", "[1].c", ".onExit"])
        #expect(world.phase == .succeeded)
        #expect(world.executor.launches.last { $0.nodeName == "w[0].a" }?.key.attempt == 1)
    }

    @Test("A run that has not ended cannot be retried")
    func running() throws {
        let world = try InMemoryRun.run("entrypoint: s\ntemplates: [{name: s, suspend: {}}]")
        let state = try #require(world.state)
        #expect(throws: RefusedRequest.self) { try state.retried(RetryRequest(), at: world.clock) }
        #expect(throws: RefusedRequest.self) { try state.resubmitted(as: world.definition, at: world.clock) }
    }

    @Test("New parameters reach what runs again, and loops expand anew")
    func parameters() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            arguments: {parameters: [{name: list, value: '["a", "b"]'}, {name: v, value: old}]}
            templates:
            - name: main
              inputs: {parameters: [{name: v}, {name: list}]}
              steps:
              - - name: l
                  template: leaf
                  withParam: "{{inputs.parameters.list}}"
                  arguments: {parameters: [{name: x, value: "{{item}}{{inputs.parameters.v}}"}]}
            \(Self.leaf)
            """, ["l(1:b)": .fails()])
        #expect(first.phase == .failed)
        let request = RetryRequest(parameters: [("list", #"["c"]"#), ("v", "new")])
        let (world, launched) = try Self.retry(first, request)
        #expect(launched == ["[0].l(0:c)"])
        #expect(world.phase == .succeeded)
        #expect(try world.node("[0].l(0:c)").inputs.parameter("x")?.value == "cnew")
    }

    @Test("After a retry a loop's results are still in the order of its list")
    func fanInOrder() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - [{name: l, template: giver, withItems: [x, y, z]}]
              - - name: use
                  template: leaf
                  arguments: {parameters: [{name: x, value: "{{steps.l.outputs.parameters.p}}"}]}
            - name: giver
              container: {image: i}
              outputs: {parameters: [{name: p, valueFrom: {path: /p}}]}
            \(Self.leaf)
            """, ["l(0:x)": .fails(), "l(1:y)": .gives("p", "2"), "l(2:z)": .gives("p", "3")])
        let (world, _) = try Self.retry(first, RetryRequest(), ["l(0:x)": .gives("p", "1")])
        #expect(try world.node("[1].use").inputs.parameter("x")?.value == #"["1","2","3"]"#)
    }

    @Test("A stopped run can be retried: shutdown, message and deadline are forgotten")
    func stopped() throws {
        let first = try InMemoryRun.run(
            "activeDeadlineSeconds: 60\n" + Self.steps, ["b": .succeeds().lasting(.seconds(40))],
            commands: [(.stop(message: "", selector: nil), .seconds(10))])
        #expect(first.phase == .failed)
        let (world, launched) = try Self.retry(
            first, RetryRequest(), ["b": .succeeds().lasting(.seconds(40))])
        #expect(launched == ["[0].b", "[1].c", ".onExit"])
        #expect(world.phase == .succeeded)
        #expect(world.message == "")
    }

    @Test("Locks are taken again, and a step's hook that failed is called again")
    func locksAndHooks() throws {
        let first = try Self.failed(
            """
            entrypoint: main
            templates:
            - name: main
              synchronization: {mutexes: [{name: m}]}
              steps:
              - [{name: a, template: leaf, hooks: {exit: {template: leaf}}}]
              - [{name: b, template: leaf}]
            \(Self.leaf)
            """, ["onExit": .fails(), "b": .fails()])
        #expect(first.phases["[0].a.onExit"] == .failed)
        let (world, launched) = try Self.retry(first)
        #expect(launched.contains("[0].a.onExit"))
        #expect(launched.contains("[1].b"))
        #expect(!launched.contains("[0].a"))
        #expect(world.phase == .succeeded)
        #expect(world.effects.contains { if case .acquireLocks = $0 { true } else { false } })
    }

    // MARK: Resubmit

    @Test("A memoized resubmit takes over what was done well, and does the rest under the new name")
    func resubmit() throws {
        let spec = """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: giver}
                - name: b
                  template: leaf
                  dependencies: [a]
                  arguments: {parameters: [{name: x, value: "{{tasks.a.outputs.parameters.p}}"}]}
                - {name: c, template: leaf, dependencies: [b]}
            - name: giver
              container: {image: i}
              outputs: {parameters: [{name: p, valueFrom: {path: /p}}]}
            \(Self.leaf)
            """
        let first = try Self.failed(spec, ["a": .gives("p", "kept"), "b": .fails()])
        let manifest = first.definition.manifest
        let definition = RunDefinition(
            manifest: manifest, catalog: TemplateCatalog(), uid: "other", name: "v", namespace: "default",
            createdAt: first.clock, seed: 2)
        let state = try #require(first.state).resubmitted(as: definition, at: first.clock)
        var world = try World(state, after: InMemoryRun.world(definition))
        try world.run()
        #expect(world.phase == .succeeded)
        #expect(world.executor.launches.map(\.nodeName) == ["v.b", "v.c"])
        #expect(world.executor.launches.allSatisfy { $0.key.workflowUID == "other" })
        let taken = try world.node("v.a")
        #expect(taken.type == .skipped)
        #expect(taken.phase == .skipped)
        #expect(taken.message == "original pod: \(Node.id(workflow: "w", nodeName: "w.a"))")
        #expect(taken.id == Node.id(workflow: "v", nodeName: "v.a"))
        #expect(taken.outputs.parameter("p")?.value == "kept")
        #expect(try world.node("v.b").inputs.parameter("x")?.value == "kept")
        #expect(try world.node("v").displayName == "v")
        #expect(try world.node("v.b").parents == [taken.id])
    }
}

extension Node {
    /// The node with other children, which follow from other nodes and may come in another order.
    fileprivate func with(children: [NodeID]) -> Node {
        var copy = self
        copy.children = children
        return copy
    }
}
