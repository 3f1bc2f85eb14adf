// Each clause of a retry strategy, in the order in which Argo looks at them.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Retries")
struct RetryTests {
    private static func spec(_ strategy: String, _ more: String = "") -> String {
        """
        entrypoint: main
        \(more)
        templates:
        - name: main
          retryStrategy: \(strategy)
          container:
            image: i
            args: ["{{retries}} {{lastRetry.exitCode}} {{lastRetry.status}} {{lastRetry.message}}"]
        """
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var strategy: String
        var attempts: [Behavior]
        var phase: Phase
        var message: String
        var count: Int
        var testDescription: String { strategy }
    }

    private static let code1 = "main: Error (exit code 1)"

    @Test(
        "Whether another attempt follows is decided clause by clause",
        arguments: [
            Row(strategy: "{limit: 2}", attempts: [.succeeds()], phase: .succeeded, message: "", count: 1),
            Row(
                strategy: "{limit: 2}", attempts: [.fails(), .succeeds()], phase: .succeeded, message: "",
                count: 2),
            Row(
                strategy: "{limit: 2}", attempts: [.fails(), .fails(), .fails()], phase: .failed,
                message: "No more retries left", count: 3),
            Row(
                strategy: "{limit: 0}", attempts: [.fails()], phase: .failed, message: "No more retries left",
                count: 1),
            Row(
                strategy: "{limit: \"1\"}", attempts: [.fails(), .fails()], phase: .failed,
                message: "No more retries left", count: 2),
            Row(
                strategy: "{}", attempts: Array(repeating: .fails(), count: 9) + [.succeeds()],
                phase: .succeeded,
                message: "", count: 10),
            Row(strategy: "{limit: 3}", attempts: [.errs("no")], phase: .error, message: "no", count: 1),
            Row(
                strategy: "{limit: 3, retryPolicy: OnFailure}", attempts: [.errs("no")], phase: .error,
                message: "no",
                count: 1),
            Row(
                strategy: "{limit: 3, retryPolicy: OnError}", attempts: [.fails()], phase: .failed,
                message: code1,
                count: 1),
            Row(
                strategy: "{limit: 3, retryPolicy: OnError}", attempts: [.errs(), .succeeds()],
                phase: .succeeded,
                message: "", count: 2),
            Row(
                strategy: "{limit: 1, retryPolicy: Always}", attempts: [.errs(), .fails()], phase: .failed,
                message: "No more retries left", count: 2),
            Row(
                strategy: "{limit: 3, retryPolicy: OnTransientError}",
                attempts: [.errs("i/o timeout"), .fails()],
                phase: .failed, message: code1, count: 2),
            // An expression alone means the policy Always.
            Row(
                strategy: "{limit: 3, expression: 'lastRetry.status == \"Error\"'}",
                attempts: [.errs(), .fails()],
                phase: .failed, message: "retryStrategy.expression evaluated to false", count: 2),
            Row(
                strategy: "{limit: 3, expression: 'asInt(lastRetry.exitCode) == 2'}",
                attempts: [.fails(2), .fails(3)],
                phase: .failed, message: "retryStrategy.expression evaluated to false", count: 2),
            Row(
                strategy: "{limit: 3, expression: 'lastRetry.exitCode == \"-1\"'}",
                attempts: [.errs(), .succeeds()],
                phase: .succeeded, message: "", count: 2),
            // The limit is looked at before the expression, the policy before the limit.
            Row(
                strategy: "{limit: 0, expression: 'false'}", attempts: [.fails()], phase: .failed,
                message: "No more retries left", count: 1),
            Row(
                strategy: "{limit: 0, retryPolicy: OnError}", attempts: [.fails()], phase: .failed,
                message: code1,
                count: 1),
            Row(
                strategy: "{limit: x}", attempts: [.fails()], phase: .error,
                message: "retryStrategy.limit \"x\" is not a whole number", count: 1),
            Row(
                strategy: "{limit: 2, backoff: {factor: 2}}", attempts: [.fails()], phase: .error,
                message: "no base duration specified for retryStrategy", count: 1),
        ])
    func clauses(_ row: Row) throws {
        var table: [String: Behavior] = [:]
        for (index, behavior) in row.attempts.enumerated() { table["(\(index))"] = behavior }
        let world = try InMemoryRun.run(Self.spec(row.strategy), table)
        let node = try world.node("")
        #expect(node.type == .retry)
        #expect(node.phase == row.phase)
        #expect(node.message == row.message)
        #expect(world.phase == row.phase)
        #expect(world.names == [""] + (0..<row.count).map { "(\($0))" })
        #expect(world.nodes.dropFirst().allSatisfy { $0.isRetryAttempt && $0.parents == ["w"] })
    }

    @Test(
        "The wait before an attempt grows by the factor up to the cap",
        arguments: [
            ("{duration: 10}", [10, 10, 10]), ("{duration: 10s, factor: 2}", [10, 20, 40]),
            ("{duration: 1m, factor: 3, cap: 2m}", [60, 120, 120]),
            ("{duration: 10s, factor: 0}", [10, 10, 10]),
            ("{duration: 10s, factor: -1}", [10, 10, 10]),
        ])
    func backoff(_ backoff: String, _ waits: [Int]) throws {
        let world = try InMemoryRun.run(Self.spec("{limit: 3, backoff: \(backoff)}"), ["main": .fails()])
        let attempts = world.nodes.filter(\.isRetryAttempt)
        let seen = zip(attempts, attempts.dropFirst()).compactMap { before, after in
            before.finishedAt.flatMap { end in after.startedAt.map { Int(($0 - end).inSeconds) } }
        }
        #expect(seen == waits)
    }

    @Test("Without a limit the wait is not applied, as in Argo")
    func noWaitWithoutLimit() throws {
        let world = try InMemoryRun.run(
            Self.spec("{backoff: {duration: 1h}}"), ["(0)": .fails(), "(1)": .fails()])
        #expect(world.phase == .succeeded)
        #expect(world.elapsed < .seconds(60))
    }

    @Test(
        "maxDuration ends the retries, and the last attempt too",
        arguments: [
            (
                "{duration: 10, maxDuration: 25}", Duration.seconds(1),
                "Backoff would exceed max duration limit", 3
            ),
            ("{duration: 1, maxDuration: 5}", .seconds(9), "Max duration limit exceeded", 1),
        ])
    func maxDuration(_ backoff: String, _ time: Duration, _ message: String, _ count: Int) throws {
        let world = try InMemoryRun.run(
            Self.spec("{limit: 9, backoff: \(backoff)}"), ["main": .fails().lasting(time)])
        #expect(try world.node("").message == message)
        #expect(world.launched.count == count)
        let deadlines = world.executor.launches.compactMap(\.deadlineSeconds)
        // The first attempt knows no limit; each later one has the rest of the time.
        #expect(deadlines.count == count - 1)
        #expect(deadlines.allSatisfy { $0 < 25 })
    }

    @Test("An attempt sees how the one before it went")
    func lastRetry() throws {
        let world = try InMemoryRun.run(
            Self.spec("{limit: 2, retryPolicy: Always}"), ["(0)": .fails(3), "(1)": .errs("no artifact")])
        let texts = world.executor.launches.map {
            $0.template.raw["container"]?["args"]?.arrayValue?.first?.stringValue
        }
        #expect(texts == ["0 0  ", "1 3 Failed main: Error (exit code 3)", "2 -1 Error no artifact"])
        #expect(world.executor.launches.map(\.retryOrdinal) == [0, 1, 2])
        #expect(world.executor.launches.allSatisfy { $0.checkpointNodeID == "w" })
    }

    @Test("A lost launch does not use up an attempt")
    func lost() throws {
        let definition = try InMemoryRun.definition(Self.spec("{limit: 1}"))
        var world = World(definition) { launch in
            launch.key.attempt < 3 ? Behavior(end: .lost) : launch.nodeName == "w(0)" ? .fails() : .succeeds()
        }
        try world.run()
        #expect(world.phase == .succeeded)
        #expect(world.names == ["", "(0)", "(1)"])
        #expect(world.executor.launches.map(\.key.attempt) == [0, 1, 2, 3, 0, 1, 2, 3])
    }

    @Test("Launches that are lost again and again end in Error")
    func lostForEver() throws {
        var world = World(
            try InMemoryRun.definition("entrypoint: a\ntemplates: [{name: a, container: {image: i}}]")
        ) { _ in
            Behavior(end: .lost)
        }
        try world.run()
        #expect(world.phase == .error)
        #expect(world.executor.launches.count == 21)
        let message = world.state?.nodes.values.first?.message ?? ""
        #expect(message.contains("lost 21 times, at last because lost"), "\(message)")
    }

    @Test("The first launch after a loss is at once, the others wait ever longer, up to a minute")
    func relaunchPauses() {
        let pauses = (0..<10).map { WorkflowState.relaunchPause($0) }
        #expect(pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60].map { Duration.seconds($0) })
        #expect(WorkflowState.relaunchPause(.max) == .seconds(60))
    }

    @Test("The workflow's strategy holds for every template without its own, so that retries multiply")
    func multiply() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            retryStrategy: {limit: 1}
            templates:
            - name: main
              steps: [[{name: a, template: leaf}]]
            - name: leaf
              container: {image: i}
            """, ["leaf": .fails()])
        #expect(world.launched == ["(0)[0].a(0)", "(0)[0].a(1)", "(1)[0].a(0)", "(1)[0].a(1)"])
        #expect(world.phase == .failed)
        #expect(try world.node("").message == "No more retries left")
    }

    @Test(
        "A stop or the deadline ends the retries with the phase of the attempt",
        arguments: [
            (Command.stop(message: "", selector: nil), "Stopped with strategy 'Stop'"),
            (.terminate, "Stopped with strategy 'Terminate'"),
        ])
    func stopped(_ command: Command, _ message: String) throws {
        let world = try InMemoryRun.run(
            Self.spec("{limit: 5, backoff: {duration: 1h}}"), ["main": .fails()],
            commands: [(command, .seconds(30))])
        #expect(try world.node("").message == message)
        #expect(try world.node("").phase == .failed)
        #expect(world.phase == .failed)
        #expect(world.message == message)
    }

    @Test("The workflow's deadline ends the retries")
    func deadline() throws {
        let world = try InMemoryRun.run(
            Self.spec("{limit: 5, backoff: {duration: 1h}}", "activeDeadlineSeconds: 30"), ["main": .fails()])
        #expect(try world.node("").message == "retry exceeded workflow deadline 2023-11-14T22:13:50Z")
        #expect(world.phase == .failed)
    }
}
