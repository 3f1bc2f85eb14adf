// The content cache: a node whose work and inputs are those of a finished one takes over what that one gave.

import Text
import WorkflowLanguage

extension WorkflowState {
    /// The annotation that turns the cache on for a template, and with "false" off for a whole run.
    package static var cacheAnnotation: String { "martlet.dev/cache" }

    /// Whether the cache is to be asked before the node's work begins.
    func asksContent(_ entry: LiveNode, _ node: Node) -> Bool {
        guard entry.template.metadata.annotations[Self.cacheAnnotation] == "true",
            entry.template.memoize == nil, node.memoization == nil, node.phase == .pending,
            node.children.isEmpty, !node.isLaunched, !entry.template.daemon
        else { return false }
        switch entry.template.kind {
        case .container, .script, .containerSet: return true
        case .martlet(let step): return step.kind != .deploy
        default: return false
        }
    }

    mutating func lookUpContent(_ id: NodeID, _ template: Template) {
        live[id]?.gate = .cache
        let reads = metadata.annotations[Self.cacheAnnotation] != "false"
        effects.append(.lookUpContent(id, ContentFields.request(of: template), reads: reads))
    }

    mutating func contentAnswered(_ id: NodeID, _ answer: ContentAnswer) {
        guard let entry = live[id], entry.gate == .cache, entry.template.memoize == nil else { return }
        update(id) {
            $0.memoization = .init(
                hit: answer.outputs != nil, key: answer.key ?? "", cacheName: Self.cacheAnnotation)
            $0.contentFields = answer.fields
        }
        guard let outputs = answer.outputs else {
            proceed(id)
            return
        }
        update(id) {
            $0.outputs = outputs
            $0.type = Self.nodeType(of: entry.template)
        }
        finish(id, .succeeded, "not run: \(answer.origin) had the same content")
    }

    /// Keeps what a node gave that ran although the cache was asked.
    mutating func saveContent(_ id: NodeID) {
        guard let node = nodes[id], let memoization = node.memoization, !memoization.hit,
            memoization.cacheName == Self.cacheAnnotation, !memoization.key.isEmpty,
            !node.contentFields.isEmpty
        else { return }
        effects.append(
            .saveContent(
                id,
                ContentRecord(
                    key: memoization.key, fields: node.contentFields, outputs: node.outputs,
                    workflowName: name, nodeName: node.displayName, finishedAt: now)))
    }
}

/// Which parts of a template decide what comes out of it.
enum ContentFields {
    /// What says how and where the work is done, not what it is.
    private static let others: Set<String> = [
        "name", "inputs", "outputs", "metadata", "retryStrategy", "timeout", "pendingTimeout",
        "activeDeadlineSeconds", "synchronization", "memoize", "metrics", "priority", "parallelism",
        "failFast",
        "archiveLocation", "nodeSelector", "tolerations", "affinity", "schedulerName", "serviceAccountName",
        "automountServiceAccountToken", "priorityClassName", "podSpecPatch", "podResources", "annotations",
        "hostAliases", "executor", "resourceClaims",
    ]
    /// The same of containers.
    private static let ofContainers: Set<String> = [
        "resources", "imagePullPolicy", "livenessProbe", "readinessProbe", "startupProbe", "ports", "name",
    ]
    /// Parameters of our own steps that change how fast something is done, or what is shown.
    private static let ofSteps: Set<String> = [
        "threads", "dry_run", "force", "quiet", "max_workers", "limit_rate",
    ]
    /// Longer values are kept as their digest.
    static let valueLimitBytes = 200

    static func request(of template: Template) -> ContentRequest {
        var fields: [String: String] = [:]
        var members = (template.raw.objectValue ?? [:]).filter { !others.contains($0.key) }
        var isBuiltIn = false
        if case .martlet(let step) = template.kind {
            isBuiltIn = true
            // Both spellings are the same step, and all names of a parameter the same parameter.
            members[step.kind.rawValue] = nil
            members["plugin"] = nil
            fields["step"] = step.kind.rawValue
            for (name, value) in step.parameters.objectValue ?? [:] where value != .null {
                let name = StepParameterTable.canonical(name)
                if !ofSteps.contains(name) { add(value, "parameters.\(name)", to: &fields) }
            }
        } else {
            fields["step"] = template.name
        }
        for (key, value) in members {
            let isContainer = key == "container" || key == "script"
            let inner = value.objectValue
            let kept =
                isContainer && inner != nil
                ? JSONValue.object((inner ?? [:]).filter { !ofContainers.contains($0.key) }) : value
            add(kept, key, to: &fields)
        }
        for parameter in template.outputs.parameters {
            add(.string(parameter.valueFrom?.path ?? ""), "outputs.parameters.\(parameter.name)", to: &fields)
        }
        for artifact in template.outputs.artifacts {
            add(.string(artifact.path ?? ""), "outputs.artifacts.\(artifact.name)", to: &fields)
        }
        return ContentRequest(
            fields: fields, artifacts: template.inputs.artifacts, isBuiltIn: isBuiltIn)
    }

    /// A field for each scalar, named as people index.
    private static func add(_ value: JSONValue, _ name: String, to fields: inout [String: String]) {
        switch value {
        case .object(let members) where !members.isEmpty:
            for (key, member) in members { add(member, "\(name).\(key)", to: &fields) }
        case .array(let elements) where !elements.isEmpty:
            for (index, element) in elements.enumerated() { add(element, "\(name)[\(index)]", to: &fields) }
        case .null: return
        default:
            let text = value.scalarText ?? value.compactText
            fields[name] =
                text.utf8.count <= valueLimitBytes ? text : "sha256:" + ContentDigest.sha256(Array(text.utf8))
        }
    }
}
