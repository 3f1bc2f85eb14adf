// `martlet delete`: runs with their logs, working files and, where the manifest says so, artifacts.

import ArgumentParser
import Artifacts
import Controller
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete runs with their logs and working files.",
        discussion: """
            Artifacts stay unless the manifest's artifactGC says OnWorkflowDeletion. What a run has in a cluster
            is deleted by the server, at the latest when it starts; where none is, say --executor kubernetes.
            Examples:
              martlet delete pipeline-x7k2q
              martlet delete --completed --older 7d --dry-run
              martlet delete --status Failed --prefix test-
              martlet delete --all
              martlet delete pipeline-x7k2q --executor kubernetes
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String] = []

    @Flag(help: "All runs of the namespace.")
    var all = false

    @Flag(name: [.customShort("A"), .long], help: "Runs of all namespaces; needs a filter or --all.")
    var allNamespaces = false

    @OptionGroup var filter: RunFilter

    @Flag(help: "Say what would be deleted, and delete nothing.")
    var dryRun = false

    @Flag(help: "End runs that have not ended, then delete them.")
    var force = false

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func validate() throws {
        let isFiltered = all || filter.isSet
        if names.isEmpty, !isFiltered {
            throw ValidationError("nothing to delete: give names, a filter, or --all")
        }
        if !names.isEmpty, isFiltered { throw ValidationError("give names, or a filter, not both") }
    }

    func run() async throws {
        let access = try RunAccess(data, execution: execution.settings)
        if let directory = access.directory {
            // What the runs made outlives them.
            try await ExecutorFactory.models(
                directory.store, directory.operations.artifacts, directory.location
            ).refresh()
        }
        var refused = 0
        var deleted: [DeletedRun] = []
        for run in try await chosen(access) {
            do {
                deleted.append(try await delete(run, access))
            } catch let error as OperationError {
                // One that stays must not keep the others.
                Output.error(error.message)
                refused += 1
            }
        }
        if !dryRun, let directory = access.directory {
            freeArtifactBytes(directory.location)
            let settings = execution.settings
            if settings.executor == .kubernetes {
                try await ClusterExecution.remove(deleted, settings.kubernetes)
            }
        }
        if refused > 0 { throw ExitCode(1) }
    }

    /// Gives back the disk space of artifacts that no key names any more; what is younger than a day stays for the
    /// next time, since a run may be saving it.
    private func freeArtifactBytes(_ location: DataLocation) {
        do {
            let store = try ExecutorFactory.artifactStore(location)
            let freed = try store.collectGarbage(now: Environment.now().nanoseconds)
            if freed.bytes > 0 { Output.note("\(freed.bytes) bytes of artifacts freed") }
        } catch {
            Output.warning("artifacts could not be cleaned up: \(error)")
        }
    }

    private func chosen(_ access: RunAccess) async throws -> [RunReference] {
        if names.isEmpty {
            let query = try filter.query(
                namespace: allNamespaces ? nil : data.namespace, now: Environment.now())
            let found = try await access.backend.summaries(
                RunSelection(query: query, labels: filter.selector))
            if found.isEmpty { Output.line("No workflows found") }
            return found.map { RunReference(uid: $0.uid, namespace: $0.namespace, name: $0.name) }
        }
        var runs: [RunReference] = []
        for name in names { runs.append(try await access.reference(name)) }
        return runs
    }

    private func delete(_ run: RunReference, _ access: RunAccess) async throws -> DeletedRun {
        let state = try await access.state(run)
        let name = state.name
        let count = try await access.backend.delete(run, force: force, dryRun: dryRun)
        Output.line(
            "Workflow '\(name)' deleted" + (dryRun ? " (dry-run)" : "")
                + (count > 0 ? " with \(count) artifacts" : ""))
        return DeletedRun(
            workflowUID: state.uid, workflowName: name, namespace: state.definition.namespace)
    }
}
