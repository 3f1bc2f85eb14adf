// Why a file of weights could not be read or written: which file, which tensor, what is wrong, what to do.

/// A failure to read or write a safetensors file or its index.
package struct SafetensorsError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path as it was given.
    package var file: String
    /// The tensor at fault, nil when it is the file as a whole.
    package var tensor: String?
    package var problem: String
    /// What the reader can do.
    package var remedy: String

    package init(file: String, tensor: String? = nil, problem: String, remedy: String) {
        self.file = file
        self.tensor = tensor.map(Self.shortened)
        self.problem = problem
        self.remedy = remedy
    }

    init(_ error: FileError) {
        self.init(file: error.path, problem: error.problem, remedy: error.remedy)
    }

    package var description: String {
        let place = tensor.map { "\(file): tensor \"\($0)\"" } ?? file
        return "\(place): \(problem); \(remedy)"
    }

    /// A hostile name may be megabytes long; an error shows its beginning.
    static func shortened(_ text: String) -> String {
        text.utf8.count <= 200 ? text : text.prefix(150) + "…"
    }
}
