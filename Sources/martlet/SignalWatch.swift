// Ctrl-C and TERM: the first is handled, the second ends this process at once (steps go on under their supervisors).

import Dispatch
import Glibc
import Synchronization

final class SignalWatch: Sendable {
    private final class First: Sendable {
        let signal = Mutex<Int32?>(nil)
    }

    private let first = First()
    // Dispatch sources may be cancelled from any thread; the type only lacks the word Sendable.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// - Parameter action: called with the first SIGINT or SIGTERM, on a queue of its own.
    init(_ action: @escaping @Sendable (Int32) -> Void) {
        let queue = DispatchQueue(label: "martlet.signals")
        let first = first
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                let isFirst = first.signal.withLock { current in
                    defer { if current == nil { current = number } }
                    return current == nil
                }
                if isFirst { action(number) } else { ProcessEnd.now(128 + number) }
            }
            source.activate()
            return source
        }
    }

    /// The signal that came first, if any.
    var received: Int32? { first.signal.withLock { $0 } }

    func cancel() {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
}
