// Tags in the text fields of a manifest: each must mean something where it stands.

import Text

/// Checks the tags of one part of a document against a scope.
struct TagChecker {
    var scope: Scope
    /// What the checked text is the value of, such as "parameter 'message'"; part of some messages.
    var subject: String?

    init(_ scope: Scope, subject: String? = nil) {
        self.scope = scope
        self.subject = subject
    }

    /// Checks all texts of a value, keys of objects too, since tags are replaced there as well.
    /// - Parameter skipping: members of the outermost object that are checked elsewhere.
    func check(
        _ value: JSONValue?, at path: FieldPath, skipping: Set<String> = [], into findings: inout Findings
    ) {
        switch value {
        case .string(let text):
            check(text: text, at: path, into: &findings)
        case .array(let elements):
            for (index, element) in elements.enumerated() { check(element, at: path[index], into: &findings) }
        case .object(let members):
            for (key, member) in members.sorted(by: { $0.key < $1.key }) where !skipping.contains(key) {
                check(text: key, at: path[key], into: &findings)
                check(member, at: path[key], into: &findings)
            }
        case nil, .null, .bool, .int, .double:
            break
        }
    }

    /// Checks the tags of one text.
    func check(text: String, at path: FieldPath, into findings: inout Findings) {
        guard Tag.isIn(text) else { return }
        for piece in Tag.pieces(of: text) {
            switch piece {
            case .literal: break
            case .tag(let tag): check(tag: tag, at: path, into: &findings)
            case .expression(let source):
                checkExpression(source, at: path, scope: scope, subject: subject, into: &findings)
            }
        }
    }

    private func check(tag: String, at path: FieldPath, into findings: inout Findings) {
        // A tag inside a tag is replaced first; what the outer one becomes is not known before.
        let tag = tag.split(separator: "{{", omittingEmptySubsequences: false).last.map(String.init) ?? tag
        let name = ASCII.trimmed(tag)
        guard let problem = problem(with: name) else { return }
        let message = "failed to resolve {{\(tag)}}" + (problem.reason.map { ": \($0)" } ?? "")
        if problem.isHarmless {
            findings.warning(message, at: path, remedy: problem.remedy)
        } else {
            findings.error(message, at: path, remedy: problem.remedy)
        }
    }
}

/// Why a tag means nothing.
struct TagProblem {
    var reason: String?
    var remedy: String?
    /// Argo leaves the tag as it stands, which another program may even want.
    var isHarmless = false
}

extension TagChecker {
    /// What is wrong with a tag's name; nil if it is known, or not one of the workflow's names at all.
    func problem(with name: String) -> TagProblem? {
        let root = name.prefix { $0 != "." }
        let hasMember = root.endIndex != name.endIndex
        if scope.knows(name) { return nil }
        switch root {
        case "item":
            return itemProblem(isMember: hasMember)
        case "retries" where !hasMember, "lastRetry" where hasMember:
            return TagProblem(
                reason: "there is no retryStrategy",
                remedy: "give the template a retryStrategy, or remove the tag", isHarmless: true)
        case "inputs" where hasMember: return inputProblem(name)
        case "outputs" where hasMember: return outputProblem(name)
        case "steps" where hasMember: return callProblem(name, .steps)
        case "tasks" where hasMember: return callProblem(name, .tasks)
        case "workflow" where hasMember: return workflowProblem(name)
        case "pod" where hasMember:
            return TagProblem(
                reason: name == "pod.name" ? "only templates that run a container have a pod" : nil,
                remedy: "the only name is pod.name, in container, script, containerSet, resource and data"
                    + " templates")
        default:
            // Not one of ours: Go templates, Jinja and others write the same braces.
            return nil
        }
    }

    private func itemProblem(isMember: Bool) -> TagProblem {
        let members = scope.allNames.filter { $0.hasPrefix("item.") }
        if isMember, !members.isEmpty {
            return TagProblem(
                reason: "not every item has such a member",
                remedy: "members of the items: " + members.sorted().joined(separator: ", "))
        }
        return TagProblem(
            reason: scope.isLeaf ? "an item is known only to the step that loops" : "there is no loop here",
            remedy: scope.isLeaf
                ? "declare an input parameter, and give it {{item}} in the arguments of the step"
                : "add withItems, withParam or withSequence, or remove the tag",
            isHarmless: scope.isLeaf && !isMember)
    }

    private func inputProblem(_ name: String) -> TagProblem {
        let kind = name.hasPrefix("inputs.artifacts") ? "artifact" : "parameter"
        let prefix = "inputs.\(kind)s."
        var declared = Set<String>()
        for known in scope.allNames where known.hasPrefix(prefix) {
            let rest = known.dropFirst(prefix.count)
            if !rest.hasSuffix(".path") { declared.insert(String(rest)) }
        }
        let wanted = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
        let bare = wanted.hasSuffix(".path") ? String(wanted.dropLast(5)) : wanted
        if declared.contains(bare) {
            return TagProblem(reason: "input artifact '\(bare)' has no path here")
        }
        return TagProblem(
            reason: "the template declares no input \(kind) '\(bare)'",
            remedy: remedy(for: bare, among: declared, called: "input \(kind)s"))
    }

    private func outputProblem(_ name: String) -> TagProblem? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, parts[1] == "parameters" || parts[1] == "artifacts" else { return nil }
        let prefix = "outputs.\(parts[1])."
        let declared = scope.allNames.filter { $0.hasPrefix(prefix) }.map {
            String($0.dropFirst(prefix.count))
        }
        .filter { !$0.hasSuffix(".path") }
        if declared.contains(parts[2]) { return nil }
        return TagProblem(
            reason: "the template declares no output \(parts[1].dropLast()) '\(parts[2])'",
            remedy: remedy(for: parts[2], among: declared, called: "output \(parts[1])"))
    }

    private func workflowProblem(_ name: String) -> TagProblem {
        if name == "workflow.failures" {
            return TagProblem(
                reason: "failures are known only when the workflow has ended",
                remedy: "use it in a template that is an exit handler (onExit or hooks.exit) only")
        }
        for group in ["parameters", "labels", "annotations", "outputs.parameters", "outputs.artifacts"] {
            let prefix = "workflow.\(group)."
            guard name.hasPrefix(prefix) else { continue }
            let known = scope.allNames.filter { $0.hasPrefix(prefix) }.map {
                String($0.dropFirst(prefix.count))
            }
            let what =
                group.hasPrefix("outputs")
                ? "names that outputs export with globalName (\(group.dropFirst(8)))"
                : "\(group) of the workflow"
            return TagProblem(
                remedy: remedy(for: String(name.dropFirst(prefix.count)), among: known, called: what))
        }
        let variables = scope.allNames.filter { $0.hasPrefix("workflow.") && !$0.dropFirst(9).contains(".") }
        return TagProblem(
            reason: "there is no such workflow variable",
            remedy: remedy(for: name, among: variables, called: "workflow variables"))
    }

    private func callProblem(_ name: String, _ root: CallScope.Root) -> TagProblem {
        let word = String(root.rawValue.dropLast())
        guard let calls = nearestCalls(root) else {
            return TagProblem(
                reason: "no \(root.rawValue) are known here",
                remedy:
                    "declare an input of this template, and pass the value in the arguments of the \(word)"
                    + " that calls it")
        }
        let parts = Scope.callParts(name, of: root)
        let call = parts?.call ?? String(name.dropFirst(root.rawValue.count + 1))
        guard let results = calls.results[call] else {
            return TagProblem(
                reason: "no \(word) is named '\(call)'",
                remedy: remedy(
                    for: call, among: calls.results.keys,
                    called: "\(root.rawValue) of template \"\(calls.templateName)\""))
        }
        if !calls.visible.contains(call) { return hiddenProblem(call, root) }
        let rest = parts?.rest ?? ""
        return TagProblem(
            reason: "\(word) '\(call)' has no \(rest.isEmpty ? "value of its own" : rest)",
            remedy: remedy(
                for: rest, among: results.names,
                called: "what \(word) '\(call)' gives (template"
                    + " \"\(results.templateName)\")"))
    }

    private func nearestCalls(_ root: CallScope.Root) -> CallScope? {
        if let calls = scope.calls, calls.root == root { return calls }
        return scope.outer.lazy.compactMap { TagChecker($0).nearestCalls(root) }.first
    }

    private func hiddenProblem(_ call: String, _ root: CallScope.Root) -> TagProblem {
        let purpose = subject.map { " for \($0)" } ?? ""
        switch root {
        case .tasks:
            return TagProblem(
                reason: "missing dependency '\(call)'\(purpose)",
                remedy:
                    "a task sees only tasks that it depends on: add \(call) to its depends or dependencies")
        case .steps:
            return TagProblem(
                reason: "step '\(call)' has not ended then",
                remedy: "a step sees only steps of earlier groups: move it to a group after that of '\(call)'"
            )
        }
    }
}
