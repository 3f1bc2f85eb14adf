// The program that a regular expression becomes (Thompson 1968; Cox, "Regular Expression Matching: the
// Virtual Machine Approach"): instructions for the machine in PikeMachine.swift.

struct RegexProgram: Sendable {
    enum Instruction: Sendable {
        case scalar(UInt32)
        case foldedScalar(UInt32)
        case set(Int)
        case any
        case anyButNewline
        case assertion(RegexSyntax.Assertion)
        case save(Int)
        case jump(Int)
        /// Both ways are open; the first is preferred.
        case split(Int, Int)
        case match
    }

    var instructions: [Instruction] = []
    var sets: [ScalarSet] = []
    /// Two for each group.
    var slotCount = 2
    /// Whether a match can begin only at the text's beginning.
    var isAnchored = false
    /// For each byte whether a match can begin with it; nil if a match may be empty.
    var firstBytes: [Bool]?
}

struct RegexCompiler {
    /// Nodes visited, since repetitions of nothing add no instruction that would be counted.
    private var visits = 0
    private var program = RegexProgram()

    mutating func compile(
        _ syntax: RegexSyntax, groupCount: Int
    ) throws(RegularExpressionError) -> RegexProgram {
        program.slotCount = 2 * groupCount
        try emit(syntax)
        try append(.match)
        // A machine keeps the slots of each thread: this bounds its memory to 64 MB.
        guard program.instructions.count * program.slotCount <= 4_000_000 else {
            throw RegularExpressionError(message: "too many groups for so long an expression", offset: 0)
        }
        program.isAnchored = beginsAtTextBegin(syntax)
        program.firstBytes = firstBytes()
        return program
    }

    private mutating func append(_ instruction: RegexProgram.Instruction) throws(RegularExpressionError) {
        guard program.instructions.count < RegularExpression.maximumProgramLength else {
            throw RegularExpressionError(
                message: "expression too large; use smaller repeat counts", offset: 0)
        }
        program.instructions.append(instruction)
    }

    private mutating func emit(_ syntax: RegexSyntax) throws(RegularExpressionError) {
        visits += 1
        guard visits <= 4 * RegularExpression.maximumProgramLength else {
            throw RegularExpressionError(
                message: "expression too large; use smaller repeat counts", offset: 0)
        }
        switch syntax {
        case .empty: break
        case .scalar(let scalar, let foldsCase):
            try append(foldsCase ? .foldedScalar(scalar.caseFolded.value) : .scalar(scalar.value))
        case .set(let set):
            program.sets.append(set)
            try append(.set(program.sets.count - 1))
        case .any(let includingNewline): try append(includingNewline ? .any : .anyButNewline)
        case .assertion(let assertion): try append(.assertion(assertion))
        case .group(let content, let index):
            try append(.save(2 * index))
            try emit(content)
            try append(.save(2 * index + 1))
        case .sequence(let parts):
            for part in parts { try emit(part) }
        case .alternatives(let alternatives): try emitAlternatives(alternatives)
        case .repetition(let part, let minimum, let maximum, let isGreedy):
            try emitRepetition(of: part, minimum: minimum, maximum: maximum, isGreedy: isGreedy)
        }
    }

    private mutating func emitAlternatives(_ alternatives: [RegexSyntax]) throws(RegularExpressionError) {
        var jumps: [Int] = []
        for (index, alternative) in alternatives.enumerated() {
            guard index < alternatives.count - 1 else {
                try emit(alternative)
                break
            }
            let split = program.instructions.count
            try append(.split(split + 1, split + 1))
            try emit(alternative)
            jumps.append(program.instructions.count)
            try append(.jump(0))
            program.instructions[split] = .split(split + 1, program.instructions.count)
        }
        for jump in jumps { program.instructions[jump] = .jump(program.instructions.count) }
    }

    private mutating func emitRepetition(
        of part: RegexSyntax, minimum: Int, maximum: Int?, isGreedy: Bool
    ) throws(RegularExpressionError) {
        guard let maximum else {
            for _ in 0..<max(0, minimum - 1) { try emit(part) }
            if minimum > 0 {
                try emitLoop(part, isGreedy: isGreedy)
            } else if Self.canBeEmpty(part) {
                // x* as (x+)?: in the usual loop, an empty pass through x would lose its place in the order.
                try emitOptional(isGreedy: isGreedy) { compiler throws(RegularExpressionError) in
                    try compiler.emitLoop(part, isGreedy: isGreedy)
                }
            } else {
                try emitOptional(isGreedy: isGreedy, returns: true) {
                    compiler throws(RegularExpressionError) in
                    try compiler.emit(part)
                }
            }
            return
        }
        for _ in 0..<minimum { try emit(part) }
        // x{0,3} is (x(x(x)?)?)?, all ways out leading to the same end.
        var splits: [Int] = []
        for _ in 0..<(maximum - minimum) {
            splits.append(program.instructions.count)
            try append(.match)
            try emit(part)
        }
        for split in splits { setSplit(at: split, to: program.instructions.count, isGreedy: isGreedy) }
    }

    /// One pass or more: the part, then a split that leads back to it.
    private mutating func emitLoop(_ part: RegexSyntax, isGreedy: Bool) throws(RegularExpressionError) {
        let start = program.instructions.count
        try emit(part)
        let next = program.instructions.count + 1
        try append(isGreedy ? .split(start, next) : .split(next, start))
    }

    /// A split around a body, which may lead back to the split.
    private mutating func emitOptional(
        isGreedy: Bool, returns: Bool = false,
        _ body: (inout RegexCompiler) throws(RegularExpressionError) -> Void
    ) throws(RegularExpressionError) {
        let split = program.instructions.count
        try append(.match)
        try body(&self)
        if returns { try append(.jump(split)) }
        setSplit(at: split, to: program.instructions.count, isGreedy: isGreedy)
    }

    private mutating func setSplit(at split: Int, to end: Int, isGreedy: Bool) {
        program.instructions[split] = isGreedy ? .split(split + 1, end) : .split(end, split + 1)
    }
}

// MARK: Analysis

extension RegexCompiler {
    private static func canBeEmpty(_ syntax: RegexSyntax) -> Bool {
        switch syntax {
        case .empty, .assertion: true
        case .scalar, .set, .any: false
        case .group(let content, _): canBeEmpty(content)
        case .sequence(let parts): parts.allSatisfy(canBeEmpty)
        case .alternatives(let alternatives): alternatives.contains(where: canBeEmpty)
        case .repetition(let part, let minimum, _, _): minimum == 0 || canBeEmpty(part)
        }
    }

    private func beginsAtTextBegin(_ syntax: RegexSyntax) -> Bool {
        switch syntax {
        case .assertion(.textBegin): true
        case .group(let content, _): beginsAtTextBegin(content)
        case .sequence(let parts): parts.first.map(beginsAtTextBegin) ?? false
        case .alternatives(let alternatives): alternatives.allSatisfy(beginsAtTextBegin)
        default: false
        }
    }

    /// Follows the program from its beginning to all instructions that take a character.
    private func firstBytes() -> [Bool]? {
        var bytes = [Bool](repeating: false, count: 256)
        var isVisited = [Bool](repeating: false, count: program.instructions.count)
        var open = [0]
        while let index = open.popLast() {
            guard !isVisited[index] else { continue }
            isVisited[index] = true
            switch program.instructions[index] {
            case .match: return nil
            case .jump(let target): open.append(target)
            case .split(let first, let second): open += [first, second]
            case .save, .assertion: open.append(index + 1)
            case .scalar(let value): bytes[Int(UTF8.leadingByte(of: value))] = true
            case .any, .anyButNewline: bytes = [Bool](repeating: true, count: 256)
            case .foldedScalar(let value):
                for byte in 0..<128 where Unicode.Scalar(UInt8(byte)).caseFolded.value == value {
                    bytes[byte] = true
                }
                for byte in 128..<256 { bytes[byte] = true }
            case .set(let set):
                for byte in 0..<128 where program.sets[set].contains(UInt32(byte)) { bytes[byte] = true }
                for byte in 128..<256 { bytes[byte] = true }
            }
        }
        return bytes
    }
}

extension UTF8 {
    /// The first byte of a character's UTF-8.
    fileprivate static func leadingByte(of value: UInt32) -> UInt8 {
        switch value {
        case ..<0x80: UInt8(value)
        case ..<0x800: UInt8(0xC0 | value >> 6)
        case ..<0x10000: UInt8(0xE0 | value >> 12)
        default: UInt8(0xF0 | (value >> 18 & 0x07))
        }
    }
}
