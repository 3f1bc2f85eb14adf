// When a server that has worked is at rest: the moment to give memory back.

/// Tells the first quiet interval after a busy one by the processor time that the process has used. The start counts
/// as work.
struct MemoryRest {
    /// Between two looks.
    static let seconds = 10
    /// Less of one processor's time than this share is rest.
    private static let share = 0.02

    private var used = 0.0
    private var hasWorked = true

    /// - Parameter processorSeconds: of the process since its start.
    /// - Returns: whether this is the first quiet interval since there was work.
    mutating func begins(processorSeconds: Double) -> Bool {
        let isQuiet = processorSeconds - used < Self.share * Double(Self.seconds)
        used = processorSeconds
        defer { hasWorked = !isQuiet }
        return isQuiet && hasWorked
    }
}
