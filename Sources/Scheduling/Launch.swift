// What an executor is asked to do, and what it answers. Values only: executors and scheduler share no state.

package import Text
package import WorkflowLanguage

/// The name of one launch of one node's work. Asking twice with the same key runs nothing twice.
package struct AttemptKey: Sendable, Hashable {
    package var workflowUID: String
    package var nodeID: NodeID
    /// Counted from 0; goes up when a launch was lost, and when a manual retry runs the node again.
    package var attempt: Int

    package init(workflowUID: String, nodeID: NodeID, attempt: Int) {
        self.workflowUID = workflowUID
        self.nodeID = nodeID
        self.attempt = attempt
    }
}

/// One piece of work for an executor: a leaf template with everything substituted.
package struct Launch: Sendable, Hashable {
    package var key: AttemptKey
    package var workflowName: String
    package var namespace: String
    package var nodeName: String
    package var podName: String
    /// The leaf template, tags replaced. Kinds: container, script, containerSet, http, data, martlet, plugin.
    package var template: Template
    /// The node's inputs with their values and artifact locations.
    package var inputs: Inputs
    /// Volumes of the workflow and its claim templates (by name): the template's own come first.
    package var volumes: [JSONValue]
    package var volumeClaimTemplates: [JSONValue]
    package var serviceAccountName: String
    package var labels: [String: String]
    package var annotations: [String: String]
    /// Whether standard output is wanted as `outputs.result`.
    package var capturesResult: Bool
    package var archivesLogs: Bool
    /// Seconds after the start at which the executor ends the work by itself.
    package var deadlineSeconds: Double?
    /// What is said when that deadline ends it.
    package var deadlineMessage: String
    /// The n in `X(n)`: 0 where there is no retry strategy. Steps see it as MARTLET_ATTEMPT.
    package var retryOrdinal: Int
    /// The node that keeps the checkpoint directory: the Retry node, or the node itself.
    package var checkpointNodeID: NodeID
    /// Higher goes first where there is a queue.
    package var priority: Int
    /// What the workflow says of all its pods, tags replaced: see `PodSettingKeys`.
    package var podSettings: JSONValue = [:]

    package init(
        key: AttemptKey, workflowName: String, namespace: String, nodeName: String, podName: String,
        template: Template, inputs: Inputs
    ) {
        self.key = key
        self.workflowName = workflowName
        self.namespace = namespace
        self.nodeName = nodeName
        self.podName = podName
        self.template = template
        self.inputs = inputs
        volumes = []
        volumeClaimTemplates = []
        serviceAccountName = ""
        labels = [:]
        annotations = [:]
        capturesResult = false
        archivesLogs = false
        deadlineSeconds = nil
        deadlineMessage = "Pod was active on the node longer than the specified deadline"
        retryOrdinal = 0
        checkpointNodeID = key.nodeID
        priority = 0
    }
}

/// How a launch ended.
package struct AttemptOutcome: Sendable, Hashable {
    /// How one container of a set ended.
    package struct ContainerOutcome: Sendable, Hashable {
        package var name: String
        package var phase: Phase
        package var message: String
        package var exitCode: Int?
        package var startedAt: Timestamp?
        package var finishedAt: Timestamp?

        package init(
            name: String, phase: Phase, message: String = "", exitCode: Int? = nil,
            startedAt: Timestamp? = nil,
            finishedAt: Timestamp? = nil
        ) {
            self.name = name
            self.phase = phase
            self.message = message
            self.exitCode = exitCode
            self.startedAt = startedAt
            self.finishedAt = finishedAt
        }
    }

    /// Succeeded, Failed or Error.
    package var phase: Phase
    package var message: String
    package var exitCode: Int?
    package var outputs: Outputs
    package var failureClass: FailureClass?
    /// The supervisor vanished without a result: the attempt does not count, and runs again.
    package var isLost: Bool
    package var containers: [ContainerOutcome]
    package var finishedAt: Timestamp?
    package var resourcesDuration: [String: Int]

    package init(
        phase: Phase, message: String = "", exitCode: Int? = nil, outputs: Outputs = Outputs(),
        failureClass: FailureClass? = nil, isLost: Bool = false, containers: [ContainerOutcome] = [],
        finishedAt: Timestamp? = nil, resourcesDuration: [String: Int] = [:]
    ) {
        self.phase = phase
        self.message = message
        self.exitCode = exitCode
        self.outputs = outputs
        self.failureClass = failureClass
        self.isLost = isLost
        self.containers = containers
        self.finishedAt = finishedAt
        self.resourcesDuration = resourcesDuration
    }
}

/// What an executor reports. Reports may come twice, late, or for attempts that are no longer wanted.
package enum ExecutorReport: Sendable, Hashable {
    /// The work was admitted and its process runs.
    case started(AttemptKey, host: String, at: Timestamp)
    /// The work waits for cpu, memory, GPUs or a slot; the text says for what.
    case waiting(AttemptKey, message: String)
    /// `N/M` from the progress file.
    case progress(AttemptKey, String)
    /// A daemon answers its probe.
    case ready(AttemptKey, address: String)
    case finished(AttemptKey, AttemptOutcome)

    package var key: AttemptKey {
        switch self {
        case .started(let key, _, _), .waiting(let key, _), .progress(let key, _), .ready(let key, _),
            .finished(let key, _):
            key
        }
    }
}
