// Runs programs that models wrote under the supervisor that runs workflow steps: a view of their own, no
// network, limits of time, memory and output, and nothing left behind.

import Artifacts
import Evaluation
import Executors
import Glibc
import Synchronization

/// Runs one short Python program after another, each in a fresh directory that is gone afterwards.
final class SandboxedCodeRunner: CodeRunner {
    /// How programs are kept apart from the machine, for reports.
    enum Isolation: Hashable {
        case sandbox(String)
        /// Limits and a process group, and why there is no more.
        case limitsOnly(reason: String)

        var description: String {
            switch self {
            case .sandbox(let kind): "sandbox (\(kind))"
            case .limitsOnly(let reason): "limits only: \(reason)"
            }
        }
    }

    let isolation: Isolation
    private let directory: String
    private let supervisor: String?
    private let sandbox: SupervisorSpec.Sandbox
    private let view: HostView
    private let searchPath: String
    private let number = Mutex(0)
    /// Whether a program could have reached the network.
    private let sawNetwork = Mutex(false)

    /// What a program may take to be ended, beside its own time.
    private static let grace = Duration.milliseconds(200)

    /// - Parameters:
    ///   - directory: a new directory below it holds the programs; absolute.
    ///   - environment: of this process.
    init(directory: String, environment: (String) -> String? = Environment.value) throws {
        self.directory = directory + "/martlet-code-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        searchPath = environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
        view = HostView(path: searchPath, home: environment("HOME") ?? "/root")
        try Disk.makeDirectories(self.directory, mode: 0o700)
        // A step is in a sandbox already, where no other one can be made.
        if let step = environment("MARTLET_NODE"), !step.isEmpty {
            isolation = .limitsOnly(reason: "this is a step, which is in a sandbox of its own")
            (supervisor, sandbox) = (nil, .plain)
            return
        }
        let found = Result { try SupervisorClient.locateSupervisor() }
        guard case .success(let supervisor) = found else {
            isolation = .limitsOnly(reason: "the supervisor of steps was not found")
            (self.supervisor, sandbox) = (nil, .plain)
            return
        }
        let support = SupervisorClient.sandboxSupport(
            supervisorPath: supervisor, scratchDirectory: self.directory)
        switch support {
        case .unavailable(let reason):
            isolation = .limitsOnly(reason: reason)
            (self.supervisor, sandbox) = (nil, .plain)
        case .namespaces, .userNamespaces:
            isolation = .sandbox(support.sandbox.rawValue)
            (self.supervisor, sandbox) = (supervisor, support.sandbox)
        }
    }

    deinit { Disk.removeTree(directory) }

    /// Whether some program could have reached the network: where not even new namespaces can be made.
    var programsSawNetwork: Bool { sawNetwork.withLock { $0 } }

    func run(_ program: String, secondsLimit: Double) async throws -> CodeVerdict {
        let attempt = try prepare(program)
        defer { Disk.removeTree(attempt.directory) }
        let output: Ended
        if let supervisor {
            output = try await supervised(attempt, supervisor, secondsLimit)
        } else {
            output = try await limited(attempt, secondsLimit)
        }
        if let answer = ProgramHarness.answer(in: output.text, secret: attempt.secret) {
            if !answer.isOffline { sawNetwork.withLock { $0 = true } }
            return CodeVerdict(passed: answer.word == ProgramHarness.passedWord, detail: answer.word)
        }
        if output.isLate { return CodeVerdict(passed: false, detail: "timed out") }
        guard output.started else {
            throw CommandError("python3 cannot be run: \(output.problem); install it", status: 1)
        }
        return CodeVerdict(passed: false, detail: "failed: \(output.problem)")
    }

    // MARK: One program

    private struct Attempt {
        var directory: String
        var secret: String
        /// The program's own directory as this process sees it.
        var work: String { directory + "/root/work" }
    }

    private struct Ended {
        var text: String
        var isLate: Bool
        var started = true
        var problem: String
    }

    private func prepare(_ program: String) throws -> Attempt {
        let name = number.withLock { number in
            number += 1
            return number
        }
        let attempt = Attempt(directory: "\(directory)/\(name)", secret: ProgramHarness.secret())
        try Disk.makeDirectories(attempt.work, mode: 0o700)
        try Disk.write(Array(program.utf8), to: attempt.work + "/program.py")
        try Disk.write(Array(ProgramHarness.source.utf8), to: attempt.work + "/harness.py")
        try Disk.write(Array(attempt.secret.utf8), to: attempt.work + "/secret")
        return attempt
    }

    /// The harness in a directory, as the program sees it.
    private static func command(in work: String, seconds: Double) -> [String] {
        [
            "python3", "-I", work + "/harness.py", work + "/program.py", "\(Int(seconds.rounded(.up)) + 1)",
            work + "/secret",
        ]
    }

    /// What a program sees of the environment: nothing of ours, which may hold keys.
    private func variables(home: String) -> [(name: String, value: String)] {
        [
            ("PATH", searchPath), ("HOME", home), ("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"),
            ("OMP_NUM_THREADS", "1"),
        ]
    }

    // MARK: In a sandbox

    private func supervised(
        _ attempt: Attempt, _ supervisor: String, _ seconds: Double
    ) async throws -> Ended {
        var container = SupervisorSpec.Container(
            command: Self.command(in: "/work", seconds: seconds), environment: variables(home: "/work"))
        container.workingDirectory = "/work"
        var spec = SupervisorSpec(containers: [container])
        (spec.sandbox, spec.root) = (sandbox, attempt.directory + "/root")
        (spec.binds, spec.links) = (view.binds, view.links)
        spec.grace = Self.grace
        spec.deadline = .milliseconds(Int64(seconds * 1000))
        spec.outputLimitBytes = ProgramHarness.outputBytes
        spec.logLimitBytes = ProgramHarness.outputBytes
        try spec.write(to: attempt.directory)
        let result = try await finish(attempt.directory, supervisor)
        let text = String(
            decoding: SupervisorClient.outputTail(of: attempt.directory), as: UTF8.self)
        return Ended(
            text: text, isLate: result.reason == .deadline, started: result.reason != .startFailed,
            problem: result.message.isEmpty
                ? "ended with \(result.exitCode) before its tests did" : result.message)
    }

    /// Runs the attempt to its end, which a cancelled task brings about at once.
    private func finish(_ directory: String, _ supervisor: String) async throws -> AttemptResult {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let watcher = try ExitWatcher { _ in end.yield() }
        defer { watcher.stop() }
        let child = try SupervisorClient.spawn(supervisorPath: supervisor, attemptDirectory: directory)
        try watcher.watch(attemptDirectory: directory, child: child)
        await withTaskCancellationHandler {
            for await _ in ends { break }
        } onCancel: {
            _ = try? SupervisorClient.cancel(attemptDirectory: directory, immediately: true)
            end.finish()
        }
        try Task.checkCancellation()
        guard case .finished(let result) = SupervisorClient.state(of: directory) else {
            throw CommandError("the supervisor of a program ended without a result", status: 1)
        }
        return result
    }

    // MARK: Without one

    /// In a process group with the harness's limits. What a program starts and puts into a group of its own
    /// may live on until the step around it ends, which takes all with it.
    private func limited(_ attempt: Attempt, _ seconds: Double) async throws -> Ended {
        let words = ["env", "-i"] + variables(home: attempt.work).map { "\($0.name)=\($0.value)" }
        var run = CommandRun(words + Self.command(in: attempt.work, seconds: seconds))
        run.timeout = .milliseconds(Int64(seconds * 1000))
        do {
            let outcome = try await SystemThread.run { [run] in try run.run() }
            let started = outcome.exitCode != 127 && outcome.exitCode != 126
            let last = outcome.output.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
            return Ended(
                text: outcome.output, isLate: outcome.exitCode == 128 + SIGXCPU, started: started,
                problem: started ? "ended with \(outcome.exitCode) before its tests did" : last)
        } catch let error as ArtifactError where error.kind == .transfer {
            return Ended(text: "", isLate: true, problem: error.problem)
        }
    }
}
