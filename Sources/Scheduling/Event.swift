// What can happen to a run, and what a run asks of the world.

package import Text
package import WorkflowLanguage

/// Something that happened. Events may come twice; the second one changes nothing.
package enum Event: Sendable, Hashable {
    /// The run is to begin, or to go on after its driver was away.
    case attached
    case report(ExecutorReport)
    /// Time passed: timers that are due fire.
    case timer
    case locksAcquired(NodeID)
    case locksWaiting(NodeID, lock: String, message: String)
    /// What the memoization cache said: the outputs of an earlier run, or nil.
    case cacheAnswered(NodeID, Outputs?)
    /// What the content cache said of a node.
    case contentAnswered(NodeID, ContentAnswer)
    /// A size of a semaphore or a ConfigMap could not be read, or another shell-side failure of a node's
    /// start.
    case refused(NodeID, message: String)
    case command(Command)
}

/// What a person or program asks of a run.
package enum Command: Sendable, Hashable {
    /// Ends the run; exit handlers still run. With a selector, fails the suspend nodes that match instead.
    case stop(message: String, selector: NodeSelector?)
    /// Ends the run at once; exit handlers do not run.
    case terminate
    /// Starts nothing new.
    case suspend
    /// Goes on; with a selector only the suspend nodes that match.
    case resume(selector: NodeSelector?)
    /// `node set`: phase, message and supplied outputs of suspend nodes.
    case set(selector: NodeSelector?, phase: Phase?, message: String?, outputs: [String: String])
    /// The person at the terminal pressed Ctrl-C: ends the run at once, with this message.
    case interrupt(message: String)
}

/// A lock that a node or workflow wants: name and how many may hold it.
package struct LockKey: Sendable, Hashable {
    /// Where the number of holders comes from.
    package enum Limit: Sendable, Hashable {
        case mutex
        case configMap(name: String, key: String)
        case database(key: String)
    }

    package var namespace: String
    package var name: String
    package var limit: Limit

    /// The text of Argo's messages and status: `default/Mutex/name`, `default/ConfigMap/name/key`.
    package var text: String {
        switch limit {
        case .mutex: "\(namespace)/Mutex/\(name)"
        case .configMap(let map, let key): "\(namespace)/ConfigMap/\(map)/\(key)"
        case .database(let key): "\(namespace)/Database/\(key)"
        }
    }
}

/// Something that the shell must do. Doing it twice is harmless.
package enum Effect: Sendable, Hashable {
    case launch(Launch)
    case cancel(AttemptKey, immediately: Bool)
    case acquireLocks(NodeID, [LockKey], priority: Int)
    case releaseLocks(NodeID)
    case lookUpCache(NodeID, cache: String, key: String, maxAge: Duration?)
    case saveCache(NodeID, cache: String, key: String, Outputs)
    /// Compares a node's work with what was finished before. Without `reads` only its key is wanted.
    case lookUpContent(NodeID, ContentRequest, reads: Bool)
    /// Keeps the outputs of a finished node for later ones with the same content.
    case saveContent(NodeID, ContentRecord)
    /// Working directories of a node are no longer needed.
    case removeWorkingFiles(NodeID)
    case deleteArtifacts(NodeID, [Artifact])
    case emitMetrics(NodeID, [JSONValue])
    /// The run reached its end.
    case finished(Phase)
}

/// A choice of nodes, as `--node-field-selector` writes it:
/// `displayName=approve,inputs.parameters.tag.value=x`.
package struct NodeSelector: Sendable, Hashable {
    package struct Clause: Sendable, Hashable {
        package var field: String
        package var value: String
        package var negated: Bool
    }

    package var clauses: [Clause]
    package var source: String

    /// nil when a clause has no `=`.
    package init?(_ text: String) {
        source = text
        clauses = []
        for part in text.split(separator: ",") {
            let text = String(part)
            guard let equals = text.firstIndex(of: "=") else { return nil }
            var field = String(text[..<equals])
            var value = String(text[text.index(after: equals)...])
            if value.hasPrefix("=") { value.removeFirst() }
            let negated = field.hasSuffix("!")
            if negated { field.removeLast() }
            clauses.append(Clause(field: field.trimmed, value: value.trimmed, negated: negated))
        }
    }

    package func matches(_ node: Node) -> Bool {
        clauses.allSatisfy { clause in (value(of: clause.field, in: node) == clause.value) != clause.negated }
    }

    private func value(of field: String, in node: Node) -> String? {
        let parts = field.dotted
        switch parts.first {
        case "displayName": return node.displayName
        case "name": return node.name
        case "id": return node.id
        case "templateName": return node.templateName
        case "templateRef":
            return parts.count > 1 ? node.templateRef?[parts[1]]?.scalarText : nil
        case "phase": return node.phase.rawValue
        case "inputs" where parts.count == 4 && parts[1] == "parameters":
            return node.inputs.parameter(parts[2])?.value
        case "outputs" where parts.count == 4 && parts[1] == "parameters":
            return node.outputs.parameter(parts[2])?.value
        default: return nil
        }
    }
}
