// The hash by which Argo makes node identifiers from node names.

/// Fowler-Noll-Vo 1a. Not for use against adversaries.
package enum FNV1a {
    /// The 32-bit hash of the text's UTF-8.
    package static func hash32(_ text: String) -> UInt32 {
        text.utf8.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
