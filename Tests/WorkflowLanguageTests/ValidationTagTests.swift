// What may be said in {{...}}, and where.

import Testing

@testable import WorkflowLanguage

@Suite struct ValidationTagTests {
    /// `main` as two groups of steps, the second with an argument.
    static func second(_ value: String) -> String {
        Linting.steps(
            """
            - - {name: one, template: echo}
            - - {name: two, template: echo, arguments: {parameters: [{name: text, value: "\(value)"}]}}
              - {name: also, template: echo}
            """)
    }

    static let argument = "spec.templates[0].steps[1][0].arguments.parameters[0].value"

    @Test(
        "Steps see what steps of earlier groups really give",
        arguments: [
            "{{steps.one.outputs.parameters.out}}", "{{steps.one.outputs.artifacts.file}}",
            "{{steps.one.outputs.result}}", "{{steps.one.exitCode}}", "{{steps.one.status}}",
            "{{steps.one.id}}",
            "{{steps.one.startedAt}}", "{{steps.name}}", "{{ steps.one.status }}", "{{foreign.thing}}",
            "{{=steps.one.outputs.parameters.out}}", "{{=steps['one'].status}}", "{{workflow.name}}",
            "{{workflow.creationTimestamp.%Y}}", "{{=steps.one.outputs.parameters.gone ?? 'x'}}",
            "{{unclosed",
        ])
    func known(tag: String) {
        #expect(Linting.errors(Self.second(tag)) == [])
    }

    @Test(
        "Anything else is a problem at its place",
        arguments: [
            ("{{steps.one.outputs.parameters.gone}}", "step 'one' has no outputs.parameters.gone"),
            ("{{steps.gone.status}}", "no step is named 'gone'"),
            ("{{steps.two.status}}", "step 'two' has not ended then"),
            ("{{steps.also.outputs.result}}", "step 'also' has not ended then"),
            ("{{steps.one.ip}}", "step 'one' has no ip"),
            ("{{tasks.one.status}}", "no tasks are known here"),
            ("{{inputs.parameters.x}}", "declares no input parameter 'x'"),
            ("{{inputs.artifacts.x}}", "declares no input artifact 'x'"),
            ("{{workflow.nam}}", "no such workflow variable"),
            ("{{workflow.parameters.p}}", "failed to resolve {{workflow.parameters.p}}"),
            ("{{workflow.labels.l}}", "failed to resolve {{workflow.labels.l}}"),
            ("{{workflow.outputs.parameters.g}}", "failed to resolve {{workflow.outputs.parameters.g}}"),
            ("{{item}}", "there is no loop here"),
            ("{{item.key}}", "there is no loop here"),
            ("{{pod.name}}", "have a pod"),
            ("{{=steps.gone.status}}", "no step is named 'gone'"),
            ("{{=inputs.parameters.x}}", "declares no input parameter 'x'"),
            ("{{workflow.parameters.{{inputs.parameters.x}}}}", "declares no input parameter 'x'"),
        ])
    func unknown(tag: String, message: String) {
        RefusedManifest(Self.second(tag), Self.argument, message).check()
    }

    @Test("Tasks see only tasks that they depend on, directly or not")
    func ancestors() {
        let manifest = Linting.dag(
            """
            - {name: a, template: echo}
            - {name: b, template: echo, dependencies: [a]}
            - name: c
              template: echo
              dependencies: [b]
              arguments: {parameters: [{name: text, value: "{{tasks.a.outputs.parameters.out}}"}]}
            - name: d
              template: echo
              dependencies: [a]
              arguments: {parameters: [{name: text, value: "{{tasks.b.outputs.parameters.out}}"}]}
            - {name: e, template: echo, dependencies: [a], when: "{{tasks.d.status}} == Succeeded"}
            """)
        let errors = Linting.lint(manifest).filter { $0.severity == .error }
        #expect(
            errors.map(\.message) == [
                "failed to resolve {{tasks.b.outputs.parameters.out}}:"
                    + " missing dependency 'b' for parameter 'text'",
                "failed to resolve {{tasks.d.status}}: missing dependency 'd'",
            ])
        #expect(errors.first?.remedy?.contains("add b to its depends") == true)
    }

    @Test("A loop makes its items known: members of maps, elements of lists, anything of a parameter")
    func items() {
        func errors(_ loop: String, _ tag: String) -> [String] {
            Linting.errors(
                Linting.steps(
                    """
                    - - name: a
                        template: echo
                        \(loop)
                        arguments: {parameters: [{name: text, value: "\(tag)"}]}
                    """
                ))
        }
        #expect(errors("withItems: [{os: debian}]", "{{item.os}} {{item}}") == [])
        #expect(errors("withItems: [[1, 2]]", "{{item.[0]}}") == [])
        #expect(errors("withParam: '[1]'", "{{item.any}}") == [])
        #expect(errors("withSequence: {count: 2}", "{{item}}") == [])
        #expect(
            errors("withItems: [{os: debian}]", "{{item.version}}").first?.contains("members of") == false)
        #expect(errors("withItems: [{os: debian}]", "{{item.version}}").count == 1)
    }

    @Test("Only exit handlers know the failures; every template knows the status")
    func failures() {
        func manifest(_ onExit: String) -> String {
            Linting.workflow(
                """
                entrypoint: main
                \(onExit)
                templates:
                - name: main
                  container: {image: i, command: [echo, "{{workflow.status}}"]}
                - name: bye
                  steps: [[{name: mail, template: mail}]]
                - name: mail
                  container: {image: i, command: [echo, "{{workflow.failures}}"]}
                """)
        }
        #expect(Linting.errors(manifest("onExit: bye")) == [])
        #expect(Linting.errors(manifest("hooks: {exit: {template: mail}}")) == [])
        #expect(Linting.errors(manifest("priority: 1")).count == 1)
    }

    @Test("Global outputs are known once a template exports them, however deep it is called")
    func globalOutputs() {
        func manifest(_ tag: String, name: String) -> String {
            Linting.workflow(
                """
                entrypoint: main
                arguments: {parameters: [{name: v, value: x}]}
                templates:
                - name: main
                  steps: [[{name: a, template: mid}], [{name: b, template: show}]]
                - name: mid
                  steps: [[{name: a, template: leaf}]]
                - name: leaf
                  container: {image: i, command: [c]}
                  outputs: {parameters: [{name: o, globalName: "\(name)", valueFrom: {path: /o}}]}
                - name: show
                  container: {image: i, command: [echo, "\(tag)"]}
                """)
        }
        #expect(Linting.errors(manifest("{{workflow.outputs.parameters.total}}", name: "total")) == [])
        #expect(Linting.errors(manifest("{{workflow.outputs.parameters.totle}}", name: "total")).count == 1)
        #expect(
            Linting.errors(
                manifest("{{workflow.outputs.parameters.any}}", name: "t-{{workflow.parameters.v}}")) == [])
    }

    @Test("Braces of other programs in a script are left alone, with a warning where they look like ours")
    func foreignBraces() {
        let manifest = Linting.template(
            "script: {image: i, command: [sh], source: \"docker ps --format {{.Names}}; ansible {{ item }}\"}"
        )
        let diagnostics = Linting.lint(manifest)
        #expect(diagnostics.map(\.severity) == [.warning])
        #expect(Linting.errors(Linting.template("container: {image: i, command: ['{{item.x}}']}")).count == 1)
    }

    @Test("An inline template sees the step around it and its own inputs")
    func inline() {
        let manifest = Linting.steps(
            """
            - - {name: one, template: echo}
            - - name: two
                withItems: [1]
                arguments: {parameters: [{name: mine, value: "{{item}}"}]}
                inline:
                  inputs: {parameters: [{name: mine}]}
                  container:
                    image: i
                    command: [echo, "{{item}} {{steps.one.status}} {{inputs.parameters.mine}}"]
            """)
        #expect(Linting.errors(manifest) == [])
        #expect(
            Linting.errors(manifest.replacing("parameters.mine}}\"]", with: "parameters.your}}\"]")).count
                == 1)
    }

    @Test("Hooks see the step that they watch, the step itself does not")
    func hookScope() {
        let manifest = Linting.dag(
            """
            - name: a
              template: echo
              hooks:
                exit:
                  template: echo
                  arguments: {parameters: [{name: text, value: "{{tasks.a.outputs.parameters.out}}"}]}
            """)
        #expect(Linting.errors(manifest) == [])
        #expect(
            Linting.errors(
                manifest.replacing("tasks.a.outputs.parameters.out", with: "tasks.a.outputs.parameters.x")
            )
            .count == 1)
    }

    @Test(
        "The members that an expression mentions are found",
        arguments: [
            ("steps['a-b'].outputs.result == 'x.y'", [["steps", "a-b", "outputs", "result"]]),
            ("asInt(inputs.parameters.n) + 1", [["asInt"], ["inputs", "parameters", "n"]]),
            ("filter(items, {.a > 1}).b", [["filter"], ["items"]]),
            ("a?.b ?? \"c.d\"", [["a", "b"]]), ("", []), ("'unclosed", []),
        ])
    func chains(source: String, expected: [[String]]) {
        #expect(ExpressionReferences.chains(in: source) == expected)
    }
}
