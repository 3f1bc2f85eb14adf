// What a launch needs of its pod: which containers do the work, what goes in and comes out, and whether the
// step image must help.

import Scheduling
import Text
import WorkflowLanguage

/// One container that is wrapped by the supervisor.
struct PodContainer {
    var name: String
    var container: Container
    /// Names of members of the set that must have ended well before.
    var dependencies: [String] = []
    var isSidecar = false
    /// Takes the step's outputs.
    var isMain = false

    /// Without a command only the image knows what to run, so that nothing can be put before it.
    var isWrapped: Bool { !container.command.isEmpty }
}

/// An input artifact and where the step looks for it.
struct PodInput {
    var name: String
    var path: String
    /// The volume of the manifest that the path lies in; the artifact goes there.
    var mount: VolumeMount?
    var directory: String { "\(PodRenderer.directory)/inputs/\(PodPlan.fileName(name))" }
    /// Where the init container lays it.
    var target: String {
        if path.hasPrefix(PodRenderer.directory + "/") { return path }
        return mount.map {
            "\(PodRenderer.directory)-volumes\($0.mountPath)\(path.dropFirst($0.mountPath.utf8.count))"
        }
            ?? directory
    }
}

struct PodPlan {
    let launch: Launch
    let settings: PodSettings
    /// What does the work: main, or the members of a set.
    private(set) var work: [PodContainer]
    private(set) var sidecars: [PodContainer]
    private(set) var script: String?
    private(set) var inputs: [PodInput] = []
    /// What the pod does by itself, since it cannot reach the server.
    private(set) var direct = DirectArtifacts(inputs: [], outputs: [])
    /// Mounts that all members of a set have.
    private(set) var sharedMounts: [JSONValue] = []
    private(set) var retries = 0
    private(set) var retryDelay = Duration.zero

    var template: Template { launch.template }

    init(_ launch: Launch, _ settings: PodSettings) throws(PodProblem) {
        self.launch = launch
        self.settings = settings
        switch launch.template.kind {
        case .container(let container):
            work = [PodContainer(name: "main", container: container, isMain: true)]
        case .script(let container, let source):
            work = [PodContainer(name: "main", container: container, isMain: true)]
            script = source
        case .containerSet(let set):
            let hasMain = set.containers.contains { $0.name == "main" }
            work = set.containers.enumerated().map { index, container in
                let name = container.name.isEmpty ? "container-\(index)" : container.name
                return PodContainer(
                    name: name, container: container, dependencies: container.dependencies,
                    isMain: hasMain ? name == "main" : index == set.containers.count - 1)
            }
            sharedMounts = Fields(launch.template.raw["containerSet"]).list("volumeMounts")
            retries = set.retries.flatMap { Int($0) } ?? 0
            retryDelay =
                set.retryDuration.flatMap { GoDuration.parse($0) ?? Int($0).map { .seconds($0) } } ?? .zero
        default:
            throw PodProblem("template \"\(launch.template.name)\" is of a kind that no pod runs")
        }
        sidecars = launch.template.sidecars.enumerated().map { index, container in
            PodContainer(
                name: container.name.isEmpty ? "sidecar-\(index)" : container.name, container: container,
                isSidecar: true)
        }
        inputs = Self.inputs(of: launch, mounts: mainMounts)
        if settings.serverURL == nil {
            direct = DirectArtifacts(
                inputs: launch.inputs.artifacts, outputs: launch.template.outputs.artifacts)
        }
        try check()
    }

    var main: PodContainer { work.first(where: \.isMain) ?? work[0] }
    var defaultContainer: String { main.name }

    private var mainMounts: [VolumeMount] {
        main.container.volumeMounts + sharedMounts.map(VolumeMount.init)
    }

    private static func inputs(of launch: Launch, mounts: [VolumeMount]) -> [PodInput] {
        launch.inputs.artifacts.compactMap { artifact in
            guard let path = artifact.path, !path.isEmpty else { return nil }
            // Nothing was given for an optional artifact.
            if artifact.optional && artifact.location == nil { return nil }
            let mount = mounts.filter { path == $0.mountPath || path.hasPrefix($0.mountPath + "/") }
                .max { $0.mountPath.utf8.count < $1.mountPath.utf8.count }
            return PodInput(name: artifact.name, path: path, mount: mount)
        }
    }

    /// A file's name that no other artifact has. Names are told apart to the letter, so that `model`, `Model`,
    /// `train_data` and `train-data` are four.
    static func fileName(_ name: String) -> String {
        let text = URLText.encoded(name)
        // Files' names have at most 255 bytes, and some of them are for endings.
        if text.utf8.count > 200 {
            return "\(text.prefix(160))%\(FNV1a.hash32(name))%\(FNV1a.hash32(String(name.reversed())))"
        }
        return text.allSatisfy({ $0 == "." }) ? text.map { _ in "%2E" }.joined() : text
    }

    /// What a container may say at its end: the node keeps 12 KiB for all of a pod's containers together, and cuts
    /// what is longer in the middle.
    func messageLimitBytes(containers: Int) -> Int { min(4096, (12 << 10) / max(1, containers)) }

    // MARK: What comes out

    var parameterPaths: [(name: String, path: String)] {
        template.outputs.parameters.compactMap { parameter in
            parameter.valueFrom?.path.map { (parameter.name, $0) }
        }
    }

    var artifactPaths: [(name: String, path: String)] {
        template.outputs.artifacts.compactMap { artifact in
            artifact.path.flatMap { $0.isEmpty ? nil : (artifact.name, $0) }
        }
    }

    var hasOutputs: Bool { launch.capturesResult || !parameterPaths.isEmpty || !artifactPaths.isEmpty }
    /// Whether the step is known to tell of itself while it runs: it names one of the files for that, or an
    /// annotation says so of a program that finds them by itself.
    var reports: Bool {
        guard main.isWrapped else { return false }
        return launch.annotations["martlet.dev/metrics"] == "true"
            || template.raw.mentions(["MARTLET_METRICS_FILE", "ARGO_PROGRESS_FILE"])
    }

    /// Whether a container of the step image sends outputs to the server.
    var needsCompanion: Bool {
        settings.serverURL == nil ? !direct.outputs.isEmpty : hasOutputs || reports
    }
    /// Whether the commands are wrapped: to take what they leave, to end sidecars, to keep an order.
    var needsSupervisor: Bool {
        hasOutputs || needsCompanion || work.count > 1 || retries > 0 || sidecars.contains(where: \.isWrapped)
    }

    // MARK: What cannot be

    private func check() throws(PodProblem) {
        guard !work.isEmpty else { throw PodProblem("the container set has no containers") }
        for one in work + sidecars where one.container.image.isEmpty {
            throw PodProblem("container \"\(one.name)\" has no image, and a pod needs one")
        }
        if launch.annotations["martlet.dev/nodes"] != nil {
            throw PodProblem(
                "the annotation martlet.dev/nodes asks for a group of pods, which one pod is not; write the number of "
                    + "nodes, such as \"2\", where it is known before the step is launched")
        }
        if let unwrapped = work.first(where: { !$0.isWrapped }) {
            let wants = hasOutputs && unwrapped.isMain ? "outputs are to be taken from it" : nil
            if let reason = wants ?? (work.count > 1 || retries > 0 ? "it belongs to a set" : nil) {
                throw PodProblem(
                    "container \"\(unwrapped.name)\" of image \(unwrapped.container.image) has no command, and "
                        + "\(reason); write what the image runs as `command`")
            }
        }
        guard settings.serverURL == nil else { return }
        let inward = inputs.first { direct.inputs[$0.name] == nil }?.name
        if let name = inward ?? artifactPaths.first(where: { direct.outputs[$0.name] == nil })?.name {
            throw PodProblem(
                "artifact \"\(name)\" cannot reach the pod: nobody said where pods reach the server; start it with "
                    + "--step-url, an address of it that the cluster's pods can reach, or give the artifact an s3 "
                    + "location with bucket and key")
        }
    }
}

extension JSONValue {
    /// Whether one of the words stands in any text of the value.
    fileprivate func mentions(_ words: [String]) -> Bool {
        switch self {
        case .string(let text): words.contains { text.contains($0) }
        case .array(let elements): elements.contains { $0.mentions(words) }
        case .object(let members): members.values.contains { $0.mentions(words) }
        default: false
        }
    }
}
