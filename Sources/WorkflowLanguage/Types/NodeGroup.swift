// A step on several nodes: what the annotations `martlet.dev/nodes` and `martlet.dev/procs-per-node` ask for, and what
// each member of such a group is told.

package import Text

/// The shape of a group: so many nodes that run the same command, each with a rank of its own.
package struct NodeGroup: Sendable, Hashable {
    /// Something in the annotations that cannot be done.
    package struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
        package var annotation: String
        package var message: String
        package var remedy: String

        package var description: String { "\(message); \(remedy)" }
    }

    package static let nodesAnnotation = "martlet.dev/nodes"
    package static let processesAnnotation = "martlet.dev/procs-per-node"
    /// More pods than one group has had anywhere; a slip of the finger should not ask for a million.
    package static let nodeLimit = 1000
    package static let processLimit = 256

    /// At least 1.
    package var nodes: Int
    /// At least 1.
    package var processesPerNode: Int

    package init(nodes: Int, processesPerNode: Int) {
        self.nodes = nodes
        self.processesPerNode = processesPerNode
    }

    /// The group that a template asks for, its tags replaced; nil for a step without these annotations.
    ///
    /// - Throws: the first problem.
    package init?(_ template: Template) throws(Problem) {
        if let problem = Self.problems(of: template).first { throw problem }
        let annotations = template.metadata.annotations
        let nodes = annotations[Self.nodesAnnotation].flatMap { Int($0) }
        let processes = annotations[Self.processesAnnotation].flatMap { Int($0) }
        guard nodes != nil || processes != nil else { return nil }
        self.init(nodes: nodes ?? 1, processesPerNode: processes ?? Self.devices(of: template))
    }

    /// How many times the resources of a template are used; 1 where the annotations cannot be read.
    package static func nodes(of template: Template) -> Int {
        guard template.metadata.annotations[nodesAnnotation] != nil else { return 1 }
        return (try? NodeGroup(template))?.nodes ?? 1
    }

    /// Names of a document's templates that ask for more than one node, or for a number that only a run knows.
    package static func names(in document: JSONValue) -> [String] {
        switch document {
        case .array(let elements): return elements.flatMap(names)
        case .object(let members):
            let text = members["metadata"]?["annotations"]?[nodesAnnotation]?.scalarText
            let own = text.map { $0 == "1" ? [] : [members["name"]?.scalarText ?? "inline"] } ?? []
            return own + members.sortedByKey.flatMap { names(in: $0.value) }
        default: return []
        }
    }

    /// Without a word about processes there is one for each GPU.
    private static func devices(of template: Template) -> Int {
        let container: Container
        switch template.kind {
        case .container(let own), .script(let own, _): container = own
        case .martlet: container = Container(["resources": template.raw["podResources"] ?? .null])
        default: return 1
        }
        let count = container.requests.filter { $0.key.hasSuffix("/gpu") }.compactMap { Int($0.value) }
            .reduce(0, +)
        return min(max(1, count), processLimit)
    }

    // MARK: What cannot be

    /// All that is wrong with a template's annotations; values that are tags are left for when they are known.
    package static func problems(of template: Template) -> [Problem] {
        var problems: [Problem] = []
        for (name, limit) in [(nodesAnnotation, nodeLimit), (processesAnnotation, processLimit)] {
            guard let text = template.metadata.annotations[name], !Tag.isIn(text) else { continue }
            guard let count = Int(text), (1...limit).contains(count) else {
                problems.append(
                    Problem(
                        annotation: name,
                        message: "annotation \(name): \"\(text)\" is no number from 1 to \(limit)",
                        remedy: "write for example \(name): \"2\""))
                continue
            }
            if let problem = problem(of: template, name, count) { problems.append(problem) }
        }
        return problems
    }

    private static func problem(of template: Template, _ name: String, _ count: Int) -> Problem? {
        func none(_ message: String, _ remedy: String) -> Problem {
            Problem(annotation: name, message: "annotation \(name): \(message)", remedy: remedy)
        }
        let isGroup = name == nodesAnnotation && count > 1
        switch template.kind {
        case .container, .script:
            guard isGroup, template.daemon else { return nil }
            return none(
                "a daemon cannot be a group of \(count) nodes", "leave out the annotation, or daemon: true")
        case .martlet(let step):
            guard isGroup else { return nil }
            guard [.pretrain, .sft, .rlhf, .dpo].contains(step.kind) else {
                return none(
                    "a \(step.kind.rawValue) step runs on one node",
                    "groups are for container, script and training templates; leave the annotation out")
            }
            guard step.backend == .martlet else { return nil }
            return none(
                "the built-in trainer computes on one node",
                "write backend: ms-swift in the step, use a container with torchrun, or leave the annotation out"
            )
        default:
            return none(
                "this kind of template runs no command that could be a group's",
                "write it on container, script and training templates")
        }
    }

    // MARK: What members are told

    /// Where a member finds its rank, for torchrun and for those who read the plain names.
    package static let rankVariables = ["NODE_RANK", "PET_NODE_RANK"]

    /// The rest of what each member is told, the same for all of them. torchrun reads the `PET_` names by itself.
    package func variables(address: String, port: Int) -> [(name: String, value: String)] {
        let values: [(name: String, value: String)] = [
            ("NNODES", String(nodes)), ("NPROC_PER_NODE", String(processesPerNode)), ("MASTER_ADDR", address),
            ("MASTER_PORT", String(port)),
        ]
        return values + values.map { (name: "PET_" + $0.name, value: $0.value) }
    }

    /// What stands before each line of a member's output.
    package static func prefix(rank: Int) -> String { "[rank \(rank)] " }
}
