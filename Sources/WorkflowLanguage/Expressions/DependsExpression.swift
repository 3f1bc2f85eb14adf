// The `depends` of a DAG's task: which results of which tasks let it start.

import Text

/// What can be asked about a task in `depends`.
package enum TaskResult: String, Sendable, CaseIterable {
    case succeeded = "Succeeded"
    case failed = "Failed"
    case errored = "Errored"
    case skipped = "Skipped"
    case omitted = "Omitted"
    case daemoned = "Daemoned"
    case anySucceeded = "AnySucceeded"
    case allFailed = "AllFailed"
}

/// A condition such as `(A.Succeeded || A.Skipped) && !B.Failed && C`.
package struct DependsExpression: Sendable {
    private indirect enum Node: Sendable {
        case result(task: String, TaskResult?)
        case not(Node)
        case all([Node])
        case any([Node])
    }

    private let root: Node
    /// The tasks named, in the order of their first mention.
    package let taskNames: [String]
    /// What is asked of which task, each once, in the order of first mention; no result for a bare name.
    package let results: [(task: String, result: TaskResult?)]

    /// How deep brackets and negations may nest.
    package static let maximumDepth = 200

    /// - Throws: for text that is no such condition, and for results that do not exist.
    package init(_ text: String) throws(ExpressionError) {
        var parser = Parser(tokens: try Self.tokens(of: text))
        root = try parser.parse()
        results = parser.results
        var seen: Set<String> = []
        taskNames = parser.results.map(\.task).filter { seen.insert($0).inserted }
    }

    /// Whether the condition holds.
    /// - Parameter holds: the answer for a task and what is asked of it; nil stands for a bare name.
    package func evaluate(_ holds: (String, TaskResult?) -> Bool) throws(ExpressionError) -> Bool {
        Self.value(of: root, holds)
    }

    private static func value(of node: Node, _ holds: (String, TaskResult?) -> Bool) -> Bool {
        switch node {
        case .result(let task, let result): holds(task, result)
        case .not(let inner): !value(of: inner, holds)
        case .all(let parts): parts.allSatisfy { value(of: $0, holds) }
        case .any(let parts): parts.contains { value(of: $0, holds) }
        }
    }
}

// MARK: - Reading

extension DependsExpression {
    private struct Token {
        var text: String
        var offset: Int
        var isName: Bool
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func tokens(of text: String) throws(ExpressionError) -> [Token] {
        let bytes = Array(text.utf8)
        var tokens: [Token] = []
        var position = 0
        while position < bytes.count {
            let start = position
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D:
                position += 1
                continue
            case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "!"): position += 1
            case UInt8(ascii: "&"), UInt8(ascii: "|"):
                guard position + 1 < bytes.count, bytes[position + 1] == bytes[position] else {
                    let symbol = String(decoding: [bytes[position]], as: UTF8.self)
                    throw ExpressionError(
                        "a single '\(symbol)' in depends; write '\(symbol)\(symbol)'", offset: position)
                }
                position += 2
            case let byte where isNameByte(byte):
                while position < bytes.count, isNameByte(bytes[position]) { position += 1 }
            default:
                let symbol = String(decoding: bytes[position...].prefix(4), as: UTF8.self).prefix(1)
                throw ExpressionError(
                    "'\(symbol)' has no meaning in depends; it is made of task names, && || ! and ( )",
                    offset: position)
            }
            let piece = String(decoding: bytes[start..<position], as: UTF8.self)
            tokens.append(Token(text: piece, offset: start, isName: isNameByte(bytes[start])))
        }
        return tokens
    }

    private struct Parser {
        let tokens: [Token]
        var results: [(task: String, result: TaskResult?)] = []
        private var known: Set<String> = []
        private var position = 0
        private var depth = 0

        init(tokens: [Token]) { self.tokens = tokens }

        mutating func parse() throws(ExpressionError) -> Node {
            guard !tokens.isEmpty else { throw ExpressionError("depends is empty") }
            let node = try parseAny()
            guard position == tokens.count else { throw unexpected() }
            return node
        }

        private mutating func take(_ symbol: String) -> Bool {
            guard position < tokens.count, tokens[position].text == symbol else { return false }
            position += 1
            return true
        }

        private func unexpected() -> ExpressionError {
            guard position < tokens.count else {
                return ExpressionError("depends ends where a task's name or ')' should be")
            }
            let token = tokens[position]
            return ExpressionError("unexpected '\(token.text)' in depends", offset: token.offset)
        }

        private mutating func parseAny() throws(ExpressionError) -> Node {
            var parts = [try parseAll()]
            while take("||") { parts.append(try parseAll()) }
            return parts.count == 1 ? parts[0] : .any(parts)
        }

        private mutating func parseAll() throws(ExpressionError) -> Node {
            var parts = [try parseUnary()]
            while take("&&") { parts.append(try parseUnary()) }
            return parts.count == 1 ? parts[0] : .all(parts)
        }

        private mutating func parseUnary() throws(ExpressionError) -> Node {
            guard depth < DependsExpression.maximumDepth else {
                throw ExpressionError("depends nests more than \(DependsExpression.maximumDepth) levels deep")
            }
            depth += 1
            defer { depth -= 1 }
            if take("!") { return .not(try parseUnary()) }
            if take("(") {
                let inner = try parseAny()
                guard take(")") else { throw unexpected() }
                return inner
            }
            guard position < tokens.count, tokens[position].isName else { throw unexpected() }
            defer { position += 1 }
            return try reference(tokens[position])
        }

        private mutating func reference(_ token: Token) throws(ExpressionError) -> Node {
            let parts = token.text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            let task = parts[0]
            guard !task.isEmpty, parts.count <= 2 else {
                throw ExpressionError(
                    "'\(token.text)' is not of the form task or task.Result", offset: token.offset)
            }
            var result: TaskResult?
            if parts.count == 2 {
                guard let known = TaskResult(rawValue: parts[1]) else {
                    throw unknownResult(parts[1], of: task, at: token.offset)
                }
                result = known
            }
            if known.insert(token.text).inserted { results.append((task, result)) }
            return .result(task: task, result)
        }

        private func unknownResult(_ word: String, of task: String, at offset: Int) -> ExpressionError {
            let names = TaskResult.allCases.map(\.rawValue)
            var message = "task result '\(word)' for task '\(task)' is invalid"
            // People write the phase's name for the result's, which is too far from it to be near.
            let near =
                ["Error": "Errored", "Success": "Succeeded"][word]
                ?? EditDistance.nearest(to: word, in: names)
            if let near {
                message += "; did you mean '\(near)'?"
            } else {
                message += "; the results are \(names.joined(separator: ", "))"
            }
            return ExpressionError(message, offset: offset)
        }
    }
}
