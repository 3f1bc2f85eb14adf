// `martlet cron backfill`: makes the runs of moments that have passed.

import ArgumentParser
import Controller
import Scheduling
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

    @OptionGroup var data: ClientOptions

    func validate() throws {
        if let parallel, parallel < 1 { throw ValidationError("--parallel is at least 1") }
    }

    func run() async throws {
        let backend = try RunAccess(data).backend
        guard let first = try CronTime.parse(start, option: "--start") else { return }
        let last = try CronTime.parse(end, option: "--end") ?? Environment.now()
        var runs = try await backend.backfillPreview(
            name, namespace: data.namespace, from: first, through: last)
        if reverse { runs.reverse() }
        if preview {
            for run in runs {
                Output.line("\(run.instant.rfc3339)  \(run.name)" + (run.hadRun ? "  had a run" : ""))
            }
            return
        }
        try await make(runs, backend)
    }

    private func make(_ runs: [CronOperations.BackfillRun], _ backend: any RunBackend) async throws {
        var active: Set<RunReference> = []
        var made = 0
        for run in runs where !run.hadRun {
            if let parallel { active = try await waiting(active, fewerThan: parallel, backend) }
            let begun = try await backend.backfill(
                name, namespace: data.namespace, at: run.instant, argument: argname)
            guard let begun else { continue }
            made += 1
            active.insert(begun)
            Output.line(begun.name)
        }
        if parallel != nil { _ = try await waiting(active, fewerThan: 1, backend) }
        Output.note("\(made) runs made, \(runs.count - made) moments had one before")
    }

    /// Waits until fewer than so many of the runs go on, and returns those that do.
    private func waiting(
        _ active: Set<RunReference>, fewerThan limit: Int, _ backend: any RunBackend
    ) async throws -> Set<RunReference> {
        var active = active
        while active.count >= limit {
            var still: Set<RunReference> = []
            for run in active {
                do {
                    if try await !backend.state(run).isFinished { still.insert(run) }
                } catch let error as OperationError where error.reason == .notFound {
                    // Deleted meanwhile: nothing to wait for.
                }
            }
            active = still
            if active.count >= limit { try await Task.sleep(for: DirectoryBackend.pollInterval) }
        }
        return active
    }
}
