// What the routes of the service stand on.

import Artifacts
import Controller
import Logging
import Persistence
import Text

struct ServiceContext: Sendable {
    var store: Store
    var operations: WorkflowOperations
    var feed: RunFeed
    var artifacts: LocalArtifactStore
    var dataDirectory: String
    /// Shown by /api/v1/version and the page.
    var version: String
    /// The namespace of what names none.
    var defaultNamespace = "default"
    var surroundings: ServerSurroundings
    var logger: Logger

    /// The wall clock.
    var now: @Sendable () -> Timestamp { operations.now }
}
