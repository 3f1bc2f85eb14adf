// Selectors of labels and fields, as lists and watches have them.

package import Text
import WorkflowLanguage

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k` of a label selector.
package struct LabelTerms: Sendable {
    private struct Term {
        var key: String
        /// Nil: whatever the value is.
        var values: [String]?
        var isNegated: Bool
    }

    private var terms: [Term] = []

    package init(_ text: String) {
        for part in Self.parts(text) {
            if part.hasPrefix("!") {
                terms.append(Term(key: Self.trim(part.dropFirst()), values: nil, isNegated: true))
            } else if let open = part.firstIndex(of: "("), let close = part.lastIndex(of: ")") {
                let words = part[..<open].split(separator: " ").map(String.init)
                let values = part[part.index(after: open)..<close].split(separator: ",").map { Self.trim($0) }
                terms.append(Term(key: words.first ?? "", values: values, isNegated: words.last == "notin"))
            } else if let equals = part.firstIndex(of: "=") {
                var key = part[..<equals]
                let isNegated = key.hasSuffix("!")
                if isNegated { key.removeLast() }
                let value = part[part.index(after: equals)...].drop { $0 == "=" }
                terms.append(Term(key: Self.trim(key), values: [Self.trim(value)], isNegated: isNegated))
            } else {
                terms.append(Term(key: Self.trim(part[...]), values: nil, isNegated: false))
            }
        }
    }

    /// - Throws: 400 for what is no selector.
    package init(checking text: String) throws(Refusal) {
        self.init(text)
        let brackets = text.reduce(into: (depth: 0, isWrong: false)) { state, character in
            state.depth += character == "(" ? 1 : character == ")" ? -1 : 0
            if !(0...1).contains(state.depth) { state.isWrong = true }
        }
        let isWhole = brackets.depth == 0 && !brackets.isWrong && !text.hasSuffix(",") && !text.hasPrefix(",")
        let isRight = terms.allSatisfy { term in
            ValueRules.isQualified(term.key) && (term.values ?? []).allSatisfy(ValueRules.isLabel)
        }
        guard isWhole && isRight else {
            throw Refusal(400, "BadRequest", "unable to parse requirement: \(text)")
        }
    }

    /// Parts between commas that stand in no brackets.
    private static func parts(_ text: String) -> [String] {
        var parts: [String] = []
        var (current, depth) = ("", 0)
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == "," && depth == 0 {
                parts.append(current)
                current = ""
            } else {
                current.append(character)
            }
        }
        parts.append(current)
        return parts.map { trim($0[...]) }.filter { !$0.isEmpty }
    }

    private static func trim(_ text: some StringProtocol) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    package func match(_ object: JSONValue) -> Bool {
        if terms.isEmpty { return true }
        let labels = object["metadata"]?["labels"]
        return terms.allSatisfy { term in
            let value = labels?[term.key]?.stringValue
            let holds = value.map { found in term.values?.contains(found) ?? true } ?? false
            return holds != term.isNegated
        }
    }
}

/// `metadata.name=a,status.phase!=Running` of a field selector. Only some fields can be asked for.
package struct FieldTerms: Sendable {
    private struct Term {
        var path: [String]
        var value: String
        var isNegated: Bool
    }

    private static let anywhere: Set = ["metadata.name", "metadata.namespace"]
    private static let known: [String: Set<String>] = [
        "pods": [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
        ],
        "events": [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
            "reason", "reportingComponent", "source", "type",
        ],
        "jobs": ["status.successful"], "secrets": ["type"], "nodes": ["spec.unschedulable"],
        "namespaces": ["status.phase"],
    ]

    private var terms: [Term] = []

    package init() {}

    /// - Throws: 400 for a field that the kind cannot be selected by.
    package init(_ text: String, for resource: String) throws(Refusal) {
        for part in text.split(separator: ",") {
            guard let equals = part.firstIndex(of: "=") else {
                throw Refusal(400, "BadRequest", "invalid selector: '\(part)'; can't understand it")
            }
            var key = String(part[..<equals])
            let isNegated = key.hasSuffix("!")
            if isNegated { key.removeLast() }
            guard Self.anywhere.contains(key) || Self.known[resource]?.contains(key) == true else {
                throw Refusal(400, "BadRequest", "field label not supported: \(key)")
            }
            let value = part[part.index(after: equals)...].drop { $0 == "=" }
            terms.append(
                Term(
                    path: key.split(separator: ".").map(String.init), value: String(value),
                    isNegated: isNegated))
        }
    }

    package func match(_ object: JSONValue) -> Bool {
        terms.allSatisfy { term in
            ((object.at(term.path)?.scalarText ?? "") == term.value) != term.isNegated
        }
    }
}
