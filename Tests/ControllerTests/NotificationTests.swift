// Who is told of ended runs: what is decided, what is retried, what goes over the line.

import Executors
import Foundation
import Glibc
import Persistence
import Scheduling
import Synchronization
import Testing
import Text
import WorkflowLanguage

@testable import Controller

/// Answers as it is told, and keeps what it was given.
private final class ScriptedDelivery: NotificationDelivery {
    private let state: Mutex<(outcomes: [NotificationOutcome], rows: [NotificationRow])>
    private let failing: JSONValue?
    private let failure: Mutex<NotificationOutcome?>

    init(_ outcomes: [NotificationOutcome]) {
        state = Mutex((outcomes, []))
        failing = nil
        failure = Mutex(nil)
    }

    /// One target fails, the others do not.
    init(failing: JSONValue, _ outcome: NotificationOutcome) {
        state = Mutex(([], []))
        self.failing = failing
        failure = Mutex(outcome)
    }

    func fail(with outcome: NotificationOutcome?) { failure.withLock { $0 = outcome } }

    var rows: [NotificationRow] { state.withLock { $0.rows } }

    func deliver(_ row: NotificationRow, at now: Timestamp) -> NotificationOutcome {
        state.withLock { state in
            state.rows.append(row)
            if row.target["to"] == failing, let outcome = failure.withLock({ $0 }) { return outcome }
            return state.outcomes.isEmpty ? .delivered : state.outcomes.removeFirst()
        }
    }
}

@Suite("Notifications")
struct NotificationTests {
    private static let start = Timestamp(seconds: 1_767_225_600)
    private let directory = NSTemporaryDirectory() + "martlet-notify-" + UUID().uuidString

    private static func settings(_ change: (inout NotificationSettings) -> Void) -> NotificationSettings {
        var settings = NotificationSettings()
        change(&settings)
        return settings
    }

    /// Runs a workflow of one step to its end, with observers, and gives its uid.
    private func run(_ store: Store, _ observers: ControllerObservers, annotations: [String: String] = [:])
        async throws -> String
    {
        var options = ControllerSettings()
        options.observers = observers
        let controller = WorkflowController(
            store: store, executor: NoOpExecutor(now: { Self.start }), artifacts: nil,
            dataDirectory: directory, settings: options, now: { Self.start })
        let manifest: JSONValue = [
            "metadata": [
                "name": "train", "annotations": .object(annotations.mapValues(JSONValue.string)),
            ],
            "spec": [
                "entrypoint": "main",
                "metrics": [
                    "prometheus": [
                        [
                            "name": "runs", "help": "runs", "counter": ["value": "1"],
                            "labels": [["key": "status", "value": "{{status}}"]],
                        ]
                    ]
                ],
                "templates": [
                    [
                        "name": "main", "container": ["image": "x", "command": ["true"]],
                        "metrics": [
                            "prometheus": [
                                [
                                    "name": "steps", "help": "steps", "when": "{{status}} == Succeeded",
                                    "gauge": ["value": "{{duration}}"],
                                ]
                            ]
                        ],
                    ]
                ],
            ],
        ]
        let definition = Submission.definition(
            of: manifest, catalog: TemplateCatalog(), options: SubmissionOptions(), at: Self.start)
        try await Submission.store(definition, in: store)
        let changes = controller.changes(of: definition.uid)
        controller.drive(definition.uid)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await controller.run() }
            group.addTask {
                for await _ in changes where await controller.isFinished(definition.uid) { break }
                controller.stop()
            }
            try await group.waitForAll()
        }
        return definition.uid
    }

    @Test("The end of a run is in the outbox with it, and a refused webhook is among its events")
    func outbox() async throws {
        let store = try Store.open(dataDirectory: directory)
        let metrics = ControllerMetrics()
        let custom = CustomMetrics()
        let settings = Self.settings {
            $0.webhook = "http://127.0.0.1:1/global"
            $0.allowedHosts = ["hooks.example.com"]
        }
        let observers = ControllerObservers(metrics: metrics, custom: custom, notifications: settings)
        let uid = try await run(
            store, observers,
            annotations: [
                NotificationPlan.webhookAnnotation: "https://hooks.example.com/a, https://evil.example.com/b"
            ])
        let rows = try await store.notifications(of: uid)
        #expect(rows.map { $0.target["to"]?["kind"]?.stringValue } == ["global-webhook", "webhook"])
        let body = try #require(rows.first?.target["body"])
        #expect(body["phase"] == "Succeeded")
        #expect(body["name"] == "train")
        #expect(body["id"] == .string("\(uid).\(Self.start.nanoseconds)"))
        let families = metrics.families(at: Self.start)
        func value(_ name: String, _ labels: [MetricFamily.Label]) -> MetricFamily.Value? {
            families.first { $0.name == name }?.series.first { $0.labels == labels }?.value
        }
        #expect(
            value("argo_workflows_total_count", [.init("namespace", "default"), .init("phase", "Succeeded")])
                == .number(1))
        #expect(value("martlet_notifications_total", [.init("result", "refused")]) == .number(1))
        #expect(value("martlet_launches_total", []) == .number(1))
        let emitted = custom.families(at: Self.start)
        #expect(
            emitted.first { $0.name == "argo_workflows_runs" }?.series
                == [.init([.init("status", "Succeeded")], 1)])
        #expect(emitted.contains { $0.name == "argo_workflows_steps" })
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("What fails is tried again later, what is delivered is done, and a day is enough")
    func retries() async throws {
        let store = try Store.open(dataDirectory: directory)
        let clock = CronClock(Self.start)
        let delivery = ScriptedDelivery([.failed("no"), .failed("still no"), .delivered, .rejected("gone")])
        let metrics = ControllerMetrics()
        let runner = NotificationRunner(
            store: store, delivery: delivery, now: { clock.now }, sleep: { _ in }, metrics: metrics)
        let row = NewNotification(workflowUID: "u", key: "end/1/0", target: ["to": "x"], at: Self.start)
        try await store.enqueueNotifications([row])
        #expect(try await runner.pass() == 0)
        #expect(try await runner.pass() == 0, "it is not due yet")
        #expect(delivery.rows.count == 1)
        clock.now = Self.start + .seconds(10)
        #expect(try await runner.pass() == 0)
        clock.now = Self.start + .seconds(29)
        #expect(try await runner.pass() == 0)
        #expect(delivery.rows.count == 2)
        clock.now = Self.start + .seconds(30)
        #expect(try await runner.pass() == 1)
        let done = try #require(try await store.notifications(of: "u").first)
        #expect(done.doneAt == clock.now)
        #expect(done.attempts == 3)
        #expect(Set(delivery.rows.map(\.id)).count == 1)
        try await store.enqueueNotifications([row])
        #expect(try await runner.pass() == 0, "the same end was noted twice")
        try await store.enqueueNotifications([
            NewNotification(workflowUID: "u", key: "end/2/0", target: ["to": "x"], at: clock.now)
        ])
        _ = try await runner.pass()
        #expect(try await store.notifications(of: "u").last?.lastError == "gone")
        #expect(try await store.notificationBacklog().waiting == 0)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("A webhook that fails holds up nobody but itself, and the run's events say how it goes")
    func lanes() async throws {
        let store = try Store.open(dataDirectory: directory)
        let clock = CronClock(Self.start)
        let uid = try await run(store, ControllerObservers())
        let dead: JSONValue = ["kind": "webhook", "url": "https://dead.example.com/secret"]
        let delivery = ScriptedDelivery(failing: dead, .failed("answered 503", wait: .seconds(30)))
        let runner = NotificationRunner(store: store, delivery: delivery, now: { clock.now }, sleep: { _ in })
        let targets = [dead, dead, dead, ["kind": "global-webhook"], ["kind": "global-webhook"]]
        try await store.enqueueNotifications(
            targets.enumerated().map { index, target in
                NewNotification(workflowUID: uid, key: "\(index)", target: ["to": target], at: Self.start)
            })
        #expect(try await runner.pass() == 2)
        #expect(delivery.rows.filter { $0.target["to"] == dead }.count == 1)
        #expect(try await store.dueNotifications(at: Self.start + .seconds(29)).isEmpty)
        #expect(try await store.dueNotifications(at: Self.start + .seconds(30)).count == 3)
        delivery.fail(with: .rejected("answered 410"))
        clock.now = Self.start + .seconds(30)
        #expect(try await runner.pass() == 0)
        #expect(try await store.notificationBacklog().waiting == 0)
        let events = try await store.events(uid).map(\.event).filter { $0.kind.hasPrefix("Notification") }
        #expect(
            events.map(\.kind) == ["NotificationDelayed"] + Array(repeating: "NotificationGivenUp", count: 3))
        #expect(
            events.allSatisfy { $0.message.contains("dead.example.com") && !$0.message.contains("secret") })
        // Asked to, it is told after all.
        delivery.fail(with: nil)
        #expect(try await store.retryNotifications(of: uid, at: clock.now) == 3)
        #expect(try await runner.pass() == 3)
        #expect(try await store.retryNotifications(of: uid, at: clock.now) == 0)
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("Pauses double up to an hour, and end after a day")
    func pauses() throws {
        var now = Self.start
        var pauses: [Int] = []
        while let next = NotificationPlan.nextTry(
            afterAttempts: pauses.count + 1, createdAt: Self.start, now: now)
        {
            pauses.append(next.seconds - now.seconds)
            now = next
        }
        #expect(pauses.prefix(10) == [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600])
        #expect(now - Self.start <= .seconds(86_400))
        #expect(now - Self.start > .seconds(82_000))
    }

    @Test(
        "Addresses that can be told, and their hosts",
        arguments: [
            ("https://hooks.example.com/x?y=1", "hooks.example.com"), ("http://127.0.0.1:8080/", "127.0.0.1"),
            ("http://[::1]:80/x", "[::1]"), ("HTTPS://Hooks.Example.COM", "hooks.example.com"),
            ("http://user@evil/", nil), ("http://a\\@b/", nil), ("ftp://a/", nil), ("http:///x", nil),
            ("http://a b/", nil), ("http://a:99999/", nil), ("http://a:80@b/", nil), ("http://[::1/x", nil),
            ("javascript:alert(1)", nil), ("http://a%2eb/", nil),
        ] as [(String, String?)])
    func addresses(text: String, host: String?) { #expect(WebhookAddress(text)?.host == host) }

    @Test(
        "A list of hosts names them and, with a star, what is below",
        arguments: [
            ("https://a.example.com/", ["a.example.com"], true),
            ("https://A.example.com/", ["a.Example.com"], true),
            ("https://b.example.com/", ["a.example.com"], false),
            ("https://b.example.com/", ["*.example.com"], true),
            ("https://example.com/", ["*.example.com"], false),
            ("https://evilexample.com/", ["*.example.com"], false),
            ("https://a.example.com.evil/", ["*.example.com"], false), ("http://127.0.0.1/", [], false),
        ])
    func hosts(url: String, allowed: [String], expected: Bool) throws {
        #expect(try #require(WebhookAddress(url)).isAllowed(by: allowed) == expected)
    }

    @Test(
        "A command line is parted at blanks, quotes keep them, and nothing is expanded",
        arguments: [
            ("notify -x  'two words' \"a \\\" b\" $HOME", ["notify", "-x", "two words", "a \" b", "$HOME"]),
            ("a\\ b ''", ["a b", ""]), ("  ", []), ("a 'b", nil), ("a \\", nil),
        ] as [(String, [String]?)])
    func commandWords(text: String, expected: [String]?) {
        #expect(NotificationSettings.words(of: text) == expected)
    }

    @Test("The signature is the HMAC of timestamp and body")
    func signature() {
        // Made with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signature = NotificationSender.signature(
            of: "{\"a\":1}", timestamp: 1_700_000_000, secret: Array("secret".utf8))
        #expect(signature == "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686")
    }

    @Test("A command gets the JSON on standard input, and what it says when it fails is kept")
    func command() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let output = directory + "/seen"
        let settings = Self.settings {
            $0.command = ["sh", "-c", "cat > \"$0\"; echo \"$MARTLET_PHASE\" >> \"$0\"", output]
        }
        let row = NotificationRow(
            id: 1, workflowUID: "u", key: "k",
            target: ["to": ["kind": "global-command"], "body": ["id": "u.1", "phase": "Failed"]],
            createdAt: Self.start, attempts: 0, nextAttemptAt: Self.start)
        let sender = NotificationSender(settings: settings, dataDirectory: directory)
        #expect(sender.deliver(row, at: Self.start) == .delivered)
        let seen = try String(contentsOfFile: output, encoding: .utf8)
        #expect(seen == "{\"id\":\"u.1\",\"phase\":\"Failed\"}Failed\n")
        let failing = NotificationSender(
            settings: Self.settings { $0.command = ["sh", "-c", "echo broken; exit 3"] },
            dataDirectory: directory)
        #expect(failing.deliver(row, at: Self.start) == .failed("the command ended with 3: broken"))
        let left = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(left == ["seen"], "the file for standard input stays")
        try FileManager.default.removeItem(atPath: directory)
    }
}
