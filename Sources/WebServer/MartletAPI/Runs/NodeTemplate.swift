// The template behind a node with the values that the node was given, and what it runs: shown to people, who ask what
// really happened.

import Scheduling
import Text
import WorkflowLanguage

struct NodeTemplate: Sendable {
    /// What stands in place of a secret's value.
    static let mask = "***"

    let node: Node
    let definition: RunDefinition
    /// With the known tags replaced; nil where the definition has no such template.
    let template: Template?

    init(_ node: Node, of definition: RunDefinition) {
        self.node = node
        self.definition = definition
        guard let found = definition.template(of: node) else {
            template = nil
            return
        }
        template = Template(KnownTags.replaced(found.raw, with: definition.values(for: node)))
    }

    // MARK: What it runs

    /// The container that counts: the template's own, or of a set the one that the node stands for.
    var container: Container? {
        switch template?.kind {
        case .container(let container): return container
        case .script(let container, _): return container
        case .containerSet(let set):
            return set.containers.first { $0.name == node.displayName }
                ?? set.containers.first { $0.name == "main" }
        default: return nil
        }
    }

    var image: String? { container.flatMap { $0.image.isEmpty ? nil : $0.image } }

    var command: [String]? {
        switch template?.kind {
        case .script(let container, let source): return container.command + container.args + [source]
        case .martlet(let step): return ["martlet", step.kind.rawValue] + Self.flags(step.parameters)
        default: return container.map { $0.command + $0.args }
        }
    }

    private static func flags(_ parameters: JSONValue) -> [String] {
        (parameters.objectValue ?? [:]).sortedByKey.flatMap { key, value in
            ["--\(key)", value.scalarText ?? value.compactText]
        }
    }

    /// The variables that the definition gives, values of secrets masked.
    var environment: [(name: String, value: String)] {
        guard let container else { return [] }
        var found: [(name: String, value: String)] = []
        for source in container.environmentFrom {
            if source.isSecret {
                found.append(("\(source.prefix)*", Self.mask))
            } else {
                let values = definition.catalog.configMaps[source.name]?.values ?? [:]
                found += values.sorted { $0.key < $1.key }.map { (source.prefix + $0.key, $0.value) }
            }
        }
        for variable in container.environment { found.append((variable.name, value(variable))) }
        return found
    }

    private func value(_ variable: EnvironmentVariable) -> String {
        switch variable.source {
        case .value(let text): return text
        case .secret: return Self.mask
        case .configMap(let selector):
            return definition.catalog.configMaps[selector.name]?.values[selector.key]
                ?? "(key \(selector.key) of ConfigMap \(selector.name))"
        case .field(let path): return "(field \(path))"
        case .resource(let name): return "(resource \(name))"
        }
    }

    /// What was asked of the machine, as written.
    var asked: [String: JSONValue] {
        let requests = (container?.requests ?? [:]).merging(container?.limits ?? [:]) { asked, _ in asked }
        let gpus = requests.filter { $0.key.hasSuffix("/gpu") }.values.first
        return ["cpu": .text(requests["cpu"]), "memory": .text(requests["memory"]), "gpu": .text(gpus)]
    }

    /// A command line that runs the same template with the same inputs on this machine.
    var shell: String {
        if case .martlet = template?.kind, let command {
            return command.map(Self.quoted).joined(separator: " ")
        }
        let file = "\(definition.name).yaml"
        var words = ["martlet", "run", file, "--entrypoint", node.templateName]
        for parameter in node.inputs.parameters {
            guard let value = parameter.valueOrDefault else { continue }
            words += ["-p", "\(parameter.name)=\(value)"]
        }
        let get = ["martlet", "get", definition.name, "-o", "yaml"].map(Self.quoted).joined(separator: " ")
        return "\(get) > \(Self.quoted(file)) && \(words.map(Self.quoted).joined(separator: " "))"
    }

    /// A word as a POSIX shell takes it.
    static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.utf8.allSatisfy { PercentEncoding.isUnreserved($0) || "/=:@,+".utf8.contains($0) }
        if isPlain { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
            + "'"
    }
}
