// The lines above the tree: name, status, times, parameters and outputs of a run.

import Scheduling
import Text
import WorkflowLanguage

struct RunHeader {
    let state: WorkflowState
    let options: TreeOptions

    /// One line a fact: the key in 20 columns, then the value.
    var lines: [String] {
        let definition = state.definition
        var facts: [(String, String)] = [
            ("Name:", state.name), ("Namespace:", definition.namespace),
            (
                "ServiceAccount:",
                definition.spec.serviceAccountName ?? "unset (will run with the default ServiceAccount)"
            ),
            ("Status:", Self.status(state)),
        ]
        if !state.message.isEmpty { facts.append(("Message:", state.message)) }
        if state.phase != nil {
            let runs = state.nodes.values.contains { $0.type == .pod && $0.phase == .running }
            facts += [("Conditions:", ""), (" PodRunning", runs ? "True" : "False")]
            if state.isFinished { facts.append((" Completed", "True")) }
        }
        facts += times
        facts.append(("Progress:", state.progress.text))
        var resources: [String: Int] = [:]
        for node in state.nodes.values { resources.merge(node.resourcesDuration, uniquingKeysWith: +) }
        if !resources.isEmpty { facts.append(("ResourcesDuration:", Self.resources(resources))) }
        facts += named("Parameters:", definition.spec.arguments.parameters)
        facts += named("Output Parameters:", state.outputs.parameters)
        if !state.outputs.artifacts.isEmpty {
            facts.append(("Output Artifacts:", ""))
            facts += state.outputs.artifacts.map { ("  \($0.name):", Self.place(of: $0)) }
        }
        return facts.map { key, value in
            value.isEmpty ? key : "\(key.padded(toWidth: 20)) \(value.printable)"
        }
    }

    private var times: [(String, String)] {
        func stamp(_ moment: Timestamp) -> String {
            HumanTime.stamp(moment, now: options.now, zone: options.zone)
        }
        var facts = [("Created:", stamp(state.definition.createdAt))]
        guard let started = state.startedAt else { return facts }
        facts.append(("Started:", stamp(started)))
        if let finished = state.finishedAt { facts.append(("Finished:", stamp(finished))) }
        facts.append(("Duration:", HumanTime.long((state.finishedAt ?? options.now) - started)))
        return facts
    }

    private func named(_ title: String, _ parameters: [Parameter]) -> [(String, String)] {
        let given = parameters.filter { $0.value != nil }
        return given.isEmpty ? [] : [(title, "")] + given.map { ("  \($0.name):", $0.value ?? "") }
    }

    /// The phase, with what makes it special in brackets.
    static func status(_ state: WorkflowState) -> String {
        guard let phase = state.phase else { return Phase.pending.rawValue }
        if phase == .running { return isSuspended(state) ? "Running (Suspended)" : phase.rawValue }
        return phase == .failed && state.shutdown != nil ? "Failed (Terminated)" : phase.rawValue
    }

    /// Whether the run, or a node of it, waits to be resumed.
    static func isSuspended(_ state: WorkflowState) -> Bool {
        guard state.phase == .running else { return false }
        return state.isSuspended
            || state.nodes.values.contains { $0.type == .suspend && $0.phase == .running }
    }

    /// `0s*(1 cpu),6s*(100Mi memory)`: seconds times a unit, by resource.
    static func resources(_ seconds: [String: Int]) -> String {
        seconds.sorted { $0.key < $1.key }.map { name, value in
            let unit: String
            switch name {
            case "memory": unit = "100Mi"
            case "storage", "ephemeral-storage": unit = "10Gi"
            default: unit = "1"
            }
            return "\(HumanTime.goText(seconds: value))*(\(unit) \(name))"
        }.joined(separator: ",")
    }

    private static func place(of artifact: Artifact) -> String {
        guard let (store, settings) = artifact.location else { return artifact.path ?? "" }
        let key = settings["key"]?.scalarText ?? settings["url"]?.scalarText ?? settings["repo"]?.scalarText
        return key.map { "\(store):\($0)" } ?? store
    }
}

/// The time zone of this machine.
enum LocalZone {
    /// `$TZ` where it names a zone, else /etc/localtime, else UTC.
    static let rules: TimeZoneRules = {
        var path = "/etc/localtime"
        if let name = Environment.value("TZ"), !name.isEmpty {
            if name == "UTC" { return .utc }
            path = name.hasPrefix("/") ? name : "/usr/share/zoneinfo/" + name
        }
        guard Environment.exists(path), let bytes = try? Environment.read(path, limit: 1 << 20) else {
            return .utc
        }
        return TimeZoneRules(name: "Local", tzif: bytes) ?? .utc
    }()
}
