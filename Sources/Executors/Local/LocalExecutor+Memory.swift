// Memory that is reserved for Martlet's own steps where the manifest asks for none: from the sizes of what they read.

import Artifacts
import Glibc
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension LocalExecutor {
    /// A longer config.json is not looked at.
    private static let configLimitBytes = 1 << 20

    /// What a step of ours will need, by the size of its model; 0 where nothing is known. Never more than the
    /// machine has: the estimate is rough, and a step that cannot fit says so better itself.
    func estimatedMemory(_ launch: Launch) -> Int {
        guard case .martlet(let step) = launch.template.kind else { return 0 }
        var sizes: [String: Int] = [:]
        var shape: ModelShape?
        for artifact in launch.inputs.artifacts {
            guard let tree = storedTree(artifact, namespace: launch.namespace) else { continue }
            let name = StepParameterTable.canonical(artifact.name)
            sizes[name] = tree.bytes
            if step.kind.trains, name == "model" || name == "init_config" {
                shape = modelShape(tree) ?? shape
            }
        }
        let capacity = state.withLock { $0.admission.capacity.memoryBytes }
        return min(StepMemory.bytes(step, inputs: sizes, shape: shape), capacity)
    }

    /// What the store has of an input; nil for what lies elsewhere.
    private func storedTree(_ artifact: Artifact, namespace: String) -> StoredTree? {
        guard case .key(let key)? = try? ArtifactLocation(artifact),
            let tree = try? store.resolve(key: key, namespace: namespace)
        else { return nil }
        return try? store.part(of: tree, path: artifact.subPath ?? "")
    }

    /// The sizes of a model: from a directory's config.json, or from such a file itself.
    private func modelShape(_ tree: StoredTree) -> ModelShape? {
        let part = tree.isDirectory ? try? store.part(of: tree, path: "config.json") : tree
        guard let part, !part.isDirectory, part.bytes <= Self.configLimitBytes,
            let file = try? store.openFile(part)
        else { return nil }
        defer { Glibc.close(file) }
        let bytes = try? Disk.read(descriptor: file, path: "config.json", limitBytes: Self.configLimitBytes)
        guard let bytes, let config = try? JSONValue(parsingUTF8: bytes) else { return nil }
        return ModelShape(config: config)
    }
}
