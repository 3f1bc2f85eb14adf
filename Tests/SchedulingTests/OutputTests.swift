// What steps give to those after them: parameters, artifacts, results, what is absent, and what is global.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Outputs")
struct OutputTests {
    private static let leaves = """
        - {name: leaf, container: {image: i}}
        - name: giver
          container: {image: i}
          outputs:
            parameters: [{name: p, valueFrom: {path: /p}}]
            artifacts: [{name: f, path: /f}]
        - name: defaulting
          container: {image: i}
          outputs: {parameters: [{name: p, valueFrom: {path: /p, default: from-producer}}]}
        - name: taker
          inputs: {parameters: [{name: x}]}
          container: {image: i, args: ["{{inputs.parameters.x}}"]}
        - name: lenient
          inputs: {parameters: [{name: x, default: from-consumer}]}
          container: {image: i, args: ["{{inputs.parameters.x}}"]}
        """

    private static func steps(_ producer: String, _ consumer: String, _ value: String) -> String {
        """
        entrypoint: main
        templates:
        - name: main
          steps:
          - [{name: a, template: \(producer), when: "1 == 2"}]
          - [{name: b, template: \(consumer), arguments: {parameters: [{name: x, value: \(value)}]}}]
        \(leaves)
        """
    }

    @Test(
        "What a skipped step would have given: its default, else the consumer's, else nil in an expression",
        arguments: [
            ("defaulting", "taker", "'{{steps.a.outputs.parameters.p}}'", "from-producer"),
            ("defaulting", "lenient", "'{{steps.a.outputs.parameters.p}}'", "from-producer"),
            ("giver", "lenient", "'{{steps.a.outputs.parameters.p}}'", "from-consumer"),
            ("giver", "taker", "\"{{=steps.a.outputs.parameters.p ?? 'fallback'}}\"", "fallback"),
            ("giver", "taker", "\"{{=steps.a.outputs.result ?? 'no result'}}\"", "no result"),
        ])
    func absent(_ producer: String, _ consumer: String, _ value: String, _ expected: String) throws {
        let world = try InMemoryRun.run(Self.steps(producer, consumer, value))
        #expect(world.phase == .succeeded, "\(world.message)")
        #expect(try world.node("[1].b").inputs.parameter("x")?.value == expected)
    }

    @Test(
        "Without any default the steps' group is in Error and the run Failed",
        arguments: [
            ("giver", "taker", "'{{steps.a.outputs.parameters.p}}'"),
            // The consumer's default counts only where the argument is that reference and nothing else.
            ("giver", "lenient", "'x {{steps.a.outputs.parameters.p}}'"),
            ("leaf", "taker", "'{{steps.a.outputs.result}}'"),
        ])
    func absentWithoutDefault(_ producer: String, _ consumer: String, _ value: String) throws {
        let world = try InMemoryRun.run(Self.steps(producer, consumer, value))
        #expect(try world.node("[1]").phase == .error)
        #expect(try world.node("[1]").message.contains("absent optional"))
        #expect(try world.node("").phase == .failed)
        #expect(world.phase == .failed)
        #expect(world.names == ["", "[0]", "[0].a", "[1]"])
    }

    @Test("In a DAG the task that needs what is absent is in Error, and so is the run")
    func absentInDAG() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: giver, when: "1 == 2"}
                - name: b
                  template: taker
                  depends: a
                  arguments: {parameters: [{name: x, value: "{{tasks.a.outputs.parameters.p}}"}]}
            \(Self.leaves)
            """)
        #expect(try world.node(".b").phase == .error)
        #expect(try world.node(".b").message.contains("absent optional"))
        #expect(world.phase == .error)
    }

    @Test("A condition that is false keeps broken arguments from doing harm")
    func brokenArguments() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - - name: a
                  template: taker
                  when: "1 == 2"
                  arguments: {parameters: [{name: x, value: "{{=jsonpath('no json', '$.a')}}"}]}
            \(Self.leaves)
            """)
        #expect(world.phase == .succeeded)
        #expect(try world.node("[0].a").phase == .skipped)
    }

    @Test("Steps and dag templates give what their steps gave, by tag, bare name, expression or default")
    func composites() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - - {name: in, template: inner}
              - - name: out
                  template: taker
                  arguments: {parameters: [{name: x, value: "{{steps.in.outputs.parameters.tag}}"}]}
              outputs:
                parameters:
                - {name: expression, valueFrom: {expression: "steps.in.outputs.parameters.tag + '!'"}}
                - {name: missing, valueFrom: {parameter: "{{steps.no.outputs.parameters.p}}", default: d}}
                artifacts:
                - {name: file, from: "{{steps.in.outputs.artifacts.f}}"}
                - {name: none, from: "{{steps.in.outputs.artifacts.g}}", optional: true}
            - name: inner
              dag:
                tasks: [{name: a, template: giver}]
              outputs:
                parameters:
                - {name: tag, valueFrom: {parameter: "{{tasks.a.outputs.parameters.p}}"}}
                - {name: bare, valueFrom: {parameter: tasks.a.outputs.parameters.p}}
                artifacts: [{name: f, from: "{{tasks.a.outputs.artifacts.f}}"}]
            \(Self.leaves)
            """, ["a": .gives("p", "value")])
        #expect(world.phase == .succeeded, "\(world.message)")
        let inner = try world.node("[0].in").outputs
        #expect(inner.parameter("tag")?.value == "value")
        #expect(inner.parameter("bare")?.value == "value")
        #expect(try world.node("[1].out").inputs.parameter("x")?.value == "value")
        let outputs = try world.node("").outputs
        #expect(outputs.parameter("expression")?.value == "value!")
        #expect(outputs.parameter("missing")?.value == "d")
        #expect(outputs.artifacts.map(\.name) == ["file"])
        #expect(outputs.artifact("file")?.raw["s3"]?["key"] == "w[0].in.a/f")
    }

    @Test("An output that nothing gives ends the template in Error")
    func missingOutput() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps: [[{name: a, template: leaf}]]
              outputs: {parameters: [{name: p, valueFrom: {parameter: "{{steps.a.outputs.parameters.p}}"}}]}
            \(Self.leaves)
            """)
        #expect(try world.node("").phase == .error)
        #expect(world.phase == .error)
    }

    @Test("Global outputs are the workflow's, and later steps may use them")
    func global() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - [{name: a, template: exporter}]
              - - name: b
                  template: taker
                  arguments: {parameters: [{name: x, value: "{{workflow.outputs.parameters.everyone}}"}]}
            - name: exporter
              container: {image: i}
              outputs:
                parameters: [{name: p, globalName: everyone, valueFrom: {path: /p}}]
                artifacts: [{name: f, globalName: file, path: /f}]
            \(Self.leaves)
            """, ["a": .gives("p", "seen")])
        #expect(try world.node("[1].b").inputs.parameter("x")?.value == "seen")
        #expect(world.state?.outputs.parameter("everyone")?.value == "seen")
        #expect(world.state?.outputs.artifact("file")?.raw["s3"]?["key"] == "w[0].a/f")
        #expect(world.state?.statusJSON["outputs"]?["parameters"]?.arrayValue?.count == 1)
    }

    @Test(
        "Arguments win over declared values, and a missing one ends the node in Error",
        arguments: [
            ("value: declared", "[{name: x, value: given}]", Phase.succeeded, "given"),
            ("value: declared", "[]", .succeeded, "declared"),
            ("default: fallback", "[]", .succeeded, "fallback"),
            ("description: none", "[]", .error, nil), ("enum: [a, b]", "[{name: x, value: c}]", .error, nil),
            ("enum: [a, b]", "[{name: x, value: b}]", .succeeded, "b"),
        ] as [(String, String, Phase, String?)])
    func inputs(_ declaration: String, _ arguments: String, _ phase: Phase, _ value: String?) throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            arguments: {parameters: \(arguments)}
            templates:
            - {name: main, inputs: {parameters: [{name: x, \(declaration)}]}, container: {image: i}}
            """)
        #expect(world.phase == phase)
        #expect(try world.node("").inputs.parameter("x")?.value == value)
    }

    @Test(
        "Standard output is wanted only where a template mentions it",
        arguments: [
            ("x", false), ("{{steps.a.outputs.result}}", true), ("{{=steps['a'].outputs.result}}", true),
        ])
    func capturesResult(_ value: String, _ expected: Bool) throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - [{name: a, template: leaf}]
              - [{name: b, template: taker, arguments: {parameters: [{name: x, value: "\(value)"}]}}]
            \(Self.leaves)
            """, ["a": .prints("hello")])
        #expect(world.executor.launches.first?.capturesResult == expected)
        #expect(try world.node("[1].b").inputs.parameter("x")?.value == (expected ? "hello" : "x"))
    }
}
