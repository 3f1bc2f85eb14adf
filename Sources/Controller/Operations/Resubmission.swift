// The definition of a new run like an old one.

package import Scheduling
package import Text
import WorkflowLanguage

package enum Resubmission {
    /// The label that tells where a run came from.
    package static let label = "workflows.argoproj.io/resubmitted-from-workflow"

    /// Labels that say something of the old run alone.
    private static let dropped: Set = [
        "workflows.argoproj.io/phase", "workflows.argoproj.io/completed", "workflows.argoproj.io/creator",
        "workflows.argoproj.io/creator-email", "workflows.argoproj.io/creator-preferred-username",
        "workflows.argoproj.io/workflow-archiving-status",
    ]

    /// The definition of a new run like an old one, with the arguments that the old one was given and others
    /// over them.
    package static func definition(
        of old: RunDefinition, parameters: [(name: String, value: String)], priority: Int? = nil,
        creator: String? = nil, at now: Timestamp
    ) -> RunDefinition {
        let metadata = ObjectMetadata(old.manifest["metadata"])
        var options = SubmissionOptions()
        options.generateName = metadata.generateName.isEmpty ? old.name + "-" : metadata.generateName
        options.namespace = old.namespace
        options.entrypoint = old.spec.entrypoint.isEmpty ? nil : old.spec.entrypoint
        options.labels = [label: old.name]
        options.priority = priority
        options.creator = creator
        options.parameters =
            old.spec.arguments.parameters.compactMap { parameter in
                parameter.value.map { (parameter.name, $0) }
            }
            + parameters
        return Submission.definition(
            of: cleaned(old.manifest), catalog: old.catalog, options: options, at: now)
    }

    /// The manifest without what the old run alone was told: labels of its outcome, an early end.
    private static func cleaned(_ manifest: JSONValue) -> JSONValue {
        guard var members = manifest.objectValue else { return manifest }
        if var metadata = members["metadata"]?.objectValue, let labels = metadata["labels"]?.objectValue {
            metadata["labels"] = .object(labels.filter { !dropped.contains($0.key) })
            members["metadata"] = .object(metadata)
        }
        if var spec = members["spec"]?.objectValue {
            spec["shutdown"] = nil
            members["spec"] = .object(spec)
        }
        return .object(members)
    }
}
