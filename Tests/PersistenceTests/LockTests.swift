// Mutexes and semaphores: never too many holders, and everybody's turn comes.

import TestSupport
import Testing
import Text

@testable import Persistence

@Suite struct LockTests {
    let directory: TemporaryDirectory
    let store: Store

    init() async throws {
        directory = try TemporaryDirectory()
        store = try directory.open()
        for name in ["a", "b", "c", "d", "e"] { try await store.insertWorkflow(.sample(name)) }
    }

    func request(
        _ workflow: String, node: String = "", _ keys: [(String, Int)], priority: Int = 0, second: Int = 0,
        sequence: Int = 0
    ) -> LockRequest {
        LockRequest(
            holder: LockHolder(workflowUID: "uid-ml-\(workflow)", nodeID: node),
            keys: keys.map { LockRequest.Key(key: $0.0, limit: $0.1) }, priority: priority,
            createdAt: Timestamp(seconds: second), sequence: sequence)
    }

    func isAcquired(_ request: LockRequest) async throws -> Bool {
        try await store.requestLocks(request) == .acquired
    }

    @Test("A mutex has one holder; the other waits and is told for what") func mutex() async throws {
        let first = request("a", [("ml/Mutex/m", 1)], second: 1)
        let second = request("b", node: "n", [("ml/Mutex/m", 1)], second: 2)
        #expect(try await store.requestLocks(first) == .acquired)
        #expect(try await store.requestLocks(first) == .acquired)
        let waiting = LockAnswer.waiting(
            key: "ml/Mutex/m", message: "Waiting for ml/Mutex/m lock. Lock status: 0/1", inFront: nil)
        #expect(try await store.requestLocks(second) == waiting)
        #expect(try await store.requestLocks(second) == waiting)
        #expect(try await store.lockHolders("ml/Mutex/m") == [first.holder])
        #expect(try await store.lockWaiters("ml/Mutex/m") == [second.holder])
        #expect(try await store.releaseLocks(workflowUID: "uid-ml-a", nodeID: "") == ["ml/Mutex/m"])
        #expect(try await store.requestLocks(second) == .acquired)
        #expect(try await store.lockWaiters("ml/Mutex/m").isEmpty)
        #expect(try await store.locks(heldBy: "uid-ml-b").map(\.key) == ["ml/Mutex/m"])
    }

    @Test(
        "Waiters go by priority, then age, then sequence",
        arguments: [
            (
                priorities: [0, 5, 5, 9], seconds: [1, 3, 2, 4], sequences: [0, 0, 0, 0],
                order: ["e", "d", "c", "b"]
            ),
            (
                priorities: [0, 0, 0, 0], seconds: [4, 3, 2, 1], sequences: [0, 0, 0, 0],
                order: ["e", "d", "c", "b"]
            ),
            (
                priorities: [0, 0, 0, 0], seconds: [1, 1, 1, 1], sequences: [3, 1, 2, 0],
                order: ["e", "c", "d", "b"]
            ),
            (
                priorities: [-1, 0, 0, 0], seconds: [1, 1, 1, 1], sequences: [0, 0, 0, 0],
                order: ["c", "d", "e", "b"]
            ),
        ])
    func order(priorities: [Int], seconds: [Int], sequences: [Int], order: [String]) async throws {
        #expect(try await isAcquired(request("a", [("m", 1)])))
        var waiting = ["b", "c", "d", "e"].enumerated().map { index, name in
            request(
                name, [("m", 1)], priority: priorities[index], second: seconds[index],
                sequence: sequences[index])
        }
        for waiter in waiting { #expect(try await !isAcquired(waiter)) }
        #expect(try await store.lockWaiters("m").map(\.workflowUID) == order.map { "uid-ml-\($0)" })
        var holder = "uid-ml-a"
        var served: [String] = []
        while !waiting.isEmpty {
            try await store.releaseLocks(workflowUID: holder, nodeID: "")
            // All ask, the last in line first: only the front may have it.
            var taken: [LockRequest] = []
            for waiter in waiting.reversed() where try await isAcquired(waiter) { taken.append(waiter) }
            if taken.isEmpty {
                for waiter in waiting where try await isAcquired(waiter) { taken.append(waiter) }
            }
            #expect(taken.count == 1)
            holder = try #require(taken.first).holder.workflowUID
            served.append(holder)
            waiting.removeAll { $0.holder.workflowUID == holder }
        }
        #expect(served == order.map { "uid-ml-\($0)" })
    }

    @Test("Several locks are taken all or none, and a place is kept for whoever is in front") func allOrNone()
        async throws
    {
        #expect(try await isAcquired(request("a", [("x", 1)])))
        let both = request("b", [("x", 1), ("y", 1)], second: 1)
        #expect(try await !isAcquired(both))
        #expect(try await store.lockHolders("y").isEmpty)
        let late = request("c", [("y", 1)], second: 2)
        #expect(
            try await store.requestLocks(late)
                == .waiting(key: "y", message: "Waiting for y lock. Lock status: 1/1", inFront: both.holder))
        try await store.releaseLocks(workflowUID: "uid-ml-a", nodeID: "")
        #expect(try await isAcquired(both))
        #expect(try await !isAcquired(late))
        #expect(try await store.releaseAllLocks("uid-ml-b").sorted() == ["x", "y"])
        #expect(try await isAcquired(late))
    }

    @Test("A semaphore has as many holders as its limit, which may change") func semaphore() async throws {
        for node in ["1", "2"] { #expect(try await isAcquired(request("a", node: node, [("s", 2)]))) }
        let third = request("a", node: "3", [("s", 2)], second: 3)
        #expect(
            try await store.requestLocks(third)
                == .waiting(key: "s", message: "Waiting for s lock. Lock status: 0/2", inFront: nil))
        #expect(try await isAcquired(request("a", node: "3", [("s", 3)], second: 3)))
        #expect(try await !isAcquired(request("a", node: "4", [("s", 1)], second: 4)))
        #expect(try await !isAcquired(request("b", [("none", 0)])))
        #expect(try await store.lockHolders("s").map(\.nodeID) == ["1", "2", "3"])
    }

    @Test("A dead waiter can be taken out of the queue, and gets its place back when it goes on")
    func withdrawing() async throws {
        #expect(try await isAcquired(request("a", [("m", 1)])))
        let dead = request("b", [("m", 1)], second: 1)
        let alive = request("c", [("m", 1)], second: 2)
        #expect(try await !isAcquired(dead))
        #expect(
            try await store.requestLocks(alive)
                == .waiting(key: "m", message: "Waiting for m lock. Lock status: 0/1", inFront: dead.holder))
        try await store.withdrawLockRequests("uid-ml-b")
        #expect(try await store.lockWaiters("m") == [alive.holder])
        #expect(try await !isAcquired(dead))
        #expect(try await store.lockWaiters("m") == [dead.holder, alive.holder])
    }

    @Test("A deleted run holds and wants nothing any more") func deletedRun() async throws {
        #expect(try await isAcquired(request("a", [("m", 1)])))
        #expect(try await !isAcquired(request("b", [("m", 1)], second: 1)))
        try await store.deleteWorkflow("uid-ml-a")
        try await store.deleteWorkflow("uid-ml-b")
        #expect(try await isAcquired(request("c", [("m", 1)], second: 9)))
        let error = await storeError { _ = try await store.requestLocks(request("a", [("m", 1)])) }
        #expect(error == .notFound(kind: "workflow", name: "uid-ml-a"))
    }

    @Test(
        "Whatever happens, limits hold, nobody is passed by who came later, and all get their locks",
        arguments: 0..<4)
    func property(seed: UInt64) async throws {
        let limits = ["x": 1, "y": 1, "z": 2]
        var chance = SeededGenerator(seed: seed)
        var waiting: [LockRequest] = []
        var holding: [LockRequest] = []
        var made = 0
        var steps = 0
        let wanted = 40
        while made < wanted || !waiting.isEmpty || !holding.isEmpty {
            steps += 1
            try #require(steps < 4000, "seed \(seed): no end, \(waiting.count) wait, \(holding.count) hold")
            let dice = Int.random(in: 0..<10, using: &chance)
            if dice < 3, made < wanted {
                let keys = limits.keys.sorted().filter { _ in Bool.random(using: &chance) }
                waiting.append(
                    request(
                        ["a", "b", "c", "d", "e"][made % 5], node: "n\(made)",
                        keys.map { ($0, limits[$0] ?? 1) },
                        priority: Int.random(in: 0..<3, using: &chance),
                        second: Int.random(in: 0..<5, using: &chance), sequence: made))
                made += 1
            }
            if dice < 8, let index = waiting.indices.randomElement(using: &chance) {
                let asking = waiting[index]
                if try await isAcquired(asking) {
                    waiting.remove(at: index)
                    for key in asking.keys {
                        let held = holding.count { $0.keys.contains(key) }
                        #expect(held < key.limit, "seed \(seed): \(key.key) has too many holders")
                        // Places that are free must suffice for all that queue in front.
                        let queued = Set(try await store.lockWaiters(key.key))
                        let inFront = waiting.count { other in
                            other.keys.contains(key) && queued.contains(other.holder)
                                && precedes(other, asking)
                        }
                        #expect(inFront < key.limit - held, "seed \(seed): \(key.key) was taken out of turn")
                    }
                    holding.append(asking)
                }
            } else if let index = holding.indices.randomElement(using: &chance) {
                let leaving = holding.remove(at: index).holder
                try await store.releaseLocks(workflowUID: leaving.workflowUID, nodeID: leaving.nodeID)
            }
        }
        for key in limits.keys {
            #expect(try await store.lockHolders(key).isEmpty)
            #expect(try await store.lockWaiters(key).isEmpty)
        }
    }

    func precedes(_ left: LockRequest, _ right: LockRequest) -> Bool {
        (-left.priority, left.createdAt, left.sequence) < (-right.priority, right.createdAt, right.sequence)
    }

    @Test("Semaphore sizes are kept in the database") func limits() async throws {
        #expect(try await store.syncLimit(namespace: "ml", key: "gpu") == nil)
        try await store.setSyncLimit(namespace: "ml", key: "gpu", limit: 2)
        try await store.setSyncLimit(namespace: "ml", key: "gpu", limit: 0)
        try await store.setSyncLimit(namespace: "ml", key: "cpu", limit: 4)
        #expect(try await store.syncLimit(namespace: "ml", key: "gpu") == 0)
        #expect(try await store.syncLimits(namespace: "ml").map(\.key) == ["cpu", "gpu"])
        #expect(try await store.syncLimits(namespace: "other").isEmpty)
        #expect(try await store.deleteSyncLimit(namespace: "ml", key: "gpu"))
        #expect(try await !store.deleteSyncLimit(namespace: "ml", key: "gpu"))
        #expect(
            await storeError { try await store.setSyncLimit(namespace: "ml", key: "x", limit: -1) } != nil)
    }
}
