// Runs real steps under the built supervisor: what they leave on disk, how they end, that none runs twice.

import CLinux
import Foundation
import Testing
import Text

@testable import Executors

/// A directory for one attempt, and the ends of its supervisors in the order they happen.
private final class Attempt: Sendable {
    let directory: String
    let supervisor: String
    private let watcher: ExitWatcher
    private let ends: AsyncStream<String>

    init() throws {
        supervisor = try SupervisorClient.locateSupervisor()
        // A space, because paths of users have them.
        let name = "martlet supervisor \(UUID().uuidString)"
        directory = FileManager.default.temporaryDirectory.appending(path: name).path
        try FileManager.default.createDirectory(
            atPath: directory + "/root", withIntermediateDirectories: true)
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        ends = stream
        watcher = try ExitWatcher { continuation.yield($0) }
    }

    deinit {
        watcher.stop()
        _ = try? SupervisorClient.cancel(attemptDirectory: directory, immediately: true)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The best isolation this machine allows.
    var sandbox: SupervisorSpec.Sandbox {
        let scratch = FileManager.default.temporaryDirectory.path
        return SupervisorClient.sandboxSupport(supervisorPath: supervisor, scratchDirectory: scratch).sandbox
    }

    func write(_ containers: [SupervisorSpec.Container], change: (inout SupervisorSpec) -> Void = { _ in })
        throws
    {
        var spec = SupervisorSpec(containers: containers)
        let view = HostView(path: "/usr/bin:/bin", home: "/nonexistent")
        (spec.sandbox, spec.root) = (sandbox, directory + "/root")
        (spec.binds, spec.links) = (view.binds, view.links)
        change(&spec)
        try spec.write(to: directory)
    }

    func start() throws {
        let child = try SupervisorClient.spawn(supervisorPath: supervisor, attemptDirectory: directory)
        try watcher.watch(attemptDirectory: directory, child: child)
    }

    func nextEnd() async {
        for await _ in ends { return }
    }

    /// Starts it and waits for the result.
    func run() async throws -> AttemptResult {
        try start()
        await nextEnd()
        guard case .finished(let result) = SupervisorClient.state(of: directory) else {
            throw SupervisorClient.Failure(
                description: "no result, but \(SupervisorClient.state(of: directory))")
        }
        return result
    }

    /// A pipe in the step's root; the step writes a word to it, which `waitForSignal` reads.
    func makeSignalPipe() { mkfifo(directory + "/root/signal", 0o600) }

    func waitForSignal() {
        let word = SupervisorClient.contents(of: directory + "/root/signal")
        #expect(word == Array("ready\n".utf8))
    }

    func log() throws -> String { try String(contentsOfFile: directory + "/log", encoding: .utf8) }
}

private func shell(_ script: String) -> SupervisorSpec.Container {
    .init(command: ["sh", "-c", script], environment: [("PATH", "/usr/bin:/bin")])
}

@Suite("The supervisor", .timeLimit(.minutes(30)))
struct SupervisorTests {
    @Test(
        "A step's exit, its log and the end of its output are kept, sandboxed or not",
        arguments: [true, false])
    func exit(isPlain: Bool) async throws {
        let attempt = try Attempt()
        try attempt.write([shell("echo out; echo err >&2; printf tail; exit 3")]) { spec in
            if isPlain { spec.sandbox = .plain }
        }
        let result = try await attempt.run()
        #expect(result.reason == .exited && result.exitCode == 3)
        #expect(result.startedAt <= result.finishedAt)
        #expect(SupervisorClient.outputTail(of: attempt.directory) == Array("out\ntail".utf8))
        let log = try attempt.log()
        #expect(log.contains("Z stdout F out\n") && log.contains("Z stderr F err\n"))
        #expect(log.contains("Z stdout P tail\n"))
    }

    @Test(
        "A command that cannot be run fails with the shell's code and says why",
        arguments: [
            (command: ["no-such-program"], code: Int32(127), message: "exec: no-such-program: not found"),
            (command: ["/usr"], code: 126, message: "exec: /usr: Permission denied"),
        ])
    func startFailure(command: [String], code: Int32, message: String) async throws {
        let attempt = try Attempt()
        try attempt.write([.init(command: command)])
        let result = try await attempt.run()
        #expect(result.reason == .startFailed && result.exitCode == code && result.message == message)
    }

    @Test("The environment is exactly the spec's")
    func environment() async throws {
        let attempt = try Attempt()
        try attempt.write([.init(command: ["/usr/bin/env"], environment: [("A", "1=2"), ("B", "x\ny")])])
        _ = try await attempt.run()
        #expect(SupervisorClient.outputTail(of: attempt.directory) == Array("A=1=2\nB=x\ny\n".utf8))
    }

    @Test(
        "In the sandbox absolute paths are the attempt's, and the machine's programs cannot be changed",
        .enabled("No sandbox works on this machine.") { try Attempt().sandbox != .plain })
    func view() async throws {
        let attempt = try Attempt()
        try attempt.write([shell("mkdir -p /mnt/out && echo x > /mnt/out/x; touch /usr/x; id -u")]) {
            $0.directories = ["/made/before"]
        }
        _ = try await attempt.run()
        let written = try String(contentsOfFile: attempt.directory + "/root/mnt/out/x", encoding: .utf8)
        #expect(written == "x\n")
        #expect(try attempt.log().contains("Read-only file system"))
        #expect(FileManager.default.fileExists(atPath: attempt.directory + "/root/made/before"))
        #expect(SupervisorClient.outputTail(of: attempt.directory) == Array("\(getuid())\n".utf8))
    }

    @Test("Of supervisors started for the same attempt exactly one runs it", arguments: [2, 5])
    func runsOnce(supervisors: Int) async throws {
        let attempt = try Attempt()
        try attempt.write([shell("echo ran")])
        for _ in 0..<supervisors { try attempt.start() }
        for _ in 0..<supervisors { await attempt.nextEnd() }
        #expect(SupervisorClient.outputTail(of: attempt.directory) == Array("ran\n".utf8))
        #expect(try attempt.log().split(separator: "\n").count == 1)
    }

    @Test("Cancelling ends processes that ignore SIGTERM and left their session", arguments: [true, false])
    func cancelTree(immediately: Bool) async throws {
        let attempt = try Attempt()
        attempt.makeSignalPipe()
        let signal = attempt.sandbox == .plain ? attempt.directory + "/root/signal" : "/signal"
        let script = """
            trap '' TERM
            setsid sh -c 'trap "" TERM; sleep 600' &
            (setsid setsid sh -c 'trap "" TERM; sleep 600' &)
            echo ready > '\(signal)'
            while :; do sleep 600; done
            """
        try attempt.write([shell(script)]) { $0.grace = immediately ? .seconds(600) : .milliseconds(50) }
        try attempt.start()
        attempt.waitForSignal()
        let outcome = try SupervisorClient.cancel(
            attemptDirectory: attempt.directory, immediately: immediately)
        #expect(outcome == .signaled)
        await attempt.nextEnd()
        guard case .finished(let result) = SupervisorClient.state(of: attempt.directory) else {
            Issue.record("the attempt has no result")
            return
        }
        #expect(result.reason == .cancelled && result.signal == SIGKILL)
        #expect(
            try SupervisorClient.cancel(attemptDirectory: attempt.directory, immediately: true) == .notRunning
        )
    }

    @Test("A cancelled step may save its work, also below a shell that dies at once")
    func grace() async throws {
        let attempt = try Attempt()
        attempt.makeSignalPipe()
        let signal = attempt.sandbox == .plain ? attempt.directory + "/root/signal" : "/signal"
        let child =
            "trap \"echo saved; exit 75\" TERM; echo ready > \"$SIGNAL\"; while :; do sleep 0.01; done"
        var main = shell("sh -c '\(child)'; echo never")
        main.environment.append(("SIGNAL", signal))
        try attempt.write([main])
        try attempt.start()
        attempt.waitForSignal()
        _ = try SupervisorClient.cancel(attemptDirectory: attempt.directory, immediately: false)
        await attempt.nextEnd()
        #expect(SupervisorClient.outputTail(of: attempt.directory) == Array("saved\n".utf8))
    }

    @Test("An attempt cancelled before its start never starts")
    func preventedStart() async throws {
        let attempt = try Attempt()
        try attempt.write([shell("echo ran")])
        #expect(SupervisorClient.state(of: attempt.directory) == .neverStarted)
        let outcome = try SupervisorClient.cancel(attemptDirectory: attempt.directory, immediately: false)
        #expect(outcome == .preventedStart)
        let result = try await attempt.run()
        #expect(result.reason == .cancelled)
        #expect(!FileManager.default.fileExists(atPath: attempt.directory + "/log"))
    }

    @Test("An attempt whose supervisor was killed is lost, and is not run again")
    func lost() async throws {
        let attempt = try Attempt()
        attempt.makeSignalPipe()
        let signal = attempt.sandbox == .plain ? attempt.directory + "/root/signal" : "/signal"
        try attempt.write([shell("echo ready > '\(signal)'; sleep 600")])
        try attempt.start()
        attempt.waitForSignal()
        let pidfd = try #require(try SupervisorClient.openSupervisor(of: attempt.directory))
        #expect(martlet_pidfd_send_signal(pidfd, SIGKILL) == 0)
        close(pidfd)
        await attempt.nextEnd()
        #expect(SupervisorClient.state(of: attempt.directory) == .lost)
        try attempt.start()
        await attempt.nextEnd()
        #expect(SupervisorClient.state(of: attempt.directory) == .lost)
    }

    @Test("The supervisor holds the deadline by itself")
    func deadline() async throws {
        let attempt = try Attempt()
        try attempt.write([shell("exec sleep 600")]) { $0.deadline = .milliseconds(50) }
        let result = try await attempt.run()
        #expect(result.reason == .deadline && result.signal == SIGTERM)
    }

    @Test("Initial containers come first, sidecars end with main, and failures keep dependents from starting")
    func containers() async throws {
        let attempt = try Attempt()
        var first = shell("echo first")
        (first.name, first.role) = ("first", .initial)
        var sidecar = shell("exec sleep 600")
        (sidecar.name, sidecar.role) = ("sidecar", .sidecar)
        var failing = shell("exit 4")
        (failing.name, failing.role, failing.retries) = ("failing", .member, 2)
        var dependent = shell("echo never")
        (dependent.name, dependent.role, dependent.dependsOn) = ("dependent", .member, ["failing"])
        try attempt.write([first, sidecar, failing, dependent, shell("echo main")])
        let result = try await attempt.run()
        #expect(result.exitCode == 4 && result.message == "container failing: exit code 4")
        #expect(result.containers.map(\.name) == ["first", "sidecar", "failing", "dependent", "main"])
        #expect(result.containers.map(\.exitCode) == [0, 143, 4, 0, 0])
        #expect(result.containers.map(\.retries) == [0, 0, 2, 0, 0])
        #expect(result.containers[3].reason == .notStarted)
        #expect(try attempt.log().contains(" stdout:first F first\n"))
    }
}

@Suite("The supervisor's files")
struct SupervisorFileTests {
    @Test("The spec is written as strings that end with NUL")
    func encode() throws {
        var spec = SupervisorSpec(containers: [.init(command: ["true"], environment: [("A", "1")])])
        (spec.sandbox, spec.deadline) = (.plain, .seconds(2))
        let text = String(decoding: try spec.encoded(), as: UTF8.self)
        #expect(
            text.hasPrefix(
                "martlet-spec 1\0sandbox\0plain\0graceMilliseconds\030000\0deadlineMilliseconds\02000\0"))
        #expect(
            text.hasSuffix(
                "container\0main\0role\0main\0workingDirectory\0/\0argument\0true\0environment\0A=1\0end\0"))
    }

    @Test("What no process can be given is refused", arguments: [["a\0b"], []])
    func refuse(command: [String]) {
        #expect(throws: SupervisorClient.Failure.self) {
            try SupervisorSpec(containers: [.init(command: command)]).encoded()
        }
    }

    @Test(
        "A result that is cut off or from another version is refused",
        arguments: [
            "", "martlet-result 1\nreason exited\n", "martlet-result 2\nend\n",
            "martlet-result 1\nreason odd\nend\n",
            "martlet-result 1\nexitCode many\nend\n",
        ])
    func parse(text: String) {
        #expect(throws: SupervisorClient.Failure.self) { try SupervisorClient.parseResult(Array(text.utf8)) }
    }
}
