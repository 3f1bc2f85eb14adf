// Makes an attempt's directory ready and writes what its supervisor shall run.

import Artifacts
import Glibc
import Scheduling
import Text
import WorkflowLanguage

struct StepPreparation {
    let plan: StepPlan
    let values: LaunchValues
    let transfer: ArtifactTransfer
    let gpus: [Int]

    /// Directories that programs expect; the rest comes from the machine or from the manifest.
    private static let requestPath = "/.martlet/http.json"
    private static let skeleton = ["root", "run", "mnt", "home", "var", "var/tmp", ".martlet"]

    /// Everything but the start. What an earlier try left is deleted first.
    /// - Throws: errors whose text says what the user can do.
    func perform() throws {
        let lock = try takeDirectory()
        defer { if lock >= 0 { close(lock) } }
        try makeRoot()
        let secrets = StepSecrets(plan.launch, values: values)
        let memory = secrets.isEmpty ? nil : try SecretMemory.make(plan.host.dataDirectory, plan.launch.key)
        for name in Set(plan.volumeMounts.map(\.volume)).sorted() {
            try plan.volumes.prepare(
                name, attemptDirectory: plan.directory, launch: plan.launch, values: values)
        }
        if plan.host.isPlain { try linkPlainMounts() }
        let inputs = try StepInputs(plan: plan, transfer: transfer).load()
        try writeOwnFiles(memory)
        var spec = try spec(inputs, memory)
        spec.covered = secrets.words
        try spec.write(to: plan.directory, memoryDirectory: memory)
    }

    /// Creates the directory. One that exists is emptied while its lock is held: a supervisor that an engine
    /// before this one started may only now come to its lock, and must find either the old files or the new
    /// ones.
    private func takeDirectory() throws -> Int32 {
        let directory = plan.directory
        if mkdir(directory, 0o755) == 0 { return -1 }
        if errno == ENOENT {
            try Disk.makeDirectories(directory)
            return -1
        }
        let lock = open(directory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw ArtifactError(errno: errno, path: directory + "/lock", while: "open") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0, !Disk.exists(directory + "/started") else {
            close(lock)
            throw AlreadyStarted()
        }
        for name in Disk.list(directory) ?? [] where name != "lock" {
            Disk.removeTree("\(directory)/\(name)")
        }
        return lock
    }

    /// Another supervisor of the attempt was quicker: it is watched instead.
    struct AlreadyStarted: Error {}

    private func makeRoot() throws {
        try Disk.makeDirectories(plan.root)
        for name in Self.skeleton { try makeDirectory("\(plan.root)/\(name)") }
        try Disk.makeDirectories(plan.checkpoints)
        if !gpus.isEmpty {
            let list = gpus.map(String.init).joined(separator: ",")
            try Disk.write(Array(list.utf8), to: plan.directory + "/gpus")
        }
    }

    private func makeDirectory(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw ArtifactError(errno: errno, path: path, while: "create the directory")
        }
    }

    /// Without a sandbox a mount is a link on the machine, where nothing else has that name.
    private func linkPlainMounts() throws {
        for place in plan.volumeMounts {
            let source = try plan.source(of: place)
            if Disk.linkTarget(place.target)?.hasPrefix(plan.host.dataDirectory) == true {
                unlink(place.target)
            }
            try Disk.makeDirectories(Disk.parent(of: place.target))
            guard source == place.target || symlink(source, place.target) == 0 else {
                throw StepVolumes.Problem(
                    description:
                        "nothing can be mounted at \(place.target) without a sandbox: it exists on this "
                        + "machine; use another mountPath")
            }
        }
    }

    private func writeOwnFiles(_ memory: String?) throws {
        switch plan.template.kind {
        case .script(_, let source):
            let path = plan.root + StepPlan.scriptPath
            try Disk.makeDirectories(Disk.parent(of: path))
            try Disk.write(Array(source.utf8), to: path, mode: 0o755)
        case .martlet(let step):
            try makeDirectory(plan.root + StepPlan.outputsTarget)
            let path = plan.root + "/.martlet/step.json"
            try Disk.write(Array(parameters(of: step).compactText.utf8), to: path)
        case .http(let request):
            let spec = try HTTPRequestStep.specification(
                request, values: values, directory: plan.shown("/.martlet"))
            let path = plan.root + Self.requestPath
            guard let memory else {
                return try Disk.write(Array(spec.compactText.utf8), to: path, mode: 0o600)
            }
            try Disk.write(Array(spec.compactText.utf8), to: memory + "/http.json", mode: 0o600)
            // In the sandbox the file is bound there; without one a link leads to it.
            if plan.host.isPlain, symlink(memory + "/http.json", path) != 0 {
                throw ArtifactError(errno: errno, path: path, while: "link")
            }
        default: break
        }
    }

    /// The parameters as written, and for each input artifact that is there its path under its name.
    private func parameters(of step: MartletStep) -> JSONValue {
        var members = step.parameters.objectValue ?? [:]
        for artifact in plan.launch.inputs.artifacts where members[artifact.name] == nil {
            guard let target = StepInputs.target(artifact, in: plan.template) else { continue }
            let isBound = Disk.exists("\(plan.directory)/inputs/\(AttemptPaths.name(artifact.name))")
            let path =
                plan.host.isPlain && target.hasPrefix(StepPlan.martletDirectory) ? plan.root + target : target
            if isBound || Disk.exists(path) { members[artifact.name] = .string(path) }
        }
        return .object(members)
    }

    private func spec(_ inputs: [SupervisorSpec.Bind], _ memory: String?) throws -> SupervisorSpec {
        var spec = SupervisorSpec(
            containers: try StepContainers.containers(plan: plan, values: values, gpus: gpus))
        spec.sandbox = plan.host.sandbox
        spec.root = plan.root
        spec.grace = .seconds(plan.host.settings.graceSeconds)
        spec.deadline = plan.launch.deadlineSeconds.map { .milliseconds(Int64($0 * 1000)) }
        guard !plan.host.isPlain else {
            for index in spec.containers.indices { place(&spec.containers[index]) }
            return spec
        }
        let programs = plan.programs
        let mounts = try plan.volumeMounts.map { place in
            SupervisorSpec.Bind(
                source: try source(of: place), target: place.target,
                access: place.readOnly ? .readOnly : .readWrite)
        }
        let named = plan.namedPaths.map {
            SupervisorSpec.Bind(source: $0, target: $0, access: .readOnly)
        }
        let wanted =
            (named + mounts + inputs).map(\.target)
            + spec.containers.map { StepView.normal($0.workingDirectory) }
        let places = wanted.map { StepView.following(programs.links, $0) }
        spec.links = programs.links
        spec.binds = try HostOpening(root: plan.root).open(places, in: programs.binds)
        spec.binds += plan.host.devices
        if let links = plan.host.programLinks {
            spec.binds.append(.init(source: links, target: HostSetup.programLinksTarget, access: .readOnly))
        }
        spec.binds.append(
            .init(source: plan.checkpoints, target: StepPlan.checkpointTarget, access: .readWrite))
        switch plan.template.kind {
        case .martlet, .http:
            let program = plan.host.settings.martletExecutablePath
            spec.binds.append(.init(source: program, target: HostSetup.martletTarget, access: .readOnly))
        default: break
        }
        if let memory, case .http = plan.template.kind {
            spec.binds.append(
                .init(source: memory + "/http.json", target: Self.requestPath, access: .readOnly))
        }
        spec.binds += named + mounts + inputs.sorted { $0.target < $1.target }
        return spec
    }

    /// A subPath names a directory that is made when it is missing.
    private func source(of place: StepPlan.VolumePlace) throws -> String {
        let path = try plan.source(of: place)
        if !place.subPath.isEmpty && !Disk.exists(path) { try Disk.makeDirectories(path) }
        return path
    }

    /// Without a sandbox nobody makes a working directory.
    private func place(_ container: inout SupervisorSpec.Container) {
        if container.workingDirectory != "/" { try? Disk.makeDirectories(container.workingDirectory) }
    }
}
