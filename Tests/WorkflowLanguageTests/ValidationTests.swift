// Whole manifests: what a good one looks like, and what tests of single rules are written with.

import Testing
import Text

@testable import WorkflowLanguage

/// Small manifests and what the linter says of them.
enum Linting {
    /// A Workflow around the fields of its spec.
    static func workflow(_ spec: String) -> String {
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n"
            + indented(spec, by: 2)
    }

    /// A Workflow whose entrypoint is `main`, around the fields of that template. Beside it there are `echo`,
    /// which has an input `text` with a default and an output `out`, and `need`, whose input has none.
    static func template(_ fields: String) -> String {
        workflow(
            """
            entrypoint: main
            templates:
            - name: main
            \(indented(fields, by: 2))
            - name: echo
              inputs: {parameters: [{name: text, value: x}]}
              container: {image: busybox, command: [echo, "{{inputs.parameters.text}}"]}
              outputs:
                parameters: [{name: out, valueFrom: {path: /out}}]
                artifacts: [{name: file, path: /file}]
            - name: need
              inputs: {parameters: [{name: text}]}
              container: {image: busybox, command: [echo]}
            """)
    }

    /// `main` as a dag of these tasks.
    static func dag(_ tasks: String) -> String {
        template("dag:\n  tasks:\n" + indented(tasks, by: 2))
    }

    /// `main` as these groups of steps.
    static func steps(_ groups: String) -> String {
        template("steps:\n" + groups)
    }

    static func indented(_ text: String, by count: Int) -> String {
        let blanks = String(repeating: " ", count: count)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { blanks + $0 }
            .joined(separator: "\n")
    }

    static func lint(
        _ manifest: String, stored: [String] = [], timeZones: Set<String> = [],
        options: ValidationOptions = ValidationOptions()
    ) -> [Diagnostic] {
        var catalog = TemplateCatalog(timeZones: timeZones)
        for text in stored {
            for document in documents(text) { catalog.add(document.json) }
        }
        let (documents, problems) = ManifestReader.read(Array(manifest.utf8), file: "test.yaml")
        return problems + Linter.lint(documents, catalog: catalog, options: options)
    }

    static func documents(_ text: String) -> [ManifestDocument] {
        ManifestReader.read(Array(text.utf8), file: "stored.yaml").documents
    }

    /// Messages of the errors.
    static func errors(
        _ manifest: String, stored: [String] = [], options: ValidationOptions = ValidationOptions()
    ) -> [String] {
        lint(manifest, stored: stored, options: options).filter { $0.severity == .error }
            .map { "\($0.path): \($0.message)" }
    }
}

/// A manifest and the one error that it has: its path and a part of its message.
struct RefusedManifest: Sendable, CustomTestStringConvertible {
    var manifest: String
    var path: String
    var message: String

    init(_ manifest: String, _ path: String, _ message: String) {
        self.manifest = manifest
        self.path = path
        self.message = message
    }

    var testDescription: String { message }

    func check(sourceLocation: SourceLocation = #_sourceLocation) {
        let errors = Linting.lint(manifest).filter { $0.severity == .error }
        #expect(errors.count == 1, "\(errors.map(\.description))", sourceLocation: sourceLocation)
        guard let error = errors.first else { return }
        #expect(error.path == path, sourceLocation: sourceLocation)
        #expect(error.message.contains(message), "\(error.message)", sourceLocation: sourceLocation)
        #expect(error.line > 0, sourceLocation: sourceLocation)
    }
}

@Suite struct ValidationTests {
    @Test("A manifest that uses much of the language is accepted")
    func accepted() {
        let manifest = Linting.workflow(
            """
            entrypoint: main
            onExit: report
            arguments:
              parameters: [{name: size, value: small, enum: [small, large]}]
            volumes: [{name: work, emptyDir: {}}]
            templates:
            - name: main
              inputs: {parameters: [{name: size}]}
              dag:
                tasks:
                - name: list
                  template: gen
                - name: each
                  depends: list.Succeeded
                  template: show
                  withParam: "{{tasks.list.outputs.result}}"
                  arguments: {parameters: [{name: text, value: "{{item.name}} {{inputs.parameters.size}}"}]}
                - name: all
                  depends: each.AnySucceeded
                  template: show
                  when: "{{tasks.list.status}} == Succeeded"
                  arguments: {parameters: [{name: text, value: "{{tasks.each.outputs.parameters.line}}"}]}
                  hooks:
                    exit: {template: report}
                    slow: {template: report, expression: 'tasks["all"].status == "Running"'}
              outputs:
                parameters:
                - name: lines
                  globalName: lines
                  valueFrom: {parameter: "{{tasks.all.outputs.parameters.line}}"}
            - name: gen
              script: {image: python, command: [python3], source: "print('[{\\"name\\": 1}]')"}
            - name: show
              inputs: {parameters: [{name: text}]}
              retryStrategy: {limit: "2", backoff: {duration: 5s, factor: 2}}
              container:
                image: busybox
                command: [sh, -c]
                args: ["{{inputs.parameters.text}} {{retries}} {{pod.name}} {{node.name}} {{other.braces}}"]
                volumeMounts: [{name: work, mountPath: /work}]
              outputs: {parameters: [{name: line, valueFrom: {path: /line, default: none}}]}
            - name: report
              container:
                image: busybox
                command: [echo, "{{workflow.status}} {{workflow.failures}}"]
                args: ["{{workflow.outputs.parameters.lines}}"]
            """)
        #expect(Linting.lint(manifest).map(\.description) == [])
    }

    @Test("All problems are said at once, in the order of the file, each with its place")
    func allAtOnce() {
        let manifest = Linting.workflow(
            """
            entrypoint: mian
            templates:
            - name: main
              dag:
                tasks:
                - {name: tokenize, template: work}
                - {name: train, template: work, dependencies: [tokenise]}
            - name: work
              container: {image: busybox, command: [echo, "{{inputs.parameters.x}}"]}
            """)
        let diagnostics = Linting.lint(manifest)
        #expect(diagnostics.map(\.line) == [5, 11, 13])
        #expect(
            diagnostics.map(\.path) == [
                "spec.entrypoint", "spec.templates[0].dag.tasks[1].dependencies[0]",
                "spec.templates[1].container.command[1]",
            ])
        #expect(diagnostics[0].remedy == "templates: main, work; did you mean \"main\"?")
        #expect(
            diagnostics[1].remedy
                == "tasks of template \"main\": tokenize, train; did you mean \"tokenize\"?")
        #expect(diagnostics.allSatisfy { $0.file == "test.yaml" && $0.column > 0 })
    }

    @Test(
        "A workflow names a template to begin with, and it exists",
        arguments: [
            RefusedManifest(
                Linting.workflow("templates: [{name: a, suspend: {}}]"), "spec", "entrypoint is required"),
            RefusedManifest(
                Linting.workflow("entrypoint: b\ntemplates: [{name: a, suspend: {}}]"), "spec.entrypoint",
                "template name 'b' undefined"),
            RefusedManifest(
                Linting.workflow("entrypoint: a\nshutdown: Halt\ntemplates: [{name: a, suspend: {}}]"),
                "spec.shutdown", "Halt"),
        ])
    func entrypoint(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Names are checked: characters, length, uniqueness",
        arguments: [
            RefusedManifest(
                Linting.workflow("entrypoint: a_b\ntemplates: [{name: a_b, suspend: {}}]"),
                "spec.templates[0].name", "is invalid"),
            RefusedManifest(
                Linting.workflow(
                    "entrypoint: a\ntemplates: [{name: a, suspend: {}}, {name: a, suspend: {}}]"),
                "spec.templates[1].name", "not unique"),
            RefusedManifest(
                Linting.workflow(
                    "entrypoint: a\ntemplates: [{name: a, suspend: {}}, {suspend: {}}]"),
                "spec.templates[1]", "name is required"),
            RefusedManifest(
                Linting.workflow(
                    "entrypoint: a\ntemplates: [{name: a, suspend: {}}, {suspend: {}, name: "
                        + String(repeating: "n", count: 129) + "}]"),
                "spec.templates[1].name", "128 characters"),
            RefusedManifest(
                Linting.workflow(
                    "entrypoint: a\narguments: {parameters: [{name: a#b, value: c}]}\n"
                        + "templates: [{name: a, suspend: {}}]"),
                "spec.arguments.parameters[0].name", "is invalid"),
            RefusedManifest(
                Linting.template(
                    "suspend: {}\ninputs: {parameters: [{name: p, value: a}, {name: p, value: b}]}"),
                "spec.templates[0].inputs.parameters[1].name", "not unique"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\noutputs: {artifacts: [{name: '!1', path: /a}]}"),
                "spec.templates[0].outputs.artifacts[0].name", "is invalid"),
            RefusedManifest(
                Linting.steps("- - {name: a.b, template: echo}"), "spec.templates[0].steps[0][0].name",
                "is invalid"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo}\n- - {name: a, template: echo}"),
                "spec.templates[0].steps[1][0].name", "'a' is not unique"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo}\n- {name: a, template: echo}"),
                "spec.templates[0].dag.tasks[1].name", "'a' is not unique"),
        ])
    func names(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Names of documents leave room for what is appended to them",
        arguments: [
            ("Workflow", 63, true), ("Workflow", 64, false), ("WorkflowTemplate", 64, false),
            ("ClusterWorkflowTemplate", 64, false), ("CronWorkflow", 52, true), ("CronWorkflow", 53, false),
        ])
    func documentNames(kind: String, length: Int, isAccepted: Bool) {
        let spec = "{entrypoint: a, templates: [{name: a, suspend: {}}]}"
        let manifest = """
            apiVersion: argoproj.io/v1alpha1
            kind: \(kind)
            metadata: {name: \(String(repeating: "a", count: length))}
            spec: \(kind == "CronWorkflow" ? "{schedules: ['@daily'], workflowSpec: \(spec)}" : spec)
            """
        let errors = Linting.errors(manifest)
        #expect(errors.isEmpty == isAccepted)
        #expect(isAccepted || errors.first?.contains("(currently \(length))") == true)
    }
}
