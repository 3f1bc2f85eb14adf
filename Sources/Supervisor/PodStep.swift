// One container of a Kubernetes pod: runs its command, waits its turn in a set, keeps what the step leaves
// where the pod's other containers find it. Needs no shell, no library and no network of the image.

import CLinux
import Glibc

/// `--pod DIR --name NAME [options] -- COMMAND...`
struct PodStep {
    private static let outputLimitBytes = 256 << 10
    /// Kubernetes keeps 4 KiB of a termination message, and less in pods of many containers.
    private static let messageLimitBytes = 4096
    /// Longer nobody waits for outputs to be taken; the message then says what there is.
    private static let savedLimitMilliseconds = 24 * 3600 * 1000
    private static let pollMilliseconds: Int32 = 50

    private var directory = ""
    private var name = "main"
    private var after: [String] = []
    private var until: [String] = []
    private var retries = 0
    private var retryDelayMilliseconds = 0
    private var graceMilliseconds = 25_000
    private var keepsResult = false
    private var waitsForSaved = false
    private var messageLimitBytes = PodStep.messageLimitBytes
    private var parameters: [(name: String, path: String)] = []
    private var artifacts: [(name: String, path: String)] = []
    private var command: [String] = []

    private var signals: Int32 = -1
    private var isEnding = false
    private var killAt: Int?
    /// When the command began and ended, in nanoseconds of the wall clock; 0 before. The kubelet knows when the
    /// container did, which may have waited for others, and in whole seconds.
    private var began = 0
    private var ended = 0
    private var tail = OutputTail(limitBytes: PodStep.outputLimitBytes)

    /// Nil for words that make no sense.
    init?(_ words: [String]) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                command = Array(rest)
                break
            }
            if word == "--result" {
                keepsResult = true
                continue
            }
            if word == "--saved" {
                waitsForSaved = true
                continue
            }
            guard let value = rest.popFirst(), take(word, value) else { return nil }
        }
        if command.isEmpty || directory.isEmpty || name.isEmpty { return nil }
    }

    private mutating func take(_ word: String, _ value: String) -> Bool {
        switch word {
        case "--pod": directory = value
        case "--name": name = value
        case "--after": after.append(value)
        case "--until": until.append(value)
        case "--retries": retries = Int(value) ?? 0
        case "--retry-delay": retryDelayMilliseconds = Int(value) ?? 0
        case "--message-limit": messageLimitBytes = min(Int(value) ?? 0, Self.messageLimitBytes)
        case "--grace": graceMilliseconds = (Int(value) ?? 25) * 1000
        case "--parameter", "--artifact":
            guard let equals = value.firstIndex(of: "=") else { return false }
            let pair = (name: String(value[..<equals]), path: String(value[value.index(after: equals)...]))
            if word == "--parameter" { parameters.append(pair) } else { artifacts.append(pair) }
        default: return false
        }
        return true
    }

    // MARK: The way of the step

    /// - Returns: the exit status for the kubelet: the command's own.
    mutating func run() -> Int32 {
        signals = martlet_block_signals()
        mkdir("\(directory)/run", 0o777)
        mkdir(own, 0o777)
        chmod(own, 0o777)
        // Held until this process is gone, however it goes.
        let life = PodLife(own)
        defer { withExtendedLifetime(life) {} }
        if let failed = waitForTurn() {
            leave(exit: "omitted", message: "{\"omitted\":true,\"after\":\(PodText.quoted(failed))}")
            return 0
        }
        var status: Int32 = 143
        if !isEnding { status = runCommand() }
        var tries = retries
        while status != 0 && tries > 0 && !isEnding {
            tries -= 1
            pause(retryDelayMilliseconds)
            if !isEnding { status = runCommand() }
        }
        if !until.isEmpty { return 0 }
        keepOutputs()
        leave(exit: String(status), message: message(status))
        if waitsForSaved {
            waitForSaved()
            // What went elsewhere than to the server is told nowhere else.
            if let saved = PodFile.text("\(directory)/run/saved"), saved.hasPrefix("{") {
                let said = message(status, saved: saved)
                PodFile.write(Array(said.utf8), to: "/dev/termination-log", inPlace: true)
            }
        }
        return status
    }

    private var own: String { "\(directory)/run/\(name)" }

    /// - Returns: the member whose failure keeps this one from its turn.
    private mutating func waitForTurn() -> String? {
        while !isEnding {
            var isOpen = false
            for member in after {
                let place = "\(directory)/run/\(member)"
                // Asked before its end is looked for, which it tells of while it lives.
                let wasKilled = PodLife.isOver(place)
                guard let ending = PodFile.text(place + "/exit") else {
                    if wasKilled { return member }
                    isOpen = true
                    continue
                }
                if ending != "0" { return member }
            }
            if !isOpen { return nil }
            pause(Int(Self.pollMilliseconds))
        }
        return nil
    }

    private mutating func pause(_ milliseconds: Int) {
        let end = now() + milliseconds
        repeat {
            var polled = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
            poll(&polled, 1, Int32(clamping: min(max(0, end - now()), 1000)))
            readSignals()
        } while now() < end && !isEnding
    }

    private func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    private func wallNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private mutating func readSignals() {
        while martlet_next_signal(signals) != 0 { isEnding = true }
    }

    // MARK: The command

    private mutating func runCommand() -> Int32 {
        if began == 0 { began = wallNanoseconds() }
        defer { ended = wallNanoseconds() }
        var ends: [Int32] = [-1, -1]
        if keepsResult, martlet_pipe(&ends) < 0 { ends = [-1, -1] }
        tail = OutputTail(limitBytes: Self.outputLimitBytes)
        let (child, error) = PodProcess.start(command, output: ends[1])
        if ends[1] >= 0 { close(ends[1]) }
        defer { if ends[0] >= 0 { close(ends[0]) } }
        guard error == 0 else {
            complain("\(command[0]): \(String(cString: strerror(error)))")
            return error == ENOENT ? 127 : 126
        }
        return follow(child, output: ends[0])
    }

    private mutating func follow(_ child: pid_t, output pipe: Int32) -> Int32 {
        var output = pipe
        let process = martlet_pidfd_open(child)
        defer { if process >= 0 { close(process) } }
        killAt = nil
        var wasAsked = false
        while true {
            var polled = [
                pollfd(fd: process, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            ]
            poll(&polled, 3, until.isEmpty && killAt == nil ? 1000 : Self.pollMilliseconds)
            readSignals()
            // The command may close its output long before it ends.
            if copy(output) { output = -1 }
            if let status = reap(child) {
                _ = copy(output)
                return status
            }
            if (isEnding || isWorkOver) && !wasAsked {
                wasAsked = true
                kill(-child, SIGTERM)
                killAt = now() + graceMilliseconds
            }
            if let moment = killAt, moment <= now() {
                kill(-child, SIGKILL)
                killAt = now() + 1000
            }
        }
    }

    /// Everything that ends is reaped, since in a container orphans come here.
    private func reap(_ child: pid_t) -> Int32? {
        var status: Int32 = 0
        while true {
            let ended = waitpid(-1, &status, WNOHANG)
            if ended <= 0 { return nil }
            guard ended == child else { continue }
            let signal = status & 0x7f
            return signal == 0 ? (status >> 8) & 0xff : 128 + signal
        }
    }

    private var isWorkOver: Bool {
        !until.isEmpty
            && until.allSatisfy { member in
                let place = "\(directory)/run/\(member)"
                return PodLife.isOver(place) || PodFile.exists(place + "/exit")
            }
    }

    /// Passes output on to the container's log, and keeps the end of it.
    /// - Returns: whether nothing more can come.
    private mutating func copy(_ output: Int32) -> Bool {
        guard output >= 0 else { return true }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let length = read(output, &chunk, chunk.count)
            if length < 0 && errno == EINTR { continue }
            if length <= 0 { return length == 0 }
            chunk.withUnsafeBytes { bytes in
                let piece = UnsafeRawBufferPointer(rebasing: bytes[..<length])
                _ = writeAll(1, piece)
                tail.append(piece)
            }
        }
    }

    // MARK: What is left

    private func keepOutputs() {
        if keepsResult { PodFile.write(tail.kept, to: "\(own)/stdout") }
        mkdir("\(own)/parameters", 0o777)
        mkdir("\(own)/artifacts", 0o777)
        for (name, path) in parameters {
            guard let bytes = PodFile.bytes(path, limit: Self.outputLimitBytes + 1) else { continue }
            PodFile.write(bytes, to: "\(own)/parameters/\(name)")
        }
        for (name, path) in artifacts {
            if let problem = PodTree.copy(from: path, to: "\(own)/artifacts/\(name)") {
                complain("artifact \(name): \(problem)")
                PodFile.write(Array(problem.utf8), to: "\(own)/artifacts/\(name).failed")
            }
        }
    }

    private func leave(exit text: String, message: String) {
        PodFile.write(Array(message.utf8), to: "/dev/termination-log", inPlace: true)
        PodFile.write(Array(text.utf8), to: "\(own)/exit")
    }

    /// The result in few words, for when nobody takes it otherwise. What matters most comes first, since nodes cut
    /// what is too long.
    /// - Parameter saved: artifacts that went elsewhere, as JSON.
    private func message(_ status: Int32, saved: String? = nil) -> String {
        let times = began > 0 ? ",\"began\":\(began),\"ended\":\(ended)" : ""
        let start = "{\"exitCode\":\(status)\(times)" + (saved.map { ",\"saved\":\($0)" } ?? "")
        var text = start
        if keepsResult { text += ",\"result\":\(PodText.quoted(String(decoding: tail.kept, as: UTF8.self)))" }
        var members: [String] = []
        for (name, _) in parameters {
            guard let bytes = PodFile.bytes("\(own)/parameters/\(name)", limit: Self.outputLimitBytes + 1)
            else {
                continue
            }
            members.append(
                "\(PodText.quoted(name)):\(PodText.quoted(String(decoding: bytes, as: UTF8.self)))")
        }
        text += ",\"parameters\":{\(members.joined(separator: ","))},\"complete\":true}"
        return text.utf8.count <= messageLimitBytes
            ? text : start + ",\"complete\":false}"
    }

    /// The companion takes the outputs out of the pod, for which the pod must live.
    private mutating func waitForSaved() {
        let end = now() + Self.savedLimitMilliseconds
        while now() < end && !isEnding && !PodFile.exists("\(directory)/run/saved") {
            pause(Int(Self.pollMilliseconds))
        }
    }
}
