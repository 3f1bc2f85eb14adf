// The annotations of steps on several nodes at lint: what is no number, and what no group can do.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("Lint of groups of nodes")
struct GroupLintTests {
    private static let container = "container: {image: x, command: [x]}"
    private static let artifacts =
        "inputs: {artifacts: [{name: model, raw: {data: x}}, {name: dataset, raw: {data: x}}]}"

    private func problems(_ annotations: String, _ template: String) -> [Diagnostic] {
        Linting.lint(
            Linting.workflow(
                """
                entrypoint: main
                templates:
                - name: main
                  metadata:
                    annotations:
                      \(annotations)
                  \(template)
                """)
        ).filter { $0.severity == .error }
    }

    @Test(
        "A group that cannot be is refused where it is asked for",
        arguments: [
            ("martlet.dev/nodes: none", container, "\"none\" is no number from 1 to 1000"),
            ("martlet.dev/nodes: \"0\"", container, "\"0\" is no number from 1 to 1000"),
            ("martlet.dev/nodes: \"1001\"", container, "\"1001\" is no number from 1 to 1000"),
            ("martlet.dev/procs-per-node: \"-1\"", container, "\"-1\" is no number from 1 to 256"),
            (
                "martlet.dev/nodes: \"1.5\"", "script: {image: x, command: [sh], source: x}",
                "\"1.5\" is no number"
            ),
            (
                "martlet.dev/nodes: \"2\"", "daemon: true\n  \(container)",
                "a daemon cannot be a group of 2 nodes"
            ),
            (
                "martlet.dev/nodes: \"2\"", "sft: {}\n  \(artifacts)",
                "the built-in trainer computes on one node"
            ),
            ("martlet.dev/nodes: \"2\"", "download: {repo: a/b}", "a download step runs on one node"),
            ("martlet.dev/nodes: \"2\"", "suspend: {}", "this kind of template runs no command"),
            ("martlet.dev/procs-per-node: \"2\"", "suspend: {}", "this kind of template runs no command"),
        ])
    func refused(_ annotations: String, _ template: String, _ message: String) {
        let problems = problems(annotations, template)
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.message.contains(message) == true, "\(problems)")
        #expect(problems.first?.path.hasPrefix("spec.templates[0].metadata.annotations") == true)
        let line = Linting.workflow("").split(separator: "\n", omittingEmptySubsequences: false).count
        #expect((problems.first?.line ?? 0) > line, "the annotation's own line")
    }

    @Test(
        "Groups of containers, scripts and foreign training steps are fine",
        arguments: [
            ("martlet.dev/nodes: \"4\"", container), ("martlet.dev/procs-per-node: \"8\"", container),
            ("martlet.dev/nodes: \"2\"", "sft: {backend: ms-swift}\n  \(artifacts)"),
            ("martlet.dev/nodes: \"1\"", "sft: {}\n  \(artifacts)"),
            (
                "martlet.dev/nodes: \"{{inputs.parameters.n}}\"",
                "inputs: {parameters: [{name: n, value: \"2\"}]}\n  script: {image: x, command: [sh], source: x}"
            ),
        ])
    func fine(_ annotations: String, _ template: String) {
        let problems = problems(annotations, template)
        #expect(problems.isEmpty, "\(problems)")
    }
}
