// Values that many ask for at the same time, made once: the first who asks makes it, the others wait for that.

/// Keeps the newest values.
actor SharedPayloads<Key: Hashable & Sendable, Value: Sendable> {
    private let limit: Int
    private var known: [Key: Value] = [:]
    /// Keys of known values, the oldest first.
    private var order: [Key] = []
    private var waiting: [Key: [CheckedContinuation<Void, Never>]] = [:]

    /// - Parameter limit: values that are kept.
    init(limit: Int) { self.limit = max(1, limit) }

    /// The value of a key. Where making it fails, whoever waits for it tries again itself.
    func value(for key: Key, make: @Sendable () async throws -> Value) async throws -> Value {
        while true {
            if let value = known[key] { return value }
            guard waiting[key] != nil else { break }
            await withCheckedContinuation { waiting[key]?.append($0) }
            try Task.checkCancellation()
        }
        waiting[key] = []
        defer { for waiter in waiting.removeValue(forKey: key) ?? [] { waiter.resume() } }
        let value = try await make()
        known[key] = value
        order.append(key)
        if order.count > limit { known[order.removeFirst()] = nil }
        return value
    }
}
