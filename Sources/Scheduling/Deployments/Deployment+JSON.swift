// A deployment as the database keeps it.

package import Text
import WorkflowLanguage

extension Deployment {
    package var storedJSON: JSONValue {
        .object([
            "replicas": .int(replicas), "active": active.map(JSONValue.int) ?? .null,
            "wanted": wanted.map(JSONValue.int) ?? .null, "deleted": .bool(isDeleted),
            "nextNumber": .int(nextNumber), "createdAt": .int(Int(createdAt.nanoseconds)),
            "updatedAt": .int(Int(updatedAt.nanoseconds)), "revisions": .array(revisions.map(\.storedJSON)),
        ])
    }

    /// Nil for what another version of Martlet wrote.
    package init?(name: String, namespace: String, stored: JSONValue) {
        guard let replicas = stored["replicas"]?.intValue, let created = stored["createdAt"]?.intValue,
            let updated = stored["updatedAt"]?.intValue, let next = stored["nextNumber"]?.intValue
        else { return nil }
        self.init(
            name: name, namespace: namespace, replicas: replicas, at: Timestamp(nanoseconds: Int64(created)))
        updatedAt = Timestamp(nanoseconds: Int64(updated))
        nextNumber = next
        active = stored["active"]?.intValue
        wanted = stored["wanted"]?.intValue
        isDeleted = stored["deleted"]?.boolValue ?? false
        revisions = (stored["revisions"]?.arrayValue ?? []).compactMap(DeploymentRevision.init(stored:))
    }
}

extension DeploymentRevision {
    fileprivate var storedJSON: JSONValue {
        .object([
            "number": .int(number), "phase": .string(phase.rawValue), "message": .string(message),
            "spec": spec.json, "createdAt": .int(Int(createdAt.nanoseconds)),
            "changedAt": .int(Int(changedAt.nanoseconds)),
            "origin": [
                "launch": .string(origin.launch), "workflow": .string(origin.workflow),
                "uid": .string(origin.workflowUID), "node": .string(origin.nodeID),
                "modelHash": .string(origin.modelHash),
            ],
        ])
    }

    fileprivate init?(stored: JSONValue) {
        let origin = Fields(stored["origin"])
        guard let number = stored["number"]?.intValue, let created = stored["createdAt"]?.intValue,
            let changed = stored["changedAt"]?.intValue,
            let phase = stored["phase"]?.stringValue.flatMap(Phase.init(rawValue:)),
            let spec = try? DeploymentSpec(parameters: stored["spec"] ?? .null, fallbackName: "")
        else { return nil }
        self.init(
            number: number, phase: phase, message: stored["message"]?.stringValue ?? "", spec: spec,
            origin: DeploymentOrigin(
                launch: origin.string("launch") ?? "", workflow: origin.string("workflow") ?? "",
                workflowUID: origin.string("uid") ?? "", nodeID: origin.string("node") ?? ""),
            createdAt: Timestamp(nanoseconds: Int64(created)),
            changedAt: Timestamp(nanoseconds: Int64(changed)))
        self.origin.modelHash = origin.string("modelHash") ?? ""
    }
}
