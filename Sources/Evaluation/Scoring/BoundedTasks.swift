// Many small waits at once, but not all.

enum BoundedTasks {
    /// Does `count` pieces of work, at most `limit` at once.
    /// - Parameter each: called with each piece's number and result as it ends, by one task. The first
    ///   error ends all.
    static func run<Value: Sendable>(
        _ count: Int, atOnce limit: Int, work: @escaping @Sendable (Int) async throws -> Value,
        each: (Int, Value) throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            defer { group.cancelAll() }
            var begun = 0
            func begin() {
                guard begun < count else { return }
                let index = begun
                begun += 1
                group.addTask { (index, try await work(index)) }
            }
            for _ in 0..<max(1, limit) { begin() }
            while let (index, value) = try await group.next() {
                try each(index, value)
                begin()
            }
        }
    }
}
