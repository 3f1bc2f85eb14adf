// What verbs make of stored runs and definitions, as far as it is decided without a disk.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import martlet

@Suite("Verbs")
struct VerbTests {
    @Test("Every command has a word of explanation and examples")
    func help() {
        for command in CommandList.all {
            let configuration = command.configuration
            #expect(!configuration.abstract.isEmpty, "\(command)")
            let children = configuration.subcommands
            for leaf in children.isEmpty ? [command] : children {
                #expect(leaf.helpMessage().contains("Examples:"), "\(leaf)")
            }
        }
    }

    @Test("No two commands have the same name")
    func names() {
        let names = CommandList.all.compactMap { $0.configuration.commandName }
        #expect(Set(names).count == names.count)
        #expect(names.count == CommandList.all.count)
    }

    @Test(
        "Words that ask for nothing, or for two things at once, are refused",
        arguments: [
            ["delete"], ["delete", "a", "--all"], ["submit"], ["submit", "f.yaml", "--from", "cronwf/x"],
            ["submit", "f.yaml", "--wait", "--watch"], ["node", "set", "a"], ["template", "delete"],
            ["template", "delete", "a", "--all"], ["retry", "a", "--restart-successful"],
            ["list", "--limit", "0"],
            ["logs", "a", "--tail", "-1"],
            ["logs", "a", "--since", "1h", "--since-time", "2026-01-01T00:00:00Z"],
        ])
    func refused(words: [String]) {
        let error = #expect(throws: (any Error).self) { try Martlet.parseAsRoot(words) }
        #expect(error.map { Martlet.exitCode(for: $0) == .validationFailure } == true)
    }

    @Test(
        "Words of Argo's command line are understood",
        arguments: [
            ["list", "-A", "--running", "-l", "a=b", "-o", "wide"],
            ["get", "@latest", "-o", "short", "-n", "x"],
            ["logs", "a", "b", "-f", "-c", "main", "--grep", "x", "--tail", "5", "--no-color"],
            ["retry", "a", "--restart-successful", "--node-field-selector", "phase=Failed"],
            ["resubmit", "a", "--memoized", "-p", "x=1"], ["stop", "a", "--message", "m"],
            ["node", "set", "a", "--output-parameter", "x=1", "--node-field-selector", "displayName=b"],
            ["submit", "--from", "workflowtemplate/x", "-p", "a=b", "--watch"], ["delete", "--older", "7d"],
            ["wait", "a", "b"], ["watch", "a"], ["template", "create", "f.yaml"], ["cron", "suspend", "a"],
            ["cluster-template", "list"], ["resume", "a", "--no-wait"],
            ["convert", "--to", "argo", "f.yaml"],
        ])
    func understood(words: [String]) throws {
        #expect(throws: Never.self) { try Martlet.parseAsRoot(words) }
    }

    @Test(
        "A stored definition is named by kind and name",
        arguments: [
            ("workflowtemplate/a", DefinitionKind.workflowTemplate), ("wftmpl/a", .workflowTemplate),
            ("ClusterWorkflowTemplate/a", .clusterWorkflowTemplate), ("cronwf/a", .cronWorkflow),
            ("CronWorkflows/a", .cronWorkflow), ("pod/a", nil), ("cronwf", nil), ("cronwf/", nil), ("", nil),
        ] as [(String, DefinitionKind?)])
    func sources(text: String, kind: DefinitionKind?) throws {
        guard let kind else {
            #expect(throws: CommandError.self) { try StoredSource(text, namespace: "default") }
            return
        }
        let source = try StoredSource(text, namespace: "default")
        #expect(source.kind == kind)
        #expect(source.name == "a")
    }

    @Test("A run of a cron workflow takes over its labels and says where it comes from")
    func cronManifest() throws {
        let body: JSONValue = [
            "spec": [
                "workflowMetadata": ["labels": ["team": "nlp"], "annotations": ["a": "b"]],
                "workflowSpec": ["entrypoint": "main"],
            ]
        ]
        let manifest = try StoredSource("cronwf/nightly", namespace: "default").manifest(of: body)
        #expect(manifest["spec"] == ["entrypoint": "main"])
        #expect(manifest["metadata"]?["generateName"] == "nightly-")
        #expect(manifest["metadata"]?["annotations"] == ["a": "b"])
        #expect(
            manifest["metadata"]?["labels"] == [
                "team": "nlp", "workflows.argoproj.io/cron-workflow": "nightly",
            ])
    }

    @Test("A run of a cluster template refers to it")
    func clusterManifest() throws {
        let manifest = try StoredSource("cwft/a", namespace: "default").manifest(of: [:])
        #expect(manifest["spec"]?["workflowTemplateRef"] == ["name": "a", "clusterScope": true])
    }

    @Test("A resubmitted run has its own name and identity, the old arguments, and new ones over them")
    func resubmission() {
        let old = SyntheticRun("old").state(
            .failed,
            spec: [
                "entrypoint": "main",
                "arguments": ["parameters": [["name": "a", "value": "1"], ["name": "b", "value": "2"]]],
            ]
        ).definition
        let new = Resubmission.definition(
            of: old, parameters: [("b", "3")], at: SyntheticRun.start + .seconds(60))
        #expect(new.name.hasPrefix("old-") && new.name.count == 9)
        #expect(new.uid != old.uid)
        #expect(new.namespace == "argo")
        #expect(new.metadata.labels[Resubmission.label] == "old")
        #expect(new.spec.entrypoint == "main")
        #expect(new.spec.arguments.parameters.map(\.value) == ["1", "3"])
    }

    @Test("Only artifacts that are to go with the run are deleted with it")
    func artifacts() {
        var run = SyntheticRun("w")
        let id = run.add("w", .pod, .succeeded)
        func artifact(_ name: String, _ strategy: String?, deleted: Bool = false) -> Artifact {
            var members: [String: JSONValue] = ["name": .string(name), "s3": ["key": .string("key-\(name)")]]
            if let strategy { members["artifactGC"] = ["strategy": .string(strategy)] }
            if deleted { members["deleted"] = true }
            return Artifact(.object(members))
        }
        run.edit(id) { node in
            node.outputs.artifacts = [
                artifact("a", nil), artifact("b", "OnWorkflowDeletion"), artifact("c", "Never"),
                artifact("d", "OnWorkflowDeletion", deleted: true),
            ]
        }
        #expect(WorkflowOperations.doomedKeys(of: run.state(.succeeded)) == ["key-b"])
        let all = run.state(.succeeded, spec: ["artifactGC": ["strategy": "OnWorkflowDeletion"]])
        #expect(WorkflowOperations.doomedKeys(of: all) == ["key-a", "key-b"])
    }

    @Test("Without a terminal each change of a node is one line")
    func progressLines() {
        var run = SyntheticRun("w")
        let root = run.add("w", .steps, .running)
        let group = run.add("w[0]", .stepGroup, .running, in: root, under: [root])
        let id = run.add("w[0].a", .pod, .running, in: root, under: [group])
        var progress = ProgressLines()
        #expect(
            progress.lines(for: run.state(.running), selector: nil) == ["● w Running", "● w[0].a Running"])
        #expect(progress.lines(for: run.state(.running), selector: nil).isEmpty)
        run.edit(id) {
            $0.phase = .failed
            $0.message = "exit code 1"
        }
        #expect(progress.lines(for: run.state(.running), selector: nil) == ["✖ w[0].a Failed: exit code 1"])
    }
}
