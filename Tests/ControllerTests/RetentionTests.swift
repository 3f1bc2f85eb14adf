// Retention: what goes, what stays, and what a cut-off deletion leaves behind.

import Artifacts
import Executors
import Foundation
import Persistence
import Scheduling
import Synchronization
import TestSupport
import Testing
import Text
import WorkflowLanguage

@testable import Controller

/// A data directory with a store, an artifact store and a clock.
private final class Fixture: Sendable {
    let directory = NSTemporaryDirectory() + "martlet-retention-" + UUID().uuidString
    let store: Store
    let artifacts: LocalArtifactStore
    let clock = Mutex(Timestamp(seconds: 1_000_000))

    init() throws {
        store = try Store.open(dataDirectory: directory)
        artifacts = try LocalArtifactStore(directory: directory + "/artifacts", isDurable: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func runner(
        _ rules: [RetentionRule] = [], keepsArtifacts: Bool = false,
        now: (@Sendable () -> Timestamp)? = nil,
        onDeleted: @escaping @Sendable (DeletedRun) -> Void = { _ in }
    ) -> RetentionRunner {
        RetentionRunner(
            store: store, artifacts: artifacts, dataDirectory: directory,
            policy: RetentionPolicy(rules: rules, keepsArtifacts: keepsArtifacts),
            now: now ?? { [self] in clock.withLock { $0 } }, onDeleted: onDeleted)
    }

    /// A run of the current moment, with a directory of its own.
    func add(
        _ name: String, namespace: String = "ml", phase: String = "Succeeded", created: Int = 0,
        finished: Int? = 10, spec: [String: JSONValue] = [:], nodes: [Node] = []
    ) async throws {
        let uid = "\(namespace)-\(name)"
        let members: [String: JSONValue] = [
            "uid": .string(uid), "name": .string(name), "namespace": .string(namespace), "createdAt": .int(0),
            "seed": "1", "manifest": .object([:]), "spec": .object(spec),
        ]
        try await store.insertWorkflow(
            WorkflowRow(
                summary: WorkflowSummary(
                    uid: uid, namespace: namespace, name: name, phase: "Running",
                    createdAt: Timestamp(seconds: created)), manifest: .object(members)))
        try await store.apply([
            WorkflowChange(
                uid: uid,
                header: HeaderUpdate(phase: phase, finishedAt: finished.map { Timestamp(seconds: $0) }),
                nodes: nodes)
        ])
        let runDirectory = AttemptPaths.workflow(directory, uid: uid)
        try FileManager.default.createDirectory(
            atPath: runDirectory + "/node/0", withIntermediateDirectories: true)
        try Data("line\n".utf8).write(to: URL(fileURLWithPath: runDirectory + "/node/0/log"))
    }

    func names() async throws -> [String] {
        try await store.workflows(WorkflowQuery(limit: 1_000)).workflows.map(\.name).sorted()
    }

    var runDirectories: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: directory + "/runs"))?.count ?? 0
    }
}

@Suite("Retention policy") struct RetentionPolicyTests {
    @Test(
        "A rule is read as it is written",
        arguments: [
            ("age=30d", RetentionRule(age: .seconds(2_592_000))),
            ("count=0", RetentionRule(count: 0)),
            (
                "namespace=ml,phase=Failed,age=12h,count=1000",
                RetentionRule(namespace: "ml", phase: "Failed", age: .seconds(43_200), count: 1000)
            ),
            ("age=90m", RetentionRule(age: .seconds(5_400))),
            ("age=2w", RetentionRule(age: .seconds(1_209_600))),
        ])
    func parsing(text: String, rule: RetentionRule) throws {
        #expect(try RetentionRule(parsing: text) == rule)
    }

    @Test(
        "What is no rule is refused with the part that is wrong",
        arguments: [
            ("", "neither"), ("namespace=ml", "neither"), ("age=30", "30"), ("age=-1d", "-1d"),
            ("age=0d", "0d"),
            ("age=99999999999999999999d", "99999999999999999999d"), ("count=-1", "-1"),
            ("phase=Running", "Running"),
            ("ages=3d", "ages"), ("30d", "30d"), ("age=900000000w", "900000000w"),
        ])
    func malformed(text: String, part: String) {
        var message = ""
        do {
            _ = try RetentionRule(parsing: text)
        } catch {
            message = error.message
        }
        #expect(message.contains(part) && message.contains("write for instance"))
    }

    @Test("The most exact rule counts, for age and number apart") func exactness() {
        let policy = RetentionPolicy(rules: [
            RetentionRule(namespace: "ml", phase: "Failed", age: .seconds(1)),
            RetentionRule(namespace: "ml", age: .seconds(2), count: 20),
            RetentionRule(phase: "Failed", count: 30),
            RetentionRule(age: .seconds(4), count: 40), RetentionRule(age: .seconds(5)),
        ])
        let cases: [(namespace: String, phase: String, seconds: Int64, count: Int)] = [
            ("ml", "Failed", 1, 20), ("ml", "Error", 2, 20), ("dev", "Failed", 5, 30),
            ("dev", "Error", 5, 40),
        ]
        for wanted in cases {
            let limits = policy.limits(namespace: wanted.namespace, phase: wanted.phase)
            #expect(limits.age == Duration.seconds(wanted.seconds), "\(wanted)")
            #expect(limits.count == wanted.count, "\(wanted)")
        }
        #expect(RetentionPolicy().limits(namespace: "dev", phase: "Error").age == nil)
        #expect(RetentionPolicy().limits(namespace: "dev", phase: "Error").count == nil)
    }

    @Test(
        "A run's own wish says when it may go",
        arguments: [
            (["secondsAfterCompletion": 10], "Succeeded", 110),
            (["secondsAfterCompletion": 10], "Error", 110),
            (["secondsAfterCompletion": 10, "secondsAfterSuccess": 5], "Succeeded", 105),
            (["secondsAfterCompletion": 10, "secondsAfterSuccess": 5], "Failed", 110),
            (["secondsAfterFailure": 7], "Error", 107), (["secondsAfterFailure": 7], "Succeeded", nil),
            (["secondsAfterSuccess": 0], "Succeeded", 100), (["secondsAfterSuccess": -1], "Succeeded", nil),
        ] as [([String: JSONValue], String, Int?)])
    func timeToLive(strategy: [String: JSONValue], phase: String, expected: Int?) {
        let manifest = JSONValue.object(["spec": .object(["ttlStrategy": .object(strategy)])])
        let lifetime = TimeToLive(manifest: manifest)
        #expect(lifetime?.expiry(phase: phase, finishedAt: Timestamp(seconds: 100))?.seconds == expected)
    }
}

@Suite("Retention") struct RetentionTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    @Test("What stays is what a plain look at the rules leaves", arguments: [1, 2, 3]) func rules(
        seed: UInt64
    )
        async throws
    {
        var chance = SeededGenerator(seed: seed)
        struct Run {
            var name: String
            var namespace: String
            var phase: String
            var created: Int
            var finished: Int?
        }
        let rules = [
            RetentionRule(namespace: "ml", phase: "Failed", age: .seconds(1_000)), RetentionRule(count: 7),
            RetentionRule(namespace: "dev", age: .seconds(400)), RetentionRule(namespace: "all", count: 0),
        ]
        var runs: [Run] = []
        for number in 0..<90 {
            let phase = ["Succeeded", "Failed", "Error", "Running"].randomElement(using: &chance) ?? ""
            let created = 998_000 + Int.random(in: 0..<40, using: &chance) * 50
            let run = Run(
                name: "r\(number)", namespace: ["ml", "dev", "all"].randomElement(using: &chance) ?? "",
                phase: phase, created: created,
                finished: phase == "Running"
                    ? nil : min(created + Int.random(in: 0..<500, using: &chance), 999_999))
            runs.append(run)
            try await fixture.add(
                run.name, namespace: run.namespace, phase: run.phase, created: run.created,
                finished: run.finished)
        }
        let policy = RetentionPolicy(rules: rules)
        let kept = runs.enumerated().filter { index, run in
            guard let finished = run.finished else { return true }
            let limits = policy.limits(namespace: run.namespace, phase: run.phase)
            if let age = limits.age,
                Timestamp(seconds: finished) < Timestamp(seconds: 1_000_000) + (Duration.zero - age)
            {
                return false
            }
            let newer = runs.enumerated().filter { other, candidate in
                candidate.namespace == run.namespace && candidate.phase == run.phase
                    && (candidate.created, other) > (run.created, index)
            }.count
            return limits.count.map { newer < $0 } ?? true
        }.map(\.element.name)
        let report = try await fixture.runner(rules).pass()
        #expect(report.failures == [:])
        #expect(report.deleted == runs.count - kept.count)
        #expect(report.deleted > 20 && kept.count > 20)
        #expect(try await fixture.names() == kept.sorted())
        #expect(fixture.runDirectories == kept.count)
        try await fixture.store.verify()
    }

    @Test("A run goes when its own time is up, not before, and not after it was retried") func ownTime()
        async throws
    {
        let spec: [String: JSONValue] = ["ttlStrategy": .object(["secondsAfterCompletion": 100])]
        for name in ["a", "b"] { try await fixture.add(name, finished: 999_950, spec: spec) }
        try await fixture.add("forever", finished: 10)
        #expect(try await fixture.runner().pass().deleted == 0)
        try await fixture.store.apply([WorkflowChange(uid: "ml-b", header: HeaderUpdate(phase: "Running"))])
        fixture.clock.withLock { $0 = Timestamp(seconds: 1_000_050) }
        #expect(try await fixture.runner().pass().deleted == 1)
        #expect(try await fixture.names() == ["b", "forever"])
    }

    @Test("Whoever keeps things for runs elsewhere is told when the rows are gone, of those only") func told()
        async throws
    {
        try await fixture.add("a")
        try await fixture.add("b", namespace: "lab")
        try await fixture.add("young", finished: 999_999)
        let told = Mutex<[DeletedRun]>([])
        let rules = [RetentionRule(age: .seconds(60))]
        _ = try await fixture.runner(rules, onDeleted: { run in told.withLock { $0.append(run) } }).pass()
        #expect(
            Set(told.withLock { $0 }) == [
                DeletedRun(workflowUID: "ml-a", workflowName: "a", namespace: "ml"),
                DeletedRun(workflowUID: "lab-b", workflowName: "b", namespace: "lab"),
            ])
        _ = try await fixture.runner(rules, onDeleted: { _ in Issue.record("told twice") }).pass()
    }

    @Test("What was left elsewhere is looked for until it has been everywhere, then once a day")
    func forgotten()
        async throws
    {
        struct Away: Error {}
        let pauses = Mutex<[Duration]>([])
        let looks = Mutex(0)
        let notes = Mutex<[String]>([])
        let runner = ForgottenRuns(
            clear: {
                let look = looks.withLock { count in
                    count += 1
                    return count
                }
                if look <= 9 { throw Away() }
                return look == 10 ? 3 : 0
            },
            sleep: { pause in
                let count = pauses.withLock { pauses in
                    pauses.append(pause)
                    return pauses.count
                }
                if count == 11 { throw CancellationError() }
            },
            note: { result in
                notes.withLock { $0.append((try? result.get()).map { "\($0)" } ?? "away") }
            })
        await #expect(throws: CancellationError.self) { try await runner.run() }
        let seconds = pauses.withLock { $0.map { Int($0.components.seconds) } }
        #expect(seconds == [5, 10, 20, 40, 80, 160, 300, 300, 300, 86_400, 86_400])
        #expect(notes.withLock { $0 } == Array(repeating: "away", count: 9) + ["3"])
    }

    @Test("A run that somebody drives stays, is named, and goes later; the others go now") func driven()
        async throws
    {
        for name in ["a", "b", "c"] { try await fixture.add(name) }
        let rules = [RetentionRule(age: .seconds(60))]
        let lock = try DriverLock.take(runDirectory: AttemptPaths.workflow(fixture.directory, uid: "ml-b"))
        #expect(lock != nil)
        let report = try await fixture.runner(rules).pass()
        withExtendedLifetime(lock) {}
        #expect(report.deleted == 2)
        #expect(report.failures.keys.sorted() == ["ml-b"])
        #expect(try await fixture.names() == ["b"])
    }

    private func publish(_ key: String) throws {
        let tree = try fixture.artifacts.save(bytes: Array(key.utf8))
        try fixture.artifacts.publish(key: key, namespace: "ml", tree: tree)
    }

    private func node(_ name: String, _ artifacts: [(key: String, strategy: String?)]) -> Node {
        var node = Node(id: "id-" + name, name: name, displayName: name, type: .pod, phase: .succeeded)
        node.outputs.artifacts = artifacts.enumerated().map { index, artifact in
            var members: [String: JSONValue] = [
                "name": .string("a\(index)"), "s3": .object(["key": .string(artifact.key)]),
            ]
            if let strategy = artifact.strategy {
                members["artifactGC"] = .object(["strategy": .string(strategy)])
            }
            return Artifact(.object(members))
        }
        return node
    }

    @Test("A run's own artifacts go with it; named, kept and cached ones stay", arguments: [false, true])
    func artifacts(keepsArtifacts: Bool) async throws {
        let keys = ["w/one/out", "models/final", "w/one/kept", "data/doomed", "w/two/out"]
        for key in keys { try publish(key) }
        try await fixture.add(
            "w",
            nodes: [
                node(
                    "one",
                    [
                        (keys[0], nil), (keys[1], nil), (keys[2], "Never"), (keys[3], "OnWorkflowDeletion"),
                    ]), node("two", [(keys[4], nil)]), node("three", []),
            ])
        try await fixture.store.saveCacheEntry(
            CacheEntry(
                key: "k", nodeID: "id-two", outputs: .object([:]), createdAt: Timestamp(seconds: 1),
                lastHitAt: Timestamp(seconds: 1)), namespace: "ml", cache: "c")
        let report = try await fixture.runner(
            [RetentionRule(age: .seconds(60))], keepsArtifacts: keepsArtifacts
        )
        .pass()
        #expect(report.deleted == 1)
        #expect(report.artifacts == (keepsArtifacts ? 1 : 2))
        let left = try keys.filter { try fixture.artifacts.resolve(key: $0, namespace: "ml") != nil }
        #expect(
            left == (keepsArtifacts ? [keys[0], keys[1], keys[2], keys[4]] : [keys[1], keys[2], keys[4]]))
    }

    @Test(
        "Cut off at any step, the next pass finishes, also without the rules that began it",
        .timeLimit(.minutes(30)))
    func cutOff() async throws {
        let rules = [RetentionRule(age: .seconds(60))]
        var cuts = 0
        for cut in 1..<40 {
            let fixture = try Fixture()
            for number in 0..<4 {
                try await fixture.add("r\(number)", nodes: [node("n", [("r\(number)/n/a", nil)])])
            }
            let calls = Mutex(0)
            let runner = fixture.runner(rules) {
                let isLast = calls.withLock { count in
                    count += 1
                    return count == cut
                }
                if isLast { withUnsafeCurrentTask { $0?.cancel() } }
                return Timestamp(seconds: 1_000_000)
            }
            let outcome = await withTaskGroup(of: Bool.self) { group in
                group.addTask { (try? await runner.pass()) != nil }
                return await group.next() ?? false
            }
            if !outcome { cuts += 1 }
            // What is listed is whole.
            for name in try await fixture.names() {
                let run = try #require(try await fixture.store.loadRun("ml-" + name))
                #expect(run.nodes.count == 1)
            }
            let wasMarked = try await fixture.store.expiry("ml-r3") != nil
            let second = fixture.runner(wasMarked ? [] : rules)
            _ = try await second.pass()
            #expect(try await fixture.names() == [])
            #expect(fixture.runDirectories == 0)
            try await fixture.store.verify()
            try fixture.store.close()
            if outcome { break }
        }
        // The test would prove nothing if no cut hit.
        #expect(cuts >= 5)
    }

    @Test("A large run goes in slices, between which others write") func slices() async throws {
        let nodes = (0..<3_000).map { number in
            Node(id: "n\(number)", name: "n\(number)", displayName: "n", type: .pod, phase: .succeeded)
        }
        try await fixture.add("large", nodes: nodes)
        try await fixture.add("other", finished: nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let store = fixture.store
            group.addTask { try await store.deleteWorkflow("ml-large") }
            group.addTask {
                for number in 0..<20 {
                    try await store.apply([WorkflowChange(uid: "ml-other", progress: "\(number)/20")])
                }
            }
            try await group.waitForAll()
        }
        #expect(try await fixture.names() == ["other"])
        #expect(try await fixture.store.workflow(uid: "ml-other")?.progress == "19/20")
        try await fixture.store.verify()
    }

    @Test("It passes again and again, notes what failed, and ends when it is told to") func running()
        async throws
    {
        try await fixture.add("a")
        let notes = Mutex<[Bool]>([])
        let sleeps = Mutex(0)
        let store = fixture.store
        let runner = RetentionRunner(
            store: store, artifacts: nil, dataDirectory: fixture.directory,
            policy: RetentionPolicy(rules: [RetentionRule(age: .seconds(60))]),
            now: { Timestamp(seconds: 1_000_000) },
            sleep: { _ in
                let count = sleeps.withLock { count in
                    count += 1
                    return count
                }
                if count == 2 { try store.close() }
                if count == 3 { throw CancellationError() }
            },
            note: { result in notes.withLock { $0.append((try? result.get()) != nil) } })
        await #expect(throws: CancellationError.self) { try await runner.run() }
        #expect(notes.withLock { $0 } == [true, false])
    }
}
