// Lays a step's input artifacts where the step will look for them.

import Artifacts
import Glibc
import Scheduling
import WorkflowLanguage

struct StepInputs {
    let plan: StepPlan
    let transfer: ArtifactTransfer

    /// An input that could not be had.
    struct Failure: Error, CustomStringConvertible {
        let artifact: String
        let cause: any Error

        var description: String { "failed to load artifact '\(artifact)': \(cause)" }
    }

    /// Loads all of them.
    /// - Returns: binds for those that cannot lie in the step's root itself.
    func load() throws -> [SupervisorSpec.Bind] {
        var binds: [SupervisorSpec.Bind] = []
        for artifact in plan.launch.inputs.artifacts {
            do {
                if let bind = try load(artifact) { binds.append(bind) }
            } catch let error as ArtifactError where error.kind == .notFound && artifact.optional {
                continue
            } catch {
                throw Failure(artifact: artifact.name, cause: error)
            }
        }
        return binds
    }

    /// Where the step finds an artifact: at its path, or by its name when it is one of our own steps.
    static func target(_ artifact: Artifact, in template: Template) -> String? {
        if let path = artifact.path, !path.isEmpty { return StepView.normal(path) }
        guard case .martlet = template.kind else { return nil }
        return "\(StepPlan.inputsTarget)/\(AttemptPaths.name(artifact.name))"
    }

    private func load(_ artifact: Artifact) throws -> SupervisorSpec.Bind? {
        guard let target = Self.target(artifact, in: plan.template) else { return nil }
        // Our own steps never write to their inputs, so they may read the store's own bytes, behind a
        // read-only bind.
        if case .martlet = plan.template.kind, !plan.host.isPlain {
            let path = try load(artifact, besideRootFor: target, access: .readOnly)
            return .init(source: path, target: target, access: .readOnly)
        }
        if plan.host.isPlain {
            try loadPlain(artifact, at: target)
            return nil
        }
        if let mount = plan.view.mount(of: target), mount.readOnly || mount.target == target {
            let path = try load(artifact, besideRootFor: target, access: .writable)
            return .init(source: path, target: target, access: .readWrite)
        }
        let path = try plan.view.resolve(target, followsLast: false)
        try Disk.makeDirectories(Disk.parent(of: path))
        // A volume that is kept may still have what an earlier step got there.
        if Disk.status(path) != nil { Disk.removeTree(path) }
        try transfer.load(artifact, at: path)
        return nil
    }

    private func load(
        _ artifact: Artifact, besideRootFor target: String, access: LocalArtifactStore.Access
    ) throws -> String {
        try Disk.makeDirectories(plan.directory + "/inputs")
        let path = "\(plan.directory)/inputs/\(AttemptPaths.name(artifact.name))"
        try transfer.load(artifact, at: path, access: access)
        return path
    }

    /// Without a sandbox the path is the machine's: files are replaced, but directories only where they may
    /// be ours.
    private func loadPlain(_ artifact: Artifact, at target: String) throws {
        let isOwn = target.hasPrefix(StepPlan.martletDirectory + "/")
        let path = isOwn ? plan.root + target : target
        try Disk.makeDirectories(Disk.parent(of: path))
        let fresh = "\(path).martlet-\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(fresh) }
        try transfer.load(artifact, at: fresh)
        if rename(fresh, path) == 0 { return }
        guard path.hasPrefix("/tmp/") || isOwn, Disk.removeTree(path), rename(fresh, path) == 0 else {
            throw ArtifactError(
                .permissionDenied, path: path, problem: "is in the way of the artifact",
                remedy: "move it away; without a sandbox a step's paths are the machine's")
        }
    }
}
