// Artifacts that a pod fetches and sends by itself, where it cannot reach the server: those whose declaration
// says all that is needed, such as a bucket and the Secrets for it.

import Text
import WorkflowLanguage

struct DirectArtifacts: Sendable {
    /// What the companion reads its orders from.
    static let ordersVariable = "MARTLET_STEP_ARTIFACTS"
    private static let secretPrefix = "MARTLET_SECRET_"
    private static let readable: Set<String> = ["raw", "http", "git"]

    /// Artifacts by name; what is in neither goes by the server.
    private(set) var inputs: [String: Artifact] = [:]
    private(set) var outputs: [String: Artifact] = [:]

    init(inputs: [Artifact], outputs: [Artifact]) {
        for artifact in inputs where Self.isReadable(artifact) { self.inputs[artifact.name] = artifact }
        for artifact in outputs where Self.isWritable(artifact) { self.outputs[artifact.name] = artifact }
    }

    private static func isReadable(_ artifact: Artifact) -> Bool {
        guard let (store, _) = artifact.location else { return false }
        return readable.contains(store) || isWritable(artifact)
    }

    private static func isWritable(_ artifact: Artifact) -> Bool {
        guard let (store, settings) = artifact.location else { return false }
        return store == "http" || (store == "s3" && Fields(settings).text("bucket") != nil)
    }

    var isEmpty: Bool { inputs.isEmpty && outputs.isEmpty }

    /// What the declarations refer to, each once: Secrets come as variables of the companion only.
    private var secrets: [(name: String, key: String)] {
        var found: Set<String> = []
        var list: [(name: String, key: String)] = []
        for artifact in inputs.sortedByKey.map(\.value) + outputs.sortedByKey.map(\.value) {
            Self.collect(artifact.raw) { name, key in
                if found.insert("\(name)/\(key)").inserted { list.append((name, key)) }
            }
        }
        return list
    }

    private static func collect(_ json: JSONValue, _ each: (_ name: String, _ key: String) -> Void) {
        switch json {
        case .array(let elements): for element in elements { collect(element, each) }
        case .object(let members):
            for (member, value) in members.sortedByKey {
                let fields = Fields(value)
                let refers = member.hasSuffix("Secret") || member == "secretKeyRef"
                if refers, let name = fields.text("name"), let key = fields.text("key") { each(name, key) }
                collect(value, each)
            }
        default: break
        }
    }

    /// The companion's orders, and its Secrets.
    var environment: [JSONValue] {
        let secrets = secrets
        let variables = secrets.enumerated().map { index, secret -> JSONValue in
            [
                "name": .string("\(Self.secretPrefix)\(index)"),
                "valueFrom": ["secretKeyRef": ["name": .string(secret.name), "key": .string(secret.key)]],
            ]
        }
        let names = secrets.enumerated().map { index, secret in
            ("\(secret.name)/\(secret.key)", JSONValue.string("\(Self.secretPrefix)\(index)"))
        }
        let orders: JSONValue = [
            "inputs": .object(inputs.mapValues(\.raw)), "outputs": .object(outputs.mapValues(\.raw)),
            "secrets": .object(Dictionary(names, uniquingKeysWith: { first, _ in first })),
        ]
        return [["name": .string(Self.ordersVariable), "value": .string(PodText.literal(orders.compactText))]]
            + variables
    }
}
