// Prompts of tasks are Jinja templates over a row's fields, in the language of chat templates, so that those
// of other harnesses can be taken over. What differs: a line end directly after a block such as {% endif %}
// is left out.

import Models
package import Text

/// A compiled template with the name under which messages speak of it.
package struct PromptTemplate: Sendable {
    package let source: String
    private let template: ChatTemplate

    /// - Parameter name: such as `prompt`.
    /// - Throws: where and why the source is no template.
    package init(_ source: String, name: String) throws(EvaluationError) {
        self.source = source
        do {
            // Chat templates lose one line end at their own end; prompts keep it, as the harness's do.
            template = try ChatTemplate(source.utf8.last == 0x0A ? source + "\n" : source)
        } catch {
            throw EvaluationError(
                "template \(name)", problem: "\(error)",
                remedy: "write it in Jinja, such as \"Question: {{ question }}\\nAnswer:\"")
        }
    }

    /// - Parameter row: named in errors.
    package func render(_ variables: [String: OrderedJSON], row: SourceRow) throws(EvaluationError) -> String
    {
        do {
            // The time is the same always: a prompt must not depend on the day.
            return try template.render(variables, now: Timestamp(nanoseconds: 0))
        } catch {
            throw row.error(
                nil, "the template fails on this row: \(error)",
                remedy: "the row has \(row.columnList)")
        }
    }
}
