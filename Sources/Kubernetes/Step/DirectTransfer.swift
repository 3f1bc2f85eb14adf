// A pod's own way to its artifacts, for when it cannot reach the server.

import Artifacts
import Text
import WorkflowLanguage

/// The orders of `DirectArtifacts`, as the companion finds them in its environment.
struct DirectTransfer: Sendable {
    private let inputs: [String: JSONValue]
    private let outputs: [String: JSONValue]
    private let transfer: ArtifactTransfer

    /// Nil without orders.
    /// - Parameter variable: looks a variable of the environment up.
    init?(directory: String, variable: @escaping @Sendable (String) -> String?) throws {
        guard let text = variable(DirectArtifacts.ordersVariable) else { return nil }
        let fields = Fields(try JSONValue(parsingUTF8: Array(text.utf8)))
        inputs = fields["inputs"]?.objectValue ?? [:]
        outputs = fields["outputs"]?.objectValue ?? [:]
        let names = fields.textMap("secrets")
        // What passes through is packed here; nothing is kept in it.
        let store = try LocalArtifactStore(directory: directory + "/store", isDurable: false)
        transfer = ArtifactTransfer(store: store, namespace: "") { name, key in
            names["\(name)/\(key)"].flatMap(variable)
        }
    }

    func hasInput(_ name: String) -> Bool { inputs[name] != nil }

    /// Fetches an input to where it belongs.
    func load(_ name: String, to path: String) throws {
        guard let json = inputs[name] else { return }
        try transfer.load(Artifact(json), at: path)
    }

    /// Sends an output; false for one that is none of these.
    func save(_ name: String, from path: String) throws -> Bool {
        guard let json = outputs[name] else { return false }
        _ = try transfer.save(Artifact(json), from: path, defaultKey: name, source: .shared)
        return true
    }
}
