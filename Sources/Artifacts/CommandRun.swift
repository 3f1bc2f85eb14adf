// Runs a program to its end and keeps the last words of what it said: git, tar and unzip for artifacts.

import CLinux
import Glibc

package struct CommandRun: Sendable {
    package struct Outcome: Sendable {
        /// 128 plus the number of the signal that ended it.
        package var exitCode: Int32
        /// Standard output and error together, the last `outputLimitBytes`.
        package var output: String
    }

    private static let outputLimitBytes = 16 << 10

    /// The program and its arguments; without a slash it is looked up on PATH.
    package var arguments: [String]
    /// Besides this process's own environment.
    package var environment: [String: String] = [:]
    package var timeout = Duration.seconds(3600)
    /// The file that the program reads as its standard input.
    package var standardInput = "/dev/null"

    package init(_ arguments: [String]) { self.arguments = arguments }

    /// - Throws: `notFound` when the program is not installed, `transfer` when it did not end in time.
    package func run() throws(ArtifactError) -> Outcome {
        let (process, output) = try start(keepsErrors: true)
        defer { close(output) }
        return try follow(process, output: output)
    }

    /// Starts the program for somebody who reads its standard output.
    func startPiped() throws(ArtifactError) -> (process: pid_t, output: Int32) {
        try start(keepsErrors: false)
    }

    private func start(keepsErrors: Bool) throws(ArtifactError) -> (process: pid_t, output: Int32) {
        var ends: [Int32] = [-1, -1]
        let failure = martlet_pipe(&ends)
        guard failure == 0 else { throw ArtifactError(errno: -failure, path: "", while: "make a pipe") }
        // Whoever reads here may wait.
        _ = fcntl(ends[0], F_SETFL, 0)
        let (process, error) = spawn(output: ends[1], keepsErrors: keepsErrors)
        close(ends[1])
        guard error == 0 else {
            close(ends[0])
            let name = arguments.first ?? ""
            if error == ENOENT {
                throw ArtifactError(
                    .notFound, path: name, problem: "the program is not installed", remedy: "install \(name)")
            }
            throw ArtifactError(errno: error, path: name, while: "start the program")
        }
        return (process, ends[0])
    }

    private func spawn(output: Int32, keepsErrors: Bool) -> (pid_t, Int32) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        guard posix_spawn_file_actions_init(&actions) == 0 else { return (-1, ENOMEM) }
        defer { posix_spawn_file_actions_destroy(&actions) }
        guard posix_spawnattr_init(&attributes) == 0 else { return (-1, ENOMEM) }
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // A group of its own, so that what the program started can be ended with it.
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        posix_spawn_file_actions_addopen(&actions, 0, standardInput, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        if keepsErrors {
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        var values: [UnsafeMutablePointer<CChar>?] = []
        var inherited = environ
        while let entry = inherited.pointee {
            let name = String(cString: entry).prefix { $0 != "=" }
            if environment[String(name)] == nil { values.append(strdup(entry)) }
            inherited += 1
        }
        values += environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for text in values + words { free(text) } }
        var process: pid_t = -1
        let error = posix_spawnp(&process, arguments.first ?? "", &actions, &attributes, words, values)
        return (process, error)
    }

    private func follow(_ process: pid_t, output: Int32) throws(ArtifactError) -> Outcome {
        let limit = ContinuousClock.now + timeout
        var kept: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var isLate = false
        while true {
            var polled = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let count = poll(&polled, 1, 1000)
            if count > 0 {
                let length = read(output, &chunk, chunk.count)
                if length < 0 && errno == EINTR { continue }
                if length <= 0 { break }
                kept.append(contentsOf: chunk[..<length])
                if kept.count > 2 * Self.outputLimitBytes {
                    kept.removeFirst(kept.count - Self.outputLimitBytes)
                }
            }
            if ContinuousClock.now > limit {
                isLate = true
                kill(-process, SIGKILL)
                break
            }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let text = String(decoding: kept.suffix(Self.outputLimitBytes), as: UTF8.self)
        if isLate {
            throw ArtifactError(
                .transfer, path: arguments.first ?? "",
                problem: "did not end within \(timeout.components.seconds) s: \(text)")
        }
        let signal = status & 0x7f
        return Outcome(exitCode: signal == 0 ? (status >> 8) & 0xff : 128 + signal, output: text)
    }

    /// Runs the program and takes every status but 0 as a failure.
    package func check(path: String, action: String) throws(ArtifactError) {
        let outcome = try run()
        guard outcome.exitCode != 0 else { return }
        let words = outcome.output.split(separator: "\n").suffix(3).joined(separator: "; ")
        throw ArtifactError(.transfer, path: path, problem: "cannot \(action): \(words)")
    }
}
