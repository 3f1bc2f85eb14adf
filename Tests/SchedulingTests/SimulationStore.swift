// What a fake database keeps of one run: the rows that a real one would, and the rules that each save must
// obey.

import Scheduling
import Text
import WorkflowLanguage

struct FakeStore {
    struct Row {
        var node: Node
        /// As the database has it.
        var body: JSONValue
    }

    private(set) var header: JSONValue = .object([:])
    private(set) var rows: [NodeID: Row] = [:]
    /// Effects that were saved and not yet marked done, by when they were saved.
    private(set) var effects: [Int: Effect] = [:]
    private(set) var effectCount = 0
    /// Effects that were carried out since the last save.
    var doneEffects: [Int] = []

    var nodes: [Node] { rows.values.map(\.node) }

    /// Saves what changed; answers the numbers of those effects that have a row.
    mutating func save(_ state: inout WorkflowState, _ effects: [Effect]) throws -> [Int?] {
        let (nodes, removed, isHeaderChanged) = state.takeChanges()
        for id in removed { rows[id] = nil }
        for var node in nodes {
            node.children = []
            try checkChange(from: rows[node.id]?.node, to: node)
            let body = node.rowJSON
            guard let read = Node(row: body, sequence: node.sequence) else {
                throw SimulationFailure("the row of \(node.name) cannot be read")
            }
            guard read == node else { throw SimulationFailure("\(node) comes back from its row as \(read)") }
            rows[node.id] = Row(node: node, body: body)
        }
        if isHeaderChanged { header = state.headerJSON }
        for number in doneEffects { self.effects[number] = nil }
        doneEffects = []
        return effects.map { effect in
            guard effect.hasRow else { return nil }
            effectCount += 1
            self.effects[effectCount] = effect
            return effectCount
        }
    }

    /// Lets ended nodes begin again, as a person's retry does.
    mutating func forgetPhases() {
        for id in rows.keys { rows[id]?.node.phase = .pending }
    }

    /// The run as a new controller finds it.
    func load(_ definition: RunDefinition, at now: Timestamp) throws -> WorkflowState {
        let nodes = try rows.values.map { row in
            let body = try JSONValue(parsing: row.body.compactText)
            guard let node = Node(row: body, sequence: row.node.sequence) else {
                throw SimulationFailure("the row of \(row.node.name) cannot be read as text")
            }
            return node
        }
        return WorkflowState(
            definition: definition, header: try JSONValue(parsing: header.compactText),
            nodes: nodes.sorted { $0.sequence < $1.sequence }, at: now)
    }

    private func checkChange(from old: Node?, to new: Node) throws {
        guard let old, old.phase != new.phase else { return }
        if old.phase.isFulfilled {
            throw SimulationFailure("\(new.name) had ended as \(old.phase) and is now \(new.phase)")
        }
        let isAllowed =
            PhaseTable.allows(old.phase, new.phase)
            || Phase.allCases.contains {
                PhaseTable.allows(old.phase, $0) && PhaseTable.allows($0, new.phase)
            }
        guard isAllowed else {
            throw SimulationFailure("\(new.name) went from \(old.phase) to \(new.phase)")
        }
    }
}

extension Effect {
    /// Whether the effect is stored with the state; the others follow from it.
    var hasRow: Bool {
        switch self {
        case .launch, .acquireLocks, .lookUpCache, .lookUpContent, .finished, .emitMetrics: false
        case .cancel, .releaseLocks, .saveCache, .saveContent, .removeWorkingFiles, .deleteArtifacts: true
        }
    }
}
