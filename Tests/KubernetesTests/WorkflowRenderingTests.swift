// What `martlet render` prints: a pod for each call, under the name that the run would give it.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("Rendering workflows")
struct WorkflowRenderingTests {
    /// Templates that the cases call.
    private static let leaves = """
          - name: work
            inputs: {parameters: [{name: x, value: none}]}
            container: {image: x, command: [echo, "{{inputs.parameters.x}}"]}
          - name: again
            retryStrategy: {limit: 2}
            script: {image: x, command: [sh], source: exit 1}
        """

    private static let head = """
        kind: Workflow
        metadata: {name: w}
        spec:
          entrypoint: main
          templates:

        """

    /// - Parameter lines: templates, and behind them other members of the specification.
    private static func workflow(_ lines: String, leaves: [String] = ["work"]) -> JSONValue {
        let (documents, _) = ManifestReader.read(Array((head + lines).utf8), file: "test.yaml")
        let text = "kind: Leaves\nleaves:\n\(Self.leaves)\n"
        let all = ManifestReader.read(Array(text.utf8), file: "leaves.yaml").documents.first?.json
        let added = (all?["leaves"]?.arrayValue ?? []).filter { template in
            leaves.contains { template["name"]?.stringValue == $0 }
        }
        var members = documents.first?.json.objectValue ?? [:]
        var spec = members["spec"]?.objectValue ?? [:]
        spec["templates"] = .array((spec["templates"]?.arrayValue ?? []) + added)
        members["spec"] = .object(spec)
        return .object(members)
    }

    private static func render(_ document: JSONValue, _ catalog: TemplateCatalog = TemplateCatalog())
        -> WorkflowRendering
    {
        WorkflowRendering(
            document, catalog: catalog, namespace: "ml", settings: PodRendererTests.settings)
    }

    private static func pods(_ rendering: WorkflowRendering) -> [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        for pod in rendering.objects where pod["kind"] == "Pod" {
            let name = pod["metadata"]?["name"]?.stringValue ?? ""
            #expect(found[name] == nil, "two pods are named \(name)")
            found[name] = pod
        }
        return found
    }

    /// What a run of the document launches, as long as each step ends well.
    private static func launched(_ document: JSONValue, _ catalog: TemplateCatalog) -> [String: [String]] {
        let definition = RunDefinition(
            manifest: document, catalog: catalog, uid: "u-1", name: "w", namespace: "ml",
            createdAt: Timestamp(seconds: 0), seed: 0)
        var state = WorkflowState(definition: definition, at: Timestamp(seconds: 0))
        var found: [String: [String]] = [:]
        var effects = state.handle(.attached, at: Timestamp(seconds: 1))
        while !effects.isEmpty {
            var next: [Effect] = []
            for effect in effects {
                guard case .launch(let launch) = effect else { continue }
                var command: [String] = []
                if case .container(let container) = launch.template.kind { command = container.command }
                found[PodNames.pod(launch)] = command
                let outcome = AttemptOutcome(phase: .succeeded, message: "")
                next += state.handle(.report(.finished(launch.key, outcome)), at: Timestamp(seconds: 2))
            }
            effects = next
        }
        return found
    }

    /// Of which kind, the templates, which of the leaves, and how many pods a run has.
    private static let cases: [(what: String, lines: String, leaves: [String], count: Int)] = [
        (
            "steps",
            """
              - name: main
                steps: [[{name: a, template: work}, {name: b, template: work}], [{name: c, template: work}]]
            """, ["work"], 3
        ),
        (
            "dag and attempts",
            """
              - name: main
                dag: {tasks: [{name: a, template: work}, {name: b, template: again, depends: a}]}
            """, ["work", "again"], 2
        ),
        (
            "nested",
            """
              - {name: main, steps: [[{name: l, template: part}, {name: r, template: part}]]}
              - {name: part, dag: {tasks: [{name: a, template: work}, {name: b, template: work}]}}
            """, ["work"], 4
        ),
        (
            "loops",
            """
              - name: main
                steps:
                - - name: l
                    template: work
                    withItems: [1, two, {k: v}]
                    arguments: {parameters: [{name: x, value: "{{item}}"}]}
                  - {name: s, template: work, withSequence: {count: 2}}
                  - {name: p, template: work, withParam: "{{workflow.parameters.list}}"}
              arguments: {parameters: [{name: list, value: '["x", "y"]'}]}
            """, ["work"], 7
        ),
        (
            "inline",
            """
              - name: main
                steps:
                - - {name: a, inline: {container: {image: x, command: [a]}}}
                - - {name: b, template: part}
              - name: part
                steps:
                - - {name: a, inline: {container: {image: x, command: [b]}}}
            """, [], 2
        ),
        (
            "stored beside own",
            """
              - name: main
                steps:
                - - {name: a, template: work}
                  - {name: b, templateRef: {name: shelf, template: work}}
            """, ["work"], 2
        ),
        (
            "hooks",
            """
              - {name: main, steps: [[{name: a, template: work, onExit: work}]]}
              onExit: work
            """, ["work"], 3
        ),
        (
            "defaults",
            """
              - {name: main, steps: [[{name: a, template: work}]]}
              templateDefaults: {retryStrategy: {limit: 1}}
            """, ["work"], 1
        ),
    ]

    @Test("Names and commands are those of the run", arguments: 0..<8)
    func names(index: Int) throws {
        let (what, lines, leaves, count) = Self.cases[index]
        var catalog = TemplateCatalog()
        let stored = Self.workflow("", leaves: ["work"])
        catalog.namespaced["shelf"] = Workflow(stored)
        let document = Self.workflow(lines, leaves: leaves)
        let rendering = Self.render(document, catalog)
        #expect(rendering.problems.isEmpty, "\(what)")
        let pods = Self.pods(rendering)
        let launched = Self.launched(document, catalog)
        #expect(launched.count == count, "\(what): the run itself")
        #expect(Set(pods.keys) == Set(launched.keys), "\(what)")
        for (name, command) in launched where !command.isEmpty {
            let container = pods[name]?["spec"]?["containers"]?.arrayValue?.first
            #expect(container?["command"] == .array(command.map(JSONValue.string)), "\(what): \(name)")
        }
        #expect(Self.render(document, catalog).objects == rendering.objects)
    }

    @Test(
        "One pod stands for a loop whose items only a run knows, and a template that calls itself is no trouble"
    )
    func unknown() {
        let document = Self.workflow(
            """
              - name: main
                steps:
                - - {name: a, template: work}
                - - {name: b, template: work, withParam: "{{steps.a.outputs.result}}"}
                - - {name: c, template: main, when: "false"}
            """)
        let rendering = Self.render(document)
        #expect(Self.pods(rendering).count == 2)
        #expect(rendering.notes.contains { $0.contains("known in a run only") })
    }

    @Test("A stored template has the names of a run of it, apart from those of a workflow of its name")
    func storedTemplate() {
        let own = Self.workflow("  - {name: main, steps: [[{name: a, template: work}]]}")
        var members = own.objectValue ?? [:]
        members["kind"] = "WorkflowTemplate"
        let template = JSONValue.object(members)
        let names = Set(Self.pods(Self.render(own)).keys)
        let stored = Set(Self.pods(Self.render(template)).keys)
        #expect(names.isDisjoint(with: stored) && stored.count == 1)
        #expect(stored.first?.hasPrefix("w-xxxxx-work-") == true)
        let second = WorkflowRendering(
            template, catalog: TemplateCatalog(), namespace: "ml", settings: PodRendererTests.settings,
            earlier: 1)
        #expect(stored.isDisjoint(with: Self.pods(second).keys))
    }

    @Test("Without an entrypoint each template that no other calls is shown by itself")
    func unreached() {
        let document = Self.workflow(
            """
              - {name: part, dag: {tasks: [{name: a, template: work}, {name: b, template: work}]}}
            """, leaves: ["work", "again"])
        #expect(Self.pods(Self.render(document)).count == 3)
    }

    @Test("What two steps write is shown once, and generated names are told apart")
    func resources() {
        let document = Self.workflow(
            """
              - name: main
                steps:
                - - {name: a, template: fixed}
                  - {name: b, template: fixed}
                  - {name: c, template: drawn}
                  - {name: d, template: drawn}
              - name: fixed
                resource: {action: create, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}"}
              - name: drawn
                resource: {action: create, manifest: "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: s-}}"}
            """, leaves: [])
        let rendering = Self.render(document)
        let names = rendering.objects.compactMap { $0["metadata"]?["name"]?.stringValue }
        #expect(names.count == 4 && Set(names).count == 4)
        #expect(rendering.notes.contains { $0.contains("as an earlier step writes it") })
    }
}
