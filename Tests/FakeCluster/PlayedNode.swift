// A node that only plays: pods are placed, run and succeed without any process, after the time that their
// annotation says. For measurements of the controller, and for tests with thousands of pods.

import Dispatch
import Text
import WorkflowLanguage

package final class PlayedNode: Sendable {
    /// How long a pod runs: milliseconds, or `forever`; without it pods end at once.
    package static let annotation = "fake.martlet.dev/run-for"
    /// What the pod's containers leave as their termination message.
    package static let says = "fake.martlet.dev/says"

    private let objects: FakeObjects
    private let queue = DispatchQueue(label: "played-node")
    private let name: String

    package init(_ objects: FakeObjects, name: String = "played-node") {
        self.objects = objects
        self.name = name
    }

    /// From now on pods are looked after.
    package func start() {
        objects.attach { [self] change, _ in
            guard change.place.resource == "pods", change.kind != "DELETED" else { return }
            queue.async { [self] in take(change.place) }
        }
    }

    /// Looks at the pod as it is now, so that it does not matter how often this is called.
    private func take(_ place: ObjectPlace) {
        guard let pod = try? objects.get(place) else { return }
        if pod.isLeaving {
            // Its finalizers may still keep it.
            _ = try? objects.delete(place, options: ["gracePeriodSeconds": 0])
            return
        }
        let node = pod["spec"]?["nodeName"]?.stringValue
        let isWaiting = pod["spec"]?["schedulingGates"]?.arrayValue?.isEmpty == false
        if node == nil && !isWaiting {
            _ = try? objects.update(place, isBinding: true) { [name] in
                $0.setting(["spec", "nodeName"], to: .string(name))
            }
        } else if node == name, pod["status"]?["phase"] == "Pending" {
            report(place, Self.status(pod, "Running"))
            let words = pod["metadata"]?["annotations"]?[Self.annotation]?.stringValue ?? "0"
            guard let pause = Int(words) else { return }
            queue.asyncAfter(deadline: .now() + .milliseconds(pause)) { [self] in finish(place, pod.uid) }
        }
    }

    private func finish(_ place: ObjectPlace, _ uid: String) {
        guard let pod = try? objects.get(place), pod.uid == uid, !pod.isLeaving,
            pod["status"]?["phase"] == "Running"
        else { return }
        report(place, Self.status(pod, "Succeeded"))
    }

    private func report(_ place: ObjectPlace, _ status: JSONValue) {
        var target = place
        target.subresource = "status"
        _ = try? objects.update(target) { $0.setting(["status"], to: status) }
    }

    private static func status(_ pod: JSONValue, _ phase: String) -> JSONValue {
        let isOver = phase == "Succeeded"
        let message = pod["metadata"]?["annotations"]?[Self.says] ?? ""
        let state: JSONValue =
            isOver
            ? ["terminated": ["exitCode": 0, "reason": "Completed", "message": message]] : ["running": [:]]
        func statuses(_ list: String) -> JSONValue {
            .array(
                (pod["spec"]?[list]?.arrayValue ?? []).map { container in
                    [
                        "name": container["name"] ?? "", "image": container["image"] ?? "", "imageID": "",
                        "restartCount": 0, "ready": .bool(!isOver), "state": state,
                    ]
                })
        }
        return [
            "phase": .string(phase), "podIP": "127.0.0.1", "hostIP": "127.0.0.1",
            "conditions": [["type": "Ready", "status": isOver ? "False" : "True"]],
            "initContainerStatuses": statuses("initContainers"), "containerStatuses": statuses("containers"),
        ]
    }
}
