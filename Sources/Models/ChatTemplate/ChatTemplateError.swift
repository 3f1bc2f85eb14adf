// Why a chat template cannot be compiled or rendered: the line of the template, the problem, and what to do.

/// Thrown by `ChatTemplate`.
package struct ChatTemplateError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// The template is not well formed, or uses what this engine does not have.
        case syntax
        /// The template called `raise_exception`: it refuses these messages.
        case raised
        /// Rendering failed: an undefined variable, an operation on the wrong type.
        case rendering
        /// Rendering took more steps, depth, or memory than a template may use.
        case limit
    }

    package var kind: Kind
    /// The line of the template, counted from 1.
    package var line: Int
    /// For `raised` exactly the text that the template gave.
    package var problem: String
    package var remedy: String

    package init(kind: Kind, line: Int, problem: String, remedy: String) {
        self.kind = kind
        self.line = line
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String { "chat template line \(line): \(problem); \(remedy)" }
}

/// What goes wrong while rendering, before the line is known: values do not know where they are used.
struct TemplateFailure: Error {
    var kind: ChatTemplateError.Kind
    var problem: String
    var remedy: String

    /// An operation that the values' types do not have, or a value out of its range.
    static func wrongValue(_ problem: String) -> TemplateFailure {
        TemplateFailure(
            kind: .rendering, problem: problem,
            remedy: "check that the messages and tools have the form that the template expects")
    }

    static func undefined(_ problem: String) -> TemplateFailure {
        TemplateFailure(
            kind: .rendering, problem: problem,
            remedy: "give the value in the messages or the template's arguments, or test it with `is defined`"
        )
    }

    static func wrongArguments(_ problem: String) -> TemplateFailure {
        TemplateFailure(kind: .rendering, problem: problem, remedy: "correct the call in the template")
    }

    static func unsupported(_ problem: String) -> TemplateFailure {
        TemplateFailure(
            kind: .rendering, problem: problem, remedy: "write the template without it, or use another one")
    }

    static func limit(_ problem: String) -> TemplateFailure {
        TemplateFailure(
            kind: .limit, problem: problem, remedy: "simplify the template, or shorten the messages")
    }

    static func raised(_ message: String) -> TemplateFailure {
        TemplateFailure(
            kind: .raised, problem: message,
            remedy: "the template refuses these messages: change them as it says")
    }

    func at(line: Int) -> ChatTemplateError {
        ChatTemplateError(kind: kind, line: line, problem: problem, remedy: remedy)
    }
}
