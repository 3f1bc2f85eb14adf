// Locks, limits of how much runs at once, memoization and daemons.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Locks, limits and caches")
struct LockTests {
    private static func three(_ leaf: String, _ main: String = "") -> String {
        """
        entrypoint: main
        templates:
        - name: main
          \(main)
          steps: [[{name: a, template: leaf}, {name: b, template: leaf}, {name: c, template: leaf}]]
        - {name: leaf, \(leaf) container: {image: i}}
        """
    }

    @Test(
        "Whoever holds a mutex or a place of a semaphore keeps it to its end",
        arguments: [
            ("synchronization: {mutexes: [{name: m}]},", 4),
            ("synchronization: {semaphores: [{configMapKeyRef: {name: c, key: large}}]},", 3),
            (
                "synchronization: {mutexes: [{name: m}], semaphores: [{database: {key: large}}]},",
                4
            ),
            ("synchronization: {mutexes: [{name: '{{node.name}}'}]},", 2),
        ])
    func locks(_ synchronization: String, _ rounds: Int) throws {
        let world = try InMemoryRun.run(Self.three(synchronization))
        #expect(world.phase == .succeeded)
        // Each leaf takes 1.1 seconds.
        #expect(Int(world.elapsed.inSeconds / 1.1 + 0.5) == rounds - 1)
        #expect(world.locks.isEmpty)
    }

    @Test("A node that waits for a lock is Pending and says for which")
    func waiting() throws {
        var world = InMemoryRun.world(
            try InMemoryRun.definition(Self.three("synchronization: {mutexes: [{name: m}]},")))
        for _ in 0..<6 { _ = try world.step() }
        let node = try world.node("[0].b")
        #expect(node.phase == .pending)
        #expect(node.message == "Waiting for default/Mutex/m lock. Lock status: 0/1")
        #expect(node.waitingLock == "default/Mutex/m")
        try world.run()
        #expect(try world.node("[0].b").waitingLock == nil)
        #expect(try world.node("[0].b").message == "")
    }

    @Test("A Retry node holds its lock across its attempts")
    func retryHoldsLock() throws {
        let world = try InMemoryRun.run(
            Self.three("retryStrategy: {limit: 1}, synchronization: {mutexes: [{name: m}]},"),
            ["a(0)": .fails()])
        #expect(world.launched == ["[0].a(0)", "[0].a(1)", "[0].b(0)", "[0].c(0)"])
    }

    @Test("The workflow's own lock keeps it Pending, and is given back at the end")
    func workflowLock() throws {
        let definition = try InMemoryRun.definition(
            """
            entrypoint: w
            synchronization: {mutexes: [{name: m}]}
            templates: [{name: w, container: {image: i}}]
            """
        )
        var state = WorkflowState(definition: definition, at: definition.createdAt)
        let asked = state.handle(.attached, at: definition.createdAt)
        #expect(asked.count == 1)
        #expect(state.phase == .pending)
        _ = state.handle(
            .locksWaiting("", lock: "default/Mutex/m", message: "Waiting"), at: definition.createdAt)
        #expect(state.message == "Waiting")
        let launched = state.handle(.locksAcquired(""), at: definition.createdAt)
        #expect(state.phase == .running)
        #expect(state.message == "")
        guard case .launch(let launch)? = launched.first else {
            Issue.record("nothing was launched")
            return
        }
        let ended = state.handle(
            .report(.finished(launch.key, .init(phase: .succeeded))), at: definition.createdAt)
        #expect(ended.contains(.releaseLocks("")))
        #expect(ended.last == .finished(.succeeded))
    }

    @Test("A semaphore without a size ends the node in Error")
    func refused() throws {
        let world = try InMemoryRun.run(
            Self.three("synchronization: {semaphores: [{configMapKeyRef: {name: c, key: missing}}]},"))
        #expect(try world.node("[0].a").phase == .error)
        #expect(try world.node("[0].a").message == "no key c/missing")
        #expect(world.phase == .failed)
    }

    // MARK: Limits

    @Test(
        "parallelism limits the pods of a workflow and the children of a template",
        arguments: [
            ("", "parallelism: 1", 3), ("", "parallelism: 2", 2), ("parallelism: 1", "", 3),
            ("parallelism: 2", "", 2),
            ("parallelism: 2", "parallelism: 1", 3), ("", "", 1),
        ])
    func parallelism(_ workflow: String, _ template: String, _ rounds: Int) throws {
        let world = try InMemoryRun.run(workflow + "\n" + Self.three("", template))
        #expect(world.phase == .succeeded)
        #expect(Int(world.elapsed.inSeconds / 1.1 + 0.5) == rounds)
    }

    @Test("With failFast nothing starts after a failure, and the template fails once the others have ended")
    func failFast() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - name: main
              failFast: true
              parallelism: 2
              dag: {tasks: [{name: a, template: leaf}, {name: b, template: leaf}, {name: c, template: leaf}]}
            - {name: leaf, container: {image: i}}
            """, ["a": .fails(), "b": .succeeds().lasting(.seconds(5))])
        #expect(world.phase == .failed)
        #expect(try world.node("").message == "template has failed or errored children and failFast enabled")
        #expect(try world.node(".b").phase == .succeeded)
        #expect(world.phases[".c"] == nil)
    }

    // MARK: Memoization

    private static let memoized = """
        entrypoint: main
        templates:
        - name: main
          steps:
          - [{name: a, template: leaf}]
          - [{name: b, template: leaf}]
          - [{name: c, template: leaf, arguments: {parameters: [{name: k, value: "not a key"}]}}]
        - name: leaf
          inputs: {parameters: [{name: k, default: key}]}
          memoize: {key: "{{inputs.parameters.k}}", maxAge: 10s, cache: {configMap: {name: c}}}
          container: {image: i}
          outputs: {parameters: [{name: p, valueFrom: {path: /p}}]}
        """

    @Test("What was done once is not done again; a key that is none ends the node in Error")
    func memoize() throws {
        let world = try InMemoryRun.run(Self.memoized, ["a": .gives("p", "dear")])
        #expect(world.launched == ["[0].a"])
        let (miss, hit) = (try world.node("[0].a"), try world.node("[1].b"))
        #expect(miss.memoization?.hit == false)
        #expect(hit.memoization?.hit == true)
        #expect(hit.memoization?.key == "key")
        #expect(hit.memoization?.cacheName == "c")
        #expect(hit.phase == .succeeded)
        #expect(hit.outputs.parameter("p")?.value == "dear")
        #expect(try world.node("[2].c").phase == .error)
        #expect(try world.node("[2].c").message.hasPrefix("invalid cache key"))
        let age = world.effects.compactMap { effect in
            if case .lookUpCache(_, _, _, let age) = effect { return age }
            return nil
        }
        #expect(age == [.seconds(10), .seconds(10)])
    }

    @Test("A failure is not remembered")
    func failureNotSaved() throws {
        let world = try InMemoryRun.run(Self.memoized, ["a": .fails()])
        #expect(world.cache.isEmpty)
    }

    @Test("The cache is asked after the lock was taken, so that the second of two finds what the first did")
    func lockThenCache() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - {name: main, steps: [[{name: a, template: leaf}, {name: b, template: leaf}]]}
            - name: leaf
              memoize: {key: key, cache: {configMap: {name: c}}}
              synchronization: {mutexes: [{name: m}]}
              container: {image: i}
            """)
        #expect(world.launched == ["[0].a"])
        #expect(try world.node("[0].b").memoization?.hit == true)
        #expect(world.phase == .succeeded)
    }

    @Test("A memoized template with steps has no children on a hit")
    func memoizedSteps() throws {
        let world = try InMemoryRun.run(
            """
            entrypoint: main
            templates:
            - {name: main, steps: [[{name: a, template: group}], [{name: b, template: group}]]}
            - name: group
              memoize: {key: key, cache: {configMap: {name: c}}}
              retryStrategy: {limit: 1}
              steps: [[{name: x, template: leaf}]]
            - {name: leaf, container: {image: i}}
            """)
        #expect(world.launched == ["[0].a(0)[0].x"])
        #expect(try world.node("[1].b").children.isEmpty)
        #expect(try world.node("[1].b").type == .steps)
    }

    // MARK: Daemons

    private static func daemon(_ fields: String) -> String {
        """
        entrypoint: main
        templates:
        - name: main
          steps:
          - [{name: server, template: server}]
          - - name: client
              template: leaf
              arguments: {parameters: [{name: x, value: "{{steps.server.ip}}"}]}
        - {name: server, daemon: true, \(fields) container: {image: i}}
        - {name: leaf, inputs: {parameters: [{name: x}]}, container: {image: i}}
        """
    }

    @Test(
        "Steps go on once a daemon is ready, and it ends with the steps around it",
        arguments: [
            ("", "[0].server"), ("retryStrategy: {limit: 1},", "[0].server(0)"),
        ])
    func daemons(_ fields: String, _ name: String) throws {
        let world = try InMemoryRun.run(Self.daemon(fields), ["server": .daemon("10.1.2.3")])
        #expect(world.phase == .succeeded)
        #expect(try world.node("[1].client").inputs.parameter("x")?.value == "10.1.2.3")
        #expect(try world.node(name).phase == .succeeded)
        #expect(world.nodes.allSatisfy { $0.phase == .succeeded })
        let key = try #require(world.executor.launches.first?.key)
        #expect(world.effects.contains(.cancel(key, immediately: false)))
    }

    @Test(
        "A daemon that ends before it is ready is a step like any other",
        arguments: [Behavior.fails(), .errs()])
    func daemonFails(_ behavior: Behavior) throws {
        let world = try InMemoryRun.run(Self.daemon(""), ["server": behavior])
        #expect(world.phase == .failed)
        #expect(world.phases["[1].client"] == nil)
    }

    @Test("A daemon as the whole workflow ends once it is ready")
    func onlyADaemon() throws {
        let world = try InMemoryRun.run(
            "entrypoint: s\ntemplates: [{name: s, daemon: true, container: {image: i}}]", ["s": .daemon()])
        #expect(world.phase == .succeeded)
    }
}
