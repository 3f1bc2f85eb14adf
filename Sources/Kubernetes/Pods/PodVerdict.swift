// What a pod's status means for its step: one table of conditions, as a pure function.

package import Scheduling
package import Text
import WorkflowLanguage

/// How a step's work came to its end.
package struct PodEnd: Sendable, Hashable {
    package var phase: Phase
    package var message: String
    package var failureClass: FailureClass?
    /// The cluster's doing, not the step's: it is launched again and no attempt is used up.
    package var isLost = false
    package var exitCode: Int?

    package init(
        _ phase: Phase, _ message: String = "", _ failureClass: FailureClass? = nil, isLost: Bool = false,
        exitCode: Int? = nil
    ) {
        self.phase = phase
        self.message = message
        self.failureClass = failureClass
        self.isLost = isLost
        self.exitCode = exitCode
    }

    static func lost(_ message: String) -> PodEnd { PodEnd(.error, message, .infrastructure, isLost: true) }

    /// What a create that failed means for its step; nil where it may go well later.
    /// - Parameter what: `pod` or `group`.
    init?(ofCreate what: String, _ error: any Error) {
        if let problem = error as? PodProblem {
            self.init(.error, problem.description, .user)
            return
        }
        guard let error = error as? KubernetesError, !error.mayPassForCreate else { return nil }
        let words =
            switch error.status {
            case 403: "the cluster refused the \(what): \(error.message)"
            case 404: "\(error.message); the namespace must exist in the cluster"
            default: "the cluster did not take the \(what): \(error.message)"
            }
        self.init(.error, words, .infrastructure)
    }
}

/// Where a pod stands.
package enum PodStanding: Sendable, Hashable {
    /// Nothing of the step's own runs yet. When the time of one of the limits has come, it is taken to have ended so.
    case waiting(String, limits: [Limit] = [])
    case running(host: String)
    case ended(PodEnd)

    package struct Limit: Sendable, Hashable {
        /// What it waits for; the same words for the same thing.
        package var cause: String
        /// The moment, or how long after the cause was first seen.
        package var time: Time
        package var end: PodEnd

        package enum Time: Sendable, Hashable {
            case at(Timestamp)
            case after(Duration)
        }
    }
}

package struct PodVerdict: Sendable {
    /// Kubelets try to pull for ever; so long a registry may be away.
    private static let pullPatience = Duration.seconds(600)
    /// What a Secret, a ConfigMap or a volume may be late by.
    private static let configurationPatience = Duration.seconds(120)
    /// So long after its grace a pod on a node that does not answer is given up.
    private static let nodePatience = Duration.seconds(60)
    private static let pullReasons: Set<String> = ["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"]
    private static let brokenReasons: Set<String> = [
        "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
        "ImageInspectError", "RunContainerError",
    ]
    private static let neverBegan: Set<String> = ["ContainerCannotRun", "StartError"]
    /// The pod was turned away or ended for the node's sake.
    private static let disruptions: Set<String> = [
        "Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated",
        "UnexpectedAdmissionError", "TopologyAffinityError", "SMTAlignmentError", "TaintToleration",
        "NodeAffinity", "Preempted", "TaintManagerEviction",
    ]

    let pod: JSONValue
    private let status: Fields
    private let work: Set<String>
    private let deadlineMessage: String

    /// - Parameter work: names of the containers that do the step's work; sidecars decide nothing.
    package init(_ pod: JSONValue, work: Set<String>, deadlineMessage: String) {
        self.pod = pod
        status = Fields(pod["status"])
        self.work = work
        self.deadlineMessage = deadlineMessage
    }

    /// When the last of the pod's containers ended; nil while one may run.
    static func endOfWork(_ pod: JSONValue) -> Timestamp? {
        let verdict = PodVerdict(pod, work: [], deadlineMessage: "")
        let states = verdict.containers("containerStatuses")
        guard !states.isEmpty, states.allSatisfy({ $0.ended != nil }) else { return nil }
        return states.map(\.finishedAt).filter { $0.nanoseconds < .max }.max()
    }

    /// - Parameter isGone: whether the object is no longer there.
    package func standing(isGone: Bool = false) -> PodStanding {
        let phase = status.string("phase") ?? "Pending"
        if let end = end(phase) { return .ended(end) }
        if isGone { return .ended(.lost(goneMessage)) }
        if let leaving { return leaving }
        switch phase {
        case "Running": return .running(host: pod["spec"]?["nodeName"]?.stringValue ?? "")
        case "Unknown":
            let end = PodEnd.lost("its node does not answer: \(reasonText)")
            return .waiting(end.message, limits: [limit("unknown", Self.pullPatience, end)])
        default: return pending
        }
    }

    private var reasonText: String {
        let texts = [status.string("reason"), status.string("message")]
        return texts.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ": ")
    }

    private var goneMessage: String {
        if let disruption { return "the pod was taken away: \(disruption)" }
        return "the pod was deleted by somebody else while it was at work"
    }

    // MARK: Ended

    private func end(_ phase: String) -> PodEnd? {
        let states = containers("containerStatuses").filter { work.contains($0.name) }
        let areAllOver = states.count == work.count && states.allSatisfy { $0.ended != nil }
        switch phase {
        case "Succeeded": return PodEnd(.succeeded, exitCode: 0)
        case "Failed": return failure(states)
        case "Running" where areAllOver:
            // Only sidecars are left, and they decide nothing.
            return states.allSatisfy { $0.exitCode == 0 } ? PodEnd(.succeeded, exitCode: 0) : failure(states)
        case "Running" where states.contains { Self.neverBegan.contains($0.reason) }:
            // It will never say that it ended to those of its set that wait for it.
            return failure(states)
        default: return nil
        }
    }

    private func failure(_ states: [ContainerState]) -> PodEnd {
        let reason = status.string("reason") ?? ""
        if reason == "DeadlineExceeded" { return PodEnd(.failed, deadlineMessage, .user) }
        if let disruption { return .lost("the pod was taken away: \(disruption)") }
        if wasEndedByDeletion(states) { return .lost(goneMessage) }
        if Self.disruptions.contains(reason) || reason.hasPrefix("OutOf") { return .lost(reasonText) }
        for state in containers("initContainerStatuses") where (state.exitCode ?? 0) != 0 {
            // Native sidecars are ended by the kubelet, and how they end decides nothing.
            if sidecars.contains(state.name) { continue }
            return failure(of: state, isInitial: true)
        }
        if let failed = states.filter({ ($0.exitCode ?? 0) != 0 }).min(by: { $0.finishedAt < $1.finishedAt })
        {
            return failure(of: failed, isInitial: false)
        }
        if states.count == work.count, states.allSatisfy({ $0.exitCode == 0 }) {
            // A sidecar's failure makes the pod Failed, and nothing else.
            return PodEnd(.succeeded, exitCode: 0)
        }
        let text = reasonText.isEmpty ? "the pod failed without a reason" : reasonText
        return PodEnd(.error, text, .infrastructure)
    }

    /// Whether the work failed because somebody deleted the pod: its containers got a signal then, and the phase is
    /// Failed before the pod goes.
    private func wasEndedByDeletion(_ states: [ContainerState]) -> Bool {
        guard let limit = moment(pod["metadata"]?["deletionTimestamp"]) else { return false }
        let grace = pod["metadata"]?["deletionGracePeriodSeconds"]?.intValue ?? 0
        let asked = limit + .seconds(-grace)
        return states.contains { state in
            guard let code = state.exitCode, code != 0 else { return false }
            return [128 + 15, 128 + 9].contains(code) || state.finishedAt >= asked
        }
    }

    private var sidecars: Set<String> {
        let containers = pod["spec"]?["initContainers"]?.arrayValue ?? []
        return Set(
            containers.filter { $0["restartPolicy"]?.stringValue == "Always" }.compactMap {
                $0["name"]?.stringValue
            })
    }

    private func failure(of state: ContainerState, isInitial: Bool) -> PodEnd {
        let code = state.exitCode ?? 1
        let suffix = "(exit code \(code))"
        if state.reason == "OOMKilled" {
            return PodEnd(.failed, "OOMKilled \(suffix)", .memory, exitCode: code)
        }
        if state.name == "martlet-init" {
            let why = state.message.isEmpty ? "its log says why" : state.message
            return PodEnd(.error, "the step could not be prepared: \(why)", .infrastructure)
        }
        if Self.neverBegan.contains(state.reason) {
            return PodEnd(.failed, "\(state.name): \(state.message) \(suffix)", .user, exitCode: code)
        }
        if state.reason == "ContainerStatusUnknown" { return .lost("its node lost sight of \(state.name)") }
        let words = isInitial ? "init container \(state.name)" : state.name
        let kind: FailureClass = code == 86 ? .memory : code == 75 ? .infrastructure : .user
        return PodEnd(.failed, "\(words): Error \(suffix)", kind, exitCode: code)
    }

    /// Why the cluster takes the pod away, where it says so.
    private var disruption: String? {
        for condition in status.list("conditions").map({ Fields($0) }) {
            guard condition.string("type") == "DisruptionTarget", condition.string("status") == "True" else {
                continue
            }
            return [condition.string("reason"), condition.string("message")].compactMap { $0 }.joined(
                separator: ": ")
        }
        return nil
    }

    // MARK: Not yet

    /// A pod that is to go may stay for long on a node that does not answer.
    private var leaving: PodStanding? {
        guard let moment = moment(pod["metadata"]?["deletionTimestamp"]) else { return nil }
        // The time stands in the field already, the grace included.
        let end = PodEnd.lost(goneMessage)
        return .waiting(
            end.message, limits: [.init(cause: "leaving", time: .at(moment + Self.nodePatience), end: end)])
    }

    private var pending: PodStanding {
        let states = containers("initContainerStatuses") + containers("containerStatuses")
        for state in states where Self.pullReasons.contains(state.waitingReason) {
            let text = "\(state.name): \(state.waitingReason): \(state.waitingMessage)"
            let end = PodEnd(.error, text, .infrastructure)
            return .waiting(text, limits: [limit("image of \(state.name)", Self.pullPatience, end)])
        }
        for state in states where Self.brokenReasons.contains(state.waitingReason) {
            let text = "\(state.name): \(state.waitingReason): \(state.waitingMessage)"
            let end = PodEnd(.error, text, .user)
            return .waiting(
                text, limits: [limit("configuration of \(state.name)", Self.configurationPatience, end)])
        }
        for condition in status.list("conditions").map({ Fields($0) }) {
            guard condition.string("type") == "PodScheduled", condition.string("status") == "False" else {
                continue
            }
            let texts = [condition.string("reason"), condition.string("message")].compactMap { $0 }
            // It may wait as long as it must: a cluster grows, and others end. `pendingTimeout` says
            // otherwise.
            return .waiting(texts.joined(separator: ": "))
        }
        return .waiting(reasonText)
    }

    private func limit(_ cause: String, _ patience: Duration, _ end: PodEnd) -> PodStanding.Limit {
        PodStanding.Limit(cause: cause, time: .after(patience), end: end)
    }

    private func moment(_ value: JSONValue?) -> Timestamp? {
        value?.stringValue.flatMap { Timestamp(rfc3339: $0) }
    }

    // MARK: Containers

    struct ContainerState {
        var name: String
        var ended: Fields?
        var waitingReason: String
        var waitingMessage: String

        init(_ json: JSONValue) {
            let fields = Fields(json)
            name = fields.text("name") ?? ""
            ended = fields.object("state")?.object("terminated")
            let waiting = fields.object("state")?.object("waiting")
            waitingReason = waiting?.string("reason") ?? ""
            waitingMessage = waiting?.string("message") ?? ""
        }

        var exitCode: Int? { ended?.int("exitCode") }
        var reason: String { ended?.string("reason") ?? "" }
        /// What it left in its termination message.
        var message: String { ended?.string("message") ?? "" }
        var startedAt: Timestamp? { ended?.string("startedAt").flatMap { Timestamp(rfc3339: $0) } }
        var finishedAt: Timestamp {
            ended?.string("finishedAt").flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(nanoseconds: .max)
        }
    }

    func containers(_ list: String) -> [ContainerState] { status.list(list).map(ContainerState.init) }

    /// Whether all containers of the pod answer their probes.
    package var isReady: Bool {
        status.list("conditions").contains {
            $0["type"]?.stringValue == "Ready" && $0["status"]?.stringValue == "True"
        }
    }

    package var address: String { status.string("podIP") ?? "" }
}
