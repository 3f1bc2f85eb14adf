// What one rendering may use. Templates come with downloaded models, so a hostile one must end in an error:
// never in an endless loop, a full memory, or a stack overflow.

enum TemplateLimits {
    /// Source of a template, in bytes. Real ones are below 64 KiB.
    static let sourceBytes = 1 << 20
    /// Brackets, blocks and operators inside each other in the source.
    static let nesting = 100
    /// Evaluations inside each other, through macros and recursive loops too. Measured: needs less than
    /// 512 KiB of stack in an optimized build, and 4 MiB in a debug build.
    static let depth = 400
    /// Evaluated nodes, visited elements, and `bytesPerStep` bytes of text made or searched.
    static let steps = 5_000_000
    static let bytesPerStep = 128
    /// One text, the rendered one included.
    static let textBytes = 16 << 20
    /// Elements of one list.
    static let elements = 1 << 20
    /// Numbers of one `range`, as in the reference's sandbox.
    static let rangeLength = 100_000
    /// Lists and objects inside each other.
    static let valueDepth = 200
    /// Namespaces, macros and other objects with a state.
    static let objects = 100_000
}

/// Counts down what a rendering has used.
final class TemplateBudget {
    private var steps = TemplateLimits.steps

    /// - Throws: when all steps are used.
    func charge(_ count: Int = 1) throws(TemplateFailure) {
        steps -= min(count, TemplateLimits.steps)
        if steps < 0 {
            throw .limit("rendering takes more than \(TemplateLimits.steps) steps")
        }
    }

    /// For work that reads or writes so many bytes.
    func charge(bytes: Int) throws(TemplateFailure) {
        try charge(bytes / TemplateLimits.bytesPerStep)
    }

    /// To be asked before a text of that size is made.
    func allow(textBytes: Int) throws(TemplateFailure) {
        guard textBytes <= TemplateLimits.textBytes else {
            throw .limit("a text becomes longer than \(TemplateLimits.textBytes >> 20) MiB")
        }
        try charge(bytes: textBytes)
    }

    /// To be asked before a list of that size is made.
    func allow(elements: Int) throws(TemplateFailure) {
        guard elements <= TemplateLimits.elements else {
            throw .limit("a list becomes longer than \(TemplateLimits.elements) elements")
        }
        try charge(elements)
    }
}
