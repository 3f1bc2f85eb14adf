// What a run is given is checked when it is submitted: nobody should wait for a queue to hear of a missing argument.

package import Scheduling
import Text
package import WorkflowLanguage

package enum ArgumentCheck {
    /// Every argument of the workflow needs a value now, and one of its enum if it has one.
    package static func problems(of definition: RunDefinition) -> [Diagnostic] {
        definition.spec.arguments.parameters.compactMap { parameter in
            guard let value = parameter.valueOrDefault else {
                if parameter.valueFrom != nil { return nil }
                return Diagnostic(
                    path: "spec.arguments.parameters",
                    message: "\(parameter.name) has no value; give it with -p \(parameter.name)=VALUE")
            }
            guard let allowed = parameter.enum, !allowed.contains(value) else { return nil }
            return Diagnostic(
                path: "spec.arguments.parameters",
                message: "\(parameter.name) is \"\(value.shortened)\"; it must be one of "
                    + allowed.joined(separator: ", "))
        }
    }

    /// - Throws: `OperationError` (`invalid`) with the first problem as message and all as diagnostics.
    package static func check(_ definition: RunDefinition) throws(OperationError) {
        let problems = problems(of: definition)
        guard let first = problems.first else { return }
        throw OperationError(.invalid, "\(first.path): \(first.message)", diagnostics: problems)
    }

    /// A run's name is part of paths, labels and addresses: lower-case letters, digits, `-` and `.`, at most 63.
    package static func check(name: String) throws(OperationError) {
        let bytes = Array(name.utf8)
        func isWord(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
        let isLegal =
            bytes.count <= 63 && bytes.allSatisfy { isWord($0) || $0 == 45 || $0 == 46 }
            && bytes.first.map(isWord) == true && bytes.last.map(isWord) == true
        guard !isLegal else { return }
        throw OperationError(
            .invalid,
            "the name \"\(name.shortened)\" is invalid: it must consist of lowercase letters, digits, '-' and '.', "
                + "start and end with a letter or digit, and have at most 63 characters")
    }
}

extension String {
    /// For messages: what people sent, cut at 100 characters.
    fileprivate var shortened: String { count > 100 ? prefix(100) + "..." : self }
}
