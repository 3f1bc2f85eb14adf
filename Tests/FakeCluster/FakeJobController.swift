// What a cluster does with Indexed Jobs, as far as groups of nodes need it: pods by index, ends, failures,
// suspension.

import Kubernetes
import Synchronization
package import Text
import WorkflowLanguage

package final class FakeJobController: Sendable {
    private static let pause = Duration.milliseconds(20)
    private static let index = "batch.kubernetes.io/job-completion-index"

    private let objects: FakeObjects
    private let now: @Sendable () -> Timestamp
    /// Indices whose pods were made, by the Job's uid: a pod that has vanished counts as failed.
    private let made = Mutex<[String: Set<Int>]>([:])

    package init(objects: FakeObjects, now: @escaping @Sendable () -> Timestamp) {
        self.objects = objects
        self.now = now
    }

    /// Looks after all Jobs until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            step()
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// Looks at each Job once.
    package func step() {
        let place = ObjectPlace(group: "batch", resource: "jobs", namespace: "")
        for job in objects.list(place, labels: LabelTerms("")).items { try? look(after: job) }
    }

    // MARK: One Job

    private func look(after job: JSONValue) throws(Refusal) {
        if has("Complete", job) || has("Failed", job) { return }
        guard let uid = job["metadata"]?["uid"]?.stringValue,
            let count = job["spec"]?["completions"]?.intValue
        else { return }
        let pods = pods(of: job)
        let open = pods.filter { !["Succeeded", "Failed"].contains(Self.phase($0)) }
        if job["spec"]?["suspend"]?.boolValue == true {
            for pod in open { try delete(pod) }
            made.withLock { $0[uid] = nil }
            if !has("Suspended", job) { try note(job, "Suspended", "JobSuspended", "Job suspended") }
            return
        }
        if has("FailureTarget", job) {
            for pod in open where pod["metadata"]?["deletionTimestamp"] == nil { try delete(pod) }
            if open.isEmpty { try note(job, "Failed", "PodFailurePolicy", "a pod failed") }
            return
        }
        let succeeded = Set(pods.filter { Self.phase($0) == "Succeeded" }.compactMap(Self.rank))
        if succeeded.count == count {
            return try note(
                job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        }
        let there = Set(pods.compactMap(Self.rank))
        let vanished = made.withLock { ($0[uid] ?? []).subtracting(there) }
        if pods.contains(where: { Self.phase($0) == "Failed" }) || !vanished.isEmpty {
            return try note(job, "FailureTarget", "PodFailurePolicy", "a pod failed")
        }
        for rank in 0..<count where !there.contains(rank) {
            _ = try objects.create(
                ObjectPlace(resource: "pods", namespace: namespace(job)), pod(rank, of: job, uid: uid))
            made.withLock { _ = $0[uid, default: []].insert(rank) }
        }
    }

    private func namespace(_ object: JSONValue) -> String {
        object["metadata"]?["namespace"]?.stringValue ?? ""
    }
    private func name(_ object: JSONValue) -> String { object["metadata"]?["name"]?.stringValue ?? "" }
    private static func phase(_ pod: JSONValue) -> String { pod["status"]?["phase"]?.stringValue ?? "" }
    private static func rank(_ pod: JSONValue) -> Int? {
        (pod["metadata"]?["annotations"]?[index]?.stringValue).flatMap { Int($0) }
    }

    private func has(_ type: String, _ job: JSONValue) -> Bool {
        (job["status"]?["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == type && $0["status"]?.stringValue == "True"
        }
    }

    private func pods(of job: JSONValue) -> [JSONValue] {
        let place = ObjectPlace(resource: "pods", namespace: namespace(job))
        return objects.list(place, labels: LabelTerms("batch.kubernetes.io/job-name=\(name(job))")).items
            .filter {
                $0["metadata"]?["ownerReferences"]?.arrayValue?.first?["uid"] == job["metadata"]?["uid"]
            }
    }

    private func delete(_ pod: JSONValue) throws(Refusal) {
        try objects.delete(
            ObjectPlace(resource: "pods", namespace: namespace(pod), name: name(pod)), options: [:])
    }

    private func note(_ job: JSONValue, _ type: String, _ reason: String, _ message: String) throws(Refusal) {
        let moment = JSONValue.string(now().rfc3339)
        let place = ObjectPlace(
            group: "batch", resource: "jobs", namespace: namespace(job), name: name(job),
            subresource: "status")
        _ = try objects.update(place) { job in
            var members = job.objectValue ?? [:]
            var status = members["status"]?.objectValue ?? [:]
            let condition: JSONValue = [
                "type": .string(type), "status": "True", "reason": .string(reason),
                "message": .string(message),
                "lastTransitionTime": moment,
            ]
            status["conditions"] = .array((status["conditions"]?.arrayValue ?? []) + [condition])
            members["status"] = .object(status)
            return .object(members)
        }
    }

    // MARK: One pod

    private func pod(_ rank: Int, of job: JSONValue, uid: String) -> JSONValue {
        let template = job["spec"]?["template"] ?? [:]
        var labels = template["metadata"]?["labels"]?.objectValue ?? [:]
        labels["batch.kubernetes.io/job-name"] = .string(name(job))
        labels[Self.index] = .string(String(rank))
        var notes = template["metadata"]?["annotations"]?.objectValue ?? [:]
        notes[Self.index] = .string(String(rank))
        var spec = template["spec"]?.objectValue ?? [:]
        spec["hostname"] = .string("\(name(job))-\(rank)")
        return [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "generateName": .string("\(name(job))-\(rank)-"), "labels": .object(labels),
                "annotations": .object(notes),
                "ownerReferences": [
                    [
                        "apiVersion": "batch/v1", "kind": "Job", "name": .string(name(job)),
                        "uid": .string(uid),
                        "controller": true, "blockOwnerDeletion": true,
                    ]
                ],
            ],
            "spec": .object(spec),
        ]
    }
}
