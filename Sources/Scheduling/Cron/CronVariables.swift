// What `when` and `stopStrategy` of a cron workflow may ask: names, labels, annotations, the past runs.

import Text
import WorkflowLanguage

/// The variables `cronworkflow.*` of one moment.
struct CronVariables: Sendable {
    let name: String
    let namespace: String
    let labels: [String: String]
    let annotations: [String: String]
    let status: CronStatus
    let now: Timestamp
    let zones: [String: TimeZoneRules]

    /// Whether the condition of `when` holds, tags replaced first.
    /// - Throws: for text that is no condition.
    func holds(when text: String) throws(ExpressionError) -> Bool {
        try WhenExpression.evaluate(try replaced(text), bareWordsAreStrings: false)
    }

    /// Whether the expression of `stopStrategy` holds.
    func holds(expression text: String) throws(ExpressionError) -> Bool {
        switch try value(of: text) {
        case .bool(let holds): return holds
        case let other:
            throw ExpressionError("the expression \"\(text)\" gives \(other.text), not true or false")
        }
    }

    private func replaced(_ text: String) throws(ExpressionError) -> String {
        var result = ""
        for piece in Tag.pieces(of: text) {
            switch piece {
            case .literal(let literal): result += literal
            case .expression(let source): result += try value(of: source).text
            case .tag(let content):
                guard let value = plain(content.trimmed) else {
                    throw ExpressionError("failed to resolve {{\(content)}}")
                }
                result += value
            }
        }
        return result
    }

    private func value(of source: String) throws(ExpressionError) -> ExpressionValue {
        var context = ExpressionContext(now: now, seed: 0, zones: zones)
        return try Expression(source).evaluate(environment, &context)
    }

    /// The text of a plain tag; nil for one that names nothing.
    private func plain(_ name: String) -> String? {
        guard name.hasPrefix("cronworkflow.") else { return nil }
        let rest = String(name.dropFirst("cronworkflow.".count))
        switch rest {
        case "name": return self.name
        case "namespace": return namespace
        case "labels.json": return JSONValue.object(labels.mapValues(JSONValue.string)).compactText
        case "annotations.json": return JSONValue.object(annotations.mapValues(JSONValue.string)).compactText
        case "lastScheduledTime": return status.lastScheduledTime?.rfc3339 ?? ""
        case "failed": return String(status.failed)
        case "succeeded": return String(status.succeeded)
        default: break
        }
        if rest.hasPrefix("labels.") { return labels[String(rest.dropFirst("labels.".count))] }
        if rest.hasPrefix("annotations.") { return annotations[String(rest.dropFirst("annotations.".count))] }
        return nil
    }

    private var environment: ExpressionEnvironment {
        let last = status.lastScheduledTime.map { ExpressionValue.time($0, .utc) } ?? .none
        return ExpressionEnvironment(variables: [
            "failed": .int(status.failed), "succeeded": .int(status.succeeded),
            "cronworkflow": .object([
                "name": .string(name), "namespace": .string(namespace),
                "labels": .object(members(labels)), "annotations": .object(members(annotations)),
                "lastScheduledTime": last, "failed": .int(status.failed),
                "succeeded": .int(status.succeeded),
            ]),
        ])
    }

    private func members(_ values: [String: String]) -> [String: ExpressionValue] {
        var members = values.mapValues { ExpressionValue.string($0) }
        members["json"] = .string(JSONValue.object(values.mapValues(JSONValue.string)).compactText)
        return members
    }
}
