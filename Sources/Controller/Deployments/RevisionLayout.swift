// Lays out what a revision serves, where nobody else deletes or changes it.

import Artifacts
import Glibc
import Persistence
import Scheduling
import WorkflowLanguage

struct RevisionLayout: Sendable {
    let directory: String
    let launch: Launch
    let spec: DeploymentSpec
    let artifacts: LocalArtifactStore
    let registry: ModelOperations

    /// May be repeated: what is there whole stays.
    /// - Returns: the content hash of the model; empty where it is a directory of the machine.
    func perform() async throws -> String {
        let directory = directory
        try await BlockingThreads.run { try Disk.makeDirectories(directory + "/adapters", mode: 0o700) }
        let hash = try await place("model", given: spec.model, at: directory + "/model")
        guard let hash else {
            throw DeploymentProblem(
                "deploy needs a model: give it an input artifact named model, or `model: NAME` of the registry"
            )
        }
        _ = try await place("adapter", given: nil, at: directory + "/adapters/adapter")
        for (name, place) in spec.adapters.sorted(by: { $0.key < $1.key }) {
            guard RepositoryWords.isPart(name) else {
                throw DeploymentProblem(
                    "adapters: \"\(name.prefix(80))\" is no name; use letters, digits and -_.")
            }
            _ = try await self.place("adapter", given: place, at: directory + "/adapters/" + name)
        }
        return hash
    }

    /// - Returns: the content's hash, empty without one; nil if nothing was given.
    private func place(_ name: String, given: String?, at path: String) async throws -> String? {
        let artifact = launch.inputs.artifacts.first { $0.name == name }
        if let given, !Self.means(given, artifact) { return try await place(given, at: path) }
        guard let artifact else { return nil }
        let (artifacts, namespace) = (artifacts, launch.namespace)
        return try await BlockingThreads.run { () -> String? in
            // Bytes are shared with the store where they can be: nobody writes here.
            let transfer = ArtifactTransfer(store: artifacts, namespace: namespace) { _, _ in nil }
            do {
                try Self.once(path) { try transfer.load(artifact, at: $0, access: .readOnly) }
            } catch let error as ArtifactError where error.kind == .notFound && artifact.optional {
                return nil
            }
            guard case .key(let key)? = try ArtifactLocation(artifact) else { return "" }
            return try artifacts.resolve(key: key, namespace: namespace)?.hash ?? ""
        }
    }

    /// A step writes where it would find its input; here that is the input.
    private static func means(_ given: String, _ artifact: Artifact?) -> Bool {
        guard let artifact else { return false }
        return given == artifact.path || given == "/.martlet/inputs/\(artifact.name)"
    }

    private func place(_ given: String, at path: String) async throws -> String {
        guard !given.hasPrefix("/") else {
            try await BlockingThreads.run {
                guard Disk.exists(given) else {
                    throw DeploymentProblem("there is no directory \(given) on this machine")
                }
                guard !Disk.exists(path) else { return }
                guard symlink(given, path) == 0 else {
                    throw ArtifactError(errno: errno, path: path, while: "link")
                }
            }
            return ""
        }
        let model = try await registry.model(given, namespace: launch.namespace)
        let shelf = registry.shelf
        try await BlockingThreads.run { try Self.once(path) { try shelf.link(model, to: $0) } }
        return model.sha256
    }

    /// Half of what was cut off is done anew.
    private static func once(_ path: String, _ make: (String) throws -> Void) throws {
        if Disk.exists(path) { return }
        let part = path + ".part"
        Disk.removeTree(part)
        try make(part)
        guard rename(part, path) == 0 else { throw ArtifactError(errno: errno, path: path, while: "name") }
    }
}

/// Names that may stand in addresses and paths.
package enum RepositoryWords {
    /// Letters, digits and `-_.`, not beginning with a dot or dash; at most 96 bytes, as the Hub has it.
    package static func isPart(_ text: String) -> Bool {
        guard (1...96).contains(text.utf8.count), let first = text.utf8.first, first != UInt8(ascii: "."),
            first != UInt8(ascii: "-"), !text.contains("--"), !text.contains("..")
        else { return false }
        return text.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
                || "-_.".utf8.contains(byte)
        }
    }
}
