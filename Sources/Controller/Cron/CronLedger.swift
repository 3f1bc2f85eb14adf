// What the cron runner needs of the world: definitions, runs, and one write that both begins a run and notes it.

package import Persistence
package import Scheduling
package import Text

/// A run that a moment of a schedule asks for.
package struct CronRequest: Sendable {
    package var namespace: String
    package var cron: String
    package var instant: Timestamp
    package var child: CronStatus.Child
    /// The Workflow document.
    package var manifest: JSONValue
    /// The cron workflow's status once the run is stored; nil leaves it, as a backfill does.
    package var status: CronStatus?
    /// The resource version under which the definition was read; nil where that does not matter.
    package var ifVersion: Int?

    init(
        namespace: String, cron: String, instant: Timestamp, child: CronStatus.Child, manifest: JSONValue,
        status: CronStatus?, ifVersion: Int? = nil
    ) {
        self.namespace = namespace
        self.cron = cron
        self.instant = instant
        self.child = child
        self.manifest = manifest
        self.status = status
        self.ifVersion = ifVersion
    }
}

/// What became of a request.
package enum CronAnswer: Sendable, Hashable {
    case begun
    /// This moment made a run before, be it here, in another process, or in one that was killed.
    case existed
    /// The definition is not the one that was read: what it is now decides.
    case changed
    /// The manifest cannot be run; the text is for the condition that people see.
    case refused(String)
}

/// The store as the cron runner sees it; tests put faults before it.
package protocol CronLedger: Sendable {
    /// Goes up when any cron workflow's manifest or status changes, or one comes or goes.
    func definitionRevision() async throws -> Int64
    /// Changes whenever anything changed, runs among it; costs microseconds.
    func version() async throws -> Int
    func crons() async throws -> [DefinitionRow]
    func cron(namespace: String, name: String) async throws -> DefinitionRow?
    /// The runs of a cron workflow, newest first; at most `CronRunner.runLimit`.
    func runs(namespace: String, cron: String) async throws -> [WorkflowSummary]
    /// Stores the run and the status in one transaction, unless the moment ever made a run, and begins to drive it.
    func begin(_ request: CronRequest) async throws -> CronAnswer
    func writeStatus(namespace: String, cron: String, _ status: CronStatus) async throws
    /// Puts the label `cron-workflow-completed` on the definition.
    func markStopped(namespace: String, cron: String) async throws
    func terminate(_ uid: String) async throws
    func delete(_ uid: String) async throws
}
