// What a cluster does with Deployments, as far as roll-outs need it: a status that follows from what a test
// says of the pods' template, and a deadline for those that never come up.

import Kubernetes
import Synchronization
package import Text
import WorkflowLanguage

package final class FakeDeploymentController: Sendable {
    private let objects: FakeObjects
    private let pause: Duration
    /// Whether pods of a template come up.
    private let comesUp: @Sendable (_ template: JSONValue) -> Bool
    /// Whether a deadline is kept for those that do not; a cluster keeps none for a Deployment whose
    /// template was there before at no replicas.
    private let keepsDeadline: Bool

    package init(
        objects: FakeObjects, keepsDeadline: Bool = true, pause: Duration = .milliseconds(10),
        comesUp: @escaping @Sendable (_ template: JSONValue) -> Bool
    ) {
        self.objects = objects
        self.pause = pause
        self.keepsDeadline = keepsDeadline
        self.comesUp = comesUp
    }

    /// Looks after all Deployments until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            step()
            try? await Task.sleep(for: pause)
        }
    }

    /// Looks at each Deployment once.
    package func step() {
        let place = ObjectPlace(group: "apps", resource: "deployments", namespace: "")
        for deployment in objects.list(place, labels: LabelTerms("")).items { try? look(after: deployment) }
    }

    private func look(after deployment: JSONValue) throws(Refusal) {
        guard let name = deployment["metadata"]?["name"]?.stringValue,
            let namespace = deployment["metadata"]?["namespace"]?.stringValue
        else { return }
        let replicas = deployment["spec"]?["replicas"]?.intValue ?? 1
        let isGood = comesUp(deployment["spec"]?["template"] ?? .null)
        var status: [String: JSONValue] = [
            "replicas": .int(replicas), "updatedReplicas": .int(replicas),
            "availableReplicas": .int(isGood ? replicas : 0),
        ]
        status["observedGeneration"] = deployment["metadata"]?["generation"]
        status["conditions"] = [
            isGood || replicas == 0 || !keepsDeadline
                ? ["type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"]
                : [
                    "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                    "message": "ReplicaSet has timed out progressing.",
                ]
        ]
        let wanted = JSONValue.object(status)
        guard deployment["status"] != wanted else { return }
        let place = ObjectPlace(
            group: "apps", resource: "deployments", namespace: namespace, name: name, subresource: "status")
        _ = try objects.update(place) { object in
            var members = object.objectValue ?? [:]
            members["status"] = wanted
            return .object(members)
        }
    }
}
