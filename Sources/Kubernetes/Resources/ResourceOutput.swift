// Output parameters of `resource` templates: what `jsonPath` and `jqFilter` find in the object.

package import Text
package import WorkflowLanguage

package enum ResourceOutput {
    /// The template's output parameters with their values.
    /// - Throws: `PodProblem` for a filter that cannot be read, or that fails and has no default.
    package static func parameters(
        of template: Template, from object: JSONValue
    ) throws(PodProblem) -> [Parameter] {
        var list: [Parameter] = []
        for parameter in template.outputs.parameters {
            guard let source = parameter.valueFrom else { continue }
            var taken = parameter
            taken.value = try value(source, of: parameter.name, from: object)
            list.append(taken)
        }
        return list
    }

    private static func value(
        _ source: ValueFrom, of name: String, from object: JSONValue
    ) throws(PodProblem) -> String {
        func failed(_ field: String, _ why: String) -> PodProblem {
            PodProblem("output parameter '\(name)': valueFrom.\(field): \(why)")
        }
        if let filter = source.raw["jqFilter"]?.stringValue, !filter.isEmpty {
            do throws(JQError) {
                let text = try JQFilter(filter).text(of: object)
                if text.isEmpty || text == "null", let value = source.default { return value }
                return text
            } catch {
                if let value = source.default { return value }
                throw failed("jqFilter", error.description)
            }
        }
        if let path = source.raw["jsonPath"]?.stringValue, !path.isEmpty {
            do throws(PodProblem) {
                let text = try ObjectTemplate(path).text(of: object)
                return text.isEmpty ? source.default ?? "" : text
            } catch {
                throw failed("jsonPath", error.description)
            }
        }
        if let value = source.default { return value }
        throw failed("jsonPath", "a resource template's outputs come from jsonPath or jqFilter")
    }
}

/// kubectl's `jsonpath` templates: text with expressions in braces, such as `{.metadata.name}`.
package struct ObjectTemplate: Sendable {
    private enum Piece: Sendable {
        case text(String)
        /// - Parameter isMany: whether what it gives is a list of finds.
        case path(JSONPath, isMany: Bool)
    }

    private let pieces: [Piece]

    /// - Throws: `PodProblem` for what is no template; `range` is named.
    package init(_ text: String) throws(PodProblem) {
        if text.hasPrefix("."), !text.contains("{") {
            self.pieces = [try Self.path(text)]
            return
        }
        var found: [Piece] = []
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            if open > rest.startIndex { found.append(.text(String(rest[..<open]))) }
            guard let close = Self.end(of: rest[open...]) else {
                throw PodProblem("a brace is not closed in \(text)")
            }
            found.append(try Self.piece(String(rest[rest.index(after: open)..<close]).trimmed))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { found.append(.text(String(rest))) }
        pieces = found
    }

    /// The brace that ends the expression, not one in a quoted text.
    private static func end(of text: Substring) -> Substring.Index? {
        var quote: Character?
        for index in text.indices {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "}" {
                return index
            }
        }
        return nil
    }

    private static func piece(_ expression: String) throws(PodProblem) -> Piece {
        if expression.hasPrefix("range") || expression == "end" {
            throw PodProblem(
                "{range} is not understood here; use a path with [*], or jqFilter")
        }
        if expression.hasPrefix("\""), expression.hasSuffix("\""),
            let text = try? JSONValue(parsingUTF8: Array(expression.utf8)).stringValue
        {
            return .text(text)
        }
        return try path(expression)
    }

    private static func path(_ expression: String) throws(PodProblem) -> Piece {
        var whole = expression.hasPrefix("$") ? expression : "$" + expression
        if expression.hasPrefix("@") { whole = "$" + expression.dropFirst() }
        // Kubernetes lets a dot in a name be escaped where the other notation has brackets.
        whole = bracketed(whole)
        let isMany = ["*", "?(", "..", ":", ","].contains { whole.contains($0) }
        do throws(JSONPathError) {
            return .path(try JSONPath(whole), isMany: isMany)
        } catch {
            throw PodProblem(error.message)
        }
    }

    /// `.a\.b` as `['a.b']`.
    private static func bracketed(_ path: String) -> String {
        guard path.contains("\\.") else { return path }
        var result = ""
        var name: String?
        var escaped = false
        func flush() {
            guard let text = name else { return }
            result += text.contains(".") ? "['\(text)']" : ".\(text)"
            name = nil
        }
        for character in path {
            if escaped {
                name = (name ?? "") + String(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "." {
                flush()
                name = ""
            } else if character == "[" {
                flush()
                result.append(character)
            } else if name != nil {
                name?.append(character)
            } else {
                result.append(character)
            }
        }
        flush()
        return result
    }

    /// What is not there is left out, as kubectl does.
    package func text(of object: JSONValue) -> String {
        var result = ""
        for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .path(let path, let isMany):
                guard let value = try? path.query(object), value != .null else { continue }
                let finds = isMany ? value.arrayValue ?? [value] : [value]
                result += finds.map(Self.shown).joined(separator: " ")
            }
        }
        return result
    }

    private static func shown(_ value: JSONValue) -> String { value.scalarText ?? value.compactText }
}
