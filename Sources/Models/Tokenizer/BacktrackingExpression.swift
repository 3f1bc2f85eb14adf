// Regular expressions with lookaround and possessive quantifiers, as tokenizer files have them. The
// linear-time engine of `Text` cannot have these; here a limit on steps stands in for the guarantee.

/// A compiled pattern in Oniguruma's Ruby syntax, references to groups excepted. Of several matches the
/// leftmost counts, and of those the one that backtracking finds first.
struct BacktrackingExpression: Sendable {
    /// How many steps one text may take, for each of its bytes; what is left then counts as unmatched.
    private static let stepsPerByte = 500
    private static let minimumSteps = 100_000

    fileprivate let instructions: [PatternInstruction]
    fileprivate let sets: [PatternSet]
    fileprivate let starts: [PatternStart]
    fileprivate let registerCount: Int
    private let start: PatternStart

    init(_ pattern: String) throws(PatternError) {
        var parser = PatternParser(pattern)
        try self.init(try parser.parse())
    }

    private init(_ node: PatternNode) throws(PatternError) {
        var compiler = PatternCompiler()
        try compiler.compile(node)
        instructions = compiler.instructions
        sets = compiler.sets
        starts = compiler.starts
        registerCount = compiler.registerCount
        start = try compiler.start(of: node)
    }

    /// `\w+|[^\w\s]+`, with the words of Rust's regular expressions.
    static func wordsAndOthers() throws(PatternError) -> BacktrackingExpression {
        let word = PatternClassNames.rustWord
        let other = PatternClass(members: [word, PatternClass(categories: .whitespace)], isNegated: true)
        return try BacktrackingExpression(
            .alternation(
                [word, other].map { .repetition(.set($0), minimum: 1, maximum: nil, .greedy) }))
    }

    /// As `SplitPattern.forEachMatch(in:_:)`.
    func forEachMatch(in text: UTF8Text, _ body: (Range<Int>) -> Void) {
        var matcher = BacktrackingMatcher(expression: self, text: text)
        let (product, overflowed) = text.count.multipliedReportingOverflow(by: Self.stepsPerByte)
        matcher.stepsLeft = overflowed ? .max / 2 : product + Self.minimumSteps
        var position = 0
        var previousEnd = -1
        while position <= text.count {
            if start.allows(text, position), let end = matcher.match(at: position) {
                if end > position || previousEnd != end {
                    body(position..<end)
                    previousEnd = end
                    if end > position {
                        position = end
                        continue
                    }
                }
            }
            guard position < text.count, matcher.stepsLeft > 0 else { return }
            position = text.scalar(at: position).end
        }
    }
}

/// Runs a program on one text.
private struct BacktrackingMatcher {
    /// A place to go back to.
    private struct Frame {
        /// The instruction to go on with; negative: the register -1 - instruction gets `position` back.
        var instruction: Int
        var position: Int
        /// For a run of characters that may become shorter: the shortest end; -1 otherwise.
        var minimumPosition: Int
    }

    private let expression: BacktrackingExpression
    private let text: UTF8Text
    private let categories = ScalarCategories.shared
    private var stack: [Frame] = []
    private var registers: [Int]
    var stepsLeft = 0

    init(expression: BacktrackingExpression, text: UTF8Text) {
        self.expression = expression
        self.text = text
        registers = [Int](repeating: -1, count: expression.registerCount)
    }

    /// - Returns: the end of a match that begins at a place.
    mutating func match(at position: Int) -> Int? { run(from: 0, at: position) }

    private mutating func run(from start: Int, at begin: Int) -> Int? {
        let bottom = stack.count
        var instruction = start
        var position = begin
        while true {
            stepsLeft -= 1
            guard stepsLeft > 0 else {
                stack.removeLast(stack.count - bottom)
                return nil
            }
            var isMatching = true
            switch expression.instructions[instruction] {
            case .match:
                stack.removeLast(stack.count - bottom)
                return position
            case .set(let set):
                if let end = endOfOne(set, position) {
                    position = end
                    instruction += 1
                } else {
                    isMatching = false
                }
            case .jump(let target): instruction = target
            case .split(let first, let second, let guardIndex):
                if expression.starts[guardIndex].allows(text, position) {
                    stack.append(Frame(instruction: second, position: position, minimumPosition: -1))
                    instruction = first
                } else {
                    instruction = second
                }
            case .run(let set, let minimum, let maximum, let isPossessive):
                isMatching = readRun(
                    of: set, minimum, maximum, isPossessive, &instruction, &position)
            case .beginTurn(let register):
                stack.append(
                    Frame(instruction: -1 - register, position: registers[register], minimumPosition: -1))
                registers[register] = position
                instruction += 1
            case .endTurn(let register, let exit):
                instruction = registers[register] == position ? exit : instruction + 1
            case .assertion, .look, .lookBehind, .atomic:
                isMatching = runInner(&instruction, &position)
            }
            if !isMatching, !goBack(to: bottom, &instruction, &position) { return nil }
        }
    }

    /// Takes the latest other way; false if there is none.
    private mutating func goBack(to bottom: Int, _ instruction: inout Int, _ position: inout Int) -> Bool {
        while stack.count > bottom {
            let top = stack.count - 1
            let frame = stack[top]
            if frame.instruction < 0 {
                registers[-1 - frame.instruction] = frame.position
                stack.removeLast()
                continue
            }
            instruction = frame.instruction
            if frame.minimumPosition >= 0 {
                position = text.start(before: frame.position)
                stack[top].position = position
                if position <= frame.minimumPosition { stack.removeLast() }
            } else {
                position = frame.position
                stack.removeLast()
            }
            return true
        }
        return false
    }

    @inline(__always)
    private func endOfOne(_ set: Int, _ position: Int) -> Int? {
        guard position < text.count else { return nil }
        let (value, end) = text.scalar(at: position)
        return expression.sets[set].contains(value, categories) ? end : nil
    }

    private mutating func readRun(
        of set: Int, _ minimum: Int, _ maximum: Int, _ isPossessive: Bool, _ instruction: inout Int,
        _ position: inout Int
    ) -> Bool {
        var count = 0
        var end = position
        var minimumEnd = position
        while count < maximum, let next = endOfOne(set, end) {
            end = next
            count += 1
            if count == minimum { minimumEnd = end }
        }
        stepsLeft -= count / 8
        guard count >= minimum else { return false }
        instruction += 1
        if !isPossessive, count > minimum {
            stack.append(Frame(instruction: instruction, position: end, minimumPosition: minimumEnd))
        }
        position = end
        return true
    }

    private mutating func runInner(_ instruction: inout Int, _ position: inout Int) -> Bool {
        switch expression.instructions[instruction] {
        case .assertion(let assertion):
            instruction += 1
            return holds(assertion, at: position)
        case .look(let next, let isNegative):
            let isThere = run(from: instruction + 1, at: position) != nil
            instruction = next
            return isThere != isNegative
        case .lookBehind(let next, let isNegative, let length):
            var begin = position
            var count = 0
            while count < length, begin > 0 {
                begin = text.start(before: begin)
                count += 1
            }
            let isThere = count == length && run(from: instruction + 1, at: begin) != nil
            instruction = next
            return isThere != isNegative
        case .atomic(let next):
            guard let end = run(from: instruction + 1, at: position) else { return false }
            instruction = next
            position = end
            return true
        default: return false
        }
    }

    private func holds(_ assertion: PatternAssertion, at position: Int) -> Bool {
        switch assertion {
        case .textStart: return position == 0
        case .textEnd: return position == text.count
        case .textEndOrNewline:
            return position == text.count || position == text.count - 1 && text[position] == 0x0A
        // Ruby sees no line behind a newline that ends the text.
        case .lineStart:
            return position == 0 || position < text.count && text[position - 1] == 0x0A
        case .lineEnd: return position == text.count || text[position] == 0x0A
        case .wordBoundary: return isWord(before: position) != isWord(at: position)
        case .noWordBoundary: return isWord(before: position) == isWord(at: position)
        }
    }

    private func isWord(at position: Int) -> Bool {
        position < text.count && PatternClassNames.word.contains(text.scalar(at: position).value)
    }

    private func isWord(before position: Int) -> Bool {
        position > 0
            && PatternClassNames.word.contains(text.scalar(at: text.start(before: position)).value)
    }
}
