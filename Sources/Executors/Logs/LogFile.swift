// The log of one node as it grows, read piece by piece.

import Artifacts
import Glibc
package import Scheduling

/// The newest attempt's log of a node, from its beginning.
package struct LogFile: Sendable {
    private static let pieceBytes = 1 << 16

    /// The node's name before each line.
    package let podName: String
    /// Only these containers' lines are given.
    private let containers: Set<String>
    private let directory: String
    private var attempt: Int?
    private var offset: off_t = 0
    private var parser = LogParser()

    package init(node: Node, state: WorkflowState, dataDirectory: String, containers: Set<String>) {
        podName = Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
        directory = AttemptPaths.node(dataDirectory, workflowUID: state.uid, nodeID: node.id)
        self.containers = containers
    }

    /// The next lines; empty at what is the end for now. The file is open only meanwhile: a run may have more
    /// logs than a process may have files.
    package mutating func next() -> [LogLine] {
        guard let path = latest() else { return [] }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        while true {
            let count = pread(file, &buffer, buffer.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return [] }
            offset += count
            let lines = wanted(parser.take(Array(buffer[..<count])))
            if !lines.isEmpty { return lines }
        }
    }

    /// What was begun and will not end any more.
    package mutating func finish() -> [LogLine] { wanted(parser.finish()) }

    private func wanted(_ lines: [LogLine]) -> [LogLine] {
        lines.filter { containers.contains($0.container) }
    }

    /// The log of the latest attempt; a newer one is read from its beginning.
    private mutating func latest() -> String? {
        let attempts = (Disk.list(directory) ?? []).compactMap { Int($0) }.sorted(by: >)
        for number in attempts where Disk.exists("\(directory)/\(number)/log") {
            if number != attempt {
                attempt = number
                offset = 0
                parser = LogParser()
            }
            return "\(directory)/\(number)/log"
        }
        return nil
    }
}
