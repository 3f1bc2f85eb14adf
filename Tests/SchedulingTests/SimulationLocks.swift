// Locks as the store keeps them: all of a request or none, queues by priority and age; they outlive the
// controller.

import Scheduling
import Text

struct FakeLocks {
    struct Request: Hashable {
        var node: NodeID
        var keys: [LockKey]
        var priority: Int
        var sequence: Int
    }

    enum Answer { case acquired, waiting(lock: String, message: String) }

    private(set) var holders: [String: Set<NodeID>] = [:]
    private(set) var waiting: [NodeID: Request] = [:]
    var sizes: [String: Int] = ["small": 1, "large": 2]

    var isEmpty: Bool { holders.values.allSatisfy(\.isEmpty) && waiting.isEmpty }

    func limit(of key: LockKey) -> Int {
        switch key.limit {
        case .mutex: 1
        case .configMap(_, let key), .database(let key): sizes[key] ?? 1
        }
    }

    mutating func ask(_ request: Request) -> Answer {
        let missing = request.keys.filter { holders[$0.text]?.contains(request.node) != true }
        for key in missing {
            let free = max(0, limit(of: key) - (holders[key.text]?.count ?? 0))
            let ahead = waiting.values.filter {
                $0.node != request.node && $0.keys.contains(key)
                    && (-$0.priority, $0.sequence, $0.node) < (
                        -request.priority, request.sequence, request.node
                    )
            }
            if ahead.count < free { continue }
            waiting[request.node] = request
            return .waiting(
                lock: key.text,
                message: "Waiting for \(key.text) lock. Lock status: \(free)/\(limit(of: key))")
        }
        for key in missing { holders[key.text, default: []].insert(request.node) }
        waiting[request.node] = nil
        return .acquired
    }

    mutating func release(_ node: NodeID) {
        waiting[node] = nil
        for key in holders.keys { holders[key]?.remove(node) }
    }

    mutating func releaseAll() {
        waiting = [:]
        holders = [:]
    }

    /// A dead controller asks no more until it is back.
    mutating func forgetQueues() { waiting = [:] }

    var queue: [Request] { waiting.values.sorted { ($0.sequence, $0.node) < ($1.sequence, $1.node) } }
}
