// Conditions of `resource` templates, such as `status.phase == Succeeded, status.failed < 3`: Kubernetes'
// label selectors over places in an object.

package import Text
import WorkflowLanguage

/// All requirements of one condition.
package struct ResourceCondition: Sendable, Hashable {
    /// One requirement, kept as it was written for messages.
    package struct Requirement: Sendable, Hashable {
        enum Test: Sendable, Hashable {
            case exists, isAbsent
            case isOneOf([String]), isNoneOf([String])
            case isAbove(Int), isBelow(Int)
        }

        package let text: String
        let path: String
        let test: Test
    }

    private static let lengthLimitBytes = 64 << 10

    package let requirements: [Requirement]

    /// - Throws: `PodProblem` with what is wrong in the text.
    package init(_ text: String, named field: String) throws(PodProblem) {
        guard text.utf8.count <= Self.lengthLimitBytes else {
            throw PodProblem("\(field) is longer than \(Self.lengthLimitBytes >> 10) KiB")
        }
        var found: [Requirement] = []
        for piece in Self.pieces(of: text) {
            var parser = RequirementParser(piece)
            guard let requirement = parser.parse() else {
                throw PodProblem(
                    "\(field): \"\(piece)\" is no requirement; write PATH == VALUE, !=, >, <, in (A, B), notin (A, B), "
                        + "PATH alone or !PATH, with commas between them")
            }
            found.append(requirement)
        }
        requirements = found
    }

    /// Apart at commas that stand in no parentheses or quotes.
    private static func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        var piece = ""
        var depth = 0
        var quote: Character?
        for character in text {
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if "([".contains(character) {
                depth += 1
            } else if ")]".contains(character) {
                depth -= 1
            }
            if character == ",", depth <= 0, quote == nil {
                pieces.append(piece)
                piece = ""
            } else {
                piece.append(character)
            }
        }
        return (pieces + [piece]).map(\.trimmed).filter { !$0.isEmpty }
    }

    /// Whether every requirement holds, as a success condition wants it.
    package func holds(for object: JSONValue) -> Bool {
        requirements.allSatisfy { $0.holds(for: object) }
    }

    /// The first requirement that holds: of a failure condition each alone is enough.
    package func first(in object: JSONValue) -> Requirement? {
        requirements.first { $0.holds(for: object) }
    }
}

extension ResourceCondition.Requirement {
    /// What Kubernetes' selectors say of a value; a place that is not there is unequal to everything.
    package func holds(for object: JSONValue) -> Bool {
        let found = ObjectPath(path).value(in: object)
        let value = found.map { $0 == .null ? "" : $0.scalarText ?? $0.compactText }
        switch test {
        case .exists: return value != nil
        case .isAbsent: return value == nil
        case .isOneOf(let values): return value.map(values.contains) ?? false
        case .isNoneOf(let values): return value.map { !values.contains($0) } ?? true
        case .isAbove(let limit): return value.flatMap { Int($0) }.map { $0 > limit } ?? false
        case .isBelow(let limit): return value.flatMap { Int($0) }.map { $0 < limit } ?? false
        }
    }
}

/// Reads one requirement.
private struct RequirementParser {
    private let whole: String
    private var rest: Substring

    init(_ text: String) {
        whole = text
        rest = text[...]
    }

    mutating func parse() -> ResourceCondition.Requirement? {
        if rest.first == "!" {
            rest.removeFirst()
            let path = String(rest).trimmed
            return path.isEmpty || path.contains(" ") ? nil : made(path, .isAbsent)
        }
        let path = takePath()
        guard !path.isEmpty else { return nil }
        skipBlanks()
        if rest.isEmpty { return made(path, .exists) }
        for (mark, isEqual) in [("==", true), ("!=", false), ("=", true)] where rest.hasPrefix(mark) {
            rest.removeFirst(mark.count)
            let value = Self.unquoted(String(rest).trimmed)
            return made(path, isEqual ? .isOneOf([value]) : .isNoneOf([value]))
        }
        if let mark = rest.first, mark == ">" || mark == "<" {
            rest.removeFirst()
            guard let number = Int(String(rest).trimmed) else { return nil }
            return made(path, mark == ">" ? .isAbove(number) : .isBelow(number))
        }
        for (word, isIn) in [("notin", false), ("in", true)] where rest.hasPrefix(word) {
            rest.removeFirst(word.count)
            let list = String(rest).trimmed
            guard list.hasPrefix("("), list.hasSuffix(")") else { return nil }
            let values = list.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
                .map { Self.unquoted(String($0).trimmed) }
            return made(path, isIn ? .isOneOf(values) : .isNoneOf(values))
        }
        return nil
    }

    private func made(
        _ path: String, _ test: ResourceCondition.Requirement.Test
    ) -> ResourceCondition.Requirement {
        .init(text: whole, path: path, test: test)
    }

    /// Up to a blank or an operator, except within parentheses.
    private mutating func takePath() -> String {
        var path = ""
        var depth = 0
        while let character = rest.first {
            if depth == 0 && " \t=!<>".contains(character) { break }
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            path.append(character)
            rest.removeFirst()
        }
        return path
    }

    private mutating func skipBlanks() { rest = rest.drop { $0 == " " || $0 == "\t" } }

    private static func unquoted(_ text: String) -> String {
        guard text.count >= 2, let first = text.first, first == text.last, first == "\"" || first == "'"
        else { return text }
        return String(text.dropFirst().dropLast())
    }
}

/// A place in an object as Argo's conditions name it: members with dots between them, numbers for elements of
/// lists, `#` for a length, `#(type=="Complete")` for the first element with that member.
struct ObjectPath {
    private let parts: [String]

    init(_ text: String) {
        var parts: [String] = []
        var part = ""
        var depth = 0
        var isEscaped = false
        for character in text {
            if isEscaped {
                part.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == ".", depth == 0 {
                parts.append(part)
                part = ""
            } else {
                if character == "(" { depth += 1 }
                if character == ")" { depth -= 1 }
                part.append(character)
            }
        }
        self.parts = parts + [part]
    }

    func value(in object: JSONValue) -> JSONValue? {
        var value = object
        for (index, part) in parts.enumerated() {
            switch value {
            case .object(let members):
                guard let next = members[part] else { return nil }
                value = next
            case .array(let elements):
                if part == "#" { return index == parts.count - 1 ? .int(elements.count) : nil }
                guard let next = Self.element(part, of: elements) else { return nil }
                value = next
            default: return nil
            }
        }
        return value
    }

    private static func element(_ part: String, of elements: [JSONValue]) -> JSONValue? {
        if let index = Int(part) { return elements.indices.contains(index) ? elements[index] : nil }
        guard part.hasPrefix("#("), part.hasSuffix(")") else { return nil }
        let query = part.dropFirst(2).dropLast()
        let equals = query.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: true)
        guard equals.count == 2 else { return nil }
        let name = String(equals[0]).trimmed
        var wanted = String(equals[1].drop { $0 == "=" }).trimmed
        if wanted.hasPrefix("\""), wanted.hasSuffix("\""), wanted.count >= 2 {
            wanted = String(wanted.dropFirst().dropLast())
        }
        return elements.first { ObjectPath(name).value(in: $0)?.scalarText == wanted }
    }
}
