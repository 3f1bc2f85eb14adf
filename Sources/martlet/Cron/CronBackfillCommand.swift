// `martlet cron backfill`: makes the runs of moments that have passed.

import ArgumentParser
import Controller
import Persistence
import Text

struct CronBackfillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backfill", abstract: "Make runs for moments of a schedule that have passed.",
        discussion: """
            A moment that had a run, deleted or not, gets no other, so that the command may be repeated, also after it
            was interrupted. A server on the data directory drives the runs. With --parallel the command waits for
            them; without it, it stores them all and ends.
            Examples:
              martlet cron backfill nightly --start 2026-11-01T00:00:00Z --end 2026-11-08T00:00:00Z --preview
              martlet cron backfill nightly --start 2026-11-01T00:00:00Z --end 2026-11-08T00:00:00Z --parallel 2
              martlet cron backfill nightly --start 2026-11-01T00:00:00Z --argname cronScheduledTime
            """)

    @Argument(help: "The cron workflow.")
    var name: String

    @Option(help: ArgumentHelp("The first moment.", valueName: "TIME"))
    var start: String

    @Option(help: ArgumentHelp("The last moment; now without it.", valueName: "TIME"))
    var end: String?

    @Option(help: "How many of the runs go on at a time.")
    var parallel: Int?

    @Option(help: ArgumentHelp("A parameter of the workflow that gets the moment.", valueName: "NAME"))
    var argname: String?

    @Flag(name: [.customLong("preview"), .customLong("dry-run")], help: "Show the moments and make nothing.")
    var preview = false

    @Flag(help: "The newest moment first.")
    var reverse = false

    @OptionGroup var data: DataOptions

    func validate() throws {
        if let parallel, parallel < 1 { throw ValidationError("--parallel is at least 1") }
    }

    func run() async throws {
        let access = try DirectoryBackend(data.location)
        let crons = CronOperations(operations: access.operations)
        guard let first = try CronTime.parse(start, option: "--start") else { return }
        let last = try CronTime.parse(end, option: "--end") ?? Environment.now()
        do {
            var runs = try await crons.backfillPreview(
                name, namespace: data.namespace, from: first, through: last)
            if reverse { runs.reverse() }
            if preview {
                for run in runs {
                    Output.line("\(run.instant.rfc3339)  \(run.name)" + (run.hadRun ? "  had a run" : ""))
                }
                return
            }
            try await make(runs, crons, access)
        } catch let error as OperationError {
            throw CommandError(error)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    private func make(
        _ runs: [CronOperations.BackfillRun], _ crons: CronOperations, _ access: DirectoryBackend
    )
        async throws
    {
        var active: Set<String> = []
        var made = 0
        for run in runs where !run.hadRun {
            if let parallel { active = try await waiting(active, fewerThan: parallel, access) }
            let uid = try await crons.backfill(
                name, namespace: data.namespace, at: run.instant, argument: argname)
            guard let uid else { continue }
            made += 1
            active.insert(uid)
            Output.line(run.name)
        }
        if parallel != nil { _ = try await waiting(active, fewerThan: 1, access) }
        Output.note("\(made) runs made, \(runs.count - made) moments had one before")
    }

    /// Waits until fewer than so many of the runs go on, and returns those that do.
    private func waiting(_ active: Set<String>, fewerThan limit: Int, _ access: DirectoryBackend) async throws
        -> Set<String>
    {
        var active = active
        while active.count >= limit {
            var still: Set<String> = []
            for uid in active {
                if let row = try await access.store.workflow(uid: uid), row.finishedAt == nil {
                    still.insert(uid)
                }
            }
            active = still
            if active.count >= limit { try await Task.sleep(for: DirectoryBackend.pollInterval) }
        }
        return active
    }
}
