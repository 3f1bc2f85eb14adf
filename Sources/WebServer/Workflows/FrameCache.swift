// The objects of watches: what a thousand watchers wait for is read and serialized once.

import Synchronization
import Text

/// What an object is made of; the same key always means the same bytes.
struct FrameKey: Sendable, Hashable {
    var uid: String
    var revision: Int64
    var mask: FieldMask
}

/// A run at a revision, as text.
struct WatchedObject: Sendable {
    /// Compact JSON.
    var text: [UInt8]
    /// Nil for a run that was deleted.
    var createdAt: Timestamp?
}

/// The newest objects. Who asks for one that is being made waits for it.
final class FrameCache: Sendable {
    /// Nil stands for a run that was gone when its object was to be made.
    typealias Frame = WatchedObject?

    private enum Entry {
        case made(Frame)
        case making([CheckedContinuation<Void, Never>])
    }

    private struct State {
        var entries: [FrameKey: Entry] = [:]
        /// Made ones, the oldest first.
        var order: [FrameKey] = []
        var bytes = 0
    }

    private static let countLimit = 512
    private static let bytesLimit = 32 << 20
    private let state = Mutex(State())

    func object(_ key: FrameKey, make: () async throws -> Frame) async throws -> Frame {
        while true {
            let known: Frame? = state.withLock { state in
                if case .made(let frame)? = state.entries[key] { return .some(frame) }
                return nil
            }
            if let known { return known }
            if begins(key) { return try await made(key, make) }
            await withCheckedContinuation { waiter in
                let isMaking = state.withLock { state in
                    guard case .making(let waiters)? = state.entries[key] else { return false }
                    state.entries[key] = .making(waiters + [waiter])
                    return true
                }
                if !isMaking { waiter.resume() }
            }
            try Task.checkCancellation()
        }
    }

    /// Whether the caller is the one that makes it.
    private func begins(_ key: FrameKey) -> Bool {
        state.withLock { state in
            guard state.entries[key] == nil else { return false }
            state.entries[key] = .making([])
            return true
        }
    }

    /// Makes it and wakes who waits. When the maker fails, as it does when its own client goes away, one of them makes
    /// it anew.
    private func made(_ key: FrameKey, _ make: () async throws -> Frame) async throws -> Frame {
        let result: Result<Frame, any Error>
        do { result = .success(try await make()) } catch { result = .failure(error) }
        let waiters: [CheckedContinuation<Void, Never>] = state.withLock { state in
            var waiters: [CheckedContinuation<Void, Never>] = []
            if case .making(let some)? = state.entries[key] { waiters = some }
            state.entries[key] = nil
            if case .success(let frame) = result {
                state.entries[key] = .made(frame)
                state.order.append(key)
                state.bytes += frame?.text.count ?? 0
                Self.trim(&state)
            }
            return waiters
        }
        for waiter in waiters { waiter.resume() }
        return try result.get()
    }

    private static func trim(_ state: inout State) {
        var dropped = 0
        while dropped < state.order.count - 1,
            state.order.count - dropped > countLimit || state.bytes > bytesLimit
        {
            let key = state.order[dropped]
            if case .made(let frame)? = state.entries.removeValue(forKey: key) {
                state.bytes -= frame?.text.count ?? 0
            }
            dropped += 1
        }
        state.order.removeFirst(dropped)
    }
}
