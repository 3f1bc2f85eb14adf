// `martlet delete`: runs with their logs, working files and, where the manifest says so, artifacts.

import ArgumentParser
import Artifacts
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete runs with their logs and working files.",
        discussion: """
            Artifacts stay unless the manifest's artifactGC says OnWorkflowDeletion.
            Examples:
              martlet delete pipeline-x7k2q
              martlet delete --completed --older 7d --dry-run
              martlet delete --status Failed --prefix test-
              martlet delete --all
            """)

    /// How long `--force` waits for the run's end.
    static let endLimit = Duration.seconds(60)

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
    @OptionGroup var data: DataOptions

    func validate() throws {
        let isFiltered = all || filter.isSet
        if names.isEmpty, !isFiltered {
            throw ValidationError("nothing to delete: give names, a filter, or --all")
        }
        if !names.isEmpty, isFiltered { throw ValidationError("give names, or a filter, not both") }
    }

    func run() async throws {
        let access = try RunAccess(data)
        var refused = 0
        for uid in try await chosen(access) {
            do {
                try await delete(uid, access)
            } catch let error as CommandError {
                // One that stays must not keep the others.
                Output.error(error.message)
                refused += 1
            }
        }
        if !dryRun { freeArtifactBytes() }
        if refused > 0 { throw ExitCode(1) }
    }

    /// Gives back the disk space of artifacts that no key names any more; what is younger than a day stays for the
    /// next time, since a run may be saving it.
    private func freeArtifactBytes() {
        do {
            let store = try ExecutorFactory.artifactStore(data.location)
            let freed = try store.collectGarbage(now: Environment.now().nanoseconds)
            if freed.bytes > 0 { Output.note("\(freed.bytes) bytes of artifacts freed") }
        } catch {
            Output.warning("artifacts could not be cleaned up: \(error)")
        }
    }

    private func chosen(_ access: RunAccess) async throws -> [String] {
        if names.isEmpty {
            let query = try filter.query(
                namespace: allNamespaces ? nil : data.namespace, now: Environment.now())
            let found = try await access.store.allWorkflows(query)
            if found.isEmpty { Output.line("No workflows found") }
            return found.map(\.uid)
        }
        var uids: [String] = []
        for name in names { uids.append(try await access.uid(of: name)) }
        return uids
    }

    private func delete(_ uid: String, _ access: RunAccess) async throws {
        var state = try await access.state(uid: uid)
        let hasBegun = state.startedAt != nil && !state.isFinished
        if (hasBegun || access.isDriven(uid)) && !force && !state.isFinished {
            throw CommandError(
                "workflow \(state.name) has not ended; `martlet terminate \(state.name)` ends it, --force "
                    + "ends it and deletes it")
        }
        if dryRun { return Output.line("Workflow '\(state.name)' deleted (dry-run)") }
        if hasBegun || (access.isDriven(uid) && !state.isFinished) { state = try await end(state, access) }
        let count = try deleteArtifacts(of: state)
        try await access.store.releaseAllLocks(uid)
        try await access.store.deleteWorkflow(uid)
        let directory = AttemptPaths.workflow(data.path, uid: uid)
        if !Disk.removeTree(directory) { Output.warning("some files of \(directory) could not be deleted") }
        Output.line("Workflow '\(state.name)' deleted" + (count > 0 ? " with \(count) artifacts" : ""))
    }

    /// Ends a run, so that no step goes on without anybody knowing of it.
    private func end(_ state: WorkflowState, _ access: RunAccess) async throws -> WorkflowState {
        let delivery = CommandDelivery(access: access, execution: execution)
        if case .carriedOutHere = try await delivery.deliver(.terminate, to: state) {
            var driver = try RunDriver(
                store: access.store, data: data.location, execution: execution.settings)
            driver.output = .quiet
            driver.waits = false
            _ = try await driver.drive(state.uid)
        }
        let deadline = ContinuousClock.now + Self.endLimit
        while ContinuousClock.now < deadline {
            let now = try await access.state(uid: state.uid)
            if now.isFinished { return now }
            try await Task.sleep(for: RunAccess.pollInterval)
        }
        throw CommandError("workflow \(state.name) has not ended within 60 s; try again later")
    }

    private func deleteArtifacts(of state: WorkflowState) throws -> Int {
        let keys = Self.doomedKeys(of: state)
        guard !keys.isEmpty else { return 0 }
        let artifacts = try ExecutorFactory.artifactStore(data.location)
        for key in keys { try artifacts.delete(key: key, namespace: state.definition.namespace) }
        return keys.count
    }

    /// Keys of the artifacts that go with the run.
    static func doomedKeys(of state: WorkflowState) -> [String] {
        var keys: Set<String> = []
        for node in state.nodes.values {
            for artifact in node.outputs.artifacts where !artifact.deleted {
                let strategy = artifact.garbageCollection ?? state.definition.spec.artifactGCStrategy
                guard strategy == "OnWorkflowDeletion" else { continue }
                if let key = artifact.location?.settings["key"]?.stringValue { keys.insert(key) }
            }
        }
        return keys.sorted()
    }
}
