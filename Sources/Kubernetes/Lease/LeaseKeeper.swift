// Carries out what the election decides: reads and writes the Lease, waits, and opens and closes the fence.

import Synchronization
package import Text
import WorkflowLanguage

/// One server's part in the election. `acquire` comes first, then `keep` runs beside everything else.
package final class LeaseKeeper: Sendable {
    package let settings: LeaseSettings
    package let fence: LeaseFence
    private let client: KubernetesClient
    private let now: @Sendable () -> Timestamp
    private let election: Mutex<LeaseElection>

    package init(
        client: KubernetesClient, settings: LeaseSettings, fence: LeaseFence = LeaseFence(),
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.client = client
        self.settings = settings
        self.fence = fence
        self.now = now
        election = Mutex(LeaseElection(settings))
    }

    package var standing: LeaseElection.Standing { election.withLock { $0.standing } }

    /// Waits, for as long as it takes, until this process has the Lease.
    /// - Parameter onStandby: told who has it, when that changes, and what goes wrong.
    /// - Throws: `KubernetesError` for what waiting cannot mend, such as a right that is lacking.
    package func acquire(onStandby: @Sendable (_ holder: String, _ trouble: String?) -> Void) async throws {
        var event = LeaseElection.Event.woke
        var trouble: String?
        var told: (holder: String, trouble: String?)?
        while true {
            let step = handle(event)
            if standing == .leading { return }
            if case .wait = step, case .standby(let holder) = standing,
                told.map({ $0 != (holder, trouble) }) ?? true
            {
                told = (holder, trouble)
                onStandby(holder, trouble)
            }
            (event, trouble) = try await outcome(of: step)
        }
    }

    /// Renews the Lease until the task is cancelled.
    /// - Returns: why it is lost; nil when cancelled. When this returns, another may already act.
    package func keep() async -> String? {
        var step = LeaseElection.Step.wait(settings.retry)
        while true {
            if case .stop(let why) = step { return why }
            do {
                step = handle(try await outcome(of: step).event)
            } catch is CancellationError {
                return nil
            } catch {
                // A right that was taken away comes back or does not before the deadline.
                step = handle(.failed)
            }
        }
    }

    /// Gives the Lease back, so that another need not wait for it to run out.
    package func release() async {
        guard let record = election.withLock({ $0.release() }) else { return }
        fence.open(until: nil)
        _ = try? await write(record)
    }

    private func handle(_ event: LeaseElection.Event) -> LeaseElection.Step {
        let (step, until) = election.withLock { election in
            (election.handle(event, at: fence.now), election.validUntil)
        }
        if until != nil { fence.open(until: until) }
        // A moment that has passed is what tells the watching thread that the Lease is lost.
        if case .stop = step { fence.open(until: .zero) }
        return step
    }

    // MARK: The API

    private var path: String { "/apis/coordination.k8s.io/v1/namespaces/\(settings.namespace)/leases" }

    private func outcome(
        of step: LeaseElection.Step
    ) async throws -> (event: LeaseElection.Event, trouble: String?) {
        do {
            switch step {
            case .wait(let span):
                try await Task.sleep(for: span)
                return (.woke, nil)
            case .read: return (.read(try await read()), nil)
            case .write(let record): return (.written(try await write(record)), nil)
            case .stop(let why): throw KubernetesError(status: 409, message: why)
            }
        } catch let error as KubernetesError where error.isAlreadyThere || error.isConflict {
            return (.refused, nil)
        } catch let error as KubernetesError where error.isPassing || error.isNotFound {
            return (.failed, error.description)
        }
    }

    private func read() async throws -> LeaseRecord? {
        do {
            return Self.record(try await limited { try await $0.get("\($1)/\($2.name)") })
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    private func write(_ record: LeaseRecord) async throws -> LeaseRecord {
        let object = object(record)
        let answer = try await limited { client, path, settings in
            try await record.resourceVersion.isEmpty
                ? client.create(path, object) : client.replace("\(path)/\(settings.name)", object)
        }
        return Self.record(answer)
    }

    /// A request that hangs must not eat the time in which others could still succeed.
    private func limited(
        _ body: @escaping @Sendable (KubernetesClient, String, LeaseSettings) async throws -> JSONValue
    ) async throws -> JSONValue {
        let (client, path, settings) = (client, path, settings)
        return try await withThrowingTaskGroup(of: JSONValue.self) { group in
            group.addTask { try await body(client, path, settings) }
            group.addTask {
                try await Task.sleep(for: settings.renewDeadline / 2)
                throw KubernetesError(status: 0, message: "the Lease was not answered in time")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .null
        }
    }

    private func object(_ record: LeaseRecord) -> JSONValue {
        let moment = Self.micro(now())
        var metadata: [String: JSONValue] = [
            "name": .string(settings.name), "namespace": .string(settings.namespace),
        ]
        if !record.resourceVersion.isEmpty { metadata["resourceVersion"] = .string(record.resourceVersion) }
        let isFresh = record.acquiredAt.isEmpty || standing != .leading
        return [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": .object(metadata),
            "spec": [
                "holderIdentity": .string(record.holder),
                "leaseDurationSeconds": .int(record.durationSeconds),
                "leaseTransitions": .int(record.transitions), "renewTime": .string(moment),
                "acquireTime": .string(isFresh ? moment : record.acquiredAt),
            ],
        ]
    }

    private static func record(_ object: JSONValue) -> LeaseRecord {
        let spec = Fields(object["spec"])
        return LeaseRecord(
            holder: spec.string("holderIdentity") ?? "",
            durationSeconds: spec.int("leaseDurationSeconds") ?? 0,
            transitions: spec.int("leaseTransitions") ?? 0, acquiredAt: spec.string("acquireTime") ?? "",
            resourceVersion: object["metadata"]?["resourceVersion"]?.stringValue ?? "")
    }

    /// Six digits behind the point, always, as the API's MicroTime has them.
    private static func micro(_ moment: Timestamp) -> String {
        let seconds = Timestamp(seconds: moment.seconds)
        let micros = String((moment.nanoseconds - seconds.nanoseconds) / 1000)
        let digits = String(repeating: "0", count: max(0, 6 - micros.utf8.count)) + micros
        return "\(seconds.rfc3339.prefix(19)).\(digits)Z"
    }
}
