// Which templates a specification reaches, through steps, tasks, hooks and stored definitions.

import Text

/// One call of a template: a step, a task or a hook.
struct TemplateCall: Sendable {
    var reference: TemplateReference
    var path: FieldPath
}

extension Template {
    /// The steps or tasks of the template itself.
    var ownSteps: [Step] {
        switch kind {
        case .steps(let groups): Array(groups.joined())
        case .dag(let dag): dag.tasks.map(\.step)
        default: []
        }
    }

    /// The calls that a template makes itself.
    func calls(at path: FieldPath) -> [TemplateCall] {
        switch kind {
        case .steps(let groups):
            return groups.enumerated().flatMap { group, steps in
                steps.enumerated().flatMap { index, step in
                    step.calls(at: stepPath(path, group, index))
                }
            }
        case .dag(let dag):
            return dag.tasks.enumerated().flatMap { index, task in
                task.step.calls(at: path["dag"]["tasks"][index])
            }
        default:
            return []
        }
    }

    /// Path of a step; a group may also be written as a single step.
    func stepPath(_ path: FieldPath, _ group: Int, _ index: Int) -> FieldPath {
        let groupPath = path["steps"][group]
        let written = raw["steps"]?.arrayValue
        guard let written, written.indices.contains(group), written[group].arrayValue != nil else {
            return groupPath
        }
        return groupPath[index]
    }
}

extension Step {
    /// The step's own call and those of its hooks.
    func calls(at path: FieldPath) -> [TemplateCall] {
        [TemplateCall(reference: reference, path: path)]
            + hooks.sorted { $0.key < $1.key }.map { name, hook in
                TemplateCall(reference: hook.reference, path: hookPath(path, name))
            }
    }

    /// Path of a hook: the exit hook may stand in the old field `onExit`.
    func hookPath(_ path: FieldPath, _ name: String) -> FieldPath {
        WorkflowLanguage.hookPath(raw, path, name)
    }
}

/// Path of a hook in a step, task or specification.
func hookPath(_ raw: JSONValue, _ path: FieldPath, _ name: String) -> FieldPath {
    raw["hooks"]?[name] != nil ? path["hooks"][name] : path["onExit"]
}

/// A template that was reached, and where in the document the way to it begins.
struct ReachedTemplate: Sendable {
    var resolved: ResolvedTemplate
    /// The call in the document; for templates that stored ones call, the document's call that led there.
    var place: FieldPath
}

extension ValidationContext {
    /// All templates that the calls lead to, each once; a worklist, since templates may nest deeply.
    /// - Returns: the templates, and whether every call could be followed.
    func reachable(
        from calls: [TemplateCall], of owner: TemplateOwner
    ) -> (templates: [ReachedTemplate], isComplete: Bool) {
        var reached: [ReachedTemplate] = []
        var isComplete = true
        var seen: Set<String> = []
        var work = calls.reversed().map { (call: $0, owner: owner) }
        while let (call, owner) = work.popLast() {
            guard case .found(let resolved) = resolve(call.reference, from: owner) else {
                isComplete = false
                continue
            }
            if let key = resolved.key, !seen.insert(key).inserted { continue }
            reached.append(ReachedTemplate(resolved: resolved, place: call.path))
            let path =
                resolved.index.map { specPath["templates"][$0] } ?? call.path["inline"]
            for var next in resolved.template.calls(at: path).reversed() {
                if !resolved.owner.isDocument { next.path = call.path }
                work.append((next, resolved.owner))
            }
        }
        return (reached, isComplete)
    }
}
