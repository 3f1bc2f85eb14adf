// Replacing `{{tag}}` and `{{=expression}}` in manifest text, in Argo's passes.

package import Text

/// What a variable's name stands for in a scope.
package enum ScopeEntry: Sendable, Hashable {
    case text(String)
    /// An artifact or another structure: usable in expressions and `from`, not in plain tags.
    case structure(JSONValue)
    /// An output of a step that was skipped or omitted, without a default.
    case absent
}

/// Why text could not be substituted.
package enum SubstitutionError: Error, Sendable, Equatable {
    /// The tag names nothing known.
    case unresolved(tag: String)
    /// The tag names an output that is absent because its producer was skipped.
    case absent(tag: String)
    case expression(source: String, message: String)

    package var message: String {
        switch self {
        case .unresolved(let tag): "failed to resolve {{\(tag)}}"
        case .absent(let tag):
            "{{\(tag)}} is absent optional: the step that gives it was skipped and declares no default; give "
                + "the output valueFrom.default, the input a default, or use {{=...}} with ??"
        case .expression(let source, let message): "failed to evaluate expression {{=\(source)}}: \(message)"
        }
    }
}

/// The variables that text may use.
package struct VariableScope: Sendable {
    /// Variables by full name, such as `inputs.parameters.message`.
    package var entries: [String: ScopeEntry]
    /// Variables below those: the workflow's own, shared by all scopes of a run.
    package var base: [String: ScopeEntry]
    /// Roots whose tags must be known when they are met, such as `steps.`.
    package var strictPrefixes: [String]
    /// Moment, seed and zones for expressions.
    package var context: ExpressionContext

    package init(
        base: [String: ScopeEntry] = [:], entries: [String: ScopeEntry] = [:], strictPrefixes: [String] = [],
        context: ExpressionContext
    ) {
        self.base = base
        self.entries = entries
        self.strictPrefixes = strictPrefixes
        self.context = context
    }

    package func entry(_ name: String) -> ScopeEntry? { entries[name] ?? base[name] }

    package mutating func set(_ name: String, _ text: String?) {
        entries[name] = text.map(ScopeEntry.text)
    }
}

/// The variables that a piece of manifest mentions: what a scope must hold before it is substituted.
package struct TagReferences: Sendable, Hashable {
    /// Names in plain tags.
    package var tags: Set<String> = []
    /// Words of all expressions: names, members and string literals.
    package var words: Set<String> = []

    package init(in value: JSONValue) { collect(value) }
    package init(in text: String) { collect(.string(text)) }

    /// An expression written without braces, as hooks have it.
    package init(expression source: String) {
        words = (try? Expression(source))?.words ?? []
    }

    package mutating func formUnion(_ other: TagReferences) {
        tags.formUnion(other.tags)
        words.formUnion(other.words)
    }

    private mutating func collect(_ value: JSONValue) {
        switch value {
        case .string(let text): collect(text: text)
        case .array(let elements): for element in elements { collect(element) }
        case .object(let members):
            for (key, member) in members {
                collect(text: key)
                collect(member)
            }
        case .null, .bool, .int, .double: return
        }
    }

    private mutating func collect(text: String) {
        guard Tag.isIn(text) else { return }
        for piece in Tag.pieces(of: text) {
            switch piece {
            case .literal: continue
            case .tag(let content): tags.insert(content.trimmed)
            case .expression(let source):
                if let expression = try? Expression(source) { words.formUnion(expression.words) }
            }
        }
    }
}

extension VariableScope {
    /// The text with its tags replaced. Unknown tags stay as they are, except those with a strict prefix.
    package func replace(in text: String) throws(SubstitutionError) -> String {
        guard Tag.isIn(text) else { return text }
        var current = text
        // A tag may hold another one (`{{inputs.parameters.{{workflow.parameters.which}}}}`): the inner one is
        // replaced first, and the outer one in the pass after it.
        for _ in 0..<3 {
            var nested = false
            var result = ""
            for piece in Tag.pieces(of: current) {
                switch piece {
                case .literal(let literal): result += literal
                case .expression(let source): result += try evaluated(source)
                case .tag(let content): result += try replacement(content, nested: &nested)
                }
            }
            current = result
            if !nested { break }
        }
        return current
    }

    /// The value with tags replaced in all its strings, keys included.
    package func replace(in value: JSONValue) throws(SubstitutionError) -> JSONValue {
        switch value {
        case .string(let text):
            return Tag.isIn(text) ? .string(try replace(in: text)) : value
        case .array(let elements):
            var result: [JSONValue] = []
            result.reserveCapacity(elements.count)
            for element in elements { result.append(try replace(in: element)) }
            return .array(result)
        case .object(let members):
            var result = members
            for (key, member) in members {
                switch member {
                case .string, .array, .object:
                    let replaced = try replace(in: member)
                    if Tag.isIn(key) {
                        result[key] = nil
                        result[try replace(in: key)] = replaced
                    } else {
                        result[key] = replaced
                    }
                case .null, .bool, .int, .double: continue
                }
            }
            return .object(result)
        case .null, .bool, .int, .double:
            return value
        }
    }

    private func replacement(_ content: String, nested: inout Bool) throws(SubstitutionError) -> String {
        if let inner = content.lastRange(of: "{{") {
            guard case .text(let text) = entry(String(content[inner.upperBound...]).trimmed) else {
                return "{{\(content)}}"
            }
            nested = true
            return "{{" + content[..<inner.lowerBound] + text
        }
        let name = content.trimmed
        switch entry(name) {
        case .text(let text): return text
        case .structure: return "{{\(content)}}"
        case .absent: throw .absent(tag: name)
        case nil:
            if strictPrefixes.contains(where: name.hasPrefix) { throw .unresolved(tag: name) }
            return "{{\(content)}}"
        }
    }

    private func evaluated(_ source: String) throws(SubstitutionError) -> String {
        let unresolved = "{{=\(source)}}"
        do throws(ExpressionError) {
            let expression = try Expression(source)
            if Self.isLate(expression.words, in: self) { return unresolved }
            var context = context
            let value = try expression.evaluate(environment(for: expression.words), &context)
            if case .none = value {
                if strictPrefixes.isEmpty { return unresolved }
                throw ExpressionError("the result is nil")
            }
            return value.text
        } catch {
            if strictPrefixes.isEmpty { return unresolved }
            throw .expression(source: source, message: error.message)
        }
    }

    /// Variables that get their value only later; an expression that uses one waits for it.
    private static func isLate(_ words: Set<String>, in scope: VariableScope) -> Bool {
        if words.contains("retries"), scope.entry("retries") == nil { return true }
        if words.contains("lastRetry"), scope.entry("lastRetry.exitCode") == nil { return true }
        if words.contains("item"), scope.entry("item") == nil { return true }
        guard words.contains("workflow") else { return false }
        if words.contains("failures"), scope.entry("workflow.failures") == nil { return true }
        return words.contains("status") && words.isDisjoint(with: ["steps", "tasks"])
            && scope.entry("workflow.status") == nil
    }

    /// The nested form of the variables that an expression with these words may reach.
    package func environment(for words: Set<String>) -> ExpressionEnvironment {
        var root = EnvironmentTree()
        for (name, entry) in base where Self.isReachable(name, words) { root.insert(name.dotted, entry) }
        for (name, entry) in entries where Self.isReachable(name, words) { root.insert(name.dotted, entry) }
        guard case .object(let variables) = root.value else { return ExpressionEnvironment(variables: [:]) }
        return ExpressionEnvironment(variables: variables)
    }

    /// The truth of an expression written without braces, as hooks and retry strategies have it.
    package func isTrue(_ source: String) throws(ExpressionError) -> Bool {
        let expression = try Expression(source)
        var context = context
        let value = try expression.evaluate(environment(for: expression.words), &context)
        switch value {
        case .bool(let truth): return truth
        case .string("true"): return true
        case .string("false"): return false
        default: throw ExpressionError("the expression \"\(source)\" gives \(value.text), not true or false")
        }
    }

    private static func isReachable(_ name: String, _ words: Set<String>) -> Bool {
        guard let root = name.dotted.first else { return false }
        return words.contains(root) || words.contains("$env")
    }
}

/// Builds nested objects from dotted names; a name that is both a value and a parent becomes the parent.
private struct EnvironmentTree {
    var entry: ScopeEntry?
    var children: [String: EnvironmentTree] = [:]

    mutating func insert(_ path: [String], _ entry: ScopeEntry) {
        guard let first = path.first else {
            self.entry = entry
            return
        }
        children[first, default: EnvironmentTree()].insert(Array(path.dropFirst()), entry)
    }

    var value: ExpressionValue {
        if !children.isEmpty || entry == nil { return .object(children.mapValues(\.value)) }
        switch entry {
        case .text(let text): return .string(text)
        case .structure(let json): return ExpressionValue(json)
        case .absent, nil: return .none
        }
    }
}

extension String {
    /// Without blanks, tabs and line ends on either side.
    package var trimmed: String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        var bytes = utf8[...]
        while let first = bytes.first, isBlank(first) { bytes = bytes.dropFirst() }
        while let last = bytes.last, isBlank(last) { bytes = bytes.dropLast() }
        return String(bytes) ?? ""
    }

    /// The parts between dots.
    package var dotted: [String] { split(separator: ".", omittingEmptySubsequences: false).map(String.init) }

    fileprivate func lastRange(of text: String) -> Range<Index>? {
        let pattern = Array(text.utf8)
        let bytes = Array(utf8)
        guard bytes.count >= pattern.count else { return nil }
        for start in stride(from: bytes.count - pattern.count, through: 0, by: -1)
        where bytes[start..<(start + pattern.count)].elementsEqual(pattern) {
            let lower = utf8.index(utf8.startIndex, offsetBy: start)
            return lower..<utf8.index(lower, offsetBy: pattern.count)
        }
        return nil
    }
}
