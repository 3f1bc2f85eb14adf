// Loops: the names of items, the three forms, empty lists, and what a loop gives to those after it.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Loops")
struct LoopTests {
    private static let echo = """
        - name: echo
          inputs: {parameters: [{name: x, default: none}]}
          container: {image: i}
          outputs: {parameters: [{name: p, valueFrom: {path: /p}}]}
        """

    private static func dag(_ loop: String) -> String {
        """
        entrypoint: main
        templates:
        - name: main
          dag:
            tasks:
            - name: a
              template: echo
              arguments: {parameters: [{name: x, value: "{{item}}"}]}
              \(loop)
        \(echo)
        """
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var loop: String
        var names: [String]
        var inputs: [String]
        var testDescription: String { loop }
    }

    @Test(
        "Items are named by their place and their text",
        arguments: [
            Row(
                loop: "withItems: [a, 2, true, 1.5]", names: ["0:a", "1:2", "2:true", "3:1.5"],
                inputs: ["a", "2", "true", "1.5"]),
            Row(
                loop: "withItems: ['f(x)', 'a,b', 'x:y']", names: ["0:fx", "1:a,b", "2:x:y"],
                inputs: ["f(x)", "a,b", "x:y"]),
            Row(
                loop: "withItems: [{os: debian, version: 9.1}, {b: 1, a: [1, 2]}]",
                names: ["0:os:debian,version:9.1", "1:a:[1 2],b:1"],
                inputs: [#"{"os":"debian","version":9.1}"#, #"{"a":[1,2],"b":1}"#]),
            Row(
                loop: "withItems: [[1, 2], [3, [4]]]", names: ["0:[1 2]", "1:[3 [4]]"],
                inputs: ["[1,2]", "[3,[4]]"]),
            Row(
                loop: #"withParam: '["a", {"k": "v"}]'"#, names: ["0:a", "1:k:v"],
                inputs: ["a", #"{"k":"v"}"#]),
            Row(loop: "withSequence: {count: 3}", names: ["0:0", "1:1", "2:2"], inputs: ["0", "1", "2"]),
            Row(loop: "withSequence: {start: 5, count: 2}", names: ["0:5", "1:6"], inputs: ["5", "6"]),
            Row(
                loop: "withSequence: {start: 1, end: 3}", names: ["0:1", "1:2", "2:3"],
                inputs: ["1", "2", "3"]),
            Row(
                loop: "withSequence: {start: '3', end: '1'}", names: ["0:3", "1:2", "2:1"],
                inputs: ["3", "2", "1"]),
            Row(
                loop: "withSequence: {end: 1, format: 'host-%03d'}", names: ["0:host-000", "1:host-001"],
                inputs: ["host-000", "host-001"]),
            Row(loop: "withSequence: {start: 2, end: 2}", names: ["0:2"], inputs: ["2"]),
        ])
    func items(_ row: Row) throws {
        let world = try InMemoryRun.run(Self.dag(row.loop))
        #expect(world.phase == .succeeded, "\(world.message)")
        #expect(world.names == ["", ".a"] + row.names.map { ".a(\($0))" })
        #expect(world.nodes.dropFirst(2).map { $0.inputs.parameter("x")?.value } == row.inputs)
        #expect(world.nodes.dropFirst(2).map(\.displayName) == row.names.map { "a(\($0))" })
    }

    @Test(
        "An empty loop is one node that is skipped",
        arguments: [
            "withItems: []", "withParam: '[]'", "withSequence: {count: 0}",
        ])
    func empty(_ loop: String) throws {
        let world = try InMemoryRun.run(Self.dag(loop))
        let node = try world.node(".a")
        #expect(world.names == ["", ".a"])
        #expect(node.type == .skipped)
        #expect(node.phase == .skipped)
        #expect(node.message == "Skipped, empty params")
        #expect(world.phase == .succeeded)
    }

    @Test(
        "A loop over text that is no list ends in Error",
        arguments: ["withParam: 'x'", "withParam: '{\"a\": 1}'"])
    func noList(_ loop: String) throws {
        let world = try InMemoryRun.run(Self.dag(loop))
        #expect(try world.node(".a").phase == .error)
        #expect(world.phase == .error)
    }

    @Test("A step's loop has no group of its own, and a condition on the item is asked for each")
    func steps() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - - name: a
                  template: echo
                  withItems: [1, 2, 3]
                  when: "{{item}} != 2"
                  arguments: {parameters: [{name: x, value: "{{item}}"}]}
              - - name: b
                  template: echo
                  withParam: "{{steps.a.outputs.parameters.p}}"
            \(Self.echo)
            """,
            ["a(0:1)": .gives("p", "[1]"), "a(2:3)": .gives("p", #"{"k": "v"}"#)])
        #expect(
            world.names == [
                "", "[0]", "[0].a(0:1)", "[0].a(1:2)", "[0].a(2:3)", "[1]", "[1].b(0:[1])", "[1].b(1:k:v)",
            ])
        #expect(try world.node("[0].a(1:2)").phase == .skipped)
        #expect(try world.node("[0].a(1:2)").message == "when '2 != 2' evaluated false")
        #expect(world.phase == .succeeded)
    }

    @Test("A condition that does not ask for the item is asked once")
    func conditionOfLoop() throws {
        let world = try InMemoryRun.run(Self.dag("withItems: [1, 2]\n      when: 1 == 2"))
        #expect(world.names == ["", ".a"])
        #expect(try world.node(".a").message == "when '1 == 2' evaluated false")
    }

    @Test("After a loop its results are lists of those that succeeded, in their order")
    func fanIn() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: echo, withItems: [x, y, z], continueOn: {failed: true}}
                - name: b
                  dependencies: [a]
                  template: many
                  arguments:
                    parameters:
                    - {name: one, value: "{{tasks.a.outputs.parameters.p}}"}
                    - {name: all, value: "{{tasks.a.outputs.parameters}}"}
                    - {name: results, value: "{{tasks.a.outputs.result}}"}
            - name: many
              inputs: {parameters: [{name: one}, {name: all}, {name: results}]}
              container: {image: i}
            \(Self.echo)
            """,
            [
                "a(0:x)": .succeeds(.init(parameters: [.init(name: "p", value: "1")], result: "{\"n\": 1}")),
                "a(1:y)": .fails(),
                "a(2:z)": .succeeds(.init(parameters: [.init(name: "p", value: "b")], result: "3")).lasting(
                    .zero),
            ])
        let inputs = try world.node(".b").inputs
        #expect(inputs.parameter("one")?.value == #"["1","b"]"#)
        #expect(inputs.parameter("all")?.value == #"[{"p":"1"},{"p":"b"}]"#)
        #expect(inputs.parameter("results")?.value == #"[{"n":1},3]"#)
    }

    @Test("A loop that has failed takes the phase of its first failed item")
    func failedItem() throws {
        let world = try InMemoryRun.run(
            Self.dag("withItems: [1, 2, 3]"), ["a(1:2)": .errs(), "a(2:3)": .fails()])
        #expect(try world.node(".a").phase == .error)
        #expect(try world.node(".a(0:1)").phase == .succeeded)
        #expect(world.phase == .error)
    }
}
