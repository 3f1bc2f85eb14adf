// A cluster without nodes for the executor's tests: the test says what becomes of each pod.

import Artifacts
import Executors
import FakeCluster
import Glibc
import Scheduling
import Synchronization
import Text
import WorkflowLanguage

@testable import Kubernetes

/// A moment that tests move.
final class TestClock: Sendable {
    private let moment = Mutex(Timestamp(seconds: 1_800_000_000))

    var now: Timestamp { moment.withLock { $0 } }

    func advance(_ span: Duration) { moment.withLock { $0 = $0 + span } }
}

final class ExecutorWorld: Sendable {
    let server: FakeAPIServer
    let executor: KubernetesExecutor
    let clock = TestClock()
    let directory: String

    init(role: JSONValue? = nil) throws {
        let clock = clock
        server = try FakeAPIServer(role: role, now: { clock.now })
        server.start()
        directory = "/tmp/martlet-kubernetes-\(Disk.uniqueSuffix())"
        var access = ClusterAccess(server: server.url)
        access.credentials.token = "martlet"
        let client = try KubernetesClient(access, now: { clock.now })
        executor = try KubernetesExecutor(
            client: client, settings: PodSettings(stepImage: "martlet:test"),
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory,
            now: { clock.now })
    }

    /// A server that begins anew over the same data directory and cluster.
    func restarted() throws -> KubernetesExecutor {
        let clock = clock
        var access = ClusterAccess(server: server.url)
        access.credentials.token = "martlet"
        return try KubernetesExecutor(
            client: try KubernetesClient(access, now: { clock.now }),
            settings: PodSettings(stepImage: "martlet:test"),
            store: try LocalArtifactStore(directory: directory + "/artifacts"), dataDirectory: directory,
            now: { clock.now })
    }

    func close() async {
        await executor.shutDown()
        server.stop()
        Disk.removeTree(directory)
    }

    static func place(_ name: String) -> ObjectPlace {
        ObjectPlace(resource: "pods", namespace: "ml", name: name)
    }

    /// What the node says of a pod.
    func setStatus(_ name: String, _ status: JSONValue) throws {
        var place = Self.place(name)
        place.subresource = "status"
        _ = try server.objects.update(place) { pod throws(Refusal) in
            StrategicMerge.apply(["status": status], to: pod)
        }
    }

    /// The pods that there are now.
    var podNames: [String] {
        let place = ObjectPlace(resource: "pods", namespace: "ml")
        return server.objects.list(place, labels: LabelTerms("")).items.compactMap {
            $0["metadata"]?["name"]?.stringValue
        }
    }

    static let succeeded: JSONValue = [
        "phase": "Succeeded",
        "containerStatuses": [["name": "main", "state": ["terminated": ["exitCode": 0]]]],
    ]

    static func failed(_ code: Int) -> JSONValue {
        [
            "phase": "Failed",
            "containerStatuses": [
                ["name": "main", "state": ["terminated": ["exitCode": .int(code), "reason": "Error"]]]
            ],
        ]
    }
}

extension KubernetesExecutor {
    /// The next report that the test is interested in; a minute is for machines that are very busy.
    static func next(
        _ iterator: inout AsyncStream<ExecutorReport>.Iterator, where matches: (ExecutorReport) -> Bool
    ) async -> ExecutorReport? {
        while let report = await iterator.next() {
            if matches(report) { return report }
        }
        return nil
    }
}

extension ExecutorReport {
    var outcome: AttemptOutcome? {
        if case .finished(_, let outcome) = self { return outcome }
        return nil
    }

    var isStart: Bool {
        if case .started = self { return true }
        return false
    }

    var waitingMessage: String? {
        if case .waiting(_, let message) = self { return message }
        return nil
    }
}
