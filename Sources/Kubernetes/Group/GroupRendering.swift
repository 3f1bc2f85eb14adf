// What `martlet render` shows of a template: the pod, or the objects of a group.

import Scheduling
import Text
import WorkflowLanguage

extension GroupRenderer {
    /// - Throws: `PodProblem`, also for annotations that cannot be read.
    func rendered(_ launch: Launch, owner: RunOwner?, token: String) throws(PodProblem) -> [JSONValue] {
        if launch.isDeployment { return try DeployRenderer(settings).objects(for: launch, token: token) }
        let asked: NodeGroup?
        do throws(NodeGroup.Problem) {
            asked = try NodeGroup(launch.template)
        } catch {
            throw PodProblem(error.description)
        }
        guard let group = asked else {
            return [try PodRenderer(settings).pod(for: launch, owner: owner, token: token)]
        }
        if group.nodes == 1 {
            return [try PodRenderer(settings).pod(for: Self.alone(launch, group), owner: owner, token: token)]
        }
        let (service, job) = try objects(for: launch, group: group, owner: owner, token: token)
        return [service, job]
    }
}
