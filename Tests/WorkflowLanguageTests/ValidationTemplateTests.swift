// Rules of single templates: kinds, containers, times, inputs, outputs, artifacts.

import Testing

@testable import WorkflowLanguage

@Suite struct ValidationTemplateTests {
    @Test(
        "A template is exactly one kind of work",
        arguments: [
            RefusedManifest(
                Linting.template("inputs: {}"), "spec.templates[0]", "template type unspecified"),
            RefusedManifest(
                Linting.template("container: {image: i, command: [c]}\nsuspend: {}"),
                "spec.templates[0].suspend", "multiple template types specified: container, suspend"),
            RefusedManifest(
                Linting.template("container: {image: i, command: [c]}\nsft: {}"), "spec.templates[0].sft",
                "multiple template types specified"),
        ])
    func kinds(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Times have units, and only templates that do work take them",
        arguments: [
            RefusedManifest(
                Linting.template("timeout: '30'\ncontainer: {image: i, command: [c]}"),
                "spec.templates[0].timeout", "invalid duration format in timeout"),
            RefusedManifest(
                Linting.template("timeout: 30s\nsteps: [[{name: a, template: echo}]]"),
                "spec.templates[0].timeout", "Steps template doesn't support timeout"),
            RefusedManifest(
                Linting.template("activeDeadlineSeconds: 3\nsteps: [[{name: a, template: echo}]]"),
                "spec.templates[0].activeDeadlineSeconds", "only valid for leaf templates"),
            RefusedManifest(
                Linting.template("activeDeadlineSeconds: -1\ncontainer: {image: i, command: [c]}"),
                "spec.templates[0].activeDeadlineSeconds", "must be a positive integer > 0"),
            RefusedManifest(
                Linting.template("parallelism: 2\ncontainer: {image: i, command: [c]}"),
                "spec.templates[0].parallelism", "only valid for steps and dag"),
            RefusedManifest(
                Linting.template("suspend: {duration: 2 days}"), "spec.templates[0].suspend.duration",
                "unable to parse '2 days'"),
        ])
    func times(row: RefusedManifest) {
        row.check()
    }

    @Test("Durations may be tags, and suspend takes bare seconds")
    func goodTimes() {
        let manifest = Linting.template(
            """
            inputs: {parameters: [{name: t, value: 1m}]}
            timeout: "{{inputs.parameters.t}}"
            activeDeadlineSeconds: "{{inputs.parameters.t}}"
            container: {image: i, command: [c]}
            """)
        #expect(Linting.errors(manifest) == [])
        #expect(Linting.errors(Linting.template("suspend: {duration: '20'}")) == [])
    }

    @Test(
        "Containers",
        arguments: [
            RefusedManifest(
                Linting.template("container: {image: i}"), "spec.templates[0].container",
                "command is needed"),
            RefusedManifest(
                Linting.template("script: {image: i, source: x}"), "spec.templates[0].script",
                "command is needed"),
            RefusedManifest(
                Linting.template(
                    "initContainers: [{image: i, command: [c]}]\ncontainer: {image: i, command: [c]}"),
                "spec.templates[0].initContainers[0]", "must all have container name"),
            RefusedManifest(
                Linting.template(
                    """
                    sidecars: [{name: s, image: i, command: [c]}, {name: s, image: i, command: [c]}]
                    container: {image: i, command: [c]}
                    """),
                "spec.templates[0].sidecars[1].name", "not unique"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c], volumeMounts: [{name: v, mountPath: /v}]}"),
                "spec.templates[0].container.volumeMounts[0].name", "volume 'v' is not defined"),
            RefusedManifest(
                Linting.template(
                    """
                    volumes: [{name: v, emptyDir: {}}]
                    inputs: {artifacts: [{name: a, path: /v, raw: {data: x}}]}
                    container: {image: i, command: [c], volumeMounts: [{name: v, mountPath: /v}]}
                    """),
                "spec.templates[0].inputs.artifacts[0].path", "already mounted in volumeMounts.v"),
            RefusedManifest(
                Linting.template("podResources: {limits: {cpu: '1'}}\nhttp: {url: 'http://x'}"),
                "spec.templates[0].podResources", "not supported for HTTP templates"),
            RefusedManifest(
                Linting.template("http: {url: ''}"), "spec.templates[0].http", "http.url is required"),
        ])
    func containers(row: RefusedManifest) {
        row.check()
    }

    @Test("Without an image, a local run only warns; templateDefaults and mapped images help")
    func images() {
        let manifest = Linting.template("container: {command: [c]}")
        let local = Linting.lint(manifest)
        #expect(local.map(\.severity) == [.warning])
        #expect(Linting.errors(manifest, options: ValidationOptions(target: .kubernetes)).count == 1)
        var options = ValidationOptions()
        options.allowMissingImage = false
        #expect(Linting.errors(manifest, options: options).first?.contains("image may not be empty") == true)

        let defaults = Linting.workflow(
            """
            entrypoint: a
            templateDefaults: {container: {image: i, command: [c]}}
            templates: [{name: a, container: {args: [x]}}]
            """)
        #expect(Linting.lint(defaults) == [])
        var mapped = ValidationOptions()
        mapped.mappedImages = ["known"]
        #expect(Linting.errors(Linting.template("container: {image: known}"), options: mapped) == [])
    }

    @Test(
        "Container sets",
        arguments: [
            RefusedManifest(
                Linting.template(
                    """
                    containerSet:
                      containers:
                      - {name: a, image: i, command: [c]}
                      - {name: b, image: i, command: [c], dependencies: [aa]}
                    """),
                "spec.templates[0].containerSet.containers[1].dependencies[0]",
                "dependency 'aa' not defined"),
            RefusedManifest(
                Linting.template(
                    """
                    containerSet:
                      containers:
                      - {name: a, image: i, command: [c], dependencies: [b]}
                      - {name: b, image: i, command: [c], dependencies: [a]}
                    """),
                "spec.templates[0].containerSet.containers", "cycle: a->b->a"),
            RefusedManifest(
                Linting.template(
                    """
                    containerSet: {containers: [{name: a, image: i, command: [c]}]}
                    outputs: {parameters: [{name: o, valueFrom: {path: /o}}]}
                    """),
                "spec.templates[0].containerSet.containers", "must have a container named \"main\""),
        ])
    func containerSets(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Outputs have one source, which fits the kind of template",
        arguments: [
            RefusedManifest(
                Linting.template("container: {image: i, command: [c]}\noutputs: {parameters: [{name: o}]}"),
                "spec.templates[0].outputs.parameters[0]", "does not have valueFrom or value specified"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {parameters: [{name: o, valueFrom: {parameter: x}}]}"
                ),
                "spec.templates[0].outputs.parameters[0].valueFrom.parameter",
                ".path must be specified for Container templates"),
            RefusedManifest(
                Linting.template(
                    "steps: [[{name: a, template: echo}]]\n"
                        + "outputs: {parameters: [{name: o, valueFrom: {path: /x}}]}"
                ),
                "spec.templates[0].outputs.parameters[0].valueFrom.path",
                ".parameter or expression must be specified for Steps templates"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {parameters: [{name: o, valueFrom: {path: /x, jsonPath: y}}]}"),
                "spec.templates[0].outputs.parameters[0].valueFrom.jsonPath", "multiple valueFrom types"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {parameters: [{name: o, value: v, valueFrom: {path: /x}}]}"),
                "spec.templates[0].outputs.parameters[0].valueFrom", "has both valueFrom and value"),
            RefusedManifest(
                Linting.template("container: {image: i, command: [c]}\noutputs: {artifacts: [{name: o}]}"),
                "spec.templates[0].outputs.artifacts[0]", "path not specified"),
            RefusedManifest(
                Linting.template(
                    "steps: [[{name: a, template: echo}]]\noutputs: {artifacts: [{name: o, path: /x,"
                        + " from: '{{steps.a.outputs.artifacts.file}}'}]}"),
                "spec.templates[0].outputs.artifacts[0].path", "only valid in container/script templates"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {parameters: [{name: o, globalName: 'a b', valueFrom: {path: /x}}]}"),
                "spec.templates[0].outputs.parameters[0].globalName", "globalName 'a b' is invalid"),
            RefusedManifest(
                Linting.template("suspend: {}\noutputs: {parameters: [{name: o, valueFrom: {path: /x}}]}"),
                "spec.templates[0].outputs.parameters[0].valueFrom.path", ".supplied must be specified"),
        ])
    func outputs(row: RefusedManifest) {
        row.check()
    }

    @Test(
        "Artifacts lie in one store and have no way out of their directory",
        arguments: [
            RefusedManifest(
                Linting.template(
                    "inputs: {artifacts: [{name: a, path: /a, raw: {data: x}, http: {url: y}}]}\n"
                        + "container: {image: i, command: [c]}"),
                "spec.templates[0].inputs.artifacts[0].raw",
                "only one artifact location is allowed, but there are http, raw"),
            RefusedManifest(
                Linting.template(
                    "inputs: {artifacts: [{name: a, path: /a, git: {revision: x}}]}\n"
                        + "container: {image: i, command: [c]}"),
                "spec.templates[0].inputs.artifacts[0].git", "git.repo is required"),
            RefusedManifest(
                Linting.template(
                    "inputs: {artifacts: [{name: a, path: /a/../../b, raw: {data: x}}]}\n"
                        + "container: {image: i, command: [c]}"),
                "spec.templates[0].inputs.artifacts[0].path", "must not contain '..'"),
            RefusedManifest(
                Linting.template(
                    "inputs: {artifacts: [{name: a, path: /a, from: '{{x.y}}', raw: {data: x}}]}\n"
                        + "container: {image: i, command: [c]}"),
                "spec.templates[0].inputs.artifacts[0].from", "not valid in inputs"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {artifacts: [{name: a, path: /a, archive: {none: {}, zip: {}}}]}"),
                "spec.templates[0].outputs.artifacts[0].archive.zip", "only one of none, tar or zip"),
            RefusedManifest(
                Linting.template(
                    "container: {image: i, command: [c]}\n"
                        + "outputs: {artifacts: [{name: a, path: /a, archive:"
                        + " {tar: {compressionLevel: 12}}}]}"
                ),
                "spec.templates[0].outputs.artifacts[0].archive.tar.compressionLevel", "12"),
        ])
    func artifacts(row: RefusedManifest) {
        row.check()
    }

    @Test("Resource templates need Kubernetes, and other executor plugins than martlet run nowhere")
    func targets() {
        let resource = Linting.template("resource: {action: create, manifest: 'kind: Pod'}")
        #expect(Linting.errors(resource).first?.contains("need Kubernetes") == true)
        #expect(Linting.errors(resource, options: ValidationOptions(target: .kubernetes)) == [])
        let plugin = Linting.template("plugin: {slack: {text: x}}")
        #expect(Linting.errors(plugin).first?.contains("plugin 'slack' cannot run here") == true)
        #expect(Linting.errors(plugin, options: ValidationOptions(target: .argo)) == [])
        let sft = Linting.template("inputs: {artifacts: [{name: model, raw: {data: x}}]}\nsft: {dataset: x}")
        #expect(Linting.errors(sft) == [])
        #expect(
            Linting.errors(sft, options: ValidationOptions(target: .argo)).first?.contains("does not know")
                == true)
    }
}
