// What people do with cron workflows beside storing them: suspend, resume, look ahead, and make up for the past.

package import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

/// The verbs of cron workflows, for the command line and the server alike.
package struct CronOperations: Sendable {
    /// Runs that one backfill makes at most.
    package static let backfillLimit = 1_000
    /// Moments that one look ahead gives at most.
    package static let outlookLimit = 1_000

    private let operations: WorkflowOperations
    private var store: Store { operations.store }

    package init(operations: WorkflowOperations) { self.operations = operations }

    /// Stops or lets go on the making of runs. Runs that exist are left alone.
    /// - Throws: `OperationError`: `notFound`; `conflict` if the definition keeps changing.
    @discardableResult
    package func setSuspended(_ name: String, namespace: String, _ suspend: Bool) async throws
        -> DefinitionRow
    {
        for _ in 0..<5 {
            let row = try await row(name, namespace)
            var members = row.body.objectValue ?? [:]
            var spec = members["spec"]?.objectValue ?? [:]
            if (spec["suspend"]?.boolValue ?? false) == suspend { return row }
            spec["suspend"] = .bool(suspend)
            members["spec"] = .object(spec)
            do {
                return try await store.putDefinition(
                    .cronWorkflow, namespace: namespace, name: name, body: .object(members),
                    at: operations.now(), if: .version(row.resourceVersion))
            } catch StoreError.conflict {
                continue
            }
        }
        throw OperationError(.conflict, "cron workflow \"\(name)\" keeps being changed; try again")
    }

    /// - Throws: `OperationError.notFound`.
    package func row(_ name: String, _ namespace: String) async throws -> DefinitionRow {
        guard let row = try await store.definition(.cronWorkflow, namespace: namespace, name: name) else {
            throw OperationError(
                .notFound, "there is no cron workflow \"\(name)\" in namespace \"\(namespace)\"")
        }
        return row
    }

    // MARK: Looking ahead

    /// When and why a cron workflow fires.
    package struct Outlook: Sendable, Hashable {
        /// "every day at 06:00 (Europe/Paris)"; the problem, for a definition that cannot be used.
        package var words: String
        /// The moments to come, suspended or not.
        package var next: [Timestamp]
        package var status: CronStatus
        /// How long ago a moment passed that made no run and was not looked at; nil when all is well.
        package var lateSeconds: Double?
    }

    package static func outlook(
        of row: DefinitionRow, at now: Timestamp, count: Int = 10, local: TimeZoneRules = TimeZones.local
    ) -> Outlook {
        let machine: CronMachine
        do {
            machine = try CronMachine(row: row, local: local)
        } catch {
            return Outlook(words: error.message, next: [], status: CronStatus(row.status), lateSeconds: nil)
        }
        let next = machine.timetable.fires(
            after: now, through: Timestamp(nanoseconds: .max), limit: min(max(count, 0), outlookLimit))
        var late: Double?
        let status = machine.status
        if !machine.cron.suspend, status.phase == .active,
            let previous = machine.timetable.previous(atOrBefore: now), previous > row.updatedAt,
            previous > status.lastScheduledTime ?? row.updatedAt,
            previous > status.lastSkippedTime ?? row.updatedAt
        {
            late = (now - previous).inSeconds
        }
        return Outlook(words: machine.timetable.words, next: next, status: status, lateSeconds: late)
    }

    // MARK: Making up for the past

    /// A moment of the past and the run that it has or would get.
    package struct BackfillRun: Sendable, Hashable {
        package var instant: Timestamp
        package var name: String
        /// The moment made a run before, which may be deleted by now: it gets no other.
        package var hadRun: Bool

        package init(instant: Timestamp, name: String, hadRun: Bool) {
            self.instant = instant
            self.name = name
            self.hadRun = hadRun
        }
    }

    /// The moments from `start` to `end`, both included, oldest first.
    /// - Throws: `OperationError`: `notFound`; `invalid` for a schedule that cannot be used, or more than
    ///   `backfillLimit` moments.
    package func backfillPreview(
        _ name: String, namespace: String, from start: Timestamp, through end: Timestamp
    ) async throws -> [BackfillRun] {
        let machine = try await machine(name, namespace)
        guard start <= end else { throw OperationError(.invalid, "the start lies after the end") }
        let instants = machine.timetable.fires(
            after: start + .nanoseconds(-1), through: end, limit: Self.backfillLimit + 1)
        guard instants.count <= Self.backfillLimit else {
            throw OperationError(
                .invalid,
                "there are more than \(Self.backfillLimit) moments between \(start.rfc3339) and \(end.rfc3339); "
                    + "take a shorter time")
        }
        let known = try await store.cronInstants(
            namespace: namespace, cron: name, from: start, through: end)
        let had = Set(known.map(\.at))
        return instants.map {
            BackfillRun(instant: $0, name: CronMachine.runName(name, at: $0), hadRun: had.contains($0))
        }
    }

    /// Makes the run of one moment of the past, whatever the cron workflow's policies say, unless it had one.
    /// - Parameter argument: a parameter that gets the moment, in RFC 3339.
    /// - Returns: the uid of the new run; nil if the moment had one.
    /// - Throws: `OperationError`.
    package func backfill(
        _ name: String, namespace: String, at instant: Timestamp, argument: String? = nil
    ) async throws -> String? {
        let machine = try await machine(name, namespace)
        var manifest = machine.manifest(at: instant)
        if let argument { manifest = Self.setting(argument, to: instant.rfc3339, in: manifest) }
        let child = CronStatus.Child(
            uid: Submission.newUID(), namespace: namespace, name: CronMachine.runName(name, at: instant))
        let request = CronRequest(
            namespace: namespace, cron: name, instant: instant, child: child, manifest: manifest, status: nil)
        switch try await StoreCronLedger(operations: operations).begin(request) {
        case .begun: return child.uid
        case .existed: return nil
        case .changed:
            throw OperationError(.notFound, "the cron workflow \"\(name)\" was deleted meanwhile")
        case .refused(let message): throw OperationError(.invalid, message)
        }
    }

    private func machine(_ name: String, _ namespace: String) async throws -> CronMachine {
        let row = try await row(name, namespace)
        do {
            return try CronMachine(row: row, local: TimeZones.local)
        } catch {
            throw OperationError(.invalid, "cron workflow \"\(name)\": \(error.message)")
        }
    }

    private static func setting(_ argument: String, to value: String, in manifest: JSONValue) -> JSONValue {
        var members = manifest.objectValue ?? [:]
        var spec = members["spec"]?.objectValue ?? [:]
        var arguments = spec["arguments"]?.objectValue ?? [:]
        var parameters = (arguments["parameters"]?.arrayValue ?? []).filter {
            $0["name"]?.stringValue != argument
        }
        parameters.append(.object(["name": .string(argument), "value": .string(value)]))
        arguments["parameters"] = .array(parameters)
        spec["arguments"] = .object(arguments)
        members["spec"] = .object(spec)
        return .object(members)
    }
}
