// The logs of several nodes as one stream of lines.

/// Lines of several logs in the order in which they were written.
package struct LogMerge: Sendable {
    private var sources: [(file: LogFile, lines: ArraySlice<LogLine>)]
    /// Sources by the time of their next line; a binary heap of indices.
    private var heap: [Int] = []

    package init(_ files: [LogFile]) {
        sources = files.map { ($0, []) }
        for index in sources.indices where fill(index) { push(index) }
    }

    /// The next line with its pod's name; nil at the end of all logs.
    package mutating func next() -> (podName: String, line: LogLine)? {
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
