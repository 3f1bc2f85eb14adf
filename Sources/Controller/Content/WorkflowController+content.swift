// What the controller does for the content cache: digests, the question, and the entry of a node that has finished.

import Artifacts
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension WorkflowController {
    func lookUp(
        _ request: ContentRequest, for id: NodeID, reads: Bool, _ uid: String
    ) async throws -> ContentAnswer {
        guard let artifacts, let state = runs[uid]?.state, let node = state.nodes[id] else {
            return ContentAnswer()
        }
        let space = namespace(uid)
        let files = ContentArtifacts(store: artifacts, namespace: space)
        let version = settings.codeVersion
        let known = try await Blocking.run { () -> [String: String]? in
            guard var fields = files.fields(of: request) else { return nil }
            if request.isBuiltIn { fields["martlet"] = version() }
            return fields
        }
        guard let fields = known else { return ContentAnswer() }
        var answer = ContentAnswer(key: ContentDigest.sha256(of: fields), fields: fields)
        guard reads, let key = answer.key,
            let stored = try await store.cacheEntry(
                namespace: space, cache: ContentEntry.cacheName, key: key),
            let entry = ContentEntry(stored.outputs), entry.record.fields == fields
        else { return answer }
        let pod = Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
        let place = "\(state.name)/\(pod)"
        answer.outputs = try await Blocking.run { files.outputs(of: entry, for: place) }
        guard answer.outputs != nil else { return answer }
        answer.origin = "\(entry.record.nodeName) of \(entry.record.workflowName)"
        try await store.touchCacheEntry(namespace: space, cache: ContentEntry.cacheName, key: key, at: now())
        return answer
    }

    func keep(_ record: ContentRecord, of id: NodeID, _ uid: String) async throws {
        guard let artifacts else { return }
        let space = namespace(uid)
        let files = ContentArtifacts(store: artifacts, namespace: space)
        guard let digests = try await Blocking.run({ files.digests(of: record.outputs) }) else { return }
        let moment = now()
        try await store.saveCacheEntry(
            CacheEntry(
                key: record.key, nodeID: id, outputs: ContentEntry(record: record, digests: digests).json,
                createdAt: moment, lastHitAt: moment), namespace: space, cache: ContentEntry.cacheName)
    }
}
