// An outcome as a file: an attempt that has ended can be reported again when its working files are gone.

package import Scheduling
import Text
import WorkflowLanguage

extension AttemptOutcome {
    package var fileContent: [UInt8] {
        var object = ObjectBuilder()
        object.set("phase", phase.rawValue)
        object.set("message", message)
        object.set("exitCode", exitCode.map(JSONValue.int))
        object.set("outputs", outputs.isEmpty ? nil : outputs.json)
        object.set("failureClass", failureClass?.rawValue)
        object.set("isLost", isLost)
        object.set("containers", containers.map(\.json))
        object.set("finishedAt", finishedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        if !resourcesDuration.isEmpty {
            object.set("resourcesDuration", .object(resourcesDuration.mapValues(JSONValue.int)))
        }
        var bytes: [UInt8] = []
        object.json.appendCompact(to: &bytes)
        bytes.append(10)
        return bytes
    }

    /// Nil for what is no complete outcome.
    package init?(fileContent bytes: [UInt8]) {
        guard bytes.last == 10, let json = try? JSONValue(parsingUTF8: bytes) else { return nil }
        let fields = Fields(json)
        guard let phase = fields.string("phase").flatMap(Phase.init(rawValue:)) else { return nil }
        self.init(phase: phase, message: fields.string("message") ?? "", exitCode: fields.int("exitCode"))
        outputs = Outputs(fields["outputs"])
        failureClass = fields.string("failureClass").flatMap(FailureClass.init(rawValue:))
        isLost = fields.bool("isLost") ?? false
        containers = fields.list("containers").compactMap(ContainerOutcome.init)
        finishedAt = fields.int("finishedAt").map { Timestamp(nanoseconds: Int64($0)) }
        resourcesDuration = (fields["resourcesDuration"]?.objectValue ?? [:]).compactMapValues(\.intValue)
    }
}

extension AttemptOutcome.ContainerOutcome {
    fileprivate var json: JSONValue {
        var object = ObjectBuilder()
        object.set("name", name)
        object.set("phase", phase.rawValue)
        object.set("message", message)
        object.set("exitCode", exitCode.map(JSONValue.int))
        object.set("startedAt", startedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        object.set("finishedAt", finishedAt.map { JSONValue.int(Int($0.nanoseconds)) })
        return object.json
    }

    fileprivate init?(_ json: JSONValue) {
        let fields = Fields(json)
        guard let phase = fields.string("phase").flatMap(Phase.init(rawValue:)) else { return nil }
        self.init(
            name: fields.string("name") ?? "", phase: phase, message: fields.string("message") ?? "",
            exitCode: fields.int("exitCode"),
            startedAt: fields.int("startedAt").map { Timestamp(nanoseconds: Int64($0)) },
            finishedAt: fields.int("finishedAt").map { Timestamp(nanoseconds: Int64($0)) })
    }
}
