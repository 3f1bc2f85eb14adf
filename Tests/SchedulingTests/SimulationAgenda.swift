// What will happen in a simulated world, in order of time: a heap, and chance that depends on names only.

import TestSupport
import Text

/// Things to come, the earliest first; of equal moments the one that was added first.
struct Agenda<Element> {
    private var heap: [(at: Timestamp, order: Int, element: Element)] = []
    private var added = 0

    var next: Timestamp? { heap.first?.at }
    var isEmpty: Bool { heap.isEmpty }
    var elements: [Element] { heap.map(\.element) }

    mutating func add(_ element: Element, at moment: Timestamp) {
        heap.append((moment, added, element))
        added += 1
        var index = heap.count - 1
        while index > 0, precedes(index, (index - 1) / 2) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popFirst() -> (at: Timestamp, element: Element)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.at, first.element) }
        heap[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && precedes(child, smallest)
            {
                smallest = child
            }
            if smallest == index { return (first.at, first.element) }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].order) < (heap[right].at, heap[right].order)
    }
}

/// Chance that depends on a seed and a name, not on what was drawn before: leaving one thing out of a world
/// changes nothing else in it.
struct Chance: Sendable {
    var seed: UInt64

    func draw(_ name: String, below bound: Int) -> Int {
        var generator = SeededGenerator(seed: seed &* 0x1_0000_01B3 &+ UInt64(FNV1a.hash32(name)))
        _ = generator.next()
        return Int(generator.next() % UInt64(bound))
    }

    /// True in so many of a hundred cases.
    func happens(_ name: String, percent: Int) -> Bool { draw(name, below: 100) < percent }
}
