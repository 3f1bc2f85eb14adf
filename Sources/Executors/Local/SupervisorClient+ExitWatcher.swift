// Notices the ends of supervisors, those this process started and those it found running.

import Artifacts
import CLinux
import Glibc
import Synchronization

/// One thread that sleeps in epoll over pidfds. It lives until `stop()`.
package final class ExitWatcher: Sendable {
    private struct Watched {
        let attemptDirectory: String
        let pidfd: Int32
    }

    private struct State {
        var watched: [UInt64: Watched] = [:]
        var nextToken: UInt64 = 1
        var isStopped = false
    }

    /// How long a supervisor's helpers may take to follow it before its end is told all the same.
    private static let lockLimitMilliseconds = 2000
    private static let wakeToken: UInt64 = 0

    private let state = Mutex(State())
    private let poller: Int32
    private let wakeReader: Int32
    private let wakeWriter: Int32
    private let onExit: @Sendable (String) -> Void

    /// - Parameter onExit: called on the watcher's thread with the attempt's directory, once for each watch;
    ///   `SupervisorClient.state(of:)` then says how it ended. It must not block for long.
    package init(onExit: @escaping @Sendable (String) -> Void) throws {
        self.onExit = onExit
        var ends: [Int32] = [-1, -1]
        let error = martlet_pipe(&ends)
        poller = martlet_poller_open()
        (wakeReader, wakeWriter) = (ends[0], ends[1])
        guard poller >= 0, error == 0 else {
            throw SupervisorClient.failure("cannot watch processes", -min(poller, error))
        }
        try add(wakeReader, token: Self.wakeToken)
        let status = SystemThread.start(run)
        guard status == 0 else { throw SupervisorClient.failure("cannot start the watching thread", status) }
    }

    deinit {
        close(poller)
        close(wakeReader)
        close(wakeWriter)
    }

    /// Watches a supervisor that this process started; takes over its pidfd and reaps it.
    package func watch(attemptDirectory: String, child: SupervisorClient.ChildHandle) throws {
        try watch(attemptDirectory, pidfd: child.pidfd)
    }

    /// Watches a supervisor that was found running. False when it has ended: then nobody is called.
    package func adopt(attemptDirectory: String) throws -> Bool {
        guard let pidfd = try SupervisorClient.openSupervisor(of: attemptDirectory) else { return false }
        try watch(attemptDirectory, pidfd: pidfd)
        return true
    }

    /// Ends the thread. Supervisors go on; nobody is called any more.
    package func stop() {
        state.withLock { $0.isStopped = true }
        var byte: UInt8 = 0
        _ = write(wakeWriter, &byte, 1)
    }

    private func watch(_ attemptDirectory: String, pidfd: Int32) throws {
        let token = state.withLock { state in
            let token = state.nextToken
            state.nextToken += 1
            state.watched[token] = Watched(attemptDirectory: attemptDirectory, pidfd: pidfd)
            return token
        }
        do {
            try add(pidfd, token: token)
        } catch {
            _ = state.withLock { $0.watched.removeValue(forKey: token) }
            close(pidfd)
            throw error
        }
    }

    private func add(_ descriptor: Int32, token: UInt64) throws {
        let error = martlet_poller_add(poller, descriptor, token)
        guard error == 0 else { throw SupervisorClient.failure("cannot watch a process", -error) }
    }

    @Sendable private func run() {
        var tokens = [UInt64](repeating: 0, count: 64)
        while true {
            let count = martlet_poller_wait(poller, &tokens, Int32(tokens.count))
            if count < 0 || state.withLock({ $0.isStopped }) { break }
            for token in tokens.prefix(Int(count)) {
                let ended = state.withLock { $0.watched.removeValue(forKey: token) }
                if let ended { report(ended) }
            }
        }
        let left = state.withLock { state in
            defer { state.watched.removeAll() }
            return state.watched
        }
        for watched in left.values { close(watched.pidfd) }
    }

    private func report(_ ended: Watched) {
        var status: Int32 = 0
        // An adopted supervisor is another's child, and this does nothing.
        _ = martlet_reap(ended.pidfd, &status)
        _ = martlet_poller_remove(poller, ended.pidfd)
        close(ended.pidfd)
        // One that was killed while it made the step's view may share its lock for a moment with the process
        // that dies with it. One that came second (status 75) finds the lock rightly held by the first.
        for _ in 0..<Self.lockLimitMilliseconds where status < 0 {
            if case .running = SupervisorClient.state(of: ended.attemptDirectory) {
                usleep(1000)
            } else {
                break
            }
        }
        onExit(ended.attemptDirectory)
    }
}
