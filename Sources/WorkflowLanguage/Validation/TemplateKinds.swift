// What the kinds of templates have in common or not: whether they run a pod, take a timeout, have a result.

import Text

extension Template.Kind {
    /// The kind as messages name it.
    var title: String {
        switch self {
        case .container: "Container"
        case .script: "Script"
        case .containerSet: "ContainerSet"
        case .steps: "Steps"
        case .dag: "DAG"
        case .suspend: "Suspend"
        case .http: "HTTP"
        case .resource: "Resource"
        case .data: "Data"
        case .plugin: "Plugin"
        case .martlet(let step): "Martlet \(step.kind.rawValue)"
        case .missing: "unknown"
        }
    }

    /// Whether the template does work itself, which can be timed and can be given files.
    var isLeaf: Bool {
        switch self {
        case .steps, .dag, .suspend, .missing: false
        default: true
        }
    }

    /// Whether the template runs containers: has a pod, on Kubernetes.
    var runsPod: Bool {
        switch self {
        case .container, .script, .containerSet, .resource, .data, .martlet: true
        case .steps, .dag, .suspend, .http, .plugin, .missing: false
        }
    }

    /// Whether artifacts of the template are files at a path that the manifest gives.
    var needsArtifactPaths: Bool {
        switch self {
        case .container, .script, .containerSet: true
        default: false
        }
    }

    /// Whether there is an `outputs.result` and an `exitCode`.
    var hasResult: Bool {
        switch self {
        case .container, .script, .http, .data, .plugin, .martlet: true
        case .containerSet(let set): set.containers.contains { $0.name == "main" }
        case .steps, .dag, .suspend, .resource, .missing: false
        }
    }
}

extension Template {
    /// The keys of all kinds that the template has, in the order of the documentation; one if all is well.
    var kindKeys: [String] {
        let members = raw.objectValue ?? [:]
        let martlet = MartletStep.Kind.allCases.map(\.rawValue)
        return (Template.Kind.keys + martlet).filter { key in
            guard let value = members[key] else { return false }
            return key == "suspend" || value != .null
        }
    }

    /// What a call of this template makes known.
    /// - Parameter given: names of the artifacts that it is called with.
    func results(isLooped: Bool, given: [String] = []) -> CallResults {
        var results = CallResults(names: ["id", "status", "startedAt", "finishedAt", "hostNodeName", "name"])
        results.templateName = name
        if daemon { results.names.insert("ip") }
        if kind.hasResult { results.names.formUnion(["outputs.result", "exitCode"]) }
        results.names.formUnion(outputs.parameters.map { "outputs.parameters.\($0.name)" })
        results.names.formUnion(outputs.artifacts.map { "outputs.artifacts.\($0.name)" })
        if isLooped { results.names.insert("outputs.parameters") }
        if case .martlet(let step) = kind {
            let contract = MartletStepContract(step, inputs: Set(inputs.artifacts.map(\.name) + given))
            results.step = step
            results.names.formUnion(contract.outputParameters.map { "outputs.parameters.\($0)" })
            results.names.formUnion(contract.outputArtifacts.map { "outputs.artifacts.\($0)" })
            results.anyOutputParameter = contract.givesAnyParameter
        }
        return results
    }
}
