// The annotations of steps on several nodes: values that are none, and templates that cannot be a group.

extension ValidationContext {
    /// - Parameter path: of the template.
    func checkGroup(of template: Template, at path: FieldPath, into findings: inout Findings) {
        let place = path["metadata"]["annotations"]
        for problem in NodeGroup.problems(of: template) {
            findings.error(problem.message, at: place[problem.annotation], remedy: problem.remedy)
        }
    }
}
