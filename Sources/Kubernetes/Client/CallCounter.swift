// Counts the calls of the API by verb and kind: what a step costs the cluster.

import Synchronization

package final class CallCounter: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    private let sinceRest = Mutex(0)

    init() {}

    /// `POST pods`: names of namespaces and objects are left out.
    func note(_ method: String, _ path: String) {
        let parts = path.split(separator: "/")
        let place = parts.firstIndex(of: "namespaces").map { $0 + 2 } ?? parts.count - 1
        let kind = parts.indices.contains(place) ? parts[place] : parts.last ?? ""
        let part = parts.last.map { parts.count > place + 2 && $0 != kind ? "/\($0)" : "" } ?? ""
        counts.withLock { $0["\(method) \(kind)\(part)", default: 0] += 1 }
        sinceRest.withLock { $0 += 1 }
    }

    /// Whether there were so many calls since this was last true.
    func isRestDue(after count: Int) -> Bool {
        sinceRest.withLock { calls in
            guard calls >= count else { return false }
            calls = 0
            return true
        }
    }

    /// By verb and kind, such as `POST pods` and `GET pods/log`.
    package var all: [String: Int] { counts.withLock { $0 } }
}
