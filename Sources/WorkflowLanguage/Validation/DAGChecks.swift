// Templates of kind dag: tasks, what they depend on, and what each may therefore know of others.

import Text

extension ValidationContext {
    func checkDAG(
        _ dag: DAG, of template: Template, at path: FieldPath, scope: Scope, into findings: inout Findings
    ) {
        TagChecker(scope).check(template.raw, at: path, skipping: ["dag", "outputs"], into: &findings)
        TagChecker(scope).check(template.raw["dag"], at: path["dag"], skipping: ["tasks"], into: &findings)
        let tasksPath = path["dag"]["tasks"]
        guard !dag.tasks.isEmpty else {
            findings.error("dag must have at least one task", at: path["dag"], remedy: "write tasks: [...]")
            return
        }
        let names = dag.tasks.map(\.name)
        checkNames(named(names, at: tasksPath), .field, of: "task", into: &findings)
        checkStyle(of: dag, at: tasksPath, into: &findings)
        let graph = checkDependencies(of: dag, of: template, at: tasksPath, into: &findings)
        for cycle in graph.cycles(startingFrom: names) {
            let index = names.firstIndex(of: cycle[0]) ?? 0
            findings.error(
                "dependency cycle detected: " + cycle.joined(separator: "->"), at: tasksPath[index],
                remedy: "remove one of these dependencies: no task of the circle could ever begin")
        }
        checkTarget(dag.target, names: names, of: template, at: path["dag"]["target"], into: &findings)
        checkTasks(dag, graph, of: template, at: path, scope: scope, into: &findings)
    }

    /// The two ways to say what a task waits for cannot be mixed.
    private func checkStyle(of dag: DAG, at path: FieldPath, into findings: inout Findings) {
        let usesDepends = dag.tasks.contains { !($0.depends ?? "").isEmpty }
        for (index, task) in dag.tasks.enumerated() {
            let path = path[index]
            if usesDepends, !task.dependencies.isEmpty {
                findings.error(
                    "cannot use both 'depends' and 'dependencies' in the same DAG template",
                    at: path["dependencies"],
                    remedy: "write depends: \"" + task.dependencies.joined(separator: " && ") + "\"")
            }
            if usesDepends, task.step.raw["continueOn"] ?? .null != .null {
                findings.error(
                    "cannot use 'continueOn' when using 'depends'", at: path["continueOn"],
                    remedy: "let the tasks after it depend on \(task.name).Succeeded || \(task.name).Failed"
                        + " || \(task.name).Errored")
            }
            if usesDepends || !task.dependencies.isEmpty, let first = task.name.utf8.first,
                ASCII.isDigit(first)
            {
                findings.error(
                    "name '\(task.name)' cannot begin with a digit when using either 'depends'"
                        + " or 'dependencies'",
                    at: path["name"], remedy: "name it for example \"t\(task.name)\"")
            }
        }
    }

    /// Checks that dependencies exist.
    /// - Returns: the graph of those that do.
    private func checkDependencies(
        of dag: DAG, of template: Template, at path: FieldPath, into findings: inout Findings
    ) -> DependencyGraph {
        let tasks = Dictionary(dag.tasks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let listing = "tasks of template \"\(template.name)\""
        var edges: [String: [String]] = [:]
        for (index, task) in dag.tasks.enumerated() {
            let path = path[index]
            for (position, name) in task.dependencies.enumerated() where !Tag.isIn(name) {
                if tasks[name] == nil {
                    findings.error(
                        "dependency '\(name)' not defined: no task is named \"\(name)\"",
                        at: path["dependencies"][position],
                        remedy: remedy(for: name, among: tasks.keys, called: listing))
                } else {
                    edges[task.name, default: []].append(name)
                }
            }
            guard let depends = task.depends, !depends.isEmpty, !Tag.isIn(depends) else { continue }
            let mentions = DependsMention.all(in: depends)
            checkMentions(mentions, in: depends, tasks: tasks, listing, at: path["depends"], into: &findings)
            edges[task.name, default: []] += mentions.map(\.task).filter { tasks[$0] != nil }
        }
        return DependencyGraph(edges)
    }

    private func checkMentions(
        _ mentions: [DependsMention], in depends: String, tasks: [String: DAGTask], _ listing: String,
        at path: FieldPath, into findings: inout Findings
    ) {
        var isKnown = true
        for mention in mentions {
            guard let task = tasks[mention.task] else {
                findings.error(
                    "dependency '\(mention.task)' not defined: no task is named \"\(mention.task)\"",
                    at: path,
                    remedy: remedy(for: mention.task, among: tasks.keys, called: listing))
                continue
            }
            guard let result = mention.result else { continue }
            if !DependsMention.results.contains(result) {
                isKnown = false
                findings.error(
                    "task result '\(result)' for task '\(mention.task)' is invalid", at: path,
                    remedy: remedy(for: result, among: DependsMention.results, called: "results"))
            } else if DependsMention.itemResults.contains(result), task.step.loop == nil {
                findings.error(
                    "dependency '\(mention.task)' uses an items-based condition such as .AnySucceeded or"
                        + " .AllFailed but does not contain any items",
                    at: path, remedy: "write \(mention.task).Succeeded or \(mention.task).Failed")
            }
        }
        guard isKnown else { return }
        do {
            _ = try DependsExpression(depends)
        } catch {
            findings.error(
                "depends '\(depends)' cannot be parsed: \(error.message)", at: path,
                remedy: "write task names or NAME.Result, joined with && and ||, negated with !, in ( )")
        }
    }

    private func checkTarget(
        _ target: String?, names: [String], of template: Template, at path: FieldPath,
        into findings: inout Findings
    ) {
        guard let target else { return }
        // A word that holds a tag is known only when the workflow runs.
        let literal = Tag.pieces(of: target).map { piece in
            if case .literal(let text) = piece { return text }
            return "\u{0}"
        }
        for word in literal.joined().split(separator: " ") where !word.contains("\u{0}") {
            guard !names.contains(String(word)) else { continue }
            findings.error(
                "target '\(word)' is not defined", at: path,
                remedy: remedy(
                    for: String(word), among: names, called: "tasks of template \"\(template.name)\""))
        }
    }

    private func checkTasks(
        _ dag: DAG, _ graph: DependencyGraph, of template: Template, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        let results = Dictionary(
            dag.tasks.map { ($0.name, self.results(of: $0.step)) }, uniquingKeysWith: { first, _ in first })
        var scope = scope
        scope.calls = CallScope(root: .tasks, results: results, visible: [], templateName: template.name)
        for (index, task) in dag.tasks.enumerated() {
            var scope = scope
            let mentioned = TaskMentions.names(in: task.step.raw)
            scope.calls?.visible = graph.ancestors(of: task.name, among: mentioned)
            checkCall(
                task.step, at: path["dag"]["tasks"][index], scope: scope,
                into: &findings)
        }
        scope.calls?.visible = Set(results.keys)
        checkOutputs(of: template, at: path["outputs"], scope: scope, into: &findings)
    }
}

/// One name in a `depends`, with its result if it has one.
struct DependsMention: Equatable {
    var task: String
    var result: String?

    static let itemResults = ["AnySucceeded", "AllFailed"]
    static let results =
        ["Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned"] + itemResults

    /// All names of a text, also of one that does not parse.
    static func all(in text: String) -> [DependsMention] {
        let isName: (Character) -> Bool = {
            $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == "."
        }
        return text.split { !isName($0) }.map { word in
            let parts = word.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            return DependsMention(task: String(parts[0]), result: parts.count > 1 ? String(parts[1]) : nil)
        }
    }
}

/// Which tasks the texts of a task mention in tags and expressions.
enum TaskMentions {
    static func names(in value: JSONValue) -> Set<String> {
        var names: Set<String> = []
        collect(value, into: &names)
        return names
    }

    private static func collect(_ value: JSONValue, into names: inout Set<String>) {
        switch value {
        case .string(let text): collect(text: text, into: &names)
        case .array(let elements): for element in elements { collect(element, into: &names) }
        case .object(let members):
            for (key, member) in members {
                collect(text: key, into: &names)
                collect(member, into: &names)
            }
        case .null, .bool, .int, .double: break
        }
    }

    private static func collect(text: String, into names: inout Set<String>) {
        guard text.contains("tasks") else { return }
        for piece in Tag.pieces(of: text) {
            switch piece {
            case .tag(let tag):
                for part in tag.split(separator: "{") {
                    if let (call, _) = Scope.callParts(ASCII.trimmed(part), of: .tasks) { names.insert(call) }
                }
            case .expression(let source), .literal(let source):
                for chain in ExpressionReferences.chains(in: source)
                where chain.count > 1 && chain[0] == "tasks" {
                    names.insert(chain[1])
                }
            }
        }
    }
}
