// A fake content cache. What an artifact holds is told by the content of the node that made it, so that the same
// work on the same inputs gives the same bytes.

import Scheduling
import Text
import WorkflowLanguage

struct FakeContent {
    var records: [String: ContentRecord] = [:]
    /// Content of artifacts by their keys.
    private var digests: [String: String] = [:]
    /// Artifacts that somebody deleted.
    var deleted: Set<String> = []

    func answer(_ request: ContentRequest, reads: Bool) -> ContentAnswer {
        var fields = request.fields
        for artifact in request.artifacts {
            let place = Self.place(of: artifact)
            fields["inputs.artifacts.\(artifact.name)"] = digests[place] ?? place
        }
        let key = ContentDigest.sha256(of: fields)
        var answer = ContentAnswer(key: key, fields: fields)
        guard reads, let record = records[key],
            !record.outputs.artifacts.contains(where: { deleted.contains(Self.place(of: $0)) })
        else { return answer }
        answer.outputs = record.outputs
        answer.origin = "\(record.nodeName) of \(record.workflowName)"
        return answer
    }

    mutating func keep(_ record: ContentRecord) {
        records[record.key] = record
        for artifact in record.outputs.artifacts {
            digests[Self.place(of: artifact)] = "\(artifact.name) of \(record.key)"
        }
    }

    private static func place(of artifact: Artifact) -> String {
        artifact.location?.settings["key"]?.stringValue ?? artifact.location?.settings.compactText ?? ""
    }
}
