// `podGC`: which pods of a run are deleted, and how long after they ended. When, the scheduler says.

package import Text
import WorkflowLanguage

/// What a workflow says of the pods that have done their work. It is noted at each pod, so that a server that
/// did not begin the run knows it, too.
package struct PodGarbage: Sendable, Hashable {
    /// Where it stands at a pod.
    package static let annotation = "martlet.dev/pod-gc"
    /// From when on a pod is to be deleted, where that is later than now.
    package static let dueAnnotation = "martlet.dev/delete-after"

    /// `podGC` as it was written, its tags replaced.
    private let json: JSONValue?
    private var fields: Fields { Fields(json) }

    package init(_ json: JSONValue?) { self.json = json }

    /// As noted at a pod; one without a note is deleted when the scheduler says so.
    package init(notedAt pod: JSONValue) {
        let note = Fields(pod["metadata"]).textMap("annotations")[Self.annotation]
        self.init(note.flatMap { try? JSONValue(parsingUTF8: Array($0.utf8)) })
    }

    /// The note; nil where there is nothing to note.
    package var note: String? {
        guard fields["labelSelector"] != nil || delay > .zero else { return nil }
        var members = fields.members
        members["strategy"] = nil
        return JSONValue.object(members).compactText
    }

    /// Nothing for a duration that is none; validation has refused those.
    package var delay: Duration {
        guard let text = fields.text("deleteDelayDuration"), !text.isEmpty else { return .zero }
        return GoDuration.parse(text) ?? Int(text).map { .seconds($0) } ?? .zero
    }

    /// Whether the pod is one of those that are meant; without a selector all are.
    package func selects(_ pod: JSONValue) -> Bool {
        guard let selector = fields["labelSelector"] else { return true }
        return ObjectSelector(selector).matches(Fields(pod["metadata"]).textMap("labels"))
    }
}

/// Kubernetes' LabelSelector: `matchLabels` and `matchExpressions`, all of which must hold.
package struct ObjectSelector: Sendable {
    private let fields: Fields

    package init(_ json: JSONValue) { fields = Fields(json) }

    package func matches(_ labels: [String: String]) -> Bool {
        let wanted = fields.textMap("matchLabels")
        guard wanted.allSatisfy({ labels[$0.key] == $0.value }) else { return false }
        return fields.list("matchExpressions").allSatisfy { json in
            let expression = Fields(json)
            let value = expression.text("key").flatMap { labels[$0] }
            let values = expression.strings("values")
            switch expression.text("operator") {
            case "In": return value.map(values.contains) ?? false
            case "NotIn": return value.map { !values.contains($0) } ?? true
            case "Exists": return value != nil
            case "DoesNotExist": return value == nil
            // What is not known selects nothing, so that nothing is deleted by mistake.
            default: return false
            }
        }
    }
}
