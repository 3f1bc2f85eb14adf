// Templates of kind steps: groups that run one after another.

import Text

extension ValidationContext {
    func checkSteps(
        _ groups: [[Step]], of template: Template, at path: FieldPath, scope: Scope,
        into findings: inout Findings
    ) {
        TagChecker(scope).check(template.raw, at: path, skipping: ["steps", "outputs"], into: &findings)
        if groups.allSatisfy(\.isEmpty) {
            findings.error(
                "steps must have at least one step", at: path["steps"],
                remedy: "write a list of groups, each a list of steps")
        }
        let entries = groups.enumerated().flatMap { group, steps in
            steps.enumerated().map { ($1.name, template.stepPath(path, group, $0)) }
        }
        checkNames(entries, .field, of: "step", into: &findings)

        let results = Dictionary(
            groups.joined().map { ($0.name, self.results(of: $0)) }, uniquingKeysWith: { first, _ in first })
        var scope = scope
        scope.calls = CallScope(root: .steps, results: results, visible: [], templateName: template.name)
        for (group, steps) in groups.enumerated() {
            for (index, step) in steps.enumerated() {
                checkCall(
                    step, at: template.stepPath(path, group, index), scope: scope,
                    into: &findings)
            }
            scope.calls?.visible.formUnion(steps.map(\.name))
        }
        checkOutputs(of: template, at: path["outputs"], scope: scope, into: &findings)
    }
}
