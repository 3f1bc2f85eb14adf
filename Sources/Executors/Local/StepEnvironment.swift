// The environment of a container, and `$(NAME)` in its command, arguments and values, as Kubernetes does
// both.

import Text
import WorkflowLanguage

/// Variables in the order in which they were set; of two with one name the later counts, at the earlier's
/// place.
struct StepEnvironment: Sendable {
    private(set) var variables: [(name: String, value: String)] = []
    private var places: [String: Int] = [:]

    subscript(name: String) -> String? { places[name].map { variables[$0].value } }

    mutating func set(_ name: String, _ value: String) {
        if let place = places[name] {
            variables[place].value = value
        } else {
            places[name] = variables.count
            variables.append((name: name, value: value))
        }
    }

    /// Adds what a container declares: first `envFrom`, then `env`, whose values may name what was set
    /// before.
    mutating func add(_ container: Container, facts: PodFacts, values: LaunchValues) throws {
        for source in container.environmentFrom {
            let all = try values.all(source.name, isSecret: source.isSecret, optional: source.optional)
            for (key, bytes) in all ?? [] where Self.isName(source.prefix + key) {
                set(source.prefix + key, String(decoding: bytes, as: UTF8.self))
            }
        }
        for variable in container.environment {
            switch variable.source {
            case .value(let text): set(variable.name, expand(text))
            case .configMap(let reference):
                if let text = try values.text(reference, isSecret: false) { set(variable.name, text) }
            case .secret(let reference):
                if let text = try values.text(reference, isSecret: true) { set(variable.name, text) }
            case .field(let path): set(variable.name, facts.value(ofField: path) ?? "")
            case .resource(let name): set(variable.name, facts.value(ofResource: name, of: container))
            }
        }
    }

    /// Kubernetes leaves out keys that cannot be names of variables.
    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.utf8.contains { $0 == UInt8(ascii: "=") || $0 == 0 }
    }

    /// `$(NAME)` becomes the value, `$$` one dollar sign, and what names nothing stays as it is.
    func expand(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "$"), index + 1 < bytes.count else {
                result.append(bytes[index])
                index += 1
                continue
            }
            if bytes[index + 1] == UInt8(ascii: "$") {
                result.append(bytes[index])
                index += 2
            } else if bytes[index + 1] == UInt8(ascii: "("),
                let end = bytes[(index + 2)...].firstIndex(of: UInt8(ascii: ")"))
            {
                let name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
                if let value = self[name] {
                    result.append(contentsOf: value.utf8)
                } else {
                    result.append(contentsOf: bytes[index...end])
                }
                index = end + 1
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
