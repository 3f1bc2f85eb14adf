// The moments at which runs want to hear of time: a binary heap, so that 10,000 sleeping runs cost nothing.

import Text

/// Runs by the next moment at which something in them is due.
struct DueRuns: Sendable {
    private struct Entry {
        var at: Timestamp
        var uid: String
    }

    private var heap: [Entry] = []
    /// The moment that counts for a run; other entries of it are stale.
    private var armed: [String: Timestamp] = [:]

    /// The next moment at which a run is due; may be that of a stale entry, which does no harm.
    var next: Timestamp? { heap.first?.at }

    /// Sets or clears the moment of a run.
    mutating func set(_ uid: String, _ moment: Timestamp?) {
        guard armed[uid] != moment else { return }
        armed[uid] = moment
        guard let moment else { return }
        heap.append(Entry(at: moment, uid: uid))
        var index = heap.count - 1
        while index > 0, heap[index].at < heap[(index - 1) / 2].at {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
        // Stale entries go when they are due; a run that sets and clears all the time must not pile them up.
        if heap.count > 4 * armed.count + 1_024 { rebuild() }
    }

    /// Takes out a run that is due.
    mutating func popDue(at now: Timestamp) -> String? {
        while let first = heap.first, first.at <= now {
            removeFirst()
            guard armed[first.uid] == first.at else { continue }
            armed[first.uid] = nil
            return first.uid
        }
        return nil
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink(0)
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < heap.count && heap[child].at < heap[smallest].at {
                smallest = child
            }
            if smallest == index { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }

    private mutating func rebuild() {
        heap = armed.map { Entry(at: $0.value, uid: $0.key) }
        for index in stride(from: heap.count / 2, through: 0, by: -1) where index < heap.count { sink(index) }
    }
}
