// Runs a regular expression's program over a text: all threads in step, at most one for each instruction, so
// that the time is the text's length times the program's, whatever the pattern (Pike's machine, as Cox tells
// it).

struct PikeMachine {
    /// Threads in the order of preference. Membership is a pair of arrays that point at each other (Briggs
    /// and Torczon 1993), which makes clearing free.
    private struct ThreadList {
        var dense: [Int32]
        var sparse: [Int32]
        var slots: [Int]
        var count = 0

        init(capacity: Int, slotCount: Int) {
            dense = Array(repeating: 0, count: capacity)
            sparse = Array(repeating: 0, count: capacity)
            slots = Array(repeating: -1, count: capacity * slotCount)
        }

        func contains(_ instruction: Int) -> Bool {
            let index = Int(sparse[instruction])
            return index < count && dense[index] == Int32(truncatingIfNeeded: instruction)
        }

        mutating func append(_ instruction: Int) {
            dense[count] = Int32(truncatingIfNeeded: instruction)
            sparse[instruction] = Int32(truncatingIfNeeded: count)
            count += 1
        }
    }

    private enum Pending {
        case visit(Int)
        case restore(slot: Int, value: Int)
    }

    private let program: RegexProgram
    let text: UnsafeBufferPointer<UInt8>
    /// 0 if nobody asks where the match is.
    private let slotCount: Int
    private var current: ThreadList
    private var next: ThreadList
    private var pending: [Pending] = []
    private var slots: [Int]

    init(program: RegexProgram, text: UnsafeBufferPointer<UInt8>, slotCount: Int) {
        self.program = program
        self.text = text
        self.slotCount = slotCount
        current = ThreadList(capacity: program.instructions.count, slotCount: slotCount)
        next = current
        slots = Array(repeating: -1, count: slotCount)
    }

    /// Searches the first match that begins at a position or later.
    /// - Returns: begin and end of each group, or nothing for each if no slots are wanted; nil without a
    /// match.
    mutating func search(from start: Int) -> [Int]? {
        var matched: [Int]?
        var position = start
        next.count = 0
        while true {
            if next.count == 0 {
                if matched != nil || (program.isAnchored && position > 0) { break }
                guard let candidate = candidate(from: position) else { break }
                position = candidate
            }
            if matched == nil, !program.isAnchored || position == 0 {
                for slot in 0..<slotCount { slots[slot] = -1 }
                follow(0, at: position)
            }
            swap(&current, &next)
            next.count = 0
            let (value, length) = decode(at: position)
            if let slots = step(value, position: position + length) { matched = slots }
            if matched != nil, slotCount == 0 { break }
            guard length > 0 else { break }
            position += length
        }
        return matched
    }

    /// How many bytes the character at a position has; 1 at the end, to get beyond it.
    func characterLength(at position: Int) -> Int { max(1, decode(at: position).length) }

    /// The next position where a match can begin.
    private func candidate(from start: Int) -> Int? {
        guard let firstBytes = program.firstBytes else { return start }
        var position = start
        while position < text.count {
            if firstBytes[Int(text[position])] { return position }
            position += 1
        }
        return nil
    }

    /// Lets every thread in `current` take one character. A thread that is at the end cuts off those after
    /// it.
    private mutating func step(_ value: UInt32, position: Int) -> [Int]? {
        for index in 0..<current.count {
            let instruction = Int(current.dense[index])
            let takes: Bool
            switch program.instructions[instruction] {
            case .scalar(let wanted): takes = value == wanted
            case .foldedScalar(let wanted): takes = value == wanted || Self.folded(value) == wanted
            case .set(let set): takes = value != Self.textEnd && program.sets[set].contains(value)
            case .any: takes = value != Self.textEnd
            case .anyButNewline: takes = value != Self.textEnd && value != 0x0A
            case .match:
                return Array(current.slots[(index * slotCount)..<((index + 1) * slotCount)])
            case .assertion, .save, .jump, .split: continue
            }
            guard takes else { continue }
            for slot in 0..<slotCount { slots[slot] = current.slots[index * slotCount + slot] }
            follow(instruction + 1, at: position)
        }
        return nil
    }

    /// Follows all ways that take no character, in the order of preference, and adds the threads at their
    /// ends to `next`.
    private mutating func follow(_ start: Int, at position: Int) {
        pending.append(.visit(start))
        while let item = pending.popLast() {
            switch item {
            case .restore(let slot, let value): slots[slot] = value
            case .visit(let instruction):
                guard !next.contains(instruction) else { continue }
                next.append(instruction)
                switch program.instructions[instruction] {
                case .jump(let target): pending.append(.visit(target))
                case .split(let first, let second):
                    pending.append(.visit(second))
                    pending.append(.visit(first))
                case .save(let slot):
                    if slot < slotCount {
                        pending.append(.restore(slot: slot, value: slots[slot]))
                        slots[slot] = position
                    }
                    pending.append(.visit(instruction + 1))
                case .assertion(let assertion):
                    if holds(assertion, at: position) { pending.append(.visit(instruction + 1)) }
                case .scalar, .foldedScalar, .set, .any, .anyButNewline, .match:
                    let base = (next.count - 1) * slotCount
                    for slot in 0..<slotCount { next.slots[base + slot] = slots[slot] }
                }
            }
        }
    }

    private func holds(_ assertion: RegexSyntax.Assertion, at position: Int) -> Bool {
        switch assertion {
        case .textBegin: position == 0
        case .textEnd: position == text.count
        case .lineBegin: position == 0 || text[position - 1] == 0x0A
        case .lineEnd: position == text.count || text[position] == 0x0A
        case .wordBoundary: isWord(at: position - 1) != isWord(at: position)
        case .noWordBoundary: isWord(at: position - 1) == isWord(at: position)
        }
    }

    private func isWord(at index: Int) -> Bool {
        guard index >= 0, index < text.count else { return false }
        let byte = text[index]
        return (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F
    }

    // MARK: Characters

    /// Stands for the end of the text: no character has this value.
    private static let textEnd = UInt32.max

    private static func folded(_ value: UInt32) -> UInt32 {
        Unicode.Scalar(value)?.caseFolded.value ?? value
    }

    /// The character at a position and its length. The bytes come from a String, so they are valid UTF-8.
    @inline(__always)
    private func decode(at position: Int) -> (value: UInt32, length: Int) {
        guard position < text.count else { return (Self.textEnd, 0) }
        let first = UInt32(text[position])
        if first < 0x80 { return (first, 1) }
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var value = first & (0x7F >> UInt32(length))
        for index in 1..<length { value = value << 6 | UInt32(text[position + index]) & 0x3F }
        return (value, length)
    }
}
