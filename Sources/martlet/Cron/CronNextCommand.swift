// `martlet cron next`: when schedules fire, of a stored cron workflow or of a text.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum CronOutput: String, ExpressibleByArgument, CaseIterable {
    case text, json
}

struct CronNextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Tell when a cron workflow fires, or when a schedule would.",
        discussion: """
            Times are shown in the schedule's time zone. A local time that clocks skip does not fire that day, one
            that they show twice fires twice.
            Examples:
              martlet cron next nightly
              martlet cron next --schedule '0 6 * * MON-FRI' --timezone Europe/Paris --count 3
              martlet cron next --schedule '*/15 * * * *' --from 2026-03-01T00:00:00Z --until 2026-03-02T00:00:00Z -o json
            """)

    /// Moments that one call prints at most: two years of minutes, and some.
    static let fireLimit = 1_100_000

    @Argument(help: "A cron workflow.")
    var name: String?

    @Option(help: ArgumentHelp("A schedule to look at instead; may be repeated.", valueName: "TEXT"))
    var schedule: [String] = []

    @Option(help: "Time zone of --schedule: a name of the IANA database; the computer's own without it.")
    var timezone: String?

    @Option(help: ArgumentHelp("Moments after this one; now without it.", valueName: "TIME"))
    var from: String?

    @Option(help: ArgumentHelp("All moments up to this one, instead of --count.", valueName: "TIME"))
    var until: String?

    @Option(help: "How many moments.")
    var count = 10

    @Option(name: .shortAndLong, help: "text, or json with times in UTC.")
    var output: CronOutput = .text

    @OptionGroup var data: ClientOptions

    func validate() throws {
        guard (name == nil) != schedule.isEmpty else {
            throw ValidationError("give the name of a cron workflow, or --schedule TEXT")
        }
        guard (1...Self.fireLimit).contains(count) else {
            throw ValidationError("--count is from 1 to \(Self.fireLimit)")
        }
    }

    func run() async throws {
        let timetable = try await timetable()
        let start = try CronTime.parse(from, option: "--from") ?? Environment.now()
        let end = try CronTime.parse(until, option: "--until")
        let fires = timetable.fires(
            after: start, through: end ?? Timestamp(nanoseconds: .max),
            limit: end == nil ? count : Self.fireLimit)
        switch output {
        case .json:
            Output.line(
                JSONValue.object([
                    "words": .string(timetable.words), "fires": .array(fires.map { .string($0.rfc3339) }),
                ]).compactText)
        case .text:
            Output.line(timetable.words)
            let (now, zone) = (Environment.now(), timetable.entries.first?.zone ?? .utc)
            for fire in fires { Output.line("  " + HumanTime.stamp(fire, now: now, zone: zone)) }
            if fires.isEmpty { Output.line("  never within the next \(CronTimetable.horizonYears) years") }
        }
    }

    private func timetable() async throws -> CronTimetable {
        let local = TimeZones.local
        do {
            if let name { return try CronMachine(row: try await stored(name), local: local).timetable }
            guard let zone = TimeZones.cronRules(timezone, local: local) else {
                throw CommandError("this machine knows no time zone \"\(timezone ?? "")\"", status: 64)
            }
            return try CronTimetable(
                schedules: schedule, zone: zone, anchor: Environment.now(),
                zoneNamed: { TimeZones.cronRules($0, local: local) })
        } catch let error as CronScheduleError {
            throw CommandError(error.message, status: 64)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    /// The cron workflow of the data directory or the server.
    private func stored(_ name: String) async throws -> DefinitionRow {
        let access = try RunAccess(data)
        do {
            let shown = try await access.backend.definition(
                .cronWorkflow, name: name, namespace: data.namespace)
            return DefinitionRow(
                kind: .cronWorkflow, namespace: shown.namespace, name: shown.name, body: shown.document,
                status: .null, generation: 1, resourceVersion: 0, createdAt: shown.createdAt,
                updatedAt: shown.createdAt)
        } catch let error as OperationError where error.reason == .notFound {
            throw CommandError("there is no cron workflow \"\(name)\"; see `martlet cron list`")
        }
    }
}

/// Moments on the command line.
enum CronTime {
    /// - Throws: `CommandError` for text that is no time of RFC 3339.
    static func parse(_ text: String?, option: String) throws -> Timestamp? {
        guard let text else { return nil }
        guard let moment = Timestamp(rfc3339: text) else {
            throw CommandError(
                "\(option) \(text): write a time such as 2026-11-01T00:00:00Z or 2026-11-01T00:00:00+01:00",
                status: 64)
        }
        return moment
    }
}
