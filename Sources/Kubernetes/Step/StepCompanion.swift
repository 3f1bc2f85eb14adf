// What the step image does in a pod: bring the supervisor and the inputs before the command, take the outputs
// to the server after it. Tries again for as long as the server is away.

import Artifacts
import Executors
import Glibc
import Synchronization
import Text
import WorkflowLanguage

/// Notes SIGTERM, which the first process of a container must ask for.
package enum EndRequest {
    private static let flag = Atomic<Bool>(false)

    package static var wasMade: Bool { flag.load(ordering: .relaxed) }

    package static func listen() { signal(SIGTERM) { _ in EndRequest.flag.store(true, ordering: .relaxed) } }
}

package struct StepCompanion: Sendable {
    private static let pieceBytes = 8 << 20
    private static let longestPauseSeconds: UInt32 = 30
    /// Beyond the supervisor's own limit the pod would be over anyway.
    private static let patience = Duration.seconds(24 * 3600)

    let directory: String
    let url: String
    let token: String
    private let direct: DirectTransfer?

    /// - Parameter variable: looks a variable of the environment up, for artifacts that do not go by the
    ///   server.
    package init(
        directory: String, url: String, token: String,
        variable: @escaping @Sendable (String) -> String? = { _ in nil }
    ) throws {
        self.directory = directory
        self.url = url
        self.token = token
        direct = try DirectTransfer(directory: directory, variable: variable)
    }

    /// What went wrong for good.
    package struct Failure: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    // MARK: Before

    /// - Parameter inputs: names of artifacts and where to lay them.
    package func prepare(inputs: [(name: String, path: String)]) throws {
        let supervisor = try SupervisorClient.locateSupervisor()
        umask(0)
        for name in ["bin", "run", "inputs", "outputs", "outputs/parameters"] {
            try Disk.makeDirectories("\(directory)/\(name)", mode: 0o777)
        }
        let target = directory + "/bin/supervisor"
        try copyProgram(supervisor, to: target)
        for (name, path) in inputs { try fetch(name, to: path) }
    }

    private func copyProgram(_ path: String, to target: String) throws {
        let input = open(path, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
        guard output >= 0 else { throw ArtifactError(errno: errno, path: target, while: "create") }
        defer { close(output) }
        var status = stat()
        guard fstat(input, &status) == 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        var offset: off_t = 0
        while offset < status.st_size {
            let length = sendfile(output, input, &offset, Int(status.st_size - offset))
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { throw ArtifactError(errno: errno, path: target, while: "copy to") }
        }
        guard fchmod(output, 0o755) == 0 else {
            throw ArtifactError(errno: errno, path: target, while: "set the mode of")
        }
    }

    private func fetch(_ name: String, to path: String) throws {
        let packed = "\(directory)/inputs/.\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(packed) }
        defer { Disk.removeTree(packed + ".d") }
        if let direct, direct.hasInput(name) {
            try Disk.makeDirectories(packed + ".d")
            try direct.load(name, to: packed + ".d/artifact")
            return try lay(packed + ".d/artifact", at: path)
        }
        try untilAnswered("fetch artifact \(name)") {
            let file = open(packed, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw ArtifactError(errno: errno, path: packed, while: "create") }
            defer { close(file) }
            return try exchange("GET", "inputs/\(URLText.encoded(name))", output: file)
        }
        try Disk.makeDirectories(packed + ".d")
        try CommandRun(["tar", "-xf", packed, "-C", packed + ".d", "--no-same-owner"]).check(
            path: name, action: "unpack")
        try lay(packed + ".d/artifact", at: path)
    }

    private func lay(_ source: String, at path: String) throws {
        try Disk.makeDirectories(Disk.parent(of: path), mode: 0o777)
        // A volume that is kept may still have what an earlier step got there.
        Disk.removeTree(path)
        if rename(source, path) == 0 { return }
        try CommandRun(["cp", "-a", source, path]).check(
            path: path, action: "lay the artifact")
    }

    // MARK: After

    /// Waits for the end of `main`, sends what it left, and lets it go.
    package func save(main: String) throws {
        let own = "\(directory)/run/\(main)"
        var report = LiveReport()
        var round = 0
        while !Disk.exists(own + "/exit") {
            // The kubelet ends sidecars after main: it was killed, and there is nothing to take.
            if EndRequest.wasMade { return }
            usleep(50_000)
            round += 1
            if round % Self.reportRounds == 0 { tell(&report) }
        }
        try finish(&report)
        var result: [String: JSONValue] = ["complete": true]
        var failures: [String: JSONValue] = [:]
        var sent: [String: JSONValue] = [:]
        for name in (Disk.list(own + "/artifacts") ?? []).sorted() {
            if name.hasSuffix(".failed") {
                let text = (try? Disk.read("\(own)/artifacts/\(name)", limitBytes: 4096)) ?? []
                failures[String(name.dropLast(7))] = .string(String(decoding: text, as: UTF8.self))
            } else if failures[name] == nil {
                do {
                    if try direct?.save(name, from: "\(own)/artifacts/\(name)") == true {
                        sent[name] = true
                    } else {
                        try send(name, from: own + "/artifacts")
                    }
                } catch {
                    failures[name] = .string("\(error)")
                }
            }
        }
        guard !url.isEmpty else {
            // The supervisor says it in the termination message, which is all that comes out of the pod.
            let said: JSONValue = ["artifacts": .object(sent), "failures": .object(failures)]
            return try Disk.replace(
                "\(directory)/run/saved", with: Array(said.compactText.utf8), durable: false)
        }
        var parameters: [String: JSONValue] = [:]
        for name in (Disk.list(own + "/parameters") ?? []).sorted() {
            let bytes = try Disk.read("\(own)/parameters/\(name)", limitBytes: 1 << 20)
            if bytes.count > 256 << 10 {
                failures[name] = "is larger than 262144 bytes; use an output artifact for more"
            }
            parameters[name] = .string(String(decoding: bytes.prefix(256 << 10), as: UTF8.self))
        }
        let exit = (try? Disk.read(own + "/exit", limitBytes: 64)) ?? []
        result["exitCode"] = Int(String(decoding: exit, as: UTF8.self)).map(JSONValue.int)
        result["parameters"] = .object(parameters)
        result["failures"] = .object(failures)
        if let bytes = try? Disk.read(own + "/stdout", limitBytes: 1 << 20) {
            result["result"] = .string(String(decoding: bytes, as: UTF8.self))
        }
        let body = Array(JSONValue.object(result).compactText.utf8)
        try untilAnswered("send the result") { try exchange("PUT", "result", body: .bytes(body)) }
        try Disk.write([], to: "\(directory)/run/saved")
    }

    // MARK: Meanwhile

    /// What the server knows of the step's metrics and progress.
    private struct LiveReport {
        var metricsBytes = 0
        var progress = ""
    }

    /// Looks at metrics and progress are a second apart.
    private static let reportRounds = 20
    private static let reportTimeout = Duration.seconds(10)

    /// Sends what is new, once: what does not arrive goes with the next look.
    private func tell(_ report: inout LiveReport) {
        if let text = newProgress(report),
            (try? exchange("PUT", "progress", body: .bytes(Array(text.utf8)), timeout: Self.reportTimeout)) == 200
        {
            report.progress = text
        }
        while let piece = newMetrics(report) {
            let place = "metrics?offset=\(report.metricsBytes)"
            let status = try? exchange("PUT", place, body: .bytes(piece), timeout: Self.reportTimeout)
            guard status == 200 else { return }
            report.metricsBytes += piece.count
        }
    }

    /// The rest, which must arrive before the step is over.
    private func finish(_ report: inout LiveReport) throws {
        if let text = newProgress(report) {
            report.progress = text
            try untilAnswered("send the progress") {
                try exchange("PUT", "progress", body: .bytes(Array(text.utf8)))
            }
        }
        while let piece = newMetrics(report) {
            let place = "metrics?offset=\(report.metricsBytes)"
            try untilAnswered("send metrics") { try exchange("PUT", place, body: .bytes(piece)) }
            report.metricsBytes += piece.count
        }
    }

    private func newProgress(_ report: LiveReport) -> String? {
        guard let bytes = try? Disk.read(directory + "/progress", limitBytes: 4096),
            let text = MetricsTail.progress(bytes[...]), text != report.progress
        else { return nil }
        return text
    }

    private func newMetrics(_ report: LiveReport) -> [UInt8]? {
        let path = directory + "/metrics.jsonl"
        guard let size = Disk.status(path)?.sizeBytes, size > report.metricsBytes else { return nil }
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let count = min(Self.pieceBytes, size - report.metricsBytes)
        return try? piece(file, at: report.metricsBytes, count: count, path)
    }

    private func send(_ name: String, from folder: String) throws {
        let packed = "\(directory)/run/.\(Disk.uniqueSuffix()).tar"
        defer { Disk.removeTree(packed) }
        // The name in the archive is always the same, so that nothing of the step's decides where it is
        // unpacked.
        try CommandRun(
            [
                "tar", "-cf", packed, "--transform", "flags=r;s,^\\./[^/]*,artifact,", "-C", folder,
                "./" + name,
            ]
        ).check(path: name, action: "pack")
        let file = open(packed, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: packed, while: "read") }
        defer { close(file) }
        let size = Disk.status(packed)?.sizeBytes ?? 0
        var offset = 0
        while offset < size {
            let bytes = try piece(file, at: offset, count: min(Self.pieceBytes, size - offset), packed)
            let place = "outputs/\(URLText.encoded(name))?offset=\(offset)"
            try untilAnswered("send artifact \(name)") { try exchange("PUT", place, body: .bytes(bytes)) }
            offset += bytes.count
        }
    }

    private func piece(_ file: Int32, at offset: Int, count: Int, _ path: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let length = pread(file, &bytes, count, off_t(offset))
        guard length > 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        return Array(bytes[..<length])
    }

    // MARK: The server

    private func exchange(
        _ method: String, _ place: String, body: HTTPExchange.Body = .none, output: Int32 = -1,
        timeout: Duration? = nil
    ) throws -> Int {
        var exchange = HTTPExchange(url: "\(url)/steps/v1/\(place)")
        exchange.method = method
        exchange.headers = [
            "Authorization: Bearer \(token)", "Content-Type: application/octet-stream", "Expect:",
        ]
        exchange.body = body
        if let timeout { exchange.timeout = timeout }
        exchange.followsRedirects = false
        var sink = output
        if output < 0 { sink = open("/dev/null", O_WRONLY | O_CLOEXEC) }
        defer { if output < 0 { close(sink) } }
        return try exchange.perform(output: sink).status
    }

    /// Repeats what the server did not answer, or asked to be repeated.
    private func untilAnswered(_ what: String, _ ask: () throws -> Int) throws {
        let end = ContinuousClock.now + Self.patience
        var pause: UInt32 = 1
        while true {
            var problem: String
            do {
                let status = try ask()
                if (200..<300).contains(status) { return }
                problem = "the server answered with status \(status)"
                if (400..<500).contains(status) && status != 429 {
                    throw Failure(description: "cannot \(what): \(problem)")
                }
            } catch let error as ArtifactError where error.kind == .transfer {
                problem = "\(error)"
            }
            guard ContinuousClock.now < end else { throw Failure(description: "cannot \(what): \(problem)") }
            let line = Array("martlet: cannot \(what) yet: \(problem)\n".utf8)
            _ = write(2, line, line.count)
            sleep(pause)
            pause = min(pause * 2, Self.longestPauseSeconds)
        }
    }
}
