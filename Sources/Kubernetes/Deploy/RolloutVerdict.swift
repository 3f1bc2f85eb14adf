// What a Deployment's status means for the step that rolls it out, as a pure function.

package import Text
import WorkflowLanguage

package enum RolloutVerdict: Sendable, Hashable {
    /// On its way; the text says how far.
    case progressing(String)
    case complete
    /// It will not come up by itself.
    case failed(String)

    package init(_ deployment: JSONValue) {
        let status = Fields(deployment["status"])
        let generation = deployment["metadata"]?["generation"]?.intValue ?? 0
        guard (status.int("observedGeneration") ?? 0) >= generation else {
            self = .progressing("the cluster has not seen the new revision yet")
            return
        }
        func condition(_ type: String) -> Fields? {
            status.list("conditions").map { Fields($0) }.first { $0.string("type") == type }
        }
        let progress = condition("Progressing")
        if progress?.string("status") == "False", progress?.string("reason") == "ProgressDeadlineExceeded" {
            let why =
                condition("ReplicaFailure").flatMap { $0.string("message") } ?? progress?.string("message")
                ?? ""
            self = .failed("it was not ready in time\(why.isEmpty ? "" : ": \(why)")")
            return
        }
        let wanted = deployment["spec"]?["replicas"]?.intValue ?? 1
        // Nothing serves, though the cluster is content.
        if wanted == 0 {
            self = .progressing("it is scaled to no replicas")
            return
        }
        let updated = status.int("updatedReplicas") ?? 0
        let ready = status.int("availableReplicas") ?? 0
        let all = status.int("replicas") ?? 0
        if updated >= wanted && all == updated && ready >= wanted {
            self = .complete
            return
        }
        var text = "\(updated) of \(wanted) replicas are new, \(ready) available"
        if let failure = condition("ReplicaFailure"), failure.string("status") == "True" {
            text += "; \(failure.string("message") ?? "")"
        }
        self = .progressing(text)
    }

    /// How far a roll-out has come, as a number that grows with each new pod, each that is ready, and each
    /// old one that goes.
    package static func distance(_ deployment: JSONValue) -> Int {
        let status = Fields(deployment["status"])
        let updated = status.int("updatedReplicas") ?? 0
        let old = (status.int("replicas") ?? 0) - updated
        return updated - old + (status.int("availableReplicas") ?? 0)
    }
}
