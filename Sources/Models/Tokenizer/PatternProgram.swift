// Patterns as instructions for the matcher.

enum PatternInstruction: Sendable {
    case set(Int)
    case jump(Int)
    /// Try the first place, later the second; `guardIndex` tells which characters the first may begin with.
    case split(Int, Int, guardIndex: Int)
    /// As many characters of a set as there are, then fewer; possessive: not fewer.
    case run(set: Int, minimum: Int, maximum: Int, isPossessive: Bool)
    case assertion(PatternAssertion)
    /// The instructions behind must match, up to `.match`, without moving; then on at `next`.
    case look(next: Int, isNegative: Bool)
    /// As `look`, so many characters back.
    case lookBehind(next: Int, isNegative: Bool, length: Int)
    /// The instructions behind must match, up to `.match`; the first way counts, then on at `next`.
    case atomic(next: Int)
    /// Remembers where a turn of a loop begins, so that a turn that reads nothing ends the loop.
    case beginTurn(register: Int)
    case endTurn(register: Int, exit: Int)
    case match
}

/// The characters that a piece of a pattern can begin with.
struct PatternStart: Sendable {
    var ascii = ASCIISet()
    /// Whether a character beyond ASCII can be first.
    var allowsOthers = false
    /// Whether the piece can match without reading.
    var isNullable = false

    static let anything = PatternStart(ascii: .all, allowsOthers: true, isNullable: true)

    @inline(__always)
    func allows(_ text: UTF8Text, _ index: Int) -> Bool {
        if isNullable { return true }
        guard index < text.count else { return false }
        let byte = text[index]
        return byte < 0x80 ? ascii.contains(UInt32(byte)) : allowsOthers
    }

    func union(_ other: PatternStart) -> PatternStart {
        PatternStart(
            ascii: ascii.union(other.ascii), allowsOthers: allowsOthers || other.allowsOthers,
            isNullable: isNullable || other.isNullable)
    }
}

/// A set of characters with the answers for nearly all of them at hand.
struct PatternSet: Sendable {
    private let ascii: ASCIISet
    private let wideCategories: CategorySet
    private let isDecidedByCategory: Bool
    private let exact: PatternClass

    init(_ exact: PatternClass) {
        self.exact = exact
        ascii = exact.ascii
        wideCategories = exact.wideCategories ?? []
        isDecidedByCategory = exact.wideCategories != nil
    }

    @inline(__always)
    func contains(_ value: UInt32, _ categories: ScalarCategories) -> Bool {
        if value < 128 { return ascii.contains(value) }
        if isDecidedByCategory { return !wideCategories.isDisjoint(with: categories[value]) }
        return exact.contains(value)
    }
}

struct PatternCompiler {
    static let maximumLength = 20_000
    /// How many nodes may be looked at, those that repetitions make again included.
    private static let maximumWork = 200_000

    private(set) var instructions: [PatternInstruction] = []
    private(set) var sets: [PatternSet] = []
    private(set) var starts: [PatternStart] = []
    private(set) var registerCount = 0
    private var setIndexes: [PatternClass: Int] = [:]
    private var work = 0

    mutating func compile(_ node: PatternNode) throws(PatternError) {
        try emit(node)
        try append(.match)
    }

    private mutating func count() throws(PatternError) {
        work += 1
        guard work <= Self.maximumWork else {
            throw PatternError(message: "the pattern's repetitions make it too large", offset: 0)
        }
    }

    private mutating func emit(_ node: PatternNode) throws(PatternError) {
        try count()
        switch node {
        case .empty: break
        case .set(let set): try append(.set(index(of: set)))
        case .sequence(let items): for item in items { try emit(item) }
        case .alternation(let branches): try emitAlternation(branches)
        case .repetition(let body, let minimum, let maximum, let greed):
            try emitRepetition(body, minimum, maximum, greed)
        case .atomic(let body): try emitInner(body) { .atomic(next: $0) }
        case .assertion(let assertion): try append(.assertion(assertion))
        case .look(let body, let isBehind, let isNegative):
            guard isBehind else {
                try emitInner(body) { .look(next: $0, isNegative: isNegative) }
                return
            }
            // Alternatives of different lengths are looked for one after another.
            var alternatives: [PatternNode] = [body]
            if case .alternation(let branches) = body { alternatives = branches }
            if !isNegative, alternatives.count > 1 {
                try emitAlternation(alternatives.map { .look($0, isBehind: true, isNegative: false) })
                return
            }
            for alternative in alternatives {
                guard let length = Self.length(of: alternative) else {
                    throw PatternError(message: "looking behind for a text of unknown length", offset: 0)
                }
                try emitInner(alternative) {
                    .lookBehind(next: $0, isNegative: isNegative, length: length)
                }
            }
        }
    }

    private mutating func emitInner(
        _ body: PatternNode, _ make: (Int) -> PatternInstruction
    ) throws(PatternError) {
        let place = instructions.count
        try append(.match)
        try emit(body)
        try append(.match)
        instructions[place] = make(instructions.count)
    }

    private mutating func emitAlternation(_ branches: [PatternNode]) throws(PatternError) {
        var ends: [Int] = []
        for branch in branches.dropLast() {
            let guardIndex = addStart(try start(of: branch))
            let split = instructions.count
            try append(.match)
            try emit(branch)
            ends.append(instructions.count)
            try append(.match)
            instructions[split] = .split(split + 1, instructions.count, guardIndex: guardIndex)
        }
        if let last = branches.last { try emit(last) }
        for end in ends { instructions[end] = .jump(instructions.count) }
    }

    private mutating func emitRepetition(
        _ body: PatternNode, _ minimum: Int, _ maximum: Int?, _ greed: PatternGreed
    ) throws(PatternError) {
        if case .set(let set) = body, greed != .lazy {
            try append(
                .run(
                    set: index(of: set), minimum: minimum, maximum: maximum ?? .max,
                    isPossessive: greed == .possessive))
            return
        }
        if greed == .possessive {
            let inner = PatternNode.repetition(body, minimum: minimum, maximum: maximum, .greedy)
            try emitInner(inner) { .atomic(next: $0) }
            return
        }
        for _ in 0..<minimum { try emit(body) }
        if let maximum {
            try emitOptional(body, count: maximum - minimum, isLazy: greed == .lazy)
        } else {
            try emitLoop(body, isLazy: greed == .lazy)
        }
    }

    private mutating func emitOptional(
        _ body: PatternNode, count: Int, isLazy: Bool
    ) throws(PatternError) {
        var splits: [Int] = []
        for _ in 0..<count {
            splits.append(instructions.count)
            try append(.match)
            try emit(body)
        }
        let start = addStart(try start(of: body))
        for split in splits { setSplit(split, exit: instructions.count, isLazy, start) }
    }

    private mutating func emitLoop(_ body: PatternNode, isLazy: Bool) throws(PatternError) {
        let start = try start(of: body)
        let register = start.isNullable ? registerCount : nil
        if register != nil { registerCount += 1 }
        let split = instructions.count
        try append(.match)
        if let register { try append(.beginTurn(register: register)) }
        try emit(body)
        let end = instructions.count
        if register != nil { try append(.match) }
        try append(.jump(split))
        if let register { instructions[end] = .endTurn(register: register, exit: instructions.count) }
        setSplit(split, exit: instructions.count, isLazy, addStart(start))
    }

    private mutating func setSplit(_ place: Int, exit: Int, _ isLazy: Bool, _ start: Int) {
        instructions[place] =
            isLazy
            ? .split(exit, place + 1, guardIndex: addStart(.anything))
            : .split(place + 1, exit, guardIndex: start)
    }

    private mutating func append(_ instruction: PatternInstruction) throws(PatternError) {
        guard instructions.count < Self.maximumLength else {
            throw PatternError(message: "the pattern's repetitions make it too large", offset: 0)
        }
        instructions.append(instruction)
    }

    private mutating func index(of set: PatternClass) -> Int {
        if let index = setIndexes[set] { return index }
        setIndexes[set] = sets.count
        sets.append(PatternSet(set))
        return sets.count - 1
    }

    private mutating func addStart(_ start: PatternStart) -> Int {
        starts.append(start)
        return starts.count - 1
    }
}

extension PatternCompiler {
    /// What a node can begin with; too much rather than too little.
    mutating func start(of node: PatternNode) throws(PatternError) -> PatternStart {
        try count()
        switch node {
        case .empty, .assertion, .look: return PatternStart.anything
        case .set(let set): return PatternStart(ascii: set.ascii, allowsOthers: true)
        case .sequence(let items):
            var start = PatternStart(isNullable: true)
            for item in items {
                let next = try self.start(of: item)
                start = start.union(next)
                if !next.isNullable {
                    start.isNullable = false
                    break
                }
            }
            return start
        case .alternation(let branches):
            var start = PatternStart()
            for branch in branches { start = start.union(try self.start(of: branch)) }
            return start
        case .repetition(let body, let minimum, _, _):
            var start = try self.start(of: body)
            if minimum == 0 { start.isNullable = true }
            return start
        case .atomic(let body): return try start(of: body)
        }
    }

    /// How many characters a node reads, nil if that may differ.
    static func length(of node: PatternNode) -> Int? {
        switch node {
        case .empty, .assertion, .look: return 0
        case .set: return 1
        case .sequence(let items):
            var sum = 0
            for item in items {
                guard let length = length(of: item) else { return nil }
                sum += length
            }
            return sum
        case .alternation(let branches):
            let lengths = Set(branches.map(Self.length))
            return lengths.count == 1 ? lengths.first ?? nil : nil
        case .repetition(let body, let minimum, let maximum, _):
            guard minimum == maximum, let length = length(of: body) else { return nil }
            return length * minimum
        case .atomic(let body): return length(of: body)
        }
    }
}
