// Cron workflows as schedules: when they fire, in words and moments, and how their runs went.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension MartletRoutes {
    var scheduleRoutes: [ServiceRoute] {
        let path = "/schedules/{namespace}/{name}"
        return [
            route(
                "GET", "/schedules", "MartletAPI_ListSchedules", .signedIn,
                summary: "The cron workflows with their next moments and last runs."
            ) { try await listSchedules($0) },
            route(
                "GET", path, "MartletAPI_GetSchedule", .namespaced(.viewer),
                summary: "A cron workflow with its text."
            ) { try await getSchedule($0) },
            route(
                "POST", path + "/run", "MartletAPI_RunSchedule", .namespaced(.editor),
                summary: "Begins a run of a cron workflow now."
            ) { try await runSchedule($0) },
            route(
                "POST", path + "/backfill", "MartletAPI_BackfillSchedule", .namespaced(.editor),
                summary: "Makes up for moments of the past, or says which they are."
            ) { try await backfill($0) },
        ]
    }

    /// Schedules of one answer.
    private static let scheduleLimit = 500

    private func listSchedules(_ reader: APIReader) async throws -> HTTPReply {
        let seen = try namespaces(reader)
        let rows = try await context.store.definitions(.cronWorkflow)
        var items: [JSONValue] = []
        for row in rows.filter({ row in seen.map { $0.contains(row.namespace) } ?? true })
            .prefix(Self.scheduleLimit)
        {
            items.append(.object(try await schedule(row)))
        }
        return .json(.page(items))
    }

    private func cron(_ reader: APIReader) async throws -> DefinitionRow {
        try await CronOperations(operations: context.operations).row(
            reader.request["name"], reader.request["namespace"])
    }

    private func getSchedule(_ reader: APIReader) async throws -> HTTPReply {
        let row = try await cron(reader)
        var members = try await schedule(row)
        members["manifest"] = row.body
        let body = row.body
        members["yaml"] = .string(try await onThread { ManifestPrinter.yaml(body) })
        return .json(.object(members))
    }

    private func schedule(_ row: DefinitionRow) async throws -> [String: JSONValue] {
        let now = context.now()
        // A schedule that fires once in years is looked for day by day.
        let outlook = try await onThread { CronOperations.outlook(of: row, at: now) }
        let cron = CronWorkflow(row.body)
        var query = WorkflowQuery(namespace: row.namespace, limit: 10)
        query.cron = row.name
        let runs = try await context.store.workflows(query).workflows
        return [
            "namespace": .string(row.namespace), "name": .string(row.name),
            "schedules": .texts(cron.schedules), "timezone": .text(cron.timezone),
            "words": .string(outlook.words), "next": .array(outlook.next.map { JSONValue.moment($0) }),
            "suspended": .bool(cron.suspend), "stopped": .bool(outlook.status.phase == .stopped),
            "concurrencyPolicy": .string(cron.concurrencyPolicy ?? "Allow"),
            "lastScheduledAt": .moment(outlook.status.lastScheduledTime),
            "lateSeconds": .finite(outlook.lateSeconds),
            "active": .texts(outlook.status.active.map(\.name)),
            "runs": .array(runs.reversed().map(Self.runJSON)),
            "succeeded": .int(outlook.status.succeeded), "failed": .int(outlook.status.failed),
            "conditions": .array(
                outlook.status.conditions.map { condition in
                    .object([
                        "type": .string(condition.type), "message": .string(condition.message),
                        "status": "True",
                    ])
                }),
        ]
    }

    private static func runJSON(_ run: WorkflowSummary) -> JSONValue {
        let scheduled = run.annotations[CronMachine.scheduledTimeAnnotation].flatMap(Timestamp.init(rfc3339:))
        return .object([
            "uid": .string(run.uid), "name": .string(run.name),
            "phase": .string(run.phase.isEmpty ? "Pending" : run.phase),
            "scheduledAt": .moment(scheduled ?? run.createdAt),
        ])
    }

    // MARK: Runs

    private func runSchedule(_ reader: APIReader) async throws -> HTTPReply {
        _ = try await reader.body()
        let row = try await cron(reader)
        var options = SubmissionOptions()
        options.creator = reader.request.principal.name
        let state = try await context.operations.submit(
            .cronWorkflow, name: row.name, namespace: row.namespace, options: options)
        reader.request.note.target(state.name)
        return .json(.object(try await line(of: state)), status: 201)
    }

    private func backfill(_ reader: APIReader) async throws -> HTTPReply {
        let body = try await reader.body()
        let row = try await cron(reader)
        guard let start = body["start"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            let end = body["end"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
        else { throw ServiceError.invalid("`start` and `end` must be moments such as 2026-01-31T12:00:00Z") }
        let crons = CronOperations(operations: context.operations)
        let plan = try await crons.backfillPreview(
            row.name, namespace: row.namespace, from: start, through: end)
        var begun: [String] = []
        if body["preview"]?.boolValue != true {
            for run in plan where !run.hadRun {
                let uid = try await crons.backfill(
                    row.name, namespace: row.namespace, at: run.instant,
                    argument: body["argument"]?.stringValue)
                if uid != nil { begun.append(run.name) }
            }
        } else {
            begun = plan.filter { !$0.hadRun }.map(\.name)
        }
        return .json([
            "instants": .array(plan.map { JSONValue.moment($0.instant) }), "runs": .texts(begun),
        ])
    }
}
