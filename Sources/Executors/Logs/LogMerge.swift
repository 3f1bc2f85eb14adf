// The logs of several nodes as one stream of lines, while they grow and while further ones begin.

/// Lines of several logs in the order in which they were written. A log is opened when its first line comes next, so
/// that of thousands of logs only those are in memory that were written at the same time.
package struct LogMerge: Sendable {
    private struct Source: Sendable {
        var file: LogFile
        var lines: ArraySlice<LogLine> = []
        /// Of the next line while `lines` is empty.
        var nextTime = ""
        /// Nothing more is written.
        var isOver: Bool
        /// Nothing more is read.
        var isDone = false
        var isQueued = false
        /// How many of `lines` were there at an earlier look.
        var settled = 0

        var time: String { lines.first?.time ?? nextTime }
    }

    private var sources: [Source] = []
    /// Sources by the time of their next line; a binary heap of indices.
    private var heap: [Int] = []

    package init() {}

    /// Logs that are over.
    package init(_ files: [LogFile]) {
        for file in files { add(file, isOver: true) }
    }

    /// Takes a log in, from where it was read to.
    /// - Parameters:
    ///   - lines: that were read of it already; given as if they came next.
    ///   - isRead: whether they are all that is to be given.
    /// - Returns: its number, for `end`.
    @discardableResult
    package mutating func add(
        _ file: LogFile, isOver: Bool, lines: [LogLine] = [], isRead: Bool = false
    ) -> Int {
        sources.append(Source(file: file, lines: lines[...], isOver: isOver, isDone: isRead && lines.isEmpty))
        let index = sources.count - 1
        if isRead { sources[index].isDone = true }
        if !lines.isEmpty || look(index) { push(index) }
        return index
    }

    /// Nothing more will be written to a log.
    package mutating func end(_ index: Int) { sources[index].isOver = true }

    /// Looks for what was written since the last look.
    package mutating func refresh() {
        for index in sources.indices {
            sources[index].settled = sources[index].lines.count
            if !sources[index].isQueued, look(index) { push(index) }
        }
    }

    /// The next line with its pod's name; nil if there is none for now.
    /// - Parameter horizon: later lines wait for the next look, because another log may still get an earlier one. A line
    ///   waits no longer than that: clocks of other machines may be ahead.
    package mutating func next(notAfter horizon: String? = nil) -> (podName: String, line: LogLine)? {
        while let top = heap.first {
            if sources[top].lines.isEmpty {
                if !fill(top) { removeTop() } else { sink() }
                continue
            }
            guard let line = sources[top].lines.first else { return nil }
            if let horizon, line.time > horizon, sources[top].settled == 0 { return nil }
            sources[top].lines.removeFirst()
            sources[top].settled = max(0, sources[top].settled - 1)
            if sources[top].lines.isEmpty, !look(top) { removeTop() } else { sink() }
            return (sources[top].file.podName, line)
        }
        return nil
    }

    /// Finds out when the next line was written. What is over and has none is done.
    private mutating func look(_ index: Int) -> Bool {
        guard !sources[index].isDone else { return false }
        if let time = sources[index].file.peek() {
            sources[index].nextTime = time
            return true
        }
        guard sources[index].isOver else { return false }
        // The look came behind the word that it is over: whatever was begun is all that comes.
        sources[index].lines = sources[index].file.finish()[...]
        sources[index].isDone = true
        return !sources[index].lines.isEmpty
    }

    private mutating func fill(_ index: Int) -> Bool {
        sources[index].lines = sources[index].file.next()[...]
        return !sources[index].lines.isEmpty
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        let times = (sources[left].time, sources[right].time)
        return times.0 == times.1 ? left < right : times.0 < times.1
    }

    private mutating func push(_ index: Int) {
        sources[index].isQueued = true
        heap.append(index)
        var child = heap.count - 1
        while child > 0, isEarlier(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func removeTop() {
        if let top = heap.first { sources[top].isQueued = false }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink()
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
