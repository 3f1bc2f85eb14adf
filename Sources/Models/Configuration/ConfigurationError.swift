// Why a model's settings could not be used: which file, which field, what is wrong, what to do.

/// A failure to read config.json, generation_config.json or adapter_config.json.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path as it was given.
    package var file: String
    /// The path of the field in the file, such as `rope_scaling.factor`; empty for the file as a whole.
    package var field: String
    package var problem: String
    /// What the reader can do.
    package var remedy: String

    package init(file: String, field: String = "", problem: String, remedy: String) {
        self.file = file
        self.field = field
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String {
        (field.isEmpty ? "\(file): \(problem)" : "\(file): \(field): \(problem)") + "; \(remedy)"
    }
}
