// Models that a cluster serves, as far as the verbs of deployments need them: the cluster itself keeps replicas and
// roll-outs, and remembers what was asked for.

package import Text

/// One of them as the cluster has it now.
package struct ClusterDeployment: Sendable, Hashable {
    /// One pod that serves.
    package struct Process: Sendable, Hashable {
        package var name: String
        /// `starting`, `ready`, `silent`, `draining` or `ended`.
        package var state: String
        /// How often its container was started again.
        package var restarts: Int
        /// Why it does not serve; empty if it does.
        package var reason: String

        package init(name: String, state: String, restarts: Int, reason: String) {
            self.name = name
            self.state = state
            self.restarts = restarts
            self.reason = reason
        }
    }

    package var name: String
    package var namespace: String
    /// As for those of this machine: deleting, progressing, failed, ready, degraded or down.
    package var state: String
    package var replicas: Int
    package var ready: Int
    /// What gets the requests; nil where nothing does yet.
    package var active: Int?
    /// What is being rolled out; nil if nothing is.
    package var wanted: Int?
    /// What was asked for last: the model, the run.
    package var revision: Revision
    /// Why the last roll-out failed.
    package var failure: String?
    package var createdAt: Timestamp
    package var updatedAt: Timestamp
    /// Filled where one was asked for by its name.
    package var processes: [Process] = []
    package var door = Door()

    /// Where it answers those who are within the cluster.
    package struct Door: Sendable, Hashable {
        package var host: String
        package var port: Int
        /// Whether clients must show a key of its own.
        package var asksForKey: Bool

        package init(host: String = "", port: Int = 0, asksForKey: Bool = false) {
            self.host = host
            self.port = port
            self.asksForKey = asksForKey
        }
    }

    /// What was asked for, as the step that did it noted it.
    package struct Revision: Sendable, Hashable {
        package var number = 1
        package var model = ""
        /// SHA-256 of the model artifact; empty for a model that pods find by themselves.
        package var modelHash = ""
        package var quant = "stored"
        package var workflow = ""
        package var workflowUID = ""
        package var url = ""

        package init() {}
    }

    package init(
        name: String, namespace: String, state: String, replicas: Int, ready: Int, revision: Revision,
        createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.name = name
        self.namespace = namespace
        self.state = state
        self.replicas = replicas
        self.ready = ready
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// Whoever knows the deployments of a cluster. Its methods throw what the cluster answers.
package protocol ClusterDeployments: Sendable {
    /// Those of this installation, in order of namespaces and names.
    /// - Parameter name: nil for all.
    func deployments(named name: String?) async throws -> [ClusterDeployment]

    /// - Returns: why it cannot be done; nil when it is.
    func scale(_ name: String, namespace: String, to count: Int) async throws -> String?

    /// Takes down all that serves it. One that is not there is no error.
    func delete(_ name: String, namespace: String) async throws
}
