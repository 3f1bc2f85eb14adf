// Which changes of a node's phase there are. Anything else is a programming error.

package enum PhaseTable {
    /// Whether a node may go from one phase to another without a person's asking.
    package static func allows(_ old: Phase, _ new: Phase) -> Bool {
        switch (old, new) {
        case (.pending, .running), (.pending, .succeeded), (.pending, .failed), (.pending, .error),
            (.pending, .skipped), (.pending, .omitted):
            true
        // A launch that was lost goes back to the queue.
        case (.running, .pending): true
        case (.running, .succeeded), (.running, .failed), (.running, .error): true
        // A person skips a suspend node with `node set`.
        case (.running, .skipped): true
        default: old == new && !old.isFulfilled
        }
    }
}
