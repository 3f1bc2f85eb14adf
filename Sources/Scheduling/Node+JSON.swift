// A node as JSON: in Argo's form for clients, and with what only Martlet needs for its database row.

package import Text
import WorkflowLanguage

extension Node {
    /// The node as Argo's NodeStatus.
    package var statusJSON: JSONValue {
        var object = ObjectBuilder()
        object.set("id", JSONValue.string(id))
        object.set("name", JSONValue.string(name))
        object.set("displayName", JSONValue.string(displayName))
        object.set("type", JSONValue.string(type.rawValue))
        object.set("phase", JSONValue.string(phase.rawValue))
        object.set("message", message)
        object.set("boundaryID", boundaryID)
        object.set("templateName", templateName)
        object.set("templateRef", templateRef)
        object.set("templateScope", templateScope)
        object.set("startedAt", startedAt.map { JSONValue.string($0.rfc3339) })
        object.set("finishedAt", finishedAt.map { JSONValue.string($0.rfc3339) })
        if !inputs.isEmpty { object.set("inputs", inputs.json) }
        if !outputs.isEmpty { object.set("outputs", outputs.json) }
        object.set("children", children.map(JSONValue.string))
        object.set("outboundNodes", outboundNodes.map(JSONValue.string))
        if isHook || isRetryAttempt {
            var flag = ObjectBuilder()
            flag.set("hooked", isHook)
            flag.set("retried", isRetryAttempt)
            object.set("nodeFlag", flag.json)
        }
        object.set("daemoned", isDaemoned)
        if let memoization {
            object.set(
                "memoizationStatus",
                .object([
                    "hit": .bool(memoization.hit), "key": .string(memoization.key),
                    "cacheName": .string(memoization.cacheName),
                ]))
        }
        if let waitingLock { object.set("synchronizationStatus", .object(["waiting": .string(waitingLock)])) }
        object.set("progress", progress)
        object.set("hostNodeName", hostNodeName)
        object.set("podIP", podIP)
        if !resourcesDuration.isEmpty {
            object.set("resourcesDuration", .object(resourcesDuration.mapValues(JSONValue.int)))
        }
        return object.json
    }

    /// The node as its row's body: the status without children, and what Martlet keeps beside it.
    package var rowJSON: JSONValue {
        var members = statusJSON.objectValue ?? [:]
        members["children"] = nil
        var own = ObjectBuilder()
        own.set("parents", parents.map(JSONValue.string))
        own.set("attempt", JSONValue.int(attempt))
        own.set("launched", isLaunched)
        own.set("failureClass", failureClass?.rawValue)
        own.set("batchSize", batchSize?.json)
        own.set("content", contentFields)
        own.set("started", startedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        own.set("finished", finishedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        members["martlet"] = own.json
        return .object(members)
    }

    /// A node from its row; nil if the body is not one that `rowJSON` wrote.
    package init?(row body: JSONValue, sequence: Int) {
        let fields = Fields(body)
        guard let id = fields.string("id"), let name = fields.string("name"),
            let type = fields.string("type").flatMap(NodeType.init),
            let phase = fields.string("phase").flatMap(Phase.init)
        else { return nil }
        self.init(
            id: id, name: name, displayName: fields.string("displayName") ?? name, type: type, phase: phase,
            sequence: sequence)
        message = fields.string("message") ?? ""
        boundaryID = fields.string("boundaryID")
        templateName = fields.string("templateName") ?? ""
        templateRef = fields["templateRef"]
        templateScope = fields.string("templateScope") ?? ""
        inputs = Inputs(fields["inputs"])
        outputs = Outputs(fields["outputs"])
        outboundNodes = fields.strings("outboundNodes")
        isHook = fields.object("nodeFlag")?.bool("hooked") ?? false
        isRetryAttempt = fields.object("nodeFlag")?.bool("retried") ?? false
        isDaemoned = fields.bool("daemoned") ?? false
        if let status = fields.object("memoizationStatus") {
            memoization = Memoization(
                hit: status.bool("hit") ?? false, key: status.string("key") ?? "",
                cacheName: status.string("cacheName") ?? "")
        }
        waitingLock = fields.object("synchronizationStatus")?.string("waiting")
        progress = fields.string("progress") ?? ""
        hostNodeName = fields.string("hostNodeName") ?? ""
        podIP = fields.string("podIP") ?? ""
        resourcesDuration = (fields["resourcesDuration"]?.objectValue ?? [:]).compactMapValues(\.intValue)
        let own = fields.object("martlet")
        parents = own?.strings("parents") ?? []
        attempt = own?.int("attempt") ?? 0
        isLaunched = own?.bool("launched") ?? false
        failureClass = own?.string("failureClass").flatMap(FailureClass.init)
        batchSize = BatchSize(json: own?["batchSize"])
        contentFields = own?.textMap("content") ?? [:]
        startedAt = own?.int("started").map { Timestamp(nanoseconds: Int64($0)) }
        finishedAt = own?.int("finished").map { Timestamp(nanoseconds: Int64($0)) }
    }
}
