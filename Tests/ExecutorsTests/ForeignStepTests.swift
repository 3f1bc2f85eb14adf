// Steps of ours that another program does, and the files of the machine that parameters name.

import Artifacts
import Foundation
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

@Suite(
    "Local executor: other programs and named files",
    .enabled(if: LocalWorkshop.hasSupervisor, LocalWorkshop.skipReason), .timeLimit(.minutes(10)))
struct ForeignStepTests {
    private let workshop: LocalWorkshop

    init() throws { workshop = try LocalWorkshop() }

    /// A stand-in for Python that tells what it was called with.
    private func environment() throws -> String {
        let directory = workshop.directory + "/venv"
        try FileManager.default.createDirectory(atPath: directory + "/bin", withIntermediateDirectories: true)
        let script = """
            #!/bin/sh
            shift 2
            echo "$@"
            mkdir -p /.martlet/outputs/adapter
            printf '{"train_loss": 1.5}' > /.martlet/outputs/parameters.json
            printf w > /.martlet/outputs/adapter/w
            """
        try Data(script.utf8).write(to: URL(fileURLWithPath: directory + "/bin/python"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: directory + "/bin/python")
        return directory
    }

    private func run(_ template: JSONValue, backends: [String: String]) async throws -> AttemptOutcome {
        let executor = try workshop.executor { $0.backends = backends }
        var launch = ExecutorConformance.launch("a", template: template)
        launch.capturesResult = true
        let outcome = try await ExecutorConformance.outcome(executor, launch)
        await executor.shutDown()
        return outcome
    }

    private func template(_ dataset: String) -> JSONValue {
        [
            "name": "t", "sft": ["backend": "ms-swift", "model": "m", "dataset": .string(dataset)],
            "metadata": ["annotations": ["martlet.dev/procs-per-node": "2"]],
        ]
    }

    @Test("A backend runs in its virtual environment, and what it leaves is the step's output")
    func backend() async throws {
        let outcome = try await run(template("d.jsonl"), backends: ["ms-swift": environment()])
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(
            outcome.outputs.result
                == "/.martlet/outputs sft swift.cli.main sft --dataset d.jsonl --model m --output_dir "
                + "/.martlet/outputs/run --add_version false --create_checkpoint_symlink true")
        #expect(outcome.outputs.parameter("train_loss")?.value == "1.5")
        #expect(outcome.outputs.artifact("adapter") != nil)
    }

    @Test("Without an environment the step says how to give one")
    func missing() async throws {
        let outcome = try await run(template("d.jsonl"), backends: [:])
        #expect(outcome.phase == .error)
        #expect(outcome.failureClass == .user)
        #expect(outcome.message.contains("--backend ms-swift=DIRECTORY"))
    }

    @Test("Files that parameters name are seen, and others are not")
    func named() throws {
        let file = workshop.directory + "/rows.jsonl"
        try Data("{}".utf8).write(to: URL(fileURLWithPath: file))
        let settings = try workshop.executor { _ in }
        let launch = ExecutorConformance.launch(
            "a",
            template: [
                "name": "t",
                "sft": [
                    "model": .string(workshop.directory),
                    "dataset": [.string(file + "#5"), "/absent/x.jsonl"],
                    "system": "/etc/passwd", "val_dataset": "/.martlet/inputs/val_dataset",
                ],
            ])
        let plan = try StepPlan(launch, host: settings.host)
        #expect(plan.namedPaths == (plan.host.isPlain ? [] : [workshop.directory]))
    }
}
