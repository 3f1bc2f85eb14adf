// WorkflowEventBinding: which events from outside begin which runs, and with what arguments.

package import Persistence
package import Text
import WorkflowLanguage

/// An event that came in, as expressions see it.
package struct IncomingEvent: Sendable {
    package var namespace: String
    package var discriminator: String
    /// The body of the request.
    package var payload: JSONValue
    /// The headers of the request, by lowercase names.
    package var metadata: [String: [String]]

    package init(
        namespace: String, discriminator: String, payload: JSONValue, metadata: [String: [String]]
    ) {
        self.namespace = namespace
        self.discriminator = discriminator
        self.payload = payload
        self.metadata = metadata
    }

    fileprivate var environment: ExpressionEnvironment {
        ExpressionEnvironment(variables: [
            "namespace": .string(namespace), "discriminator": .string(discriminator),
            "payload": ExpressionValue(payload),
            "metadata": .object(metadata.mapValues { .array($0.map(ExpressionValue.string)) }),
        ])
    }
}

/// A binding that was read and found to be sound.
package struct EventBinding: Sendable {
    /// What a matching event begins.
    package struct Submission: Sendable {
        package var kind: DefinitionKind
        package var template: String
        fileprivate var parameters: [(name: String, value: Value)]
        fileprivate var name: Value?
        fileprivate var generateName: Value?
        fileprivate var labels: [(key: String, value: Value)]
        fileprivate var annotations: [(key: String, value: Value)]
    }

    /// A text that is given, or is computed from the event.
    fileprivate enum Value: Sendable {
        case text(String)
        case expression(Expression)
    }

    /// Steps of all expressions of one binding together: an event must not hold up the server.
    private static let workLimit = 1_000_000

    package let name: String
    private let selector: Expression
    /// Nil for a binding that only selects.
    package let submission: Submission?

    /// - Throws: `OperationError` (`invalid`) with the field that is wrong.
    package init(_ document: JSONValue) throws(OperationError) {
        name = ObjectMetadata(document["metadata"]).name
        let fields = Fields(document["spec"])
        guard let source = fields.object("event")?.text("selector"), !source.isEmpty else {
            throw OperationError(
                .invalid,
                "spec.event.selector is missing; write an expression such as payload.action == \"opened\"")
        }
        selector = try Self.expression(source, at: "spec.event.selector")
        guard let submit = fields.object("submit") else {
            submission = nil
            return
        }
        submission = try Self.submission(submit)
    }

    private static func submission(_ submit: Fields) throws(OperationError) -> Submission {
        let reference = submit.object("workflowTemplateRef")
        guard let template = reference?.text("name"), !template.isEmpty else {
            throw OperationError(
                .invalid, "spec.submit.workflowTemplateRef.name is missing; name the template to run")
        }
        let arguments = Arguments(submit["arguments"])
        guard arguments.artifacts.isEmpty else {
            throw OperationError(
                .invalid, "spec.submit.arguments.artifacts cannot be taken from an event; use parameters")
        }
        var parameters: [(name: String, value: Value)] = []
        for (index, parameter) in arguments.parameters.enumerated() {
            let path = "spec.submit.arguments.parameters[\(index)]"
            if let source = parameter.valueFrom?.event {
                parameters.append(
                    (parameter.name, .expression(try expression(source, at: path + ".valueFrom.event"))))
            } else if let value = parameter.value {
                parameters.append((parameter.name, .text(value)))
            } else {
                throw OperationError(.invalid, "\(path): give value, or valueFrom.event with an expression")
            }
        }
        let metadata = submit.object("metadata")
        return Submission(
            kind: reference?.bool("clusterScope") == true ? .clusterWorkflowTemplate : .workflowTemplate,
            template: template, parameters: parameters,
            name: try value(metadata?.text("name"), at: "spec.submit.metadata.name"),
            generateName: try value(metadata?.text("generateName"), at: "spec.submit.metadata.generateName"),
            labels: try values(metadata?.textMap("labels") ?? [:], at: "spec.submit.metadata.labels"),
            annotations: try values(
                metadata?.textMap("annotations") ?? [:], at: "spec.submit.metadata.annotations"))
    }

    private static func values(_ map: [String: String], at path: String) throws(OperationError) -> [(
        key: String, value: Value
    )] {
        var values: [(key: String, value: Value)] = []
        for (key, text) in map.sorted(by: { $0.key < $1.key }) {
            if let value = try value(text, at: "\(path).\(key)") { values.append((key, value)) }
        }
        return values
    }

    /// Metadata is an expression, as in Argo: a fixed text stands in quotes.
    private static func value(_ source: String?, at path: String) throws(OperationError) -> Value? {
        guard let source, !source.isEmpty else { return nil }
        return .expression(try expression(source, at: path))
    }

    private static func expression(_ source: String, at path: String) throws(OperationError) -> Expression {
        do {
            return try Expression(source)
        } catch {
            throw OperationError(.invalid, "\(path): \(error.message)")
        }
    }

    // MARK: An event

    /// What an event begins; nil when the selector does not hold.
    /// - Throws: `OperationError` (`invalid`) when an expression of the binding cannot be computed from the event.
    package func options(for event: IncomingEvent, at now: Timestamp) throws(OperationError)
        -> SubmissionOptions?
    {
        let environment = event.environment
        var context = ExpressionContext(
            now: now, seed: UInt64(bitPattern: now.nanoseconds), workLeft: Self.workLimit)
        let holds = try Self.evaluate(selector, environment, &context, "spec.event.selector")
        guard case .bool(let isMatch) = holds else {
            throw OperationError(
                .invalid, "spec.event.selector gave \(holds.text.prefix(100)); it must be true or false")
        }
        guard isMatch else { return nil }
        var options = SubmissionOptions()
        guard let submission else { return options }
        func text(_ value: Value, _ field: String) throws(OperationError) -> String {
            switch value {
            case .text(let text): return text
            case .expression(let expression):
                return try Self.evaluate(expression, environment, &context, field).text
            }
        }
        for (name, value) in submission.parameters {
            options.parameters.append((name, try text(value, "arguments.parameters.\(name)")))
        }
        if let name = submission.name { options.name = try text(name, "metadata.name") }
        if let prefix = submission.generateName {
            options.generateName = try text(prefix, "metadata.generateName")
        }
        for (key, value) in submission.labels {
            options.labels[key] = try text(value, "metadata.labels.\(key)")
        }
        for (key, value) in submission.annotations {
            options.annotations[key] = try text(value, "metadata.annotations.\(key)")
        }
        return options
    }

    private static func evaluate(
        _ expression: Expression, _ environment: ExpressionEnvironment, _ context: inout ExpressionContext,
        _ field: String
    ) throws(OperationError) -> ExpressionValue {
        do {
            return try expression.evaluate(environment, &context)
        } catch {
            throw OperationError(.invalid, "\(field): \(error.message)")
        }
    }
}
