// Templates that call themselves before anything could stop them. Recursion as such is fine: a `when`, or work that
// comes first, may end it.

import Text

extension ValidationContext {
    /// Reports each circle of calls that are made whatever happens.
    func checkRecursion(of spec: WorkflowSpec, into findings: inout Findings) {
        var calls: [String: [String]] = [:]
        for template in spec.templates where calls[template.name] == nil {
            calls[template.name] = template.memoize == nil ? template.certainCalls : []
        }
        var finished: Set<String> = []
        for (index, template) in spec.templates.enumerated() {
            guard let circle = Self.circle(from: template.name, calls, &finished) else { continue }
            findings.error(
                "template \"\(circle[0])\" calls itself without end: \(circle.joined(separator: " -> "))",
                at: specPath["templates"][index],
                remedy: "endless recursion: give one of these calls a `when`, or let a step before it decide")
        }
    }

    /// The first circle on the way from a template, nil if there is none. Templates that were looked at before are not
    /// entered again.
    private static func circle(from start: String, _ calls: [String: [String]], _ finished: inout Set<String>)
        -> [String]?
    {
        guard !finished.contains(start) else { return nil }
        var way: [(name: String, next: Int)] = [(start, 0)]
        while let last = way.last {
            let targets = calls[last.name] ?? []
            guard last.next < targets.count else {
                finished.insert(last.name)
                way.removeLast()
                continue
            }
            way[way.count - 1].next += 1
            let target = targets[last.next]
            if let begin = way.firstIndex(where: { $0.name == target }) {
                finished.formUnion(way.map(\.name))
                return way[begin...].map(\.name) + [target]
            }
            if !finished.contains(target) { way.append((target, 0)) }
        }
        return nil
    }
}

extension Template {
    /// Names of templates that are called as soon as this one is, on no condition.
    fileprivate var certainCalls: [String] {
        switch kind {
        case .steps(let groups): return (groups.first ?? []).compactMap(\.certainCall)
        case .dag(let dag) where dag.target == nil:
            return dag.tasks.filter { $0.dependencies.isEmpty && ($0.depends ?? "").isEmpty }
                .compactMap(\.step.certainCall)
        default: return []
        }
    }
}

extension Step {
    fileprivate var certainCall: String? {
        guard (when ?? "").isEmpty, case .name(let name) = reference else { return nil }
        switch loop {
        case nil: return name
        case .items(let items): return items.isEmpty ? nil : name
        case .parameter, .sequence: return nil
        }
    }
}
