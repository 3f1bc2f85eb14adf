// The audit log: who changed what, from where, and what was refused. Entries that wait are written together.

import Synchronization

/// Appends entries so that they are stored when `append` returns; many at a time share one transaction.
final class AuditLog: Sendable {
    /// Entries that may wait; more are refused.
    private static let waitingLimit = 10_000

    private enum Turn: Sendable {
        /// Somebody else has written the entry.
        case written
        /// Nobody writes: write this entry and those that wait.
        case write
    }

    private struct Waiter: Sendable {
        var entry: AuditEntry
        var turn: CheckedContinuation<Turn, any Error>
    }

    private struct State {
        var waiters: [Waiter] = []
        var isWriting = false
    }

    private let store: any AccessStore
    private let state = Mutex(State())

    init(store: any AccessStore) { self.store = store }

    func append(_ entry: AuditEntry) async throws {
        let turn = try await withCheckedThrowingContinuation { continuation in
            let answer: Result<Turn, any Error>? = state.withLock { state in
                if !state.isWriting {
                    state.isWriting = true
                    return .success(.write)
                }
                guard state.waiters.count < Self.waitingLimit else {
                    return .failure(ServiceError.unavailable("the audit log cannot keep up; try again"))
                }
                state.waiters.append(Waiter(entry: entry, turn: continuation))
                return nil
            }
            if let answer { continuation.resume(with: answer) }
        }
        if turn == .write { try await write(entry) }
    }

    private func write(_ entry: AuditEntry) async throws {
        let others = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        let result: Result<Turn, any Error>
        do {
            try await store.appendAudit([entry] + others.map(\.entry))
            result = .success(.written)
        } catch {
            result = .failure(error)
        }
        for waiter in others { waiter.turn.resume(with: result) }
        // Who came in the meantime writes next.
        let next = state.withLock { state -> Waiter? in
            if state.waiters.isEmpty {
                state.isWriting = false
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.turn.resume(returning: .write)
        _ = try result.get()
    }
}
