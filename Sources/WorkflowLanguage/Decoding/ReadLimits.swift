// How much work one manifest may cause. Counted in things rather than seconds, so that a file is refused on a
// slow machine exactly when it is on a fast one.

/// The limits of reading one file; beyond any of them the file is refused with a diagnostic that names the
/// limit.
package struct ReadLimits: Sendable {
    /// The size of the file, in bytes. Default 32 MiB.
    package var fileBytes: Int
    /// Scalars, lists and maps of the whole file, each alias counted as all that it stands for. Default
    /// 2,000,000.
    package var nodes: Int
    /// Lists and maps inside each other, aliases followed. Default 200; the parser itself ends at 1,000.
    package var depth: Int
    /// Aliases (`*name`) of the whole file. Default 10,000.
    package var aliases: Int
    /// Documents separated by `---`, empty ones included, and the items of lists. Default 10,000.
    package var documents: Int

    package init(
        fileBytes: Int = 32 << 20, nodes: Int = 2_000_000, depth: Int = 200, aliases: Int = 10_000,
        documents: Int = 10_000
    ) {
        self.fileBytes = fileBytes
        self.nodes = nodes
        self.depth = depth
        self.aliases = aliases
        self.documents = documents
    }
}
