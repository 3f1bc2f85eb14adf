// What every executor must do, whatever it runs steps on.

package import Executors
package import Scheduling
import Testing
package import Text
import WorkflowLanguage

/// Checks for an executor. A test suite calls them with a fresh one each.
package struct ExecutorConformance: Sendable {
    /// Makes an executor; called again in one check, it must find what the former one left running.
    let make: @Sendable () async throws -> any Executor

    package init(make: @escaping @Sendable () async throws -> any Executor) { self.make = make }

    package static func launch(_ name: String, _ command: [String], attempt: Int = 0) -> Launch {
        launch(
            name, template: ["name": "t", "container": ["command": .array(command.map(JSONValue.string))]],
            attempt: attempt)
    }

    package static func launch(_ name: String, template json: JSONValue, attempt: Int = 0) -> Launch {
        let template = Template(json)
        var launch = Launch(
            key: AttemptKey(workflowUID: "uid", nodeID: name, attempt: attempt), workflowName: "wf",
            namespace: "ns",
            nodeName: "wf.\(name)", podName: "wf-\(name)", template: template, inputs: template.inputs)
        launch.volumes = template.volumes
        launch.capturesResult = true
        return launch
    }

    /// Takes reports until the launch ended.
    package static func reports(_ executor: any Executor, until key: AttemptKey) async -> [ExecutorReport] {
        var seen: [ExecutorReport] = []
        for await report in executor.reports {
            seen.append(report)
            if case .finished(key, _) = report { break }
        }
        return seen
    }

    package static func outcome(_ executor: any Executor, _ launch: Launch) async throws -> AttemptOutcome {
        await executor.launch(launch, values: LaunchValues())
        guard case .finished(_, let outcome)? = await reports(executor, until: launch.key).last else {
            throw Unfinished()
        }
        return outcome
    }

    package struct Unfinished: Error {}

    // MARK: Checks

    package func startsThenFinishes() async throws {
        let executor = try await make()
        let launch = Self.launch("a", ["echo", "hello"])
        await executor.launch(launch, values: LaunchValues())
        let reports = await Self.reports(executor, until: launch.key)
        let kinds = reports.map { report in
            switch report {
            case .started: "started"
            case .finished: "finished"
            default: "other"
            }
        }
        #expect(kinds == ["started", "finished"])
        guard case .finished(_, let outcome)? = reports.last else { return }
        #expect(outcome.phase == .succeeded)
        #expect(outcome.outputs.result == "hello")
        #expect(outcome.outputs.exitCode == "0")
        await executor.shutDown()
    }

    package func tellsHowItFailed() async throws {
        let executor = try await make()
        let outcome = try await Self.outcome(executor, Self.launch("a", ["sh", "-c", "exit 3"]))
        #expect(outcome.phase == .failed)
        #expect(outcome.message == "main: Error (exit code 3)")
        #expect(outcome.exitCode == 3)
        #expect(outcome.outputs.exitCode == "3")
        await executor.shutDown()
    }

    /// The command's output differs each time it runs, so equal results show that it ran once.
    package func runsOnceForOneKey() async throws {
        let executor = try await make()
        let launch = Self.launch("a", ["cat", "/proc/sys/kernel/random/uuid"])
        let first = try await Self.outcome(executor, launch)
        let second = try await Self.outcome(executor, launch)
        #expect(first.outputs.result?.isEmpty == false)
        #expect(first == second)
        var again = launch
        again.key.attempt = 1
        let third = try await Self.outcome(executor, again)
        #expect(third.outputs.result != first.outputs.result)
        await executor.shutDown()
    }

    package func endsWhatIsCancelled() async throws {
        let executor = try await make()
        let launch = Self.launch("a", ["sleep", "100000"])
        await executor.launch(launch, values: LaunchValues())
        for await report in executor.reports {
            if case .started(launch.key, _, _) = report { break }
        }
        await executor.cancel(launch.key, immediately: false)
        guard case .finished(_, let outcome)? = await Self.reports(executor, until: launch.key).last else {
            throw Unfinished()
        }
        #expect(outcome.phase == .failed)
        #expect(outcome.message == "terminated")
        await executor.shutDown()
    }

    package func leavesUnknownWorkAlone() async throws {
        let executor = try await make()
        await executor.cancel(AttemptKey(workflowUID: "uid", nodeID: "never", attempt: 0), immediately: true)
        let launch = Self.launch("a", ["true"])
        await executor.launch(launch, values: LaunchValues())
        let reports = await Self.reports(executor, until: launch.key)
        #expect(reports.allSatisfy { $0.key == launch.key })
        await executor.shutDown()
    }

    /// - Parameters:
    ///   - template: of a step that runs until `release` and then writes a text that no other run writes.
    package func findsWorkOfTheFormerProcess(template: JSONValue, release: () throws -> Void) async throws {
        let former = try await make()
        let launch = Self.launch("a", template: template)
        await former.launch(launch, values: LaunchValues())
        for await report in former.reports {
            if case .started(launch.key, _, _) = report { break }
        }
        await former.shutDown()
        let later = try await make()
        await later.launch(launch, values: LaunchValues())
        for await report in later.reports {
            if case .started(launch.key, _, _) = report { break }
        }
        try release()
        guard case .finished(_, let outcome)? = await Self.reports(later, until: launch.key).last else {
            throw Unfinished()
        }
        #expect(outcome.phase == .succeeded)
        #expect(outcome.outputs.result == "1 run")
        await later.shutDown()
    }
}
