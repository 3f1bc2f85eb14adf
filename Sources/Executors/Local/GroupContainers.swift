// A step on several nodes where there is only this machine: a process for each node under one supervisor, so that the
// group starts, is found again and ends as one step does.

import Scheduling
import WorkflowLanguage

/// One node of a group, and what it is told.
struct GroupMember: Sendable {
    let group: NodeGroup
    let rank: Int
    /// Free on the loopback address when the group was prepared; rank 0 is to listen there.
    let port: Int

    /// What it is told, rank included.
    var variables: [(name: String, value: String)] {
        NodeGroup.rankVariables.map { (name: $0, value: String(rank)) }
            + group.variables(address: "127.0.0.1", port: port)
    }
}

extension StepContainers {
    /// The containers of a step, as one process or as a group's.
    /// - Throws: as `all` does, and where no port is free.
    static func containers(plan: StepPlan, values: LaunchValues, gpus: [Int]) throws
        -> [SupervisorSpec.Container]
    {
        guard let group = plan.group else {
            return try StepContainers(plan: plan, values: values, gpus: gpus).all()
        }
        let port = try FreePort.find()
        let share = gpus.count / group.nodes
        var ranks: [SupervisorSpec.Container] = []
        var others: [SupervisorSpec.Container] = []
        for rank in 0..<group.nodes {
            let member = GroupMember(group: group, rank: rank, port: port)
            let own = Array(gpus.dropFirst(rank * share).prefix(share))
            let made = try StepContainers(plan: plan, values: values, gpus: own, member: member).all()
            for var container in made {
                guard container.role == .main else {
                    // Init containers and sidecars are there once: all share one machine.
                    if rank == 0 { others.append(container) }
                    continue
                }
                if group.nodes > 1 {
                    container.name = "rank-\(rank)"
                    if rank > 0 { container.role = .rank }
                }
                ranks.append(container)
            }
        }
        return others.filter { $0.role == .initial } + ranks + others.filter { $0.role != .initial }
    }

    /// How many processes one supervisor takes, and places in it for init containers and sidecars.
    static let groupLimit = 100

    /// Why a template's group cannot run on this machine.
    static func groupProblem(_ group: NodeGroup) -> String? {
        guard group.nodes > groupLimit else { return nil }
        return
            "\(NodeGroup.nodesAnnotation): \(group.nodes) nodes are more than the \(groupLimit) processes that a "
            + "group may have on one machine; run it with --executor kubernetes"
    }
}
