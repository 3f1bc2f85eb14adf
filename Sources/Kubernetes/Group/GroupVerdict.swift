// What a Job's status and its pods' mean for a step on several nodes: one table of conditions, as a pure
// function.

import Scheduling
package import Text
import WorkflowLanguage

package struct GroupVerdict: Sendable {
    /// A pod as it was seen last, and whether it is still there.
    package struct Member: Sendable, Hashable {
        package var pod: JSONValue
        package var isGone: Bool

        package init(_ pod: JSONValue, isGone: Bool = false) {
            self.pod = pod
            self.isGone = isGone
        }
    }

    /// Those that have begun wait so long for the rest, holding their nodes; two half groups would wait for
    /// ever.
    package static let startPatience = Duration.seconds(600)
    /// So long after a failure the last pod of a group is waited for, on nodes that may not answer.
    private static let endPatience = Duration.seconds(300)
    private static let reasonLimit = 1000

    let job: JSONValue
    let nodes: Int
    private let members: [(rank: Int, member: Member, standing: PodStanding)]
    private let deadlineMessage: String

    /// - Parameter members: the pods of the Job, in any order.
    package init(_ job: JSONValue, _ members: [Member], nodes: Int, deadlineMessage: String) {
        self.job = job
        self.nodes = nodes
        self.deadlineMessage = deadlineMessage
        self.members = members.compactMap { member -> (rank: Int, member: Member, standing: PodStanding)? in
            guard let rank = GroupMarks.rank(of: member.pod) else { return nil }
            let verdict = PodVerdict(member.pod, work: ["main"], deadlineMessage: deadlineMessage)
            return (rank, member, verdict.standing(isGone: member.isGone))
        }.sorted { $0.rank < $1.rank }
    }

    /// When a Job ended, well or not; nil while it goes on.
    static func endOfWork(_ job: JSONValue) -> Timestamp? {
        let verdict = GroupVerdict(job, [], nodes: 0, deadlineMessage: "")
        let last = verdict.condition("Complete") ?? verdict.condition("Failed")
        return last.flatMap { verdict.moment($0["lastTransitionTime"]) }
    }

    /// - Parameter isGone: whether the Job is no longer there.
    package func standing(isGone: Bool = false) -> PodStanding {
        if condition("Complete") != nil { return .ended(PodEnd(.succeeded, exitCode: 0)) }
        if let failed = condition("Failed") { return .ended(failure(failed)) }
        if isGone {
            return .ended(.lost("the group's Job was deleted by somebody else while it was at work"))
        }
        if let moment = moment(job["metadata"]?["deletionTimestamp"]) {
            let end = PodEnd.lost("the group's Job was deleted by somebody else while it was at work")
            return .waiting(
                end.message, limits: [.init(cause: "leaving", time: .at(moment + Self.endPatience), end: end)]
            )
        }
        if job["spec"]?["suspend"]?.boolValue == true { return .waiting(queued) }
        if let failing = condition("FailureTarget") {
            let end = failure(failing)
            let limit = moment(failing["lastTransitionTime"]).map {
                PodStanding.Limit(cause: "ending", time: .at($0 + Self.endPatience), end: end)
            }
            return .waiting(
                "the group is being ended: \(end.message)", limits: limit.map { [$0] } ?? [])
        }
        return starting
    }

    private var queued: String {
        let labels = Fields(job["metadata"]).textMap("labels")
        guard let queue = labels[GroupMarks.queue] else { return "queued: the group's Job is suspended" }
        return "queued in \(queue): Kueue has not admitted the group yet"
    }

    // MARK: Begun or not

    private var present: [(rank: Int, member: Member, standing: PodStanding)] {
        members.filter { !$0.member.isGone && $0.member.pod["metadata"]?["deletionTimestamp"] == nil }
    }

    private var starting: PodStanding {
        var begun: Set<Int> = []
        var problems: [String] = []
        var limits: [PodStanding.Limit] = []
        for (rank, _, standing) in present {
            switch standing {
            case .running, .ended: begun.insert(rank)
            case .waiting(let message, let own):
                if !message.isEmpty { problems.append("rank \(rank): \(message)") }
                for var limit in own {
                    limit.cause = "rank \(rank): \(limit.cause)"
                    limit.end.message = "rank \(rank): \(limit.end.message)"
                    limits.append(limit)
                }
            }
        }
        if begun.count >= nodes { return .running(host: host) }
        let words = ["\(begun.count) of \(nodes) nodes have begun", problems.first].compactMap { $0 }
        let message = words.joined(separator: "; ")
        if let first = present.compactMap({ moment($0.member.pod["status"]?["startTime"]) }).min(),
            !begun.isEmpty
        {
            let end = PodEnd.lost("\(message); those that had were ended, so that others can begin")
            limits.append(.init(cause: "start", time: .at(first + Self.startPatience), end: end))
        }
        return .waiting(message, limits: limits)
    }

    /// Where rank 0 runs.
    private var host: String { present.first?.member.pod["spec"]?["nodeName"]?.stringValue ?? "" }

    // MARK: Ended

    /// The cluster's doing comes first: whoever is left alone by a node that goes fails soon after it. Then
    /// what failed first by itself; those that the Job ended afterwards say nothing.
    private func failure(_ condition: Fields) -> PodEnd {
        if condition.string("reason") == "DeadlineExceeded" { return PodEnd(.failed, deadlineMessage, .user) }
        let ends = members.compactMap { rank, member, standing -> (rank: Int, member: Member, end: PodEnd)? in
            guard case .ended(let end) = standing, end.phase != .succeeded else { return nil }
            return (rank, member, end)
        }
        if let taken = ends.first(where: { $0.end.isLost && !wasOnlyDeleted($0.member) }) {
            return named(taken.end, taken.rank)
        }
        let own = ends.filter { !$0.end.isLost && $0.member.pod["metadata"]?["deletionTimestamp"] == nil }
        if let first = own.min(by: { finish($0.member) < finish($1.member) }) {
            return named(first.end, first.rank)
        }
        if let gone = members.first(where: { wasOnlyDeleted($0.member) && !hasSucceeded($0.standing) }) {
            return .lost("rank \(gone.rank): the pod was deleted by somebody else while it was at work")
        }
        let texts = [condition.string("reason"), condition.string("message")].compactMap { $0 }
        let reason = String(texts.joined(separator: ": ").prefix(Self.reasonLimit))
        return PodEnd(.error, "the group's Job failed: \(reason)", .infrastructure)
    }

    private func hasSucceeded(_ standing: PodStanding) -> Bool {
        if case .ended(let end) = standing { return end.phase == .succeeded }
        return false
    }

    /// Deleted without a word from the cluster why.
    private func wasOnlyDeleted(_ member: Member) -> Bool {
        let isLeaving = member.isGone || member.pod["metadata"]?["deletionTimestamp"] != nil
        let conditions = member.pod["status"]?["conditions"]?.arrayValue ?? []
        return isLeaving && !conditions.contains { $0["type"]?.stringValue == "DisruptionTarget" }
    }

    private func named(_ end: PodEnd, _ rank: Int) -> PodEnd {
        var end = end
        let text = end.message.hasPrefix("main: ") ? String(end.message.dropFirst(6)) : end.message
        end.message = "rank \(rank): \(text)"
        return end
    }

    private func finish(_ member: Member) -> Timestamp {
        let verdict = PodVerdict(member.pod, work: ["main"], deadlineMessage: deadlineMessage)
        let states = verdict.containers("containerStatuses") + verdict.containers("initContainerStatuses")
        return states.filter { ($0.exitCode ?? 0) != 0 }.map(\.finishedAt).min()
            ?? Timestamp(nanoseconds: .max)
    }

    private func condition(_ type: String) -> Fields? {
        (job["status"]?["conditions"]?.arrayValue ?? []).first {
            $0["type"]?.stringValue == type && $0["status"]?.stringValue == "True"
        }.map { Fields($0) }
    }

    private func moment(_ value: JSONValue?) -> Timestamp? {
        value?.stringValue.flatMap { Timestamp(rfc3339: $0) }
    }
}
