// Random workflows: every kind of template, loop, hook, limit and lock, in small trees.

import Scheduling
import TestSupport
import Text
import WorkflowLanguage

/// Makes one workflow from a seed.
struct WorkflowGenerator {
    /// Whether there may be things whose outcome depends on how long something takes.
    let isTimed: Bool
    private var generator: SeededGenerator
    private var templates: [JSONValue] = []
    private let leaves: [String]

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        isTimed = generator.next() % 2 == 0
        var leaves = [
            "leaf", "leaf", "retried", "mutexed", "counted", "script", "set", "pause", "approval", "daemon",
        ]
        if isTimed { leaves += ["cached", "limited", "impatient"] }
        self.leaves = leaves
    }

    mutating func definition(seed: UInt64) -> RunDefinition {
        RunDefinition(
            manifest: manifest(), catalog: TemplateCatalog(), uid: "uid", name: "w", namespace: "default",
            createdAt: Timestamp(seconds: 1_700_000_000), seed: seed)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int(generator.next() % 100) < percent }
    private mutating func pick<T>(_ list: [T]) -> T { list[Int(generator.next() % UInt64(list.count))] }

    private mutating func manifest() -> JSONValue {
        addLeaves()
        for (name, below) in [
            ("lower-a", []), ("lower-b", []), ("upper", ["lower-a", "lower-b", "recursion"]),
        ] {
            addComposite(name, children: leaves + below + below)
        }
        addComposite("main", children: leaves + ["lower-a", "lower-b", "recursion", "upper", "upper"])
        var spec: [String: JSONValue] = ["entrypoint": "main", "templates": .array(templates)]
        if chance(20) { spec["parallelism"] = .int(pick([1, 2, 3])) }
        if chance(30) { spec["onExit"] = .string(pick(["leaf", "lower-a"])) }
        if chance(15) {
            spec["hooks"] = .object([
                "begun": ["template": "leaf", "expression": "workflow.status == \"Running\""],
                "bad": ["template": "leaf", "expression": "workflow.status == \"Failed\""],
            ])
        }
        if isTimed, chance(15) { spec["activeDeadlineSeconds"] = .int(pick([2, 10, 30])) }
        if chance(8) { spec["suspend"] = true }
        if chance(10) { spec["synchronization"] = ["mutexes": [["name": "whole"]]] }
        if chance(5) { spec["retryStrategy"] = ["limit": "1"] }
        return .object(["kind": "Workflow", "metadata": ["name": "w"], "spec": .object(spec)])
    }

    // MARK: Leaves

    private mutating func addLeaves() {
        let outputs: JSONValue = [
            "parameters": [["name": "p", "valueFrom": ["path": "/p", "default": "absent"]]]
        ]
        let inputs: JSONValue = ["parameters": [["name": "x", "default": "0"]]]
        func leaf(_ name: String, _ fields: [String: JSONValue]) -> JSONValue {
            var members: [String: JSONValue] = ["name": .string(name), "inputs": inputs, "outputs": outputs]
            members["container"] = [
                "image": "i", "args": ["{{inputs.parameters.x}} {{workflow.name}} {{node.name}}"],
            ]
            for (key, value) in fields { members[key] = value }
            return .object(members)
        }
        templates += [
            leaf("leaf", [:]),
            leaf("retried", ["retryStrategy": retryStrategy()]),
            leaf("mutexed", mutex("m")),
            leaf(
                "counted",
                [
                    "synchronization": [
                        "semaphores": [["configMapKeyRef": ["name": "sizes", "key": "large"]]]
                    ]
                ]),
            leaf("script", ["script": ["image": "i", "source": "print({{inputs.parameters.x}})"]]).without(
                "container"),
            leaf(
                "set",
                [
                    "containerSet": ["containers": [["name": "a"], ["name": "main", "dependencies": ["a"]]]]
                ]
            ).without("container"),
            leaf("daemon", ["daemon": true]),
            leaf(
                "cached",
                ["memoize": ["key": "k-{{inputs.parameters.x}}", "cache": ["configMap": ["name": "c"]]]]),
            leaf("limited", ["timeout": "3s"]),
            leaf("impatient", ["activeDeadlineSeconds": 2, "pendingTimeout": "4s"]),
            ["name": "pause", "suspend": ["duration": "5"]],
            ["name": "approval", "suspend": [:]],
            recursion(),
        ]
    }

    private func mutex(_ name: String) -> [String: JSONValue] {
        ["synchronization": ["mutexes": [["name": .string(name)]]]]
    }

    private mutating func retryStrategy() -> JSONValue {
        var strategy: [String: JSONValue] = ["limit": .int(pick([0, 1, 2]))]
        if chance(50) { strategy["retryPolicy"] = .string(pick(["Always", "OnError", "OnFailure"])) }
        if chance(40) { strategy["backoff"] = ["duration": "2s", "factor": 2, "cap": "3s"] }
        if isTimed, chance(20) { strategy["backoff"] = ["duration": "2", "maxDuration": "10"] }
        if chance(20) { strategy["expression"] = "asInt(lastRetry.exitCode) != 3" }
        return .object(strategy)
    }

    private mutating func recursion() -> JSONValue {
        [
            "name": "recursion", "inputs": ["parameters": [["name": "x", "default": "2"]]],
            "steps": [
                [["name": "a", "template": "leaf", "continueOn": ["failed": true, "error": true]]],
                [
                    [
                        "name": "again", "template": "recursion",
                        "when": "{{inputs.parameters.x}} =~ '^[1-9]$'",
                        "arguments": [
                            "parameters": [
                                ["name": "x", "value": "{{=string(int(inputs.parameters.x) - 1)}}"]
                            ]
                        ],
                    ]
                ],
            ],
        ]
    }

    // MARK: Steps and tasks

    private mutating func addComposite(_ name: String, children: [String]) {
        let isDAG = chance(50)
        var members: [String: JSONValue] = [
            "name": .string(name), "inputs": ["parameters": [["name": "x", "default": "1"]]],
        ]
        if isDAG { members["dag"] = dag(children) } else { members["steps"] = steps(children) }
        let root = isDAG ? "tasks" : "steps"
        members["outputs"] = [
            "parameters": [
                [
                    "name": "p",
                    "valueFrom": [
                        "parameter": .string("{{\(root).n0.outputs.parameters.p}}"), "default": "z",
                    ],
                ]
            ]
        ]
        if chance(25) { members["parallelism"] = .int(pick([1, 2])) }
        if isTimed, chance(15) { members["failFast"] = true }
        if name != "main", chance(15) { members["retryStrategy"] = retryStrategy() }
        if name == "lower-b", chance(20) { members.merge(mutex("composite")) { $1 } }
        templates.append(.object(members))
    }

    private mutating func steps(_ children: [String]) -> JSONValue {
        var groups: [JSONValue] = []
        var earlier: [String] = []
        var number = 0
        for _ in 0..<pick([1, 2, 3]) {
            var group: [JSONValue] = []
            var names: [String] = []
            for _ in 0..<pick([1, 1, 2, 3]) {
                names.append("n\(number)")
                group.append(.object(call("n\(number)", "steps", children, earlier)))
                number += 1
            }
            earlier += names
            groups.append(.array(group))
        }
        return .array(groups)
    }

    private mutating func dag(_ children: [String]) -> JSONValue {
        var tasks: [JSONValue] = []
        let usesDepends = chance(50)
        for number in 0..<pick([1, 2, 3, 5]) {
            let parents = (0..<number).filter { _ in chance(45) }.map { "n\($0)" }
            var task = call("n\(number)", "tasks", children, parents)
            if usesDepends {
                task["continueOn"] = nil
                if !parents.isEmpty { task["depends"] = .string(depends(parents)) }
            } else if !parents.isEmpty {
                task["dependencies"] = .array(parents.map(JSONValue.string))
            }
            tasks.append(.object(task))
        }
        var dag: [String: JSONValue] = ["tasks": .array(tasks)]
        if chance(15) { dag["target"] = .string("n\(tasks.count - 1)") }
        if chance(20) { dag["failFast"] = false }
        return .object(dag)
    }

    private mutating func depends(_ parents: [String]) -> String {
        let results = [
            "", "", ".Succeeded", ".Failed", ".Errored", ".Skipped", ".Omitted", ".AnySucceeded",
            ".AllFailed",
        ]
        var text = ""
        for parent in parents {
            if !text.isEmpty { text += pick([" && ", " || "]) }
            text += (chance(10) ? "!" : "") + parent + pick(results)
        }
        return text
    }

    private mutating func call(_ name: String, _ root: String, _ children: [String], _ earlier: [String])
        -> [String: JSONValue]
    {
        let template = pick(children)
        var call: [String: JSONValue] = ["name": .string(name), "template": .string(template)]
        var values = ["7", "{{inputs.parameters.x}}", "{{workflow.name}}"]
        if template == "recursion" { values = ["1", "2"] }
        if chance(20) { addLoop(&call, &values, isSmall: !leaves.contains(template)) }
        if let other = earlier.last, template != "recursion" {
            values += ["{{\(root).\(other).status}}", "{{=\(root).\(other).outputs.parameters.p ?? 'none'}}"]
            if chance(10) { values = ["{{\(root).\(other).outputs.parameters.p}}"] }
        }
        if template != "pause", template != "approval", chance(60) {
            call["arguments"] = ["parameters": [["name": "x", "value": .string(pick(values))]]]
        }
        if chance(10) { call["when"] = .string(pick(["1 == 2", "1 == 1", "{{inputs.parameters.x}} != 7"])) }
        if let other = earlier.first, chance(10) {
            call["when"] = .string("{{\(root).\(other).status}} == Succeeded")
        }
        if chance(25) { call["continueOn"] = ["failed": true, "error": .bool(chance(50))] }
        addHooks(&call, root, name)
        return call
    }

    private mutating func addLoop(_ call: inout [String: JSONValue], _ values: inout [String], isSmall: Bool)
    {
        values.append("{{item}}")
        switch pick([0, 1, 2, 3, 4]) {
        case 0: call["withItems"] = isSmall ? ["a"] : ["a", 2, true]
        case 1: call["withItems"] = [["k": "v", "n": 1], ["k": "w", "n": 2]]
        case 2: call["withSequence"] = ["count": .string(pick(["0", "2"]))]
        case 3: call["withParam"] = .string(pick(["[]", "[1, [2, 3]]"]))
        default: call["withSequence"] = ["start": "3", "end": "1", "format": "n%02d"]
        }
    }

    private mutating func addHooks(_ call: inout [String: JSONValue], _ root: String, _ name: String) {
        guard chance(12) else { return }
        var hooks: [String: JSONValue] = [:]
        if chance(60) {
            hooks["exit"] = [
                "template": .string(pick(["leaf", "mutexed"])),
                "arguments": ["parameters": [["name": "x", "value": .string("{{\(root).\(name).status}}")]]],
            ]
        }
        let status = pick(isTimed ? ["Running", "Succeeded", "Failed"] : ["Succeeded", "Failed"])
        if chance(50) {
            hooks["seen"] = [
                "template": "leaf", "expression": .string("\(root).\(name).status == \"\(status)\""),
            ]
        }
        if !hooks.isEmpty { call["hooks"] = .object(hooks) }
    }
}

extension JSONValue {
    fileprivate func without(_ key: String) -> JSONValue {
        var members = objectValue ?? [:]
        members[key] = nil
        return .object(members)
    }
}
