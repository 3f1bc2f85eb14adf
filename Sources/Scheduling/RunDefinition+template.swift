// The template behind a node as its run's definition has it, with the values that are known of the node.

package import Text
package import WorkflowLanguage

extension RunDefinition {
    /// The template of a node as it was written; nil where the definition has no such template.
    package func template(of node: Node) -> Template? {
        if let reference = node.templateRef.map({ Fields($0) }), let name = reference.string("name") {
            let stored = catalog.workflowTemplate(name, clusterScope: reference.bool("clusterScope") ?? false)
            return stored?.spec.templates.first { $0.name == reference.string("template") }
        }
        let scope = node.templateScope.split(separator: "/", maxSplits: 1).map(String.init)
        if scope.count == 2, scope[0] != "local" {
            let stored = catalog.workflowTemplate(scope[1], clusterScope: scope[0] == "cluster")
            if let found = stored?.spec.templates.first(where: { $0.name == node.templateName }) {
                return found
            }
        }
        return spec.templates.first { $0.name == node.templateName }
    }

    /// What tags of a node's template stand for, as far as that is known behind the node's end.
    package func values(for node: Node) -> [String: String] {
        var values: [String: String] = [
            "workflow.name": name, "workflow.namespace": namespace, "workflow.uid": uid,
            "node.name": node.name,
            "pod.name": Node.podName(workflow: name, nodeName: node.name, template: node.templateName),
        ]
        for parameter in spec.arguments.parameters {
            values["workflow.parameters.\(parameter.name)"] = parameter.valueOrDefault
        }
        for parameter in node.inputs.parameters {
            values["inputs.parameters.\(parameter.name)"] = parameter.valueOrDefault
        }
        for artifact in node.inputs.artifacts {
            values["inputs.artifacts.\(artifact.name).path"] = artifact.path
        }
        return values
    }
}

/// Replacing tags whose values are known; expressions and others stay as they are written.
package enum KnownTags {
    package static func replaced(_ json: JSONValue, with values: [String: String]) -> JSONValue {
        switch json {
        case .string(let text): return .string(replaced(text, with: values))
        case .array(let elements): return .array(elements.map { replaced($0, with: values) })
        case .object(let members): return .object(members.mapValues { replaced($0, with: values) })
        default: return json
        }
    }

    package static func replaced(_ text: String, with values: [String: String]) -> String {
        guard text.utf8.contains(UInt8(ascii: "{")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: [0x7B, 0x7B]), let end = closing(bytes, after: index + 2) {
                let tag = String(decoding: bytes[(index + 2)..<end], as: UTF8.self).filter { $0 != " " }
                result += values[tag].map { Array($0.utf8) } ?? Array(bytes[index..<(end + 2)])
                index = end + 2
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func closing(_ bytes: [UInt8], after start: Int) -> Int? {
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == 0x7D, bytes[index + 1] == 0x7D { return index }
            if bytes[index] == 0x7B { return nil }
            index += 1
        }
        return nil
    }
}
