// Fields that do not exist, and values of the wrong kind.

import Testing
import Text

@testable import WorkflowLanguage

private func check(_ text: String, strict: Bool = true) -> [Diagnostic] {
    let (documents, diagnostics) = ManifestReader.read(Array(text.utf8), file: "m.yaml")
    return diagnostics + documents.flatMap { ManifestSchema.check($0, strict: strict) }
}

/// A workflow whose spec, or whose template, has more lines.
private func workflow(spec: String = "entrypoint: a", template: String = "") -> String {
    var text = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n"
    for line in spec.split(separator: "\n") { text += "  \(line)\n" }
    if template.isEmpty { return text }
    text += "  templates:\n  - name: t\n"
    for line in template.split(separator: "\n") { text += "    \(line)\n" }
    return text
}

@Suite("Schema check")
struct SchemaCheckTests {
    @Test(
        "An unknown field is reported with its place and what was probably meant",
        arguments: [
            (workflow(spec: "entrypont: a"), "spec.entrypont", 5, 3, "did you mean \"entrypoint\"?"),
            (
                workflow(template: "containre: {}"), "spec.templates[0].containre", 8, 5,
                "did you mean \"container\"?"
            ),
            (
                workflow(template: "container: {image: a}\ncommand: [x]"), "spec.templates[0].command", 9, 5,
                "\"command\" is a field of \"container\": indent it below that"
            ),
            (
                workflow(template: "suspend: {time: 5}"), "spec.templates[0].suspend.time", 8, 15,
                "possible here: duration"
            ),
            (
                workflow(template: "dag:\n  tasks:\n  - {name: a, template: b, zzz: [c]}"),
                "spec.templates[0].dag.tasks[0].zzz", 10, 32, "possible here: arguments, "
            ),
        ])
    func unknownFields(text: String, path: String, line: Int, column: Int, remedy: String) throws {
        let diagnostics = check(text)
        let problem = try #require(diagnostics.first)
        #expect(diagnostics.count == 1)
        #expect(problem.path == path)
        #expect(problem.line == line)
        #expect(problem.column == column)
        #expect(problem.severity == .error)
        #expect(problem.message.hasPrefix("unknown field \""))
        #expect(problem.remedy?.contains(remedy) == true, "\(problem.description)")
        #expect(check(text, strict: false).map(\.severity) == [.warning])
    }

    @Test(
        "A value of the wrong kind is an error, strict or not",
        arguments: [
            (workflow(spec: "entrypoint: [a]"), "must be a string, not a list", "write it without brackets"),
            (workflow(spec: "entrypoint: {a: b}"), "must be a string, not a map", "quotes"),
            (workflow(spec: "parallelism: \"2\""), "must be a whole number, not a string", "without quotes"),
            (workflow(spec: "parallelism: 1.5"), "must be a whole number, not a number", nil),
            (workflow(spec: "parallelism: '{{x}}'"), "must be a whole number, not a string", "tag"),
            (workflow(spec: "suspend: \"yes\""), "must be true or false, not a string", "without quotes"),
            (workflow(spec: "arguments: []"), "must be a map, not a list", "remove the \"- \""),
            (workflow(spec: "templates: {name: a}"), "must be a list, not a map", "\"- \""),
            (workflow(spec: "podGC: {strategy: Foo}"), "\"Foo\" is not one of OnPodCompletion", nil),
            (workflow(spec: "podGC: {strategy: OnPodSucces}"), "\"OnPodSucces\" is not", "OnPodSuccess"),
            (workflow(template: "steps:\n- name: a\n  template: b"), "must be a list, not a map", "\"- \""),
            (workflow(template: "steps: {name: a}"), "must be a list of lists, not a map", "- - "),
            (workflow(template: "container: {args: hello}"), "must be a list, not a string", "[\"hello\"]"),
            (workflow(template: "container: {env: {A: b}}"), "must be a list, not a map", "\"- \""),
            (
                workflow(template: "container: {resources: {limits: {cpu: 2 cores}}}"),
                "\"2 cores\" is not a quantity", nil
            ),
            (
                workflow(template: "container: {resources: {limits: {cpu: '{{x}}'}}}"), "is not a quantity",
                "podSpecPatch"
            ),
            (workflow(template: "resource: {action: crate}"), "\"crate\" is not one of get", "create"),
            (
                workflow(template: "retryStrategy: {limit: [3]}"),
                "must be a whole number or a string, not a list", nil
            ),
            (workflow(template: "sft: [a]"), "must be a map, not a list", nil),
            (workflow(template: "tokenizer:"), "must be a map of parameters, not empty", "{}"),
            ("apiVersion: v1\nkind: Secret\ndata: {a: not base64}", "\"not base64\" is not base64 text", nil),
            ("apiVersion: v1\nkind: ConfigMap\ndata: {a: {b: c}}", "must be a string, not a map", "block"),
        ] as [(String, String, String?)])
    func wrongKinds(text: String, message: String, remedy: String?) throws {
        let diagnostics = check(text, strict: false)
        let problem = try #require(diagnostics.first)
        #expect(diagnostics.count == 1)
        #expect(problem.message.contains(message), "\(problem.message)")
        #expect(problem.severity == .error)
        if let remedy { #expect(problem.remedy?.contains(remedy) == true, "\(problem.description)") }
    }

    @Test(
        "A field that version 4 dropped is refused with its new form",
        arguments: [
            ("kind: CronWorkflow\nspec: {schedule: '* * * * *'}", "spec.schedule", "schedules: ["),
            (
                "kind: Workflow\nspec: {synchronization: {mutex: {name: a}}}", "spec.synchronization.mutex",
                "mutexes: ["
            ),
            (
                "kind: Workflow\nspec: {templates: [{synchronization: {semaphore: {}}}]}",
                "spec.templates[0].synchronization.semaphore", "semaphores: ["
            ),
            ("kind: Workflow\nspec: {podPriority: 3}", "spec.podPriority", "podPriorityClassName"),
        ])
    func removedFields(text: String, path: String, remedy: String) throws {
        let diagnostics = check("apiVersion: argoproj.io/v1alpha1\n" + text, strict: false)
        #expect(diagnostics.map(\.path) == [path])
        #expect(diagnostics.first?.severity == .error)
        #expect(diagnostics.first?.remedy?.contains(remedy) == true)
    }

    @Test(
        "A document says what it is",
        arguments: [
            ("kind: Workflow\nspec: {}", "no apiVersion", "argoproj.io/v1alpha1"),
            ("apiVersion: argoproj.io/v1alpha1", "no kind", "kind: Workflow"),
            ("apiVersion: v1\nkind: Workflow", "is not the version of a Workflow", "argoproj.io/v1alpha1"),
            (
                "apiVersion: argoproj.io/v1alpha1\nkind: Secret", "is not the version of a Secret",
                "apiVersion: v1"
            ),
            ("apiVersion: v1\nkind: Workflw", "unknown kind \"Workflw\"", "did you mean \"Workflow\"?"),
            ("apiVersion: batch/v1\nkind: Job", "unknown kind \"Job\"", "known kinds"),
            ("apiVersion: v1\nkind: [a]", "must be a string, not a list", nil),
            ("- a\n", "a manifest must be a map, not a list", "apiVersion"),
            ("word", "a manifest must be a map, not a string", "apiVersion"),
        ] as [(String, String, String?)])
    func heads(text: String, message: String, remedy: String?) {
        let diagnostics = check(text)
        #expect(diagnostics.count == 1)
        #expect(diagnostics.first?.message.contains(message) == true)
        if let remedy { #expect(diagnostics.first?.remedy?.contains(remedy) == true) }
    }

    @Test("All problems are reported at once, in the file's order")
    func allAtOnce() {
        let text = workflow(
            spec: "nodeselector: {}\nentrypoint: {}", template: "foo: 1\ncontainer: {args: 1, bar: 2}")
        #expect(
            check(text).map(\.path) == [
                "spec.nodeselector", "spec.entrypoint", "spec.templates[0].foo",
                "spec.templates[0].container.args",
                "spec.templates[0].container.bar",
            ])
    }

    @Test("Every kind is known, and others are not")
    func kinds() {
        for kind in [
            "Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "WorkflowEventBinding",
            "ConfigMap", "Secret",
        ] {
            #expect(ManifestSchema.knownKind(kind))
        }
        #expect(!ManifestSchema.knownKind("Pod"))
        #expect(!ManifestSchema.knownKind(""))
    }

    @Test(
        "Values of every kind that Argo takes are taken",
        arguments: [
            "container: {image: a, args: [], env: [{name: A, value: b}], ports: [{containerPort: 80}]}",
            "container: {resources: {limits: {cpu: 1, memory: 2Gi, a: 1e3, b: '0.5', c: -1m, d: 12E}}}",
            "container: {livenessProbe: {httpGet: {path: /, port: http}, periodSeconds: 5.0}}",
            "inputs: {parameters: [{name: a, value: {b: [1]}, default: 1, enum: [1, true, a]}]}",
            "outputs: {parameters: [{name: a, valueFrom: {supplied: {}}}]}",
            "retryStrategy: {limit: '{{x}}', backoff: {factor: 2}, affinity: {nodeAntiAffinity: {}}}",
            "activeDeadlineSeconds: '{{x}}'", "activeDeadlineSeconds: 5", "nodeSelector:",
            "steps: [[{name: a, template: b, withItems: [1, a, {b: c}, [d]]}]]",
            "dag: {tasks: [{name: a, inline: {container: {image: b}}, withSequence: {count: '{{x}}'}}]}",
            "plugin: {martlet: {sft: {any: [thing]}}}", "deploy: {}", "pretrain: {a: {b: c}}",
            "volumes: [{name: a, emptyDir: {}}, {name: b, projected: {sources: [{secret: {name: c}}]}}]",
            "resource: {action: '{{x}}', manifestFrom: {artifact: {name: a, raw: {data: b}}}}",
            "metrics: {prometheus: [{name: a, help: b, histogram: {buckets: [1, 2.5], value: '1'}}]}",
            "podResources: {requests: {cpu: 500m}}",
            "resourceClaims: [{name: a, resourceClaimTemplateName: b}]",
            "data: {source: {artifactPaths: {name: a, s3: {bucket: b}}}, transformation: [{expression: c}]}",
        ])
    func accepted(template: String) {
        #expect(check(workflow(template: template)).map(\.description) == [])
    }
}

@Suite("Schema tables")
struct SchemaTableTests {
    @Test("Every line of the tables is read, and every object that they name is defined")
    func complete() {
        #expect(SchemaTable.shared.faults == [])
        #expect(SchemaTable.shared.undefined == [])
        #expect(SchemaTable.shared.objects.count > 150)
    }

    @Test(
        "An object has all the fields that Argo's has",
        arguments: [
            ("WorkflowSpec", 44), ("Template", 42 + 11), ("Container", 25), ("Volume", 31), ("DAGTask", 14),
            ("WorkflowStep", 12), ("Artifact", 23), ("CronWorkflowSpec", 11),
        ])
    func counts(name: String, count: Int) {
        let fields = SchemaTable.shared.objects[name] ?? [:]
        let present = fields.filter { if case .removed = $0.value { false } else { true } }
        #expect(present.count == count, "\(present.keys.sorted())")
    }

    @Test("A table with mistakes says which lines")
    func mistakes() {
        let table = SchemaTable(
            tables: ["A\n  string: a\n  wrong: b\n  string:\nA\n  C: c"], removed: ["B.b": "x", "A.d": "y"])
        #expect(table.faults.sorted() == ["  string:", "  wrong: b", "A", "B.b"])
        #expect(table.undefined == ["C"])
        #expect(table.objects["A"]?["d"] == .removed(remedy: "y"))
    }
}
