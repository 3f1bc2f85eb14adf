// The content cache on disk: finished nodes by the digest of their work and inputs, and whether all that they gave
// is still there. Calls block.

import Artifacts
package import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

/// A finished node as the cache keeps it, in an entry of the memoization table.
package struct ContentEntry: Sendable, Hashable {
    /// The cache's name in that table.
    package static let cacheName = WorkflowState.cacheAnnotation
    /// Entries that `why` looks through at most.
    package static let searchLimit = 20_000

    package var record: ContentRecord
    /// SHA-256 of the artifacts, by name.
    package var digests: [String: String]

    package var json: JSONValue {
        var members = record.json.objectValue ?? [:]
        members["digests"] = .object(digests.mapValues(JSONValue.string))
        return .object(members)
    }

    package init(record: ContentRecord, digests: [String: String]) {
        self.record = record
        self.digests = digests
    }

    /// Nil for an entry of another version.
    package init?(_ json: JSONValue) {
        guard let record = ContentRecord(json) else { return nil }
        self.init(record: record, digests: Fields(json).textMap("digests"))
    }

    /// The finished nodes of a namespace, the newest first.
    package static func all(in store: Store, namespace: String) async throws -> [ContentEntry] {
        try await store.cacheEntries(namespace: namespace, cache: cacheName).prefix(searchLimit)
            .compactMap { ContentEntry($0.outputs) }
            .sorted { $0.record.finishedAt > $1.record.finishedAt }
    }
}

/// Reads and writes the artifacts' side of it.
struct ContentArtifacts: Sendable {
    let store: LocalArtifactStore
    let namespace: String

    /// The request's fields with a digest for each input; nil where the content of one is not known before the
    /// step runs.
    func fields(of request: ContentRequest) -> [String: String]? {
        var fields = request.fields
        for artifact in request.artifacts {
            guard let digest = digest(of: artifact) else { return nil }
            fields["inputs.artifacts.\(artifact.name)"] = digest
            if let path = artifact.path { fields["inputs.artifacts.\(artifact.name).path"] = path }
        }
        return fields
    }

    private func digest(of artifact: Artifact) -> String? {
        do {
            switch try ArtifactLocation(artifact) {
            case .raw(let data): return ContentDigest.sha256(Array(data.utf8))
            case .key(let key):
                guard let whole = try store.resolve(key: key, namespace: namespace),
                    let tree = try store.part(of: whole, path: artifact.subPath ?? "")
                else { return artifact.optional ? "absent" : nil }
                return tree.hash
            // What is elsewhere may have changed since.
            case .http, .git, .s3: return nil
            case nil: return artifact.optional ? "absent" : nil
            }
        } catch {
            return nil
        }
    }

    /// The digests of what a node gave; nil if something lies where it cannot be looked after.
    func digests(of outputs: Outputs) -> [String: String]? {
        var digests: [String: String] = [:]
        for artifact in outputs.artifacts {
            guard let tree = tree(of: artifact) else { return nil }
            digests[artifact.name] = tree.hash
        }
        return digests
    }

    private func tree(of artifact: Artifact) -> StoredTree? {
        guard !artifact.deleted, case .key(let key)? = try? ArtifactLocation(artifact),
            let tree = try? store.resolve(key: key, namespace: namespace)
        else { return nil }
        return tree
    }

    /// The outputs of an entry for another node, if every byte of them is there. Artifacts that were named after
    /// the run that made them get a name after the one that takes them over, so that either may be deleted.
    func outputs(of entry: ContentEntry, for place: String) -> Outputs? {
        var outputs = entry.record.outputs
        for (index, artifact) in outputs.artifacts.enumerated() {
            guard let tree = tree(of: artifact), tree.hash == entry.digests[artifact.name],
                store.isWhole(tree), case .key(let key)? = try? ArtifactLocation(artifact)
            else { return nil }
            guard key.hasPrefix(entry.record.workflowName + "/") else { continue }
            let own = "\(place)/\(artifact.name)"
            do {
                try store.publish(key: own, namespace: namespace, tree: tree)
            } catch {
                return nil
            }
            outputs.artifacts[index] = ArtifactLocation.located(artifact, key: own)
        }
        return outputs
    }
}
