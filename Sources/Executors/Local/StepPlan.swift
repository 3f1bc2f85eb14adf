// What a launch means on this machine before anything is done: its directories, volumes, mounts and
// containers. The same plan is made again to collect what a step left, so it depends on nothing but the
// launch and the settings.

import Artifacts
import Scheduling
import Text
import WorkflowLanguage

struct StepPlan {
    let launch: Launch
    let host: HostSetup
    /// The attempt's own directory.
    let directory: String
    let volumes: StepVolumes
    /// The nodes that the step's command runs on; nil for the usual step.
    let group: NodeGroup?
    private(set) var view: StepView
    /// Mounts of volumes, the outer before the inner.
    private(set) var volumeMounts: [VolumePlace] = []

    struct VolumePlace: Hashable {
        var volume: String
        var subPath: String
        var target: String
        var readOnly: Bool
    }

    static let martletDirectory = "/.martlet"
    static let scriptPath = "/argo/staging/script"
    static let checkpointTarget = "/.martlet/checkpoints"
    static let inputsTarget = "/.martlet/inputs"
    static let outputsTarget = "/.martlet/outputs"

    var root: String { directory + "/root" }
    var template: Template { launch.template }
    var metricsFile: String { root + "/.martlet/metrics.jsonl" }
    var progressFile: String { root + "/.martlet/progress" }

    var checkpoints: String {
        AttemptPaths.checkpoints(
            host.dataDirectory, workflowUID: launch.key.workflowUID, checkpointNodeID: launch.checkpointNodeID
        )
    }

    /// - Throws: `StepVolumes.Problem` for what cannot be had here, `NodeGroup.Problem` for a group that is none.
    init(_ launch: Launch, host: HostSetup) throws {
        self.launch = launch
        self.host = host
        directory = AttemptPaths.attempt(host.dataDirectory, key: launch.key)
        group = try NodeGroup(launch.template)
        if let problem = group.flatMap(StepContainers.groupProblem) {
            throw StepVolumes.Problem(description: problem)
        }
        view = StepView(root: directory + "/root", isPlain: host.isPlain)
        volumes = try StepVolumes(launch, dataDirectory: host.dataDirectory)
        let programs = programs
        for bind in programs.binds {
            view.add(StepView.Mount(target: bind.target, source: bind.source, readOnly: true))
        }
        // What lies below a link such as /lib lies in the machine's directories too.
        for link in programs.links {
            let source = view.machinePath(StepView.destination(of: link))
            view.add(StepView.Mount(target: link.path, source: source, readOnly: true))
        }
        try addVolumeMounts()
    }

    private mutating func addVolumeMounts() throws {
        var byTarget: [String: VolumePlace] = [:]
        for mount in mounts() {
            let place = VolumePlace(
                volume: mount.name, subPath: mount.subPath ?? "", target: StepView.normal(mount.mountPath),
                readOnly: mount.readOnly)
            if var other = byTarget[place.target] {
                guard other.volume == place.volume && other.subPath == place.subPath else {
                    throw StepVolumes.Problem(
                        description:
                            "the volumes \"\(other.volume)\" and \"\(place.volume)\" are both mounted at "
                            + "\(place.target); containers of a step share one view here")
                }
                other.readOnly = other.readOnly && place.readOnly
                byTarget[place.target] = other
            } else {
                byTarget[place.target] = place
            }
        }
        volumeMounts = byTarget.values.sorted { $0.target < $1.target }
        for place in volumeMounts {
            view.add(
                StepView.Mount(target: place.target, source: try source(of: place), readOnly: place.readOnly))
        }
    }

    private func mounts() -> [VolumeMount] {
        var mounts = (template.initContainers + template.sidecars).flatMap(\.volumeMounts)
        switch template.kind {
        case .container(let container), .script(let container, _): mounts += container.volumeMounts
        case .containerSet(let set): mounts += set.volumeMounts + set.containers.flatMap(\.volumeMounts)
        default: break
        }
        return mounts
    }

    /// The directory on the machine, a link inside a volume not leading out of it.
    func source(of place: VolumePlace) throws -> String {
        let path = try volumes.path(of: place.volume, attemptDirectory: directory)
        guard !place.subPath.isEmpty else { return path }
        return try StepView(root: path, isPlain: false).resolve(place.subPath)
    }

    /// The programs that the step sees: the machine's, or those of the directory that its image is mapped to.
    var programs: (binds: [SupervisorSpec.Bind], links: [SupervisorSpec.Link]) {
        if host.isPlain { return ([], []) }
        guard case .root(let root)? = mainContainer.flatMap({ host.settings.mapping(ofImage: $0.image) })
        else {
            return (host.host.binds, host.host.links)
        }
        return ImageRoot(path: root).view
    }

    /// The virtual environment for a step that another program does.
    func environment(of step: MartletStep) throws -> String {
        let name = step.value("backend")?.scalarText ?? ""
        guard let directory = host.settings.backends[name] else {
            throw StepVolumes.Problem(
                description:
                    "no Python environment is known for backend \(name): give --backend \(name)=DIRECTORY of "
                    + "one that has it, or run on Kubernetes, where its image is used")
        }
        return directory
    }

    /// Files and directories of the machine that a step of ours, or of another program, names in its parameters:
    /// it sees them under their own paths and cannot change them.
    var namedPaths: [String] {
        guard case .martlet(let step) = template.kind, !host.isPlain else { return [] }
        var paths: Set<String> = []
        for name in Self.pathParameters {
            for text in step.literals(name) where text.hasPrefix("/") {
                // A number of rows may stand behind a path.
                let bare = text.split(separator: "#", maxSplits: 1).first.map(String.init) ?? text
                let path = StepView.normal(Disk.exists(text) ? text : bare)
                let isOurs = path.hasPrefix(Self.martletDirectory + "/") || path == "/"
                if !isOurs, Disk.exists(path) { paths.insert(path) }
            }
        }
        if step.backend != .martlet, let directory = try? environment(of: step) {
            paths.insert(StepView.normal(directory))
            if let prefix = Self.pythonPrefix(of: directory) { paths.insert(prefix) }
        }
        // What is inside of another is there already.
        return paths.filter { path in !paths.contains { path.hasPrefix($0 + "/") } }.sorted()
    }

    private static let pathParameters = [
        "model", "dataset", "val_dataset", "adapters", "ref_model", "ref_adapters", "tokenizer",
        "init_config",
        "batch_order", "few_shot_file", "task", "file", "fail_if_worse_than", "resume_from_checkpoint",
    ]

    /// The installation that an environment's `python` leads to, unless it is the machine's own.
    private static func pythonPrefix(of directory: String) -> String? {
        guard let bytes = try? Disk.read(directory + "/pyvenv.cfg", limitBytes: 1 << 16) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1).map(\.trimmingSpaces)
            guard parts.count == 2, parts[0] == "home" else { continue }
            let prefix = Disk.parent(of: parts[1])
            return prefix == "/usr" || prefix == "/" || prefix.isEmpty ? nil : prefix
        }
        return nil
    }

    /// The container that decides about the step's programs; nil for steps that are not the manifest's own
    /// command.
    var mainContainer: Container? {
        switch template.kind {
        case .container(let container), .script(let container, _): container
        case .containerSet(let set): set.containers.first { $0.name == "main" } ?? set.containers.first
        default: nil
        }
    }
}

/// A directory with the files of a container image.
struct ImageRoot {
    let path: String

    /// What the step may write to stays the attempt's own.
    private static let ownNames: Set<String> = [
        "proc", "sys", "dev", "tmp", "run", "mnt", "home", "root", "var", "argo", ".martlet",
    ]

    var view: (binds: [SupervisorSpec.Bind], links: [SupervisorSpec.Link]) {
        var binds: [SupervisorSpec.Bind] = []
        var links: [SupervisorSpec.Link] = []
        for name in (Disk.list(path) ?? []).sorted() where !Self.ownNames.contains(name) {
            let source = "\(path)/\(name)"
            if let destination = Disk.linkTarget(source) {
                links.append(.init(path: "/" + name, destination: destination))
            } else {
                binds.append(.init(source: source, target: "/" + name, access: .readOnly))
            }
        }
        // Names of other machines are looked up as this machine does it.
        binds.append(.init(source: "/etc/resolv.conf", target: "/etc/resolv.conf", access: .optional))
        return (binds, links)
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
