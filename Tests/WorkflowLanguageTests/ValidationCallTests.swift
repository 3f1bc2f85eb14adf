// Steps and tasks: templates they call, arguments, loops, hooks, dependencies.

import Testing

@testable import WorkflowLanguage

@Suite struct ValidationCallTests {
    static let task = "spec.templates[0].dag.tasks"
    static let step = "spec.templates[0].steps"

    @Test(
        "Calls name an existing template, in one way",
        arguments: [
            RefusedManifest(
                Linting.steps("- - {name: a, template: ecko}"), "\(step)[0][0].template",
                "template name 'ecko' undefined"),
            RefusedManifest(Linting.steps("- - {name: a}"), "\(step)[0][0]", "no template is named"),
            RefusedManifest(
                Linting.dag("- {name: a, templateRef: {name: s, template: t}}"), "\(task)[0].templateRef",
                "template reference s.t not found"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo, inline: {suspend: {}}}"), "\(task)[0].inline",
                "template cannot be specified with inline"),
        ])
    func references(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Arguments have values, and every input is supplied",
        arguments: [
            RefusedManifest(
                Linting.steps("- - {name: a, template: need}"), "\(step)[0][0]",
                "inputs.parameters.text was not supplied"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, arguments: {parameters: [{name: text}]}}"),
                "\(step)[0][0].arguments.parameters[0]", "is required"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo,"
                        + " arguments: {parameters: [{name: text, valueFrom: {path: /x}}]}}"
                ),
                "\(task)[0].arguments.parameters[0].valueFrom.path", "valueFrom only allows"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo, arguments: {artifacts: [{name: f}]}}"),
                "\(task)[0].arguments.artifacts[0]", "from, artifact location, or key is required"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo,"
                        + " arguments: {parameters: [{name: text, value: c, enum: [a, b]}]}}"
                ),
                "\(task)[0].arguments.parameters[0].value", "should be present in its enum list"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo, arguments: {parameters: [{name: text, value: c, enum: []}]}}"
                ),
                "\(task)[0].arguments.parameters[0].enum", "should contain at least one value"),
        ])
    func arguments(row: RefusedManifest) {
        row.check()
    }

    @Test("A workflow's arguments may wait for the command line, a CronWorkflow's not")
    func values() {
        let spec = "entrypoint: a\narguments: {parameters: [{name: p}]}\ntemplates: [{name: a, suspend: {}}]"
        #expect(Linting.errors(Linting.workflow(spec)) == [])
        var options = ValidationOptions()
        options.requireArgumentValues = true
        #expect(Linting.errors(Linting.workflow(spec), options: options).count == 1)
        let cron = """
            apiVersion: argoproj.io/v1alpha1
            kind: CronWorkflow
            metadata: {name: c}
            spec:
              schedules: ["@daily"]
              workflowSpec:
            \(Linting.indented(spec, by: 4))
            """
        #expect(Linting.errors(cron).first?.hasPrefix("spec.workflowSpec.arguments.parameters[0]: ") == true)
    }

    @Test(
        "Loops are of one kind",
        arguments: [
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, withItems: [1], withParam: '[1]'}"),
                "\(step)[0][0].withParam", "only one of withItems, withParam, withSequence"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, withSequence: {count: 1, end: 2}}"),
                "\(step)[0][0].withSequence.end", "only one of count or end"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, withSequence: {start: 1}}"),
                "\(step)[0][0].withSequence", "needs count or end"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, withSequence: {count: many}}"),
                "\(step)[0][0].withSequence.count", "'many' is not a whole number"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, withParam: some}"), "\(step)[0][0].withParam",
                "not a JSON list"),
        ])
    func loops(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Hooks need an expression, except exit, and a template that exists",
        arguments: [
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, hooks: {late: {template: echo}}}"),
                "\(step)[0][0].hooks.late", "Expression required"),
            RefusedManifest(
                Linting.steps("- - {name: a, template: echo, hooks: {exit: {template: gone}}}"),
                "\(step)[0][0].hooks.exit.template", "'gone' undefined"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo, onExit: gone}"), "\(task)[0].onExit",
                "'gone' undefined"),
            RefusedManifest(
                Linting.workflow(
                    "entrypoint: a\nhooks: {failure: {template: a}}\ntemplates: [{name: a, suspend: {}}]"),
                "spec.hooks.failure", "Expression required"),
            RefusedManifest(
                Linting.workflow("entrypoint: a\nonExit: b\ntemplates: [{name: a, suspend: {}}]"),
                "spec.onExit",
                "template name 'b' undefined"),
        ])
    func hooks(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "A dag has tasks without circles, and says what they wait for in one way",
        arguments: [
            RefusedManifest(
                Linting.template("dag: {tasks: []}"), "spec.templates[0].dag", "must have at least one task"),
            RefusedManifest(
                Linting.dag(
                    """
                    - {name: a, template: echo, depends: c}
                    - {name: b, template: echo, depends: a}
                    - {name: c, template: echo, depends: b.Succeeded || b.Failed}
                    """),
                "\(task)[0]", "cycle detected: a->c->b->a"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo}\n- {name: b, template: echo, depends: aa.Succeeded}"),
                "\(task)[1].depends", "dependency 'aa' not defined"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo}\n- {name: b, template: echo, depends: a.Success}"),
                "\(task)[1].depends", "task result 'Success' for task 'a' is invalid"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo}\n- {name: b, template: echo, depends: a.AnySucceeded}"),
                "\(task)[1].depends", "does not contain any items"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo}\n- {name: b, template: echo, depends: a &&}"),
                "\(task)[1].depends", "cannot be parsed"),
            RefusedManifest(
                Linting.dag(
                    """
                    - {name: a, template: echo}
                    - {name: b, template: echo, depends: a}
                    - {name: c, template: echo, dependencies: [b]}
                    """),
                "\(task)[2].dependencies", "cannot use both 'depends' and 'dependencies'"),
            RefusedManifest(
                Linting.dag(
                    "- {name: a, template: echo, continueOn: {failed: true}}\n"
                        + "- {name: b, template: echo, depends: a}"
                ),
                "\(task)[0].continueOn", "cannot use 'continueOn' when using 'depends'"),
            RefusedManifest(
                Linting.dag("- {name: a, template: echo}\n- {name: 5b, template: echo, dependencies: [a]}"),
                "\(task)[1].name", "cannot begin with a digit"),
            RefusedManifest(
                Linting.template("dag: {target: a c, tasks: [{name: a, template: echo}]}"),
                "spec.templates[0].dag.target", "target 'c' is not defined"),
        ])
    func dags(row: RefusedManifest) {
        row.check()
    }

    @Test("A long chain of tasks is checked without a deep stack")
    func longChain() {
        let count = 5000
        let tasks = (0..<count).map { index in
            let depends = index == 0 ? "" : ", dependencies: [t\(index - 1)]"
            return "- {name: t\(index), template: echo\(depends)}"
        }
        #expect(Linting.errors(Linting.dag(tasks.joined(separator: "\n"))) == [])
    }

    @Test("An argument that is almost the name of an input gets a warning")
    func unusedArguments() {
        func lint(_ name: String) -> [Diagnostic] {
            Linting.lint(
                Linting.steps(
                    "- - {name: a, template: echo, arguments: {parameters: [{name: \(name), value: x}]}}"))
        }
        #expect(lint("txt").map(\.severity) == [.warning])
        #expect(lint("txt").first?.remedy == "did you mean \"text\"?")
        #expect(lint("text") == [])
        #expect(lint("other-thing") == [])
    }

    @Test("A condition without tags must parse")
    func conditions() {
        let broken = Linting.steps("- - {name: a, template: echo, when: 'a =='}")
        #expect(Linting.errors(broken).first?.contains("Invalid 'when' expression") == true)
        #expect(Linting.errors(Linting.steps("- - {name: a, template: echo, when: 'a == b'}")) == [])
    }
}
