// Small writes of many callers in one transaction: they wait for the disk together, once.

import GRDB
import Synchronization

/// A write that waits for its transaction. Its caller is answered when that is on the disk.
struct SharedWrite: Sendable {
    /// Runs in a savepoint. What it returns answers the caller.
    var attempt: @Sendable (Database) throws -> @Sendable () -> Void
    var fail: @Sendable (any Error) -> Void
}

/// The writes that wait, and those of the transaction that runs now.
struct SharedWrites {
    /// Writes of one transaction: so many take a few dozen milliseconds.
    static let transactionLimit = 256
    /// Writes that wait; more are refused at once.
    static let waitingLimit = 10_000

    private var waiting: [SharedWrite] = []
    private var running: [SharedWrite] = []
    private var isScheduled = false

    /// - Returns: nil if too many wait; else whether the caller has to begin a transaction.
    mutating func add(_ write: SharedWrite) -> Bool? {
        guard waiting.count < Self.waitingLimit else { return nil }
        waiting.append(write)
        defer { isScheduled = true }
        return !isScheduled
    }

    /// The writes of the transaction that begins now.
    mutating func begin() -> [SharedWrite] {
        if running.isEmpty {
            running = Array(waiting.prefix(Self.transactionLimit))
            waiting.removeFirst(running.count)
        }
        return running
    }

    /// - Returns: the writes of the transaction that has ended, and whether another one has to begin.
    mutating func end() -> (ended: [SharedWrite], goesOn: Bool) {
        // A transaction that could not begin has ended for those that would have been in it.
        let ended = begin()
        running = []
        isScheduled = !waiting.isEmpty
        return (ended, isScheduled)
    }
}

extension Store {
    /// Like `write`, but shares its transaction with others that come at the same time. `body` is undone alone
    /// when it throws; when the disk fails, all fail.
    func writeTogether<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try refuseIfReadOnly()
        return try await call {
            try await withCheckedThrowingContinuation { continuation in
                let write = SharedWrite(
                    attempt: { database in
                        let value = try body(database)
                        return { continuation.resume(returning: value) }
                    }, fail: { continuation.resume(throwing: $0) })
                switch sharedWrites.withLock({ $0.add(write) }) {
                case .some(true): beginSharedTransaction()
                case .some(false): break
                case .none:
                    let detail = "\(SharedWrites.waitingLimit) writes wait for the disk already"
                    continuation.resume(throwing: StoreError.busy(path: path, detail: detail))
                }
            }
        }
    }

    private func beginSharedTransaction() {
        pool.asyncWrite(
            { [self] database in
                try checkSchema(database)
                return try sharedWrites.withLock { $0.begin() }.map { write in
                    try database.undoable(path: path) { try write.attempt($0) }
                }
            },
            completion: { [self] _, result in
                let (ended, goesOn) = sharedWrites.withLock { $0.end() }
                switch result {
                case .success(let answers):
                    for (write, answer) in zip(ended, answers) {
                        switch answer {
                        case .success(let finish): finish()
                        case .failure(let error): write.fail(error)
                        }
                    }
                case .failure(let error):
                    for write in ended { write.fail(error) }
                }
                if goesOn { beginSharedTransaction() }
            })
    }
}

extension Database {
    /// Runs `body` so that its failure undoes nothing but itself.
    /// - Throws: what spoils the whole transaction: the disk is full or broken.
    func undoable<Value>(path: String, _ body: (Database) throws -> Value) throws -> Result<Value, StoreError>
    {
        do {
            var value: Value?
            try inSavepoint {
                value = try body(self)
                return .commit
            }
            guard let value else { throw StoreError.invalid(detail: "a savepoint ended without its work") }
            return .success(value)
        } catch {
            switch StoreError.named(error, path: path) {
            case let error as StoreError where isInsideTransaction && error.isOfOneRow:
                return .failure(error)
            case let other: throw other
            }
        }
    }
}

extension StoreError {
    /// Whether the cause lies in what was to be written, not in the disk.
    fileprivate var isOfOneRow: Bool {
        switch self {
        case .full, .busy, .corrupt, .io, .newerSchema, .olderSchema: false
        case .notFound, .nameTaken, .conflict, .superseded, .expired, .keyMissing, .invalid: true
        }
    }
}
