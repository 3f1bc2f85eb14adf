// Mutexes and semaphores as values: who asks, for what, and the answer.

package import Scheduling
package import Text

/// Who holds or waits: a node, or with an empty node id the workflow itself.
package struct LockHolder: Sendable, Hashable {
    package var workflowUID: String
    package var nodeID: NodeID

    package init(workflowUID: String, nodeID: NodeID = "") {
        self.workflowUID = workflowUID
        self.nodeID = nodeID
    }
}

/// A wish for some locks, all or none.
package struct LockRequest: Sendable, Hashable {
    package struct Key: Sendable, Hashable {
        /// The lock's name, in Argo's form `namespace/Mutex/name`.
        package var key: String
        /// How many may hold it together: 1 for a mutex.
        package var limit: Int

        package init(key: String, limit: Int = 1) {
            self.key = key
            self.limit = limit
        }
    }

    package var holder: LockHolder
    package var keys: [Key]
    /// Higher goes first, then older, then lower sequence.
    package var priority: Int
    package var createdAt: Timestamp
    package var sequence: Int

    package init(holder: LockHolder, keys: [Key], priority: Int = 0, createdAt: Timestamp, sequence: Int = 0)
    {
        self.holder = holder
        self.keys = keys
        self.priority = priority
        self.createdAt = createdAt
        self.sequence = sequence
    }
}

package enum LockAnswer: Sendable, Hashable {
    case acquired
    /// - Parameters:
    ///   - key: the first lock that could not be had.
    ///   - message: in Argo's words.
    ///   - inFront: who has to take that lock first; nil if its holders alone are in the way. If that one's
    ///     driver is dead, `Store.withdrawLockRequests` takes it out of the queue.
    case waiting(key: String, message: String, inFront: LockHolder?)
}
