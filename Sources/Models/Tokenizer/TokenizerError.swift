// Why a tokenizer cannot be used: file, field, what is wrong, and what to do.

/// Thrown while a tokenizer is opened or trained. Encoding and decoding never fail.
package struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file as the caller named it.
    package var file: String
    /// Where in the file, such as `model.merges[3]`; empty where the whole file is meant.
    package var field: String
    package var problem: String
    package var remedy: String

    package init(file: String, field: String = "", problem: String, remedy: String = "") {
        self.file = file
        self.field = field
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String {
        let place = field.isEmpty ? file : "\(file): \(field)"
        return remedy.isEmpty ? "\(place): \(problem)" : "\(place): \(problem); \(remedy)"
    }
}
