// Moments at which something in a run is due: a binary heap, so that 100,000 timers cost little.

package import Text

/// What is due at a moment.
package enum TimerKind: Sendable, Hashable {
    /// A retry's backoff is over.
    case backoff
    /// A suspend template's duration is over.
    case suspendEnd
    /// `timeout`, or the rest of the strategy's maxDuration.
    case timeout
    /// `pendingTimeout`.
    case pendingTimeout
    /// Work that was lost is launched again.
    case relaunch
    /// The workflow's deadline.
    case workflowDeadline
}

/// Due moments in order. Entries that are no longer wanted stay until they are due, and are ignored then.
package struct TimerQueue: Sendable {
    package struct Entry: Sendable, Hashable {
        package var at: Timestamp
        package var kind: TimerKind
        package var node: NodeID
    }

    private var heap: [Entry] = []

    package init() {}

    /// The next moment at which something is due.
    package var next: Timestamp? { heap.first?.at }

    package mutating func insert(_ entry: Entry) {
        heap.append(entry)
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].at < heap[parent].at else { break }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the first entry out if it is due.
    package mutating func popDue(at now: Timestamp) -> Entry? {
        guard let first = heap.first, first.at <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < heap.count && heap[child].at < heap[smallest].at {
                smallest = child
            }
            if smallest == index { break }
            heap.swapAt(index, smallest)
            index = smallest
        }
        return first
    }
}

/// First in, first out, without moving what is left.
package struct FIFO<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    package init() {}

    package var isEmpty: Bool { head == elements.count }
    package var count: Int { elements.count - head }

    package mutating func append(_ element: Element) { elements.append(element) }

    package mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        // Freed in large pieces: each element is moved at most once on average.
        if head == elements.count {
            // What a burst needed is not kept.
            elements.removeAll(keepingCapacity: head <= 1_024)
            head = 0
        } else if head > 1_024, head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    package mutating func removeAll() {
        elements = []
        head = 0
    }
}
