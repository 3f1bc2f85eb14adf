// `martlet render`: the objects that a workflow would have in a cluster.

import ArgumentParser
import Controller
import Kubernetes
import Text
import WorkflowLanguage

extension PodSecurityLevel: ExpressibleByArgument {}

struct RenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render", abstract: "Print the Kubernetes objects of a workflow without running it.",
        discussion: """
            A pod for each step that does work, under the name that it would have in a run, and one for each
            template that no step calls. Tags whose value only a run knows stay as they are, and one pod stands
            for a loop whose items only a run knows. The same file gives the same bytes each time.
            Identities that the cluster gives are zeros, and the token that pods get is left out.
            Examples:
              martlet render pipeline.yaml
              martlet render pipeline.yaml --load templates.yaml -o json
              martlet render pipeline.yaml --step-url http://martlet.ml.svc:2747 --pod-security baseline
            Exit status: 0, 1 if a template cannot be a pod, 2 if a file cannot be read.
            """)

    @Argument(help: "Manifests, directories, or - for standard input.")
    var files: [String]

    @Option(help: "Fixtures that the manifests refer to (templates).")
    var load: [String] = []

    @Option(name: .shortAndLong, help: "Namespace of manifests that name none.")
    var namespace = "default"

    @Option(name: .shortAndLong, help: "yaml or json.")
    var output: ConvertOutput = .yaml

    @OptionGroup(title: "Kubernetes") var pods: PodOptions

    func run() throws {
        let manifests = try Manifests.read(files)
        let fixtures = try Manifests.read(load)
        let diagnostics = manifests.diagnostics + fixtures.diagnostics
        for diagnostic in diagnostics { Output.note(diagnostic.shown(colored: Output.colorsStandardError)) }
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(2) }
        var settings = pods.settings
        // What a pod looks like does not depend on where the server is; the address is only shown.
        settings.serverURL = settings.serverURL ?? "http://martlet.\(namespace).svc:2747"
        let catalog = TemplateCatalog().including(manifests.documents).including(fixtures.documents)
        var problems: [String] = []
        var objects: [JSONValue] = []
        var names: [String: Int] = [:]
        for document in manifests.documents(of: [
            "Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow",
        ]) {
            let (run, place) = WorkflowRendering.runName(of: document.json, namespace: namespace)
            let rendering = WorkflowRendering(
                document.json, catalog: catalog, namespace: namespace, settings: settings,
                earlier: names["\(place)/\(run)", default: 0])
            names["\(place)/\(run)", default: 0] += 1
            objects += rendering.objects
            for note in rendering.notes { Output.note("note: \(note)") }
            problems += rendering.problems
        }
        switch output {
        case .yaml: Output.text(ManifestPrinter.yaml(documents: objects))
        case .json: for object in objects { Output.line(object.prettyText) }
        }
        for problem in problems { Output.note("error: \(problem)") }
        if !problems.isEmpty { throw ExitCode(1) }
    }
}

/// What this installation says of pods.
struct PodOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Image with martlet in it; else $MARTLET_STEP_IMAGE.", valueName: "IMAGE"))
    var stepImage: String?

    @Option(
        help: ArgumentHelp(
            "Where pods reach this server's steps, such as http://martlet.ml.svc:2747.", valueName: "URL"))
    var stepUrl: String?

    @Option(help: "What pods may do: restricted, or less strict baseline or privileged.")
    var podSecurity = PodSecurityLevel.restricted

    @Option(help: ArgumentHelp("User of containers that name none.", valueName: "ID"))
    var podUser = 1000

    @Option(help: ArgumentHelp("Tells installations in one namespace apart.", valueName: "NAME"))
    var instance = "martlet"

    @Option(help: ArgumentHelp("Claim for checkpoints that all nodes can mount.", valueName: "CLAIM"))
    var checkpointClaim: String?

    @Option(help: ArgumentHelp("Claim for models and data that steps share.", valueName: "CLAIM"))
    var modelCacheClaim: String?

    @Option(
        help: ArgumentHelp(
            "The same as a directory of each node; needs --pod-security privileged.", valueName: "DIR"))
    var modelCachePath: String?

    var settings: PodSettings {
        var settings = PodSettings(
            stepImage: stepImage ?? Environment.value("MARTLET_STEP_IMAGE") ?? "martlet:\(BuildInfo.version)")
        settings.serverURL = stepUrl
        settings.security = podSecurity
        settings.userID = podUser
        settings.instance = instance
        settings.checkpointClaim = checkpointClaim
        settings.modelCacheClaim = modelCacheClaim
        settings.modelCachePath = modelCachePath
        return settings
    }

    func validate() throws {
        if podUser < 0 { throw ValidationError("--pod-user must not be negative") }
        if podUser == 0 && podSecurity == .restricted {
            throw ValidationError(
                "--pod-user 0 is root, which restricted pods must not be; say --pod-security baseline")
        }
        if let modelCachePath {
            if !modelCachePath.hasPrefix("/") {
                throw ValidationError("--model-cache-path is a path from / on")
            }
            if podSecurity != .privileged {
                throw ValidationError(
                    "--model-cache-path is a volume of the host, which only --pod-security privileged allows; "
                        + "--model-cache-claim needs no more than restricted")
            }
        }
        if let stepUrl, !stepUrl.hasPrefix("http://") && !stepUrl.hasPrefix("https://") {
            throw ValidationError("--step-url begins with http:// or https://")
        }
    }
}
