// Effects as rows: those that the stored state does not imply. Launches, lock requests and cache questions follow from
// the nodes when a new driver attaches to the run, so they need no row of their own.

import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

extension Effect {
    /// The effect's row; nil for one that attaching to the run brings up again.
    func row(sequence: Int) -> EffectRow? {
        switch self {
        case .launch, .acquireLocks, .lookUpCache, .lookUpContent, .finished, .emitMetrics: return nil
        case .cancel(let key, let immediately):
            return EffectRow(
                key: "cancel/\(key.nodeID)/\(key.attempt)/\(immediately)", kind: "cancel",
                body: .object([
                    "node": .string(key.nodeID), "attempt": .int(key.attempt),
                    "immediately": .bool(immediately),
                ]))
        case .releaseLocks(let id):
            return EffectRow(
                key: "release/\(id)/\(sequence)", kind: "releaseLocks", body: .object(["node": .string(id)]))
        case .saveCache(let id, let cache, let key, let outputs):
            return EffectRow(
                key: "cache/\(id)", kind: "saveCache",
                body: .object([
                    "node": .string(id), "cache": .string(cache), "key": .string(key),
                    "outputs": outputs.json,
                ]))
        case .saveContent(let id, let record):
            return EffectRow(
                key: "content/\(id)", kind: "saveContent",
                body: .object(["node": .string(id), "record": record.json]))
        case .removeWorkingFiles(let id):
            return EffectRow(
                key: "files/\(id)", kind: "removeWorkingFiles", body: .object(["node": .string(id)]))
        case .deleteArtifacts(let id, let artifacts):
            return EffectRow(
                key: "artifacts/\(id)", kind: "deleteArtifacts",
                body: .object(["node": .string(id), "artifacts": .array(artifacts.map(\.json))]))
        }
    }

    /// An effect from its row; nil for a row of a kind that this version does not know.
    init?(row: EffectRow, uid: String) {
        let fields = Fields(row.body)
        let node = fields.string("node") ?? ""
        switch row.kind {
        case "cancel":
            self = .cancel(
                AttemptKey(workflowUID: uid, nodeID: node, attempt: fields.int("attempt") ?? 0),
                immediately: fields.bool("immediately") ?? false)
        case "releaseLocks": self = .releaseLocks(node)
        case "saveCache":
            self = .saveCache(
                node, cache: fields.string("cache") ?? "", key: fields.string("key") ?? "",
                Outputs(fields["outputs"]))
        case "saveContent":
            guard let record = fields["record"].flatMap(ContentRecord.init) else { return nil }
            self = .saveContent(node, record)
        case "removeWorkingFiles": self = .removeWorkingFiles(node)
        case "deleteArtifacts": self = .deleteArtifacts(node, fields.list("artifacts").map(Artifact.init))
        default: return nil
        }
    }
}

extension Scheduling.Command {
    /// The command as it is left for the driver of a run in another process.
    package var stored: (verb: String, payload: JSONValue) {
        var object = ObjectBuilder()
        switch self {
        case .stop(let message, let selector):
            object.set("message", message)
            object.set("selector", selector?.source)
            return ("stop", object.json)
        case .terminate: return ("terminate", object.json)
        case .suspend: return ("suspend", object.json)
        case .resume(let selector):
            object.set("selector", selector?.source)
            return ("resume", object.json)
        case .set(let selector, let phase, let message, let outputs):
            object.set("selector", selector?.source)
            object.set("phase", phase?.rawValue)
            object.set("message", message)
            object.set("outputs", outputs)
            return ("set", object.json)
        case .interrupt(let message):
            object.set("message", message)
            return ("interrupt", object.json)
        }
    }

    /// A command that another process left; nil if this version does not know it.
    package init?(verb: String, payload: JSONValue) {
        let fields = Fields(payload)
        let selector = fields.string("selector").flatMap(NodeSelector.init)
        switch verb {
        case "stop": self = .stop(message: fields.string("message") ?? "", selector: selector)
        case "terminate": self = .terminate
        case "suspend": self = .suspend
        case "resume": self = .resume(selector: selector)
        case "set":
            self = .set(
                selector: selector, phase: fields.string("phase").flatMap(Phase.init),
                message: fields.string("message"), outputs: fields.textMap("outputs"))
        case "interrupt": self = .interrupt(message: fields.string("message") ?? "")
        default: return nil
        }
    }
}
