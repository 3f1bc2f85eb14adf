// The words for how far a node or workflow has come; they are also the words on the wire.

/// A phase of a node. Workflows use the same words, Skipped and Omitted excepted.
package enum Phase: String, Sendable, Hashable, CaseIterable {
    case pending = "Pending"
    case running = "Running"
    case succeeded = "Succeeded"
    case skipped = "Skipped"
    case failed = "Failed"
    case error = "Error"
    case omitted = "Omitted"

    /// Nothing more happens by itself.
    package var isFulfilled: Bool { self != .pending && self != .running }
    /// The work was done, well or badly.
    package var isCompleted: Bool { self == .succeeded || isUnsuccessful }
    package var isUnsuccessful: Bool { self == .failed || self == .error }
}

/// What a node stands for.
package enum NodeType: String, Sendable, Hashable, CaseIterable {
    case pod = "Pod"
    case container = "Container"
    case steps = "Steps"
    case stepGroup = "StepGroup"
    case dag = "DAG"
    case taskGroup = "TaskGroup"
    case retry = "Retry"
    case skipped = "Skipped"
    case suspend = "Suspend"
    case http = "HTTP"
    case plugin = "Plugin"

    /// Whether nodes of this type do work of their own, as opposed to arranging others.
    package var isExecutable: Bool {
        switch self {
        case .pod, .container, .suspend, .http, .plugin: true
        default: false
        }
    }
}

/// Who is to blame for a failure; decides what a retry does and what it counts.
package enum FailureClass: String, Sendable, Hashable, CaseIterable {
    /// The command itself failed.
    case user
    /// The machine, the store or the supervisor failed.
    case infrastructure
    /// Memory ran out.
    case memory
}
