// Who waits for whom: cycles and ancestors, without recursion, since graphs may be thousands of tasks long.

/// Names and the names that each depends on.
struct DependencyGraph: Sendable {
    private var dependencies: [String: [String]]

    init(_ dependencies: [String: [String]]) {
        self.dependencies = dependencies
    }

    /// Cycles, each as a way from a name back to itself; one for each place where a walk runs in a circle.
    /// - Parameter names: the order in which to look, so that the answer is always the same.
    func cycles(startingFrom names: [String]) -> [[String]] {
        enum Mark { case onWay, done }
        var marks: [String: Mark] = [:]
        var cycles: [[String]] = []
        for start in names where marks[start] == nil {
            var way: [(name: String, next: Int)] = [(start, 0)]
            marks[start] = .onWay
            while let (name, next) = way.last {
                let needed = dependencies[name] ?? []
                guard next < needed.count else {
                    marks[name] = .done
                    way.removeLast()
                    continue
                }
                way[way.count - 1].next += 1
                let dependency = needed[next]
                switch marks[dependency] {
                case nil:
                    marks[dependency] = .onWay
                    way.append((dependency, 0))
                case .onWay:
                    let circle = way.map(\.name).drop { $0 != dependency }
                    cycles.append(circle + [dependency])
                case .done: break
                }
            }
        }
        return cycles
    }

    /// Those of the wanted names that a name depends on, directly or not. Ends as soon as all are found.
    func ancestors(of name: String, among wanted: Set<String>) -> Set<String> {
        var missing = wanted
        var seen: Set<String> = [name]
        var work = dependencies[name] ?? []
        var position = 0
        while position < work.count, !missing.isEmpty {
            let next = work[position]
            position += 1
            guard seen.insert(next).inserted else {
                // A cycle, which is reported as such, makes a task its own ancestor.
                if next == name { missing.remove(next) }
                continue
            }
            missing.remove(next)
            work += dependencies[next] ?? []
        }
        return wanted.subtracting(missing)
    }
}
