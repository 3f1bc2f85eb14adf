// Expressions: they must parse, and use only names that exist.

import Text

/// Names that an expression may begin with wherever it stands.
private let everywhere: Set<String> = [
    "workflow", "inputs", "outputs", "steps", "tasks", "item", "pod", "node", "retries", "lastRetry", "sprig",
    "asInt", "asFloat", "int", "float", "string", "toJson", "jsonpath", "status", "duration", "exitCode",
    "resourcesDuration", "cronworkflow",
]

/// Checks an expression of the expr language.
/// - Parameter names: further names that mean something here.
func checkExpression(
    _ source: String, at path: FieldPath, scope: Scope, names: Set<String> = [], subject: String? = nil,
    into findings: inout Findings
) {
    // What the expression is once its tags are replaced cannot be known.
    guard !source.contains("{{") else { return }
    if ASCII.isBlank(source) {
        findings.error("the expression is empty", at: path)
        return
    }
    do {
        let expression = try Expression(source)
        let known = everywhere.union(names)
        for name in expression.rootNames.subtracting(known).sorted() {
            findings.error(
                "unknown name '\(name)' in expression '\(ASCII.trimmed(source))'", at: path,
                remedy: remedy(for: name, among: known, called: "names that expressions may use")
                    + "; a text needs quotes, a name with '-' is written as steps['a-b']")
        }
        checkReferences(of: source, at: path, scope: scope, subject: subject, into: &findings)
    } catch {
        findings.error(
            "expression '\(ASCII.trimmed(source))' cannot be parsed: \(error.message)", at: path,
            remedy: "the language is expr: == != && || ! ?: ?? in matches, texts in single or double quotes")
    }
}

/// The names that an expression mentions must exist, unless it says itself what to do when they do not.
private func checkReferences(
    of source: String, at path: FieldPath, scope: Scope, subject: String?, into findings: inout Findings
) {
    guard !["??", "?.", "get(", " in "].contains(where: { source.contains($0) }) else { return }
    for chain in ExpressionReferences.chains(in: source) {
        guard let length = decidedLength(of: chain) else { continue }
        let name = chain.prefix(length).joined(separator: ".")
        guard let problem = TagChecker(scope, subject: subject).problem(with: name), !problem.isHarmless
        else {
            continue
        }
        findings.error(
            "failed to resolve \(name) in expression" + (problem.reason.map { ": \($0)" } ?? ""), at: path,
            remedy: problem.remedy)
    }
}

/// How many parts of a chain make a name that is there or not; nil where that cannot be told.
private func decidedLength(of chain: [String]) -> Int? {
    switch chain[0] {
    case "inputs" where chain.count >= 3 && chain[1] == "parameters": return 3
    case "workflow" where chain.count >= 3 && chain[1] == "parameters" && chain[2] != "json": return 3
    case "steps", "tasks":
        guard chain.count >= 3 else { return nil }
        if chain[2] != "outputs" { return 3 }
        guard chain.count >= 4 else { return nil }
        if chain[3] == "parameters" || chain[3] == "artifacts" { return chain.count >= 5 ? 5 : nil }
        return 4
    default: return nil
    }
}

/// Checks a `when`: the text that remains after substitution must be a condition, so only a text without tags
/// says now whether it is one.
/// - Parameter bareWordsAreStrings: as for steps, but not for cron workflows.
func checkWhen(
    _ text: String, at path: FieldPath, bareWordsAreStrings: Bool = true, into findings: inout Findings
) {
    guard !Tag.isIn(text), !ASCII.isBlank(text) else { return }
    do {
        _ = try WhenExpression(text, bareWordsAreStrings: bareWordsAreStrings)
    } catch {
        findings.error(
            "Invalid 'when' expression '\(text)': \(error.message)", at: path,
            remedy: "write a condition such as \"{{steps.flip.outputs.result}} == heads\"; quote values with"
                + " blanks or symbols")
    }
}
