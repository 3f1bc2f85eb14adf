// The log of one node as it grows, read piece by piece.

import Artifacts
import Executors
import Glibc
import Scheduling

struct LogFile {
    private static let pieceBytes = 1 << 16

    /// The node's name before each line.
    let podName: String
    /// Only these containers' lines are given.
    private let containers: Set<String>
    private let directory: String
    private var attempt: Int?
    private var offset: off_t = 0
    private var parser = LogParser()

    init(node: Node, state: WorkflowState, dataDirectory: String, containers: Set<String>) {
        podName = Node.podName(workflow: state.name, nodeName: node.name, template: node.templateName)
        directory = AttemptPaths.node(dataDirectory, workflowUID: state.uid, nodeID: node.id)
        self.containers = containers
    }

    /// The next lines; empty at what is the end for now. The file is open only meanwhile: a run may have more
    /// logs than a process may have files.
    mutating func next() -> [LogLine] {
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
    mutating func finish() -> [LogLine] { wanted(parser.finish()) }

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

/// Lines of several logs in the order in which they were written.
struct LogMerge {
    private var sources: [(file: LogFile, lines: ArraySlice<LogLine>)]
    /// Sources by the time of their next line; a binary heap of indices.
    private var heap: [Int] = []

    init(_ files: [LogFile]) {
        sources = files.map { ($0, []) }
        for index in sources.indices where fill(index) { push(index) }
    }

    /// The next line with its pod's name; nil at the end of all logs.
    mutating func next() -> (podName: String, line: LogLine)? {
        guard let top = heap.first, let line = sources[top].lines.popFirst() else { return nil }
        if !sources[top].lines.isEmpty || fill(top) {
            sink()
        } else {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
            sink()
        }
        return (sources[top].file.podName, line)
    }

    private mutating func fill(_ index: Int) -> Bool {
        var lines = sources[index].file.next()
        if lines.isEmpty { lines = sources[index].file.finish() }
        sources[index].lines = lines[...]
        return !lines.isEmpty
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        let times = (sources[left].lines.first?.time ?? "", sources[right].lines.first?.time ?? "")
        return times.0 == times.1 ? left < right : times.0 < times.1
    }

    private mutating func push(_ index: Int) {
        heap.append(index)
        var child = heap.count - 1
        while child > 0, isEarlier(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if isEarlier(heap[child], heap[least]) { least = child }
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
