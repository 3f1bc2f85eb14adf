// What a launch means on this machine before anything is done: its directories, volumes, mounts and
// containers. The same plan is made again to collect what a step left, so it depends on nothing but the
// launch and the settings.

import Artifacts
import Scheduling
import WorkflowLanguage

struct StepPlan {
    let launch: Launch
    let host: HostSetup
    /// The attempt's own directory.
    let directory: String
    let volumes: StepVolumes
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

    /// - Throws: `StepVolumes.Problem` for volumes that cannot be had here.
    init(_ launch: Launch, host: HostSetup) throws {
        self.launch = launch
        self.host = host
        directory = AttemptPaths.attempt(host.dataDirectory, key: launch.key)
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
