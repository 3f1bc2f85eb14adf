// The engine's side of a supervised attempt: starting one, telling how it stands, and ending it. The held
// lock of D/lock is a supervisor's identity; a process number alone is never trusted.

import CLinux
import Glibc

/// Calls here touch the disk and may wait for some milliseconds, so they belong on a thread of their own and
/// never on the cooperative pool.
package enum SupervisorClient {
    /// What went wrong on the engine's side, with what to do about it.
    package struct Failure: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    /// A supervisor that this process started. The pidfd belongs to whoever holds the handle.
    package struct ChildHandle: Sendable {
        package let pid: Int32
        package let pidfd: Int32
    }

    package enum AttemptState: Sendable, Equatable {
        /// Nothing has run, and nothing holds the lock. A supervisor that was just spawned may still take it.
        case neverStarted
        case running(pid: Int32)
        case finished(AttemptResult)
        /// It was started, and its supervisor ended without a result: the command may have run in part.
        case lost
    }

    package enum CancelOutcome: Sendable, Equatable {
        case signaled
        /// It had ended before, or was lost: `state(of:)` says which.
        case notRunning
        /// It never started and now never will; its state is finished, reason cancelled.
        case preventedStart
    }

    // MARK: Starting

    /// Starts the supervisor of the attempt whose `spec` file has been written. It needs no further care: it
    /// outlives this process, and a second one for the same directory runs nothing.
    package static func spawn(supervisorPath: String, attemptDirectory: String) throws -> ChildHandle {
        let errors = attemptDirectory + "/supervisor.err"
        let pid = martlet_spawn_detached(supervisorPath, attemptDirectory, errors)
        guard pid > 0 else { throw failure("cannot start \(supervisorPath)", -pid) }
        // The number cannot be reused before this process has reaped its child.
        let pidfd = martlet_pidfd_open(pid)
        guard pidfd >= 0 else { throw failure("cannot watch the supervisor", -pidfd) }
        return ChildHandle(pid: pid, pidfd: pidfd)
    }

    /// $MARTLET_SUPERVISOR, else `Supervisor` or `martlet-supervisor` beside the running executable, else
    /// `../libexec/martlet/martlet-supervisor` from there.
    package static func locateSupervisor() throws -> String {
        if let named = getenv("MARTLET_SUPERVISOR").map({ String(cString: $0) }), !named.isEmpty {
            if access(named, X_OK) == 0 { return named }
            throw Failure(description: "$MARTLET_SUPERVISOR names \(named), which is not an executable file")
        }
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                chars.baseAddress.map { readlink("/proc/self/exe", $0, chars.count) } ?? -1
            }
        }
        let executable = String(decoding: buffer.prefix(max(0, length)), as: UTF8.self)
        let folder = String(
            executable.prefix(upTo: executable.lastIndex(of: "/") ?? executable.startIndex))
        let candidates = ["/Supervisor", "/martlet-supervisor", "/../libexec/martlet/martlet-supervisor"]
        for candidate in candidates where access(folder + candidate, X_OK) == 0 { return folder + candidate }
        throw Failure(
            description: """
                the step supervisor was not found beside \(executable) nor in ../libexec/martlet; \
                set MARTLET_SUPERVISOR to its path
                """)
    }

    // MARK: Looking

    /// How the attempt stands, decided by trying its lock.
    package static func state(of attemptDirectory: String) -> AttemptState {
        let lock = open(attemptDirectory + "/lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return .neverStarted }
        defer { close(lock) }
        // Shared, so that two who look never take each other for a supervisor.
        if martlet_try_lock(lock, 0) == -EWOULDBLOCK { return .running(pid: holder(of: lock) ?? 0) }
        // No supervisor can begin while the lock is held here, so the two looks agree.
        if let text = contents(of: attemptDirectory + "/result"), let result = try? parseResult(text) {
            return .finished(result)
        }
        return exists(attemptDirectory + "/started") ? .lost : .neverStarted
    }

    /// A pidfd of the attempt's supervisor, to be closed by the caller; nil when none runs.
    package static func openSupervisor(of attemptDirectory: String) throws -> Int32? {
        let lock = open(attemptDirectory + "/lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return nil }
        defer { close(lock) }
        // A supervisor that just took the lock needs a moment to write its number and its marker.
        for _ in 0..<startLimitMilliseconds {
            if martlet_try_lock(lock, 0) == 0 { return nil }
            if exists(attemptDirectory + "/started"), let pid = holder(of: lock) {
                let pidfd = martlet_pidfd_open(pid)
                // Still locked, so its holder has lived all the while, and the number was its own.
                if pidfd >= 0 && martlet_try_lock(lock, 0) != 0 && holder(of: lock) == pid { return pidfd }
                if pidfd >= 0 { close(pidfd) }
            }
            usleep(1000)
        }
        throw Failure(description: "the supervisor of \(attemptDirectory) holds its lock but does not start")
    }

    // MARK: Ending

    /// Ends the attempt: SIGTERM to all its processes and SIGKILL after the spec's grace, or at once when
    /// `immediately`. May be repeated. An attempt that never started is kept from ever starting.
    package static func cancel(attemptDirectory: String, immediately: Bool) throws -> CancelOutcome {
        if case .neverStarted = state(of: attemptDirectory), try preventStart(of: attemptDirectory) {
            return .preventedStart
        }
        guard let pidfd = try openSupervisor(of: attemptDirectory) else { return .notRunning }
        defer { close(pidfd) }
        return martlet_pidfd_send_signal(pidfd, immediately ? SIGUSR1 : SIGTERM) == 0
            ? .signaled : .notRunning
    }

    /// False when a supervisor has been quicker.
    private static func preventStart(of attemptDirectory: String) throws -> Bool {
        let lock = open(attemptDirectory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw failure("cannot open the lock of \(attemptDirectory)", errno) }
        defer { close(lock) }
        var waited = 0
        while martlet_try_lock(lock, 1) != 0 {
            if waited == startLimitMilliseconds || exists(attemptDirectory + "/started") { return false }
            waited += 1
            usleep(1000)
        }
        let marker = open(attemptDirectory + "/started", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if marker < 0 && errno == EEXIST { return false }
        guard marker >= 0 else { throw failure("cannot mark \(attemptDirectory)", errno) }
        close(marker)
        try write(Array(AttemptResult.cancelledText.utf8), to: attemptDirectory + "/result")
        return true
    }

    // MARK: Files

    private static let startLimitMilliseconds = 2000

    static func failure(_ what: String, _ error: Int32) -> Failure {
        Failure(description: "\(what): \(String(cString: strerror(error)))")
    }

    private static func holder(of lock: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let length = pread(lock, &bytes, bytes.count, 0)
        guard let end = bytes.prefix(max(0, length)).firstIndex(of: 10) else { return nil }
        return Int32(String(decoding: bytes[..<end], as: UTF8.self))
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func contents(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let length = read(file, &chunk, chunk.count)
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return nil }
            if length == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<length])
        }
    }

    /// The file appears under its name complete or not at all.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot create \(temporary)", errno) }
        defer { close(file) }
        var count = 0
        while count < bytes.count {
            let length = bytes.withUnsafeBytes { rest in
                Glibc.write(file, rest.baseAddress?.advanced(by: count), rest.count - count)
            }
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { throw failure("cannot write \(temporary)", errno) }
            count += length
        }
        guard rename(temporary, path) == 0 else { throw failure("cannot name \(path)", errno) }
    }
}
