// The tree of nodes: names, ids, parents, outbound nodes, and how steps and dag templates end.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Node tree")
struct TreeTests {
    static let leaf = "- {name: leaf, container: {image: i}}"

    @Test(
        "Ids are the FNV-1a hash of the name, and pod names hold the template",
        arguments: [
            ("w", "w", "w"), ("w[0].a", "w-2078810217", "w-leaf-2078810217"),
            ("w.b(0:x,y)", "w-5996574", "w-leaf-5996574"),
        ])
    func ids(_ name: String, _ id: String, _ pod: String) {
        #expect(Node.id(workflow: "w", nodeName: name) == id)
        #expect(Node.podName(workflow: "w", nodeName: name, template: "leaf") == pod)
    }

    @Test("A pod name's prefix is cut so that the name has 253 characters at most")
    func longPodName() {
        let name = Node.podName(
            workflow: String(repeating: "a", count: 200), nodeName: "n",
            template: String(repeating: "b", count: 90))
        #expect(
            name.hasPrefix(String(repeating: "a", count: 200) + "-" + String(repeating: "b", count: 41) + "-")
        )
        #expect(name.count == 253)
    }

    @Test("Groups hang under the outbound nodes of the group before, steps under their group")
    func steps() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - [{name: a, template: leaf}, {name: b, template: inner}]
              - [{name: c, template: retried}]
              - [{name: d, template: leaf}]
            - name: inner
              steps: [[{name: x, template: leaf}, {name: y, template: leaf}]]
            - {name: retried, retryStrategy: {limit: 1}, container: {image: i}}
            \(Self.leaf)
            """, ["c(0)": .fails()])
        #expect(world.phase == .succeeded)
        #expect(world.nodes.count == 13)
        func parents(_ name: String) throws -> [String] { world.names(of: try world.node(name).parents) }
        #expect(try parents("[0]") == [""])
        #expect(try parents("[0].a") == ["[0]"])
        #expect(try parents("[0].b[0]") == ["[0].b"])
        #expect(try parents("[0].b[0].x") == ["[0].b[0]"])
        #expect(try parents("[1]") == ["[0].a", "[0].b[0].x", "[0].b[0].y"])
        #expect(try parents("[1].c(1)") == ["[1].c"])
        #expect(try parents("[2]") == ["[1].c(1)"])
        #expect(world.names(of: try world.node("").outboundNodes) == ["[2].d"])
        #expect(world.names(of: try world.node("[0].b").outboundNodes) == ["[0].b[0].x", "[0].b[0].y"])
        #expect(world.names(of: try world.node("[0].a").children) == ["[1]"])
        let boundaries = try ["[0]", "[0].a", "[1].c(0)", "[2].d"].map { try world.node($0).boundaryID }
        #expect(boundaries == ["w", "w", "w", "w"])
        #expect(try world.node("[0].b[0].x").boundaryID == world.node("[0].b").id)
        #expect(try world.node("[0]").displayName == "[0]")
        #expect(world.state?.progress.text == "5/6")
    }

    @Test("Tasks hang under the outbound nodes of what they depend on, roots under the DAG")
    func dag() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: leaf}
                - {name: b, template: inner, dependencies: [a]}
                - {name: c, template: leaf, dependencies: [a], withItems: [1, 2]}
                - {name: d, template: leaf, dependencies: [b, c]}
            - name: inner
              dag: {tasks: [{name: x, template: leaf}, {name: y, template: leaf}]}
            \(Self.leaf)
            """)
        func parents(_ name: String) throws -> [String] { world.names(of: try world.node(name).parents) }
        #expect(try parents(".a") == [""])
        #expect(try parents(".b") == [".a"])
        #expect(try parents(".b.x") == [".b"])
        #expect(try parents(".c") == [".a"])
        #expect(try parents(".c(0:1)") == [".c"])
        #expect(try parents(".d") == [".b.x", ".b.y", ".c(0:1)", ".c(1:2)"])
        #expect(try world.node(".c").type == .taskGroup)
        #expect(world.names(of: try world.node("").outboundNodes) == [".d"])
    }

    @Test("A container set has a node for each container below its pod's")
    func containerSet() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              containerSet:
                containers: [{name: a}, {name: b, dependencies: [a]}, {name: main, dependencies: [a]}]
            """)
        #expect(world.names == ["", ".a", ".b", ".main"])
        #expect(try world.node(".a").type == .container)
        #expect(world.names(of: try world.node(".b").parents) == [".a"])
        #expect(world.nodes.allSatisfy { $0.phase == .succeeded })
        #expect(world.state?.progress.text == "4/4")
    }

    // MARK: Ends of steps

    @Test(
        "A group awaits all its steps, then fails with the first that failed; nothing starts after it",
        arguments: [
            ("", Behavior.fails(), Phase.failed), ("", .errs(), .failed),
            ("continueOn: {failed: true}", .fails(), .succeeded),
            ("continueOn: {failed: true}", .errs(), .failed),
            ("continueOn: {error: true}", .errs(), .succeeded),
            ("continueOn: {error: true}", .fails(), .failed),
        ])
    func stepsEnd(_ continueOn: String, _ behavior: Behavior, _ phase: Phase) throws {
        let comma = continueOn.isEmpty ? "" : ", "
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              steps:
              - - {name: a, template: leaf}
                - {name: b, template: leaf\(comma)\(continueOn)}
                - {name: slow, template: leaf}
              - [{name: c, template: leaf}]
            \(Self.leaf)
            """, ["b": behavior, "slow": .succeeds().lasting(.seconds(60))])
        #expect(world.phase == phase)
        #expect(try world.node("[0].slow").phase == .succeeded)
        #expect(world.phases["[1].c"] == (phase == .succeeded ? .succeeded : nil))
        guard phase == .failed else { return }
        let message = "child '\(try world.node("[0].b").id)' failed"
        #expect(try world.node("[0]").message == message)
        #expect(try world.node("").message == message)
        #expect(try world.node("").phase == .failed)
        #expect(world.message == message)
    }

    // MARK: Ends of DAGs

    struct DAGRow: Sendable, CustomTestStringConvertible {
        var tasks: String
        var table: [String: Behavior]
        var phases: [String: Phase]
        var end: Phase
        var more = ""
        var testDescription: String { tasks }
    }

    @Test(
        "What a task depends on decides whether it runs, and the targets decide how the DAG ends",
        arguments: [
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a}", table: ["a": .fails()],
                phases: ["a": .failed, "b": .omitted], end: .failed),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, dependencies: [a]}", table: ["a": .errs()],
                phases: ["a": .error, "b": .omitted], end: .error),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a.Failed}", table: ["a": .fails()],
                phases: ["a": .failed, "b": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a.Failed}", table: [:],
                phases: ["a": .succeeded, "b": .omitted], end: .succeeded),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a.Errored || a.Failed}", table: ["a": .errs()],
                phases: ["a": .error, "b": .succeeded], end: .succeeded),
            DAGRow(
                tasks:
                    "- {name: a, when: 1 == 2}\n- {name: b, depends: a}\n- {name: c, depends: a.Skipped}",
                table: [:], phases: ["a": .skipped, "b": .succeeded, "c": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a.Failed}\n- {name: c, depends: b.Omitted}",
                table: [:],
                phases: ["a": .succeeded, "b": .omitted, "c": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: '!a.Succeeded'}", table: ["a": .fails()],
                phases: ["a": .failed, "b": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a, continueOn: {failed: true}}\n- {name: b, dependencies: [a]}",
                table: ["a": .fails()], phases: ["a": .failed, "b": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a, continueOn: {failed: true}}", table: ["a": .fails()],
                phases: ["a": .failed],
                end: .succeeded),
            DAGRow(
                tasks: "- {name: a, continueOn: {failed: true}}", table: ["a": .errs()],
                phases: ["a": .error],
                end: .error),
            DAGRow(
                tasks: "- {name: a, withItems: [1, 2]}\n- {name: b, depends: a.AnySucceeded}",
                table: ["a(0:1)": .fails()], phases: ["a": .failed, "b": .succeeded], end: .succeeded),
            DAGRow(
                tasks: "- {name: a, withItems: [1, 2]}\n- {name: b, depends: a.AllFailed}",
                table: ["a(0:1)": .fails()], phases: ["a": .failed, "b": .omitted], end: .failed),
            DAGRow(
                tasks: "- {name: a, withItems: [1, 2]}\n- {name: b, depends: a.AllFailed}",
                table: ["a(0:1)": .fails(), "a(1:2)": .fails()], phases: ["a": .failed, "b": .succeeded],
                end: .succeeded),
            DAGRow(
                tasks: "- {name: a}\n- {name: b}\n- {name: c, depends: a}\n- {name: d, depends: b}",
                table: ["a": .fails(), "d": .succeeds().lasting(.seconds(90))],
                phases: ["a": .failed, "b": .succeeded, "c": .omitted, "d": .succeeded], end: .failed),
            DAGRow(
                tasks: "- {name: a}\n- {name: b}\n- {name: c, depends: a}\n- {name: d, depends: b}",
                table: ["a": .fails()],
                phases: ["a": .failed, "b": .succeeded, "c": .omitted, "d": .succeeded], end: .failed,
                more: "failFast: false"),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a}\n- {name: c, depends: b}\n- {name: x}",
                table: [:], phases: ["a": .succeeded, "b": .succeeded], end: .succeeded, more: "target: b"),
            DAGRow(
                tasks: "- {name: a}\n- {name: b, depends: a}\n- {name: c}\n- {name: x}",
                table: [:], phases: ["a": .succeeded, "c": .succeeded], end: .succeeded, more: "target: 'a c'"
            ),
        ])
    func dagEnd(_ row: DAGRow) throws {
        let tasks = row.tasks.split(separator: "\n").map { "    " + $0.calling("leaf") }
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                \(row.more)
                tasks:
            \(tasks.joined(separator: "\n"))
            \(Self.leaf)
            """, row.table)
        for (name, phase) in row.phases { #expect(world.phases[".\(name)"] == phase, "\(name)") }
        #expect(world.phase == row.end)
        #expect(try world.node("").phase == row.end)
        let tasksMade = world.names.filter { $0.hasPrefix(".") && !$0.contains("(") }
        #expect(Set(tasksMade) == Set(row.phases.keys.map { ".\($0)" }))
        for node in world.nodes where node.phase == .omitted {
            #expect(node.message == "omitted: depends condition not met")
            #expect(node.type == .skipped)
        }
    }

    @Test("A task that was skipped after a failure takes it on, even if the failure was to be overlooked")
    func inherited() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              dag:
                tasks:
                - {name: a, template: leaf, continueOn: {failed: true}}
                - {name: b, template: leaf, dependencies: [a], when: 1 == 2}
            \(Self.leaf)
            """, ["a": .fails()])
        #expect(try world.node(".b").phase == .skipped)
        #expect(world.phase == .failed)
    }

    @Test("A template that does not exist ends its node in Error")
    func missingTemplate() throws {
        let world = try InMemoryRun.run("entrypoint: main\ntemplates: []")
        #expect(world.phase == .error)
        #expect(world.message == "template \"main\" is not defined")
    }

    @Test("Stored templates call what stands beside them, and their nodes say where they come from")
    func stored() throws {
        let definition = try InMemoryRun.definition(
            """
            entrypoint: main
            templates:
            - name: main
              steps: [[{name: a, templateRef: {name: lib, template: outer}}]]
            - {name: leaf, container: {image: own}}
            """,
            stored: [
                """
                apiVersion: argoproj.io/v1alpha1
                kind: WorkflowTemplate
                metadata: {name: lib}
                spec:
                  templates:
                  - {name: outer, steps: [[{name: b, template: leaf}]]}
                  - {name: leaf, container: {image: library}}
                """
            ])
        var world = InMemoryRun.world(definition)
        try world.run()
        #expect(world.phase == .succeeded)
        #expect(world.executor.launches.first?.template.raw["container"]?["image"] == "library")
        #expect(try world.node("[0].a").templateRef?["template"] == "outer")
        #expect(try world.node("[0].a[0].b").templateScope == "namespaced/lib")
    }
}

extension StringProtocol {
    /// A task in flow style with a template added.
    fileprivate func calling(_ template: String) -> String {
        guard let index = lastIndex(of: "}") else { return String(self) }
        return self[..<index] + ", template: \(template)}"
    }
}
