// What a proxy was asked for.

import Synchronization

final class AskedList: Sendable {
    private let list = Mutex<[(target: String, authorization: String)]>([])

    var all: [(target: String, authorization: String)] { list.withLock { $0 } }

    func note(_ target: String, _ authorization: String) {
        list.withLock { $0.append((target: target, authorization: authorization)) }
    }
}
