// Why something that a person or program asked for was not done, for the command line and the server alike.

package import WorkflowLanguage

/// A refusal. Nothing was changed.
package struct OperationError: Error, Sendable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// What was asked for is wrong in itself.
        case invalid
        case notFound
        /// One of that name is there already, or was changed by someone else in between.
        case conflict
        /// It cannot be done in the state that the run is in.
        case precondition
        /// Too much at once; later it may be done.
        case exhausted
        /// The driver of the run, the disk or the database cannot do it now.
        case unavailable
    }

    package var reason: Reason
    /// What is wrong and what to do, in a sentence.
    package var message: String
    /// The problems of a manifest, all of them.
    package var diagnostics: [Diagnostic]

    package init(_ reason: Reason, _ message: String, diagnostics: [Diagnostic] = []) {
        self.reason = reason
        self.message = message
        self.diagnostics = diagnostics
    }

    package var description: String { ([message] + diagnostics.map(\.description)).joined(separator: "\n") }
}
