// What people ask of a run on its way: suspend, resume, node set, stop, terminate; deadlines and timeouts.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Control")
struct ControlTests {
    private static let gate = """
        entrypoint: main
        templates:
        - name: main
          steps:
          - - {name: one, template: gate, arguments: {parameters: [{name: tag, value: first}]}}
            - {name: two, template: gate, arguments: {parameters: [{name: tag, value: second}]}}
          - [{name: after, template: leaf}]
        - {name: gate, inputs: {parameters: [{name: tag}]}, suspend: {}}
        - {name: leaf, container: {image: i}}
        """

    @Test(
        "A suspend node waits for a person; resume goes on, with a selector only where it matches",
        arguments: [
            (nil, [Phase.succeeded, .succeeded], Phase.succeeded),
            ("displayName=one", [.succeeded, .running], .running),
            ("inputs.parameters.tag.value=second", [.running, .succeeded], .running),
            ("templateName=gate,displayName!=one", [.running, .succeeded], .running),
            ("displayName=other", [.running, .running], .running),
        ] as [(String?, [Phase], Phase)])
    func resume(_ selector: String?, _ phases: [Phase], _ phase: Phase) throws {
        let world = try InMemoryRun.run(
            Self.gate, commands: [(.resume(selector: selector.flatMap(NodeSelector.init)), .seconds(9))])
        #expect([world.phases["[0].one"], world.phases["[0].two"]] == phases)
        #expect(world.phase == phase)
        #expect(world.state?.waitsForPerson == (phase == .running))
    }

    @Test("Stop with a selector fails single suspend nodes, node set gives them a phase and a message")
    func single() throws {
        let world = try InMemoryRun.run(
            Self.gate,
            commands: [
                (.stop(message: "denied", selector: NodeSelector("displayName=one")), .seconds(3)),
                (
                    .set(
                        selector: NodeSelector("displayName=two"), phase: .succeeded, message: nil,
                        outputs: [:]), .seconds(4)
                ),
            ])
        #expect(try world.node("[0].one").phase == .failed)
        #expect(try world.node("[0].one").message == "denied")
        #expect(try world.node("[0].two").phase == .succeeded)
        #expect(world.phase == .failed)
    }

    @Test(
        "A phase that a suspend node cannot have is not taken",
        arguments: [Phase.omitted, .pending, .running])
    func impossiblePhase(_ phase: Phase) throws {
        let world = try InMemoryRun.run(
            Self.gate,
            commands: [(.set(selector: nil, phase: phase, message: "m", outputs: [:]), .seconds(3))])
        #expect(world.phases["[0].one"] == .running)
        #expect(try world.node("[0].one").message == "m")
    }

    private static func supplied(_ outputs: String, _ suspend: String = "{}") -> String {
        """
        entrypoint: main
        templates:
        - name: main
          steps:
          - [{name: ask, template: ask}]
          - - name: use
              template: leaf
              arguments: {parameters: [{name: x, value: "{{steps.ask.outputs.parameters.answer}}"}]}
        - {name: ask, suspend: \(suspend), outputs: {parameters: [\(outputs)]}}
        - {name: leaf, inputs: {parameters: [{name: x}]}, container: {image: i}}
        """
    }

    @Test("Supplied outputs come from node set, else from the default, else resuming ends in Error")
    func supply() throws {
        let plain = "{name: answer, valueFrom: {supplied: {}}}"
        let resume = (Command.resume(selector: nil), Duration.seconds(9))
        let set = Command.set(selector: nil, phase: nil, message: "ok", outputs: ["answer": "yes"])
        let answered = try InMemoryRun.run(Self.supplied(plain), commands: [(set, .seconds(5)), resume])
        #expect(try answered.node("[1].use").inputs.parameter("x")?.value == "yes")
        #expect(answered.phase == .succeeded)
        let defaulted = try InMemoryRun.run(
            Self.supplied("{name: answer, valueFrom: {supplied: {}, default: maybe}}", "{duration: 5}"))
        #expect(try defaulted.node("[1].use").inputs.parameter("x")?.value == "maybe")
        let unanswered = try InMemoryRun.run(Self.supplied(plain), commands: [resume])
        #expect(try unanswered.node("[0].ask").phase == .error)
        #expect(
            try unanswered.node("[0].ask").message
                == "raw output parameter 'answer' has not been set and does not have a default value")
        #expect(unanswered.phase == .failed)
    }

    @Test("A duration ends a suspend node by itself", arguments: [("5", 5), ("2m", 120), ("1h30m", 5_400)])
    func duration(_ text: String, _ seconds: Int) throws {
        let world = try InMemoryRun.run(
            "entrypoint: w\ntemplates: [{name: w, suspend: {duration: '\(text)'}}]")
        #expect(world.elapsed == .seconds(seconds))
        #expect(world.phase == .succeeded)
    }

    @Test("A duration that is none ends the node in Error")
    func badDuration() throws {
        let world = try InMemoryRun.run("entrypoint: w\ntemplates: [{name: w, suspend: {duration: soon}}]")
        #expect(world.phase == .error)
    }

    private static let chain = """
        entrypoint: main
        templates:
        - name: main
          steps: [[{name: a, template: leaf}, {name: s, template: gate}], [{name: b, template: leaf}]]
        - {name: gate, suspend: {}}
        - {name: leaf, container: {image: i}}
        """

    @Test(
        "Stop and terminate cancel what runs and start nothing new",
        arguments: [
            (Command.stop(message: "", selector: nil), "Stopped with strategy 'Stop'"),
            (.stop(message: "enough", selector: nil), "enough"),
            (.terminate, "Stopped with strategy 'Terminate'"),
            (.interrupt(message: "interrupted"), "interrupted"),
        ])
    func stop(_ command: Command, _ message: String) throws {
        let world = try InMemoryRun.run(
            Self.chain, ["a": .succeeds().lasting(.seconds(500))], commands: [(command, .seconds(5))])
        #expect(world.phase == .failed)
        #expect(world.message == message)
        #expect(try world.node("[0].a").phase == .failed)
        #expect(try world.node("[0].s").message == message)
        #expect(world.phases["[1].b"] == nil)
        #expect(world.elapsed < .seconds(20))
        let key = try #require(world.executor.launches.first?.key)
        #expect(world.effects.contains(.cancel(key, immediately: false)))
    }

    @Test("A work that succeeds although it was canceled has failed all the same")
    func deaf() throws {
        var deaf = Behavior.succeeds().lasting(.seconds(500))
        deaf.canceled = .init(phase: .succeeded)
        let world = try InMemoryRun.run(
            Self.chain, ["a": deaf], commands: [(.stop(message: "", selector: nil), .seconds(5))])
        #expect(try world.node("[0].a").phase == .failed)
    }

    @Test("A run that was submitted with shutdown starts nothing")
    func shutdownInSpec() throws {
        let world = try InMemoryRun.run(
            "entrypoint: w\nshutdown: Stop\ntemplates: [{name: w, container: {image: i}}]")
        #expect(world.launched.isEmpty)
        #expect(world.phase == .failed)
        #expect(try world.node("").message == "workflow shutdown with strategy: Stop")
    }

    @Test(
        "A suspended run goes on with what runs and starts nothing; resume and stop both lead on",
        arguments: [
            (Command.resume(selector: nil), Phase.succeeded), (.stop(message: "", selector: nil), .failed),
        ])
    func suspended(_ command: Command, _ phase: Phase) throws {
        let spec = """
            entrypoint: main
            templates:
            - {name: main, steps: [[{name: a, template: leaf}], [{name: b, template: leaf}]]}
            - {name: leaf, container: {image: i}}
            """
        let waiting = try InMemoryRun.run(spec, commands: [(.suspend, .milliseconds(500))])
        #expect(waiting.phases["[0].a"] == .succeeded)
        #expect(waiting.phases["[1].b"] == nil)
        #expect(waiting.state?.waitsForPerson == true)
        #expect(waiting.phase == .running)
        let ended = try InMemoryRun.run(
            spec, commands: [(.suspend, .milliseconds(500)), (command, .seconds(9))])
        #expect(ended.phase == phase)
    }

    @Test("A run that was submitted suspended makes no node until it is resumed")
    func submittedSuspended() throws {
        let spec = "entrypoint: w\nsuspend: true\ntemplates: [{name: w, container: {image: i}}]"
        #expect(try InMemoryRun.run(spec).nodes.isEmpty)
        let world = try InMemoryRun.run(spec, commands: [(.resume(selector: nil), .seconds(5))])
        #expect(world.phase == .succeeded)
    }

    // MARK: Time

    @Test(
        "Deadlines and timeouts end a leaf as Failed",
        arguments: [
            ("activeDeadlineSeconds: 5", "Pod was active on the node longer than the specified deadline", 5),
            (
                "activeDeadlineSeconds: '{{workflow.parameters.s}}'",
                "Pod was active on the node longer than the specified deadline", 7
            ),
            ("timeout: 5s", "Step exceeded its deadline", 5),
            ("timeout: 1m", "Step exceeded its deadline", 60),
        ])
    func deadlines(_ field: String, _ message: String, _ seconds: Int) throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            arguments: {parameters: [{name: s, value: "7"}]}
            templates: [{name: main, \(field), container: {image: i}}]
            """, ["main": .succeeds().lasting(.seconds(500))])
        #expect(world.phase == .failed)
        #expect(try world.node("").message == message)
        #expect((Duration.seconds(seconds)...Duration.seconds(seconds + 2)).contains(world.elapsed))
    }

    @Test(
        "pendingTimeout counts only while the node is pending",
        arguments: [
            (Duration.seconds(60), Phase.failed), (.seconds(1), .succeeded),
        ])
    func pendingTimeout(_ delay: Duration, _ phase: Phase) throws {
        var behavior = Behavior.succeeds().lasting(.seconds(60))
        behavior.startDelay = delay
        let world = try InMemoryRun.run(
            "entrypoint: main\ntemplates: [{name: main, pendingTimeout: 5s, container: {image: i}}]",
            ["main": behavior])
        #expect(world.phase == phase)
    }

    @Test("The workflow's deadline fails what runs, and nothing starts after it")
    func workflowDeadline() throws {
        let world = try InMemoryRun.run(
            "activeDeadlineSeconds: 5\n" + Self.chain, ["a": .succeeds().lasting(.seconds(500))])
        #expect(world.phase == .failed)
        #expect(try world.node("[0].a").message == "Step exceeded its deadline")
        #expect(try world.node("[0].s").message == "Step exceeded its deadline")
        #expect(world.phases["[1].b"] == nil)
        #expect(world.elapsed < .seconds(10))
    }

    @Test("A report that comes twice, late or for an attempt of before changes nothing")
    func lateReports() throws {
        var world = InMemoryRun.world(try InMemoryRun.definition(Self.chain))
        world.resumes = false
        try world.run()
        var state = try #require(world.state)
        let nodes = state.nodes
        let key = try #require(world.executor.launches.first?.key)
        let old = AttemptKey(workflowUID: "uid", nodeID: key.nodeID, attempt: 7)
        for report: ExecutorReport in [
            .started(key, host: "other", at: world.clock), .finished(key, .init(phase: .failed)),
            .waiting(key, message: "m"),
            .progress(old, "5/6"), .finished(old, .init(phase: .error)), .ready(key, address: "a"),
        ] {
            #expect(state.handle(.report(report), at: world.clock).isEmpty)
        }
        #expect(state.nodes == nodes)
    }
}
