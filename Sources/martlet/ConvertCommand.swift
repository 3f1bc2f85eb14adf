// `martlet convert`: manifests without Martlet's own step templates, for real Argo.

import ArgumentParser
import Text
import WorkflowLanguage

enum ConvertTarget: String, ExpressibleByArgument, CaseIterable {
    case argo
}

enum ConvertOutput: String, ExpressibleByArgument, CaseIterable {
    case yaml, json
}

struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Print manifests as plain container templates that real Argo runs.",
        discussion: """
            Templates such as `sft: {...}` become containers of the step image, which holds martlet itself;
            all else is printed as it is. The image: --image, else $MARTLET_STEP_IMAGE, else
            martlet:\(BuildInfo.version).
            Examples:
              martlet convert --to argo pipeline.yaml | argo submit -
              martlet convert --to argo pipeline.yaml --image registry.example.com/martlet:1.0
            """)

    @Argument(help: "Manifests, directories, or - for standard input.")
    var files: [String]

    @Option(help: "argo.")
    var to: ConvertTarget = .argo

    @Option(help: "The step image.")
    var image: String?

    @Option(name: .shortAndLong, help: "yaml or json.")
    var output: ConvertOutput = .yaml

    func run() throws {
        let manifests = try Manifests.read(files)
        for diagnostic in manifests.diagnostics {
            Output.note(diagnostic.shown(colored: Output.colorsStandardError))
        }
        if manifests.diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(2) }
        let groups = manifests.documents.flatMap { NodeGroup.names(in: $0.json) }
        if let name = groups.first {
            throw CommandError(
                "template \"\(name)\" runs on several nodes (\(NodeGroup.nodesAnnotation)), which Argo would pass over and "
                    + "run it on one; use a resource template with a JobSet or PyTorchJob there", status: 1)
        }
        let stepImage = image ?? Environment.value("MARTLET_STEP_IMAGE") ?? "martlet:\(BuildInfo.version)"
        let converted = manifests.documents.map { MartletStep.loweringAll(in: $0.json, image: stepImage) }
        switch output {
        case .yaml: Output.text(ManifestPrinter.yaml(documents: converted))
        case .json: for document in converted { Output.line(document.prettyText) }
        }
    }
}
