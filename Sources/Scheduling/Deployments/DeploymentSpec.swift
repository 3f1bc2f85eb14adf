// What a `deploy` step asks for: which model is served under which name, how often, and how.

package import Text
import WorkflowLanguage

/// What cannot be deployed as it was asked for, in a sentence.
package struct DeploymentProblem: Error, Sendable, Hashable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// How a model is to be served.
package struct DeploymentSpec: Sendable, Hashable {
    /// Fields of a `deploy` step.
    package static let fields: Set = [
        "model", "adapter", "name", "replicas", "port", "quant", "adapters", "min_ready_seconds",
    ]
    /// Processes of one deployment at most.
    package static let replicaLimit = 32
    /// Adapters of one deployment at most.
    package static let adapterLimit = 64
    private static let quantizations: Set = ["stored", "int8", "int4"]

    package var name: String
    /// A directory, or a name of the registry with an optional `:tag`; nil where an input artifact is the
    /// model.
    package var model: String?
    package var replicas = 1
    /// The first of the ports that replicas listen on; 0 takes free ones.
    package var port = 0
    /// How weights are loaded: stored, int8 or int4.
    package var quant = "stored"
    /// Directories or registry names of adapters, by the name that requests call them by.
    package var adapters: [String: String] = [:]
    /// How long a new replica must stay ready before it gets requests.
    package var minReadySeconds = 0.0

    package init(name: String) { self.name = name }

    /// - Parameter fallbackName: used where the step gives no name.
    /// - Throws: for unknown fields and values that cannot be.
    package init(parameters: JSONValue, fallbackName: String) throws(DeploymentProblem) {
        var members = parameters.objectValue ?? [:]
        if let backend = members.removeValue(forKey: "backend")?.scalarText, backend != "martlet" {
            throw DeploymentProblem(
                "a deployment on this machine is served by Martlet itself, not by `backend: \(backend.prefix(80))`; "
                    + "leave backend out, or run the workflow on a cluster that has it")
        }
        if let unknown = members.keys.filter({ !Self.fields.contains($0) }).min() {
            throw DeploymentProblem(
                "deploy has no parameter \"\(unknown)\"; it has \(Self.fields.sorted().joined(separator: ", "))"
            )
        }
        let fields = Fields(parameters)
        name = fields.text("name") ?? fallbackName
        guard Self.isName(name) else {
            throw DeploymentProblem(
                "\"\(name.prefix(80))\" is no name of a deployment: it needs 1 to 63 lowercase letters, digits and "
                    + "dashes, a letter or digit at both ends; give `name`")
        }
        model = fields.text("model")
        replicas = try Self.number(members["replicas"], "replicas", 1...Self.replicaLimit) ?? 1
        port = try Self.number(members["port"], "port", 0...65_000) ?? 0
        quant = fields.text("quant") ?? "stored"
        guard Self.quantizations.contains(quant) else {
            throw DeploymentProblem("quant: \"\(quant)\" is none of stored, int8, int4")
        }
        adapters = try Self.adapters(members["adapters"])
        if let value = members["min_ready_seconds"], value != .null {
            guard let seconds = value.doubleValue ?? value.scalarText.flatMap(Double.init),
                (0...3_600).contains(seconds)
            else { throw DeploymentProblem("min_ready_seconds must be from 0 to 3600 seconds") }
            minReadySeconds = seconds
        }
    }

    private static func number(
        _ value: JSONValue?, _ name: String, _ range: ClosedRange<Int>
    ) throws(DeploymentProblem) -> Int? {
        guard let value, value != .null else { return nil }
        guard let number = value.intValue ?? value.scalarText.flatMap({ Int($0) }), range.contains(number)
        else {
            throw DeploymentProblem("\(name) must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// An object of names and places, or a list of `NAME=PLACE`.
    private static func adapters(_ value: JSONValue?) throws(DeploymentProblem) -> [String: String] {
        var found: [String: String] = [:]
        for (name, place) in value?.objectValue ?? [:] { found[name] = place.scalarText ?? "" }
        for item in value?.arrayValue ?? [] {
            let parts = (item.scalarText ?? "").split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw DeploymentProblem("adapters: write NAME: PLACE, or a list of NAME=PLACE")
            }
            found[parts[0]] = parts[1]
        }
        guard found.count <= adapterLimit, found.allSatisfy({ !$0.key.isEmpty && !$0.value.isEmpty }) else {
            throw DeploymentProblem("adapters: at most \(adapterLimit), each with a name and a place")
        }
        return found
    }

    /// A DNS label: it is part of an address.
    package static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        func isPlain(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard (1...63).contains(bytes.count), let first = bytes.first, let last = bytes.last else {
            return false
        }
        return isPlain(first) && isPlain(last) && bytes.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") }
    }

    // MARK: As stored

    package var json: JSONValue {
        var object = ObjectBuilder()
        object.set("name", name)
        object.set("model", model)
        object.set("replicas", .int(replicas))
        object.set("port", .int(port))
        object.set("quant", quant)
        object.set("adapters", adapters)
        object.set("min_ready_seconds", .double(minReadySeconds))
        return object.json
    }
}

extension Launch {
    /// Whether its work is to serve a model from now on.
    package var isDeployment: Bool {
        if case .martlet(let step) = template.kind { return step.kind == .deploy }
        return false
    }
}
