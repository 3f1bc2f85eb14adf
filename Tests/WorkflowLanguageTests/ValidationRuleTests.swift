// Retries, metrics, memoization, locks, garbage collection, stored templates, Martlet's own steps.

import Testing

@testable import WorkflowLanguage

@Suite struct ValidationRuleTests {
    static func rule(_ field: String) -> String {
        Linting.template(field + "\ncontainer: {image: i, command: [c]}")
    }

    @Test(
        "Retry strategies",
        arguments: [
            RefusedManifest(
                rule("retryStrategy: {limit: many}"), "spec.templates[0].retryStrategy.limit",
                "not a whole number"),
            RefusedManifest(
                rule("retryStrategy: {retryPolicy: Sometimes}"),
                "spec.templates[0].retryStrategy.retryPolicy",
                "Sometimes"),
            RefusedManifest(
                rule("retryStrategy: {limit: 1, backoff: {factor: 2}}"),
                "spec.templates[0].retryStrategy.backoff",
                "no base duration"),
            RefusedManifest(
                rule("retryStrategy: {limit: 1, backoff: {duration: soon}}"),
                "spec.templates[0].retryStrategy.backoff.duration", "unable to parse 'soon'"),
            RefusedManifest(
                rule("retryStrategy: {expression: 'asInt(lastRetry.exitCode'}"),
                "spec.templates[0].retryStrategy.expression", "cannot be parsed"),
        ])
    func retries(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Metrics",
        arguments: [
            RefusedManifest(
                rule("metrics: {prometheus: [{name: a.b, help: h, counter: {value: '1'}}]}"),
                "spec.templates[0].metrics.prometheus[0].name", "metric name 'a.b' is invalid"),
            RefusedManifest(
                rule("metrics: {prometheus: [{name: a, counter: {value: '1'}}]}"),
                "spec.templates[0].metrics.prometheus[0]", "must contain a help string"),
            RefusedManifest(
                rule("metrics: {prometheus: [{name: a, help: h}]}"),
                "spec.templates[0].metrics.prometheus[0]",
                "exactly one of gauge, counter, histogram"),
            RefusedManifest(
                rule("metrics: {prometheus: [{name: a, help: h, gauge: {realtime: false, value: ''}}]}"),
                "spec.templates[0].metrics.prometheus[0].gauge", "missing gauge.value"),
            RefusedManifest(
                rule(
                    "metrics: {prometheus: [{name: a, help: h, gauge: {realtime: true,"
                        + " value: '{{resourcesDuration.cpu}}'}}]}"),
                "spec.templates[0].metrics.prometheus[0].gauge.value", "cannot be used in real-time"),
            RefusedManifest(
                rule(
                    "metrics: {prometheus: [{name: a, help: h, labels: [{key: x.y, value: z}],"
                        + " counter: {value: '1'}}]}"),
                "spec.templates[0].metrics.prometheus[0].labels[0]", "metric label 'x.y' is invalid"),
        ])
    func metrics(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Memoization and locks",
        arguments: [
            RefusedManifest(
                rule("memoize: {key: k, maxAge: '5', cache: {configMap: {name: c}}}"),
                "spec.templates[0].memoize.maxAge", "not a duration"),
            RefusedManifest(
                rule("memoize: {key: '', cache: {configMap: {name: c}}}"), "spec.templates[0].memoize",
                "key is required"),
            RefusedManifest(
                rule("synchronization: {mutexes: [{database: true}]}"),
                "spec.templates[0].synchronization.mutexes[0]", "mutex name is required"),
            RefusedManifest(
                rule("synchronization: {semaphores: [{}]}"),
                "spec.templates[0].synchronization.semaphores[0]",
                "needs configMapKeyRef or database"),
            RefusedManifest(
                rule(
                    "synchronization: {semaphores: [{configMapKeyRef: {name: c, key: k},"
                        + " database: {key: d}}]}"
                ),
                "spec.templates[0].synchronization.semaphores[0].database", "cannot have both"),
            RefusedManifest(
                rule("synchronization: {}"), "spec.templates[0].synchronization", "names no lock"),
        ])
    func locks(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Words of fixed lists",
        arguments: [
            ("podGC: {strategy: Foo}", "Foo"),
            ("podGC: {labelSelector: {matchExpressions: [{key: k, operator: Is, values: [v]}]}}", "Is"),
            ("podGC: {labelSelector: {matchExpressions: [{key: k, operator: In}]}}", "In needs values"),
            ("artifactGC: {strategy: Later}", "Later"),
            ("ttlStrategy: {secondsAfterSuccess: -1}", "must not be negative"),
            ("activeDeadlineSeconds: -5", "must not be negative"),
        ])
    func words(field: String, message: String) {
        let manifest = Linting.workflow("entrypoint: a\n\(field)\ntemplates: [{name: a, suspend: {}}]")
        let errors = Linting.errors(manifest)
        #expect(errors.count == 1)
        #expect(errors.first?.contains(message) == true)
    }

    // MARK: Stored templates

    static let stored = """
        apiVersion: argoproj.io/v1alpha1
        kind: WorkflowTemplate
        metadata: {name: lib}
        spec:
          entrypoint: a
          templates:
          - name: a
            inputs: {parameters: [{name: p}]}
            steps: [[{name: s, template: b}]]
          - name: b
            container: {image: i, command: [echo, "{{workflow.parameters.size}}"]}
        """

    @Test("A stored template may use arguments that its user brings, and the user must bring them")
    func storedTemplates() {
        #expect(Linting.errors(Self.stored) == [])
        func user(_ parameter: String) -> String {
            Linting.workflow(
                """
                entrypoint: main
                arguments: {parameters: [{name: \(parameter), value: x}]}
                templates:
                - name: main
                  steps:
                  - - name: call
                      templateRef: {name: lib, template: a}
                      arguments: {parameters: [{name: p, value: x}]}
                """)
        }
        #expect(Linting.errors(user("size"), stored: [Self.stored]) == [])
        let errors = Linting.errors(user("sise"), stored: [Self.stored])
        #expect(
            errors == [
                "spec.templates[0].steps[0][0]: WorkflowTemplate/lib: spec.templates[1].container.command[1]:"
                    + " failed to resolve {{workflow.parameters.size}}"
            ])
        // The same two documents in one call: neither problem twice.
        let together = Linting.errors(
            Self.stored + "\n---\n" + user("size").replacing("template: a}", with: "template: c}"))
        #expect(together == ["spec.templates[0].steps[0][0].templateRef: template reference lib.c not found"])
    }

    @Test("workflowTemplateRef takes the stored entrypoint and arguments, and forbids templates")
    func workflowTemplateReference() {
        let missing = Linting.errors(
            Linting.workflow("workflowTemplateRef: {name: lib}"), stored: [Self.stored])
        #expect(missing.contains("spec.entrypoint: inputs.parameters.p was not supplied"))
        let good = """
            workflowTemplateRef: {name: lib}
            arguments: {parameters: [{name: p, value: x}, {name: size, value: y}]}
            """
        #expect(Linting.errors(Linting.workflow(good), stored: [Self.stored]) == [])
        #expect(
            Linting.errors(Linting.workflow(good)).first?.contains("WorkflowTemplate 'lib' not found") == true
        )
        let both = Linting.errors(
            Linting.workflow(good + "\ntemplates: [{name: z, suspend: {}}]"), stored: [Self.stored])
        #expect(both.contains { $0.hasPrefix("spec.templates: templates is an invalid field") })
        let cluster = Linting.lint(
            Linting.workflow("workflowTemplateRef: {name: lib, clusterScope: true}"), stored: [Self.stored])
        #expect(cluster.first?.remedy == "a WorkflowTemplate has that name: leave out clusterScope")
    }

    @Test("Templates may call themselves")
    func recursion() {
        let manifest = Linting.template(
            """
            steps:
            - - {name: flip, template: echo}
            - - {name: again, template: main, when: "{{steps.flip.outputs.result}} == tails"}
            """)
        #expect(Linting.errors(manifest) == [])
    }

    // MARK: Martlet's own steps

    @Test("Steps of our own have outputs that need no declaration")
    func martletSteps() {
        func manifest(_ tag: String) -> String {
            Linting.workflow(
                """
                entrypoint: main
                templates:
                - name: main
                  dag:
                    tasks:
                    - {name: get, template: get}
                    - name: tune
                      template: tune
                      dependencies: [get]
                      arguments: {artifacts: [{name: model, from: "{{tasks.get.outputs.artifacts.model}}"}]}
                    - name: eval
                      template: eval
                      dependencies: [tune]
                      arguments:
                        artifacts:
                        - {name: model, from: "{{tasks.get.outputs.artifacts.model}}"}
                        - {name: adapter, from: "{{tasks.tune.outputs.artifacts.adapter}}"}
                    - name: show
                      template: show
                      dependencies: [eval]
                      arguments: {parameters: [{name: text, value: "\(tag)"}]}
                - {name: get, download: {model: some/model}}
                - {name: tune, inputs: {artifacts: [{name: model}]}, plugin: {martlet: {sft: {lora_rank: 8, dataset: d}}}}
                - {name: eval, inputs: {artifacts: [{name: model}]}, evaluate: {eval_dataset: [arc]}}
                - name: show
                  inputs: {parameters: [{name: text}]}
                  container: {image: i, command: [echo, "{{inputs.parameters.text}}"]}
                """)
        }
        #expect(Linting.errors(manifest("{{tasks.tune.outputs.parameters.train_loss}}")) == [])
        #expect(Linting.errors(manifest("{{tasks.eval.outputs.parameters.acc_norm}}")) == [])
        let wrong = Linting.lint(manifest("{{tasks.tune.outputs.parameters.train_los}}")).filter {
            $0.severity == .error
        }
        #expect(wrong.count == 1)
        #expect(wrong.first?.remedy?.contains("did you mean \"outputs.parameters.train_loss\"?") == true)
    }

    @Test("The contract of each kind of step names its outputs")
    func contracts() {
        #expect(MartletStepContract(.download).outputArtifacts == ["model", "dataset"])
        #expect(MartletStepContract(.rlhf).outputParameters.contains("reward_margin"))
        #expect(!MartletStepContract(.sft).outputParameters.contains("reward_margin"))
        #expect(MartletStepContract(.evaluate).givesAnyParameter)
        #expect(MartletStepContract(.deploy).outputParameters == ["url", "deployment", "revision"])
        for kind in MartletStep.Kind.allCases {
            let contract = MartletStepContract(kind)
            #expect(!(contract.outputArtifacts + contract.outputParameters).isEmpty)
        }
    }
}
