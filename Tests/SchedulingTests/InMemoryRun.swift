// Running a manifest in memory: YAML in, a table of outcomes for its leaves, and the nodes to look at
// afterwards.

import Scheduling
import Testing
import Text
import WorkflowLanguage

enum InMemoryRun {
    /// The definition of a Workflow named `w` around the fields of its spec, in YAML.
    static func definition(
        _ spec: String, stored: [String] = [], parameters: [(name: String, value: String)] = [],
        metadata: String = ""
    ) throws -> RunDefinition {
        let lines = spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }
        let yaml =
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w\(metadata)}\nspec:\n"
            + lines.joined(separator: "\n")
        var catalog = TemplateCatalog()
        for text in stored { catalog.add(try document(text)) }
        return RunDefinition(
            manifest: try document(yaml), catalog: catalog, uid: "uid", name: "w", namespace: "default",
            createdAt: Timestamp(seconds: 1_700_000_000), seed: 1, parameters: parameters)
    }

    private static func document(_ yaml: String) throws -> JSONValue {
        let (documents, diagnostics) = ManifestReader.read(Array(yaml.utf8), file: "test.yaml")
        guard diagnostics.isEmpty, let document = documents.first else {
            throw SimulationFailure(diagnostics.map(\.description).joined(separator: "\n"))
        }
        return document.json
    }

    /// How leaves end, by node name (without `w`), display name or template; all others succeed, with their
    /// declared outputs named after themselves.
    static func behavior(_ table: [String: Behavior]) -> @Sendable (Launch) -> Behavior {
        { launch in
            let display = launch.nodeName.split(separator: ".").last.map(String.init) ?? launch.nodeName
            let known =
                table[launch.nodeName] ?? table[String(launch.nodeName.dropFirst())] ?? table[display]
                ?? table[launch.template.name]
            var behavior = known ?? .succeeds()
            guard case .outcome(var outcome) = behavior.end, outcome.phase == .succeeded else {
                return behavior
            }
            for declared in launch.template.outputs.parameters
            where outcome.outputs.parameter(declared.name) == nil && declared.valueFrom?.path != nil {
                outcome.outputs.parameters.append(Parameter(name: declared.name, value: declared.name))
            }
            for declared in launch.template.outputs.artifacts
            where outcome.outputs.artifact(declared.name) == nil {
                outcome.outputs.artifacts.append(
                    declared.with("s3", ["key": .string("\(launch.nodeName)/\(declared.name)")]))
            }
            behavior.end = .outcome(outcome)
            return behavior
        }
    }

    static func world(_ definition: RunDefinition, _ table: [String: Behavior] = [:]) -> World {
        World(definition, behavior: behavior(table))
    }

    /// Runs a workflow to its end, or until it waits for a person.
    static func run(
        _ spec: String, _ table: [String: Behavior] = [:], commands: [(Command, Duration)] = []
    ) throws -> World {
        var world = world(try definition(spec), table)
        world.resumes = false
        for (command, span) in commands { world.schedule(command, after: span) }
        try world.run()
        return world
    }
}

extension Behavior {
    /// Succeeds and prints this.
    static func prints(_ result: String) -> Behavior { .succeeds(Outputs(result: result)) }

    static func gives(_ name: String, _ value: String) -> Behavior {
        .succeeds(Outputs(parameters: [Parameter(name: name, value: value)]))
    }
}

extension World {
    var phase: Phase? { state?.phase }
    var message: String { state?.message ?? "" }
    var nodes: [Node] { (state?.nodes.values).map { $0.sorted { $0.sequence < $1.sequence } } ?? [] }

    /// The node of this name; the leading `w` may be left out.
    func node(_ name: String) throws -> Node {
        try #require(
            nodes.first { $0.name == name || $0.name == "w" + name }, "no node \(name) among \(names)")
    }

    /// The nodes' names in the order in which they were made, without the leading `w`.
    var names: [String] { nodes.map { String($0.name.dropFirst()) } }

    /// Phases by name, without the leading `w`.
    var phases: [String: Phase] {
        Dictionary(nodes.map { (String($0.name.dropFirst()), $0.phase) }, uniquingKeysWith: { $1 })
    }

    /// Names of some nodes by their ids, without the leading `w`.
    func names(of ids: [NodeID]) -> [String] {
        ids.map { id in nodes.first { $0.id == id }.map { String($0.name.dropFirst()) } ?? id }
    }

    /// What leaves were launched, in order, without the leading `w`.
    var launched: [String] { executor.launches.map { String($0.nodeName.dropFirst()) } }

    /// The virtual time from the run's making to its end.
    var elapsed: Duration { (state?.finishedAt ?? clock) - definition.createdAt }
}
