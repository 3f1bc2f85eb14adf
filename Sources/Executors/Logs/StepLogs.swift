// Where the logs of a run's nodes are: the attempts that wrote one, and whose file a node's log is in.

import Artifacts
import Glibc
package import Scheduling
package import Text

/// The log of one node: the file of a pod's attempt, or the part of it that one container of a set wrote.
package struct NodeLog: Sendable, Hashable {
    package var workflowUID: String
    /// The node whose attempts have the files.
    package var nodeID: NodeID
    /// Only this container's lines; nil for all.
    package var container: String?

    package init(workflowUID: String, nodeID: NodeID, container: String? = nil) {
        self.workflowUID = workflowUID
        self.nodeID = nodeID
        self.container = container
    }

    /// The log of a node; nil for nodes that run nothing.
    package init?(_ node: Node, workflowUID: String) {
        switch node.type {
        case .pod: self.init(workflowUID: workflowUID, nodeID: node.id)
        case .container:
            guard let pod = node.boundaryID else { return nil }
            self.init(workflowUID: workflowUID, nodeID: pod, container: node.displayName)
        default: return nil
        }
    }
}

/// Finds the log files below a data directory. The calls read directories, which is quick, but blocks.
package struct StepLogs: Sendable {
    /// One attempt's log.
    package struct Attempt: Sendable, Hashable {
        package var number: Int
        package var path: String
        /// 0 where nothing was written yet.
        package var bytes: Int
        /// When the file was last written; nil without one.
        package var changedAt: Timestamp?
    }

    package let dataDirectory: String

    package init(dataDirectory: String) { self.dataDirectory = dataDirectory }

    /// The attempts of a node that have begun, the oldest first; none when their files were cleared away.
    package func attempts(_ log: NodeLog) -> [Attempt] {
        let directory = AttemptPaths.node(dataDirectory, workflowUID: log.workflowUID, nodeID: log.nodeID)
        return (Disk.list(directory) ?? []).compactMap { Int($0) }.sorted().map { number in
            let path = "\(directory)/\(number)/log"
            let status = Disk.status(path)
            return Attempt(
                number: number, path: path, bytes: status?.sizeBytes ?? 0,
                changedAt: status.map { Timestamp(nanoseconds: $0.modifiedNanoseconds) })
        }
    }

    /// An attempt by its number, or the newest that has written something.
    package func attempt(_ log: NodeLog, _ number: Int? = nil) -> Attempt? {
        let all = attempts(log)
        if let number { return all.first { $0.number == number } }
        return all.last { $0.bytes > 0 } ?? all.last
    }

    /// Reads the newest attempt's log from its beginning, and on as it grows.
    package func file(_ node: Node, of state: WorkflowState, containers: Set<String>) -> LogFile {
        LogFile(node: node, state: state, dataDirectory: dataDirectory, containers: containers)
    }
}
