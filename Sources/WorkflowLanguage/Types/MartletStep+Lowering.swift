// Martlet's own step templates as plain container templates, which any engine that runs Argo's manifests can
// run.

package import Text

extension MartletStep {
    /// The file with the step's parameters, as JSON.
    package static let configPath = "/.martlet/step.json"
    /// Where input artifacts lie whose template gives no path: in a directory or file of their name.
    package static let inputDirectory = "/.martlet/inputs"
    /// Where the step leaves its artifacts, each under its name.
    package static let outputDirectory = "/.martlet/outputs"
    /// Where the step leaves its parameters, a file each.
    package static let parameterDirectory = "/.martlet/outputs/parameters"
    /// Name of the input artifact that holds the parameters.
    package static let configArtifact = "martlet-step"

    /// A template with a container in the place of its step; one without a step stays as it is.
    ///
    /// - Parameters:
    ///   - template: a template as it was written.
    ///   - image: the step image.
    ///   - parameters: names of output parameters that are asked for, for kinds whose data name them.
    ///   - declaresInputs: whether all inputs that the kind knows are declared, as an engine wants it that does not
    ///     know the step; those that the template does not name are optional.
    package static func lowering(
        template: JSONValue, image: String, parameters: Set<String> = [], declaresInputs: Bool = false
    ) -> JSONValue {
        guard var members = template.objectValue, let step = MartletStep(Fields(template)) else {
            return template
        }
        members[step.kind.rawValue] = nil
        if var plugin = members["plugin"]?.objectValue {
            plugin["martlet"] = nil
            members["plugin"] = plugin.isEmpty ? nil : .object(plugin)
        }
        members["container"] = [
            "image": .string(image),
            "command": ["martlet", .string(step.kind.rawValue), "--config", .string(configPath)],
            "env": [["name": "MARTLET_OUTPUT_DIR", "value": .string(outputDirectory)]],
        ]
        let inputs = Fields(members["inputs"]).list("artifacts").compactMap { $0["name"]?.scalarText }
        if step.backend != .martlet,
            case .success(let command) = BackendCommand.rendering(step, inputs: inputs)
        {
            let annotations = ObjectMetadata(members["metadata"]).annotations
            members["container"] = command.container(of: step, annotations: annotations)
        } else if let resources = members["podResources"], var container = members["container"]?.objectValue {
            container["resources"] = resources
            members["container"] = .object(container)
            members["podResources"] = nil
        }
        members["inputs"] = step.inputs(members["inputs"], declaresAll: declaresInputs)
        members["outputs"] = step.outputs(members["outputs"], asked: parameters)
        return .object(members)
    }

    private func inputs(_ written: JSONValue?, declaresAll: Bool) -> JSONValue {
        var inputs = written?.objectValue ?? [:]
        var artifacts = (inputs["artifacts"]?.arrayValue ?? []).map {
            Self.placed($0, in: Self.inputDirectory)
        }
        if declaresAll {
            let named = Set(
                artifacts.compactMap { $0["name"]?.scalarText }.map(StepParameterTable.canonical))
            artifacts += MartletStepContract(kind).inputArtifacts.filter {
                !named.contains(StepParameterTable.canonical($0))
                    && value(StepParameterTable.canonical($0)) == nil
            }.map {
                ["name": .string($0), "path": .string("\(Self.inputDirectory)/\($0)"), "optional": true]
            }
        }
        // The step finds its inputs by their paths; a path that is not there at run time means no input.
        var settings = parameters.objectValue ?? [:]
        let given = Set(settings.keys.map(StepParameterTable.canonical))
        for artifact in artifacts {
            guard let name = artifact["name"]?.scalarText, let path = artifact["path"],
                !given.contains(StepParameterTable.canonical(name))
            else { continue }
            settings[name] = path
        }
        artifacts.append([
            "name": .string(Self.configArtifact), "path": .string(Self.configPath),
            "raw": ["data": .string(JSONValue.object(settings).compactText)],
        ])
        inputs["artifacts"] = .array(artifacts)
        return .object(inputs)
    }

    private func outputs(_ written: JSONValue?, asked: Set<String>) -> JSONValue? {
        let contract = MartletStepContract(kind)
        var outputs = written?.objectValue ?? [:]
        var artifacts = (outputs["artifacts"]?.arrayValue ?? []).map {
            Self.placed($0, in: Self.outputDirectory)
        }
        let declared = Set(artifacts.compactMap { $0["name"]?.scalarText })
        // The parameters decide which of the known outputs there are.
        artifacts += contract.outputArtifacts.filter { !declared.contains($0) }.map { name in
            ["name": .string(name), "path": .string("\(Self.outputDirectory)/\(name)"), "optional": true]
        }
        var list = (outputs["parameters"]?.arrayValue ?? []).map(Self.sourced)
        let named = Set(list.compactMap { $0["name"]?.scalarText })
        var known = contract.outputParameters
        if contract.givesAnyParameter { known += asked.subtracting(known).sorted() }
        list += known.filter { !named.contains($0) }.map { Self.sourced(["name": .string($0)]) }
        outputs["artifacts"] = artifacts.isEmpty ? nil : .array(artifacts)
        outputs["parameters"] = list.isEmpty ? nil : .array(list)
        return outputs.isEmpty ? nil : .object(outputs)
    }

    /// The artifact with a path.
    private static func placed(_ artifact: JSONValue, in directory: String) -> JSONValue {
        guard var members = artifact.objectValue, members["path"] == nil,
            let name = members["name"]?.scalarText
        else { return artifact }
        members["path"] = .string("\(directory)/\(name)")
        return .object(members)
    }

    /// The output parameter with a file to come from. A step may leave some of its parameters out, such as
    /// the loss on validation data where there are none, and Argo fails a step for that unless there is a
    /// default.
    private static func sourced(_ parameter: JSONValue) -> JSONValue {
        guard var members = parameter.objectValue, members["valueFrom"] == nil, members["value"] == nil,
            let name = members["name"]?.scalarText
        else { return parameter }
        members["valueFrom"] = ["path": .string("\(parameterDirectory)/\(name)"), "default": ""]
        return .object(members)
    }

    /// A document with all its templates lowered, the inline ones too.
    package static func loweringAll(in document: JSONValue, image: String) -> JSONValue {
        var asked: Set<String> = []
        collectParameters(of: document, into: &asked)
        return lowering(tree: document, image: image, asked: asked)
    }

    private static func lowering(tree: JSONValue, image: String, asked: Set<String>) -> JSONValue {
        switch tree {
        case .array(let elements):
            return .array(elements.map { lowering(tree: $0, image: image, asked: asked) })
        case .object(let members):
            var result: [String: JSONValue] = [:]
            for (key, value) in members {
                // Elsewhere the same keys mean other things: a parameter may be named `sft`.
                switch (key, value) {
                case ("templates", .array(let templates)):
                    result[key] = .array(
                        templates.map {
                            let inner = lowering(tree: $0, image: image, asked: asked)
                            return lowering(
                                template: inner, image: image, parameters: asked, declaresInputs: true)
                        })
                case ("inline", .object), ("templateDefaults", .object):
                    let inner = lowering(tree: value, image: image, asked: asked)
                    result[key] = lowering(
                        template: inner, image: image, parameters: asked, declaresInputs: true)
                default: result[key] = lowering(tree: value, image: image, asked: asked)
                }
            }
            return .object(result)
        default: return tree
        }
    }

    /// Names after `outputs.parameters.` anywhere in the document.
    private static func collectParameters(of tree: JSONValue, into names: inout Set<String>) {
        switch tree {
        case .array(let elements): for element in elements { collectParameters(of: element, into: &names) }
        case .object(let members): for value in members.values { collectParameters(of: value, into: &names) }
        case .string(let text):
            let mark = Array("outputs.parameters.".utf8)
            let bytes = Array(text.utf8)
            guard bytes.count > mark.count else { return }
            for start in 0..<(bytes.count - mark.count) where bytes[start...].starts(with: mark) {
                let name = bytes[(start + mark.count)...].prefix {
                    ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x5F
                        || $0 == 0x2D
                }
                if !name.isEmpty { names.insert(String(decoding: name, as: UTF8.self)) }
            }
        default: break
        }
    }
}
