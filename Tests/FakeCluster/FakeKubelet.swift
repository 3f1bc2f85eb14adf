// A node that runs pods as processes of this machine: volumes as directories, containers under the
// supervisor's sandbox. It speaks to the API as any client does, so that it can serve a real API server, too.

import Artifacts
import Executors
import Glibc
package import Kubernetes
import Synchronization
import Text
import WorkflowLanguage

package final class FakeKubelet: Sendable {
    package struct Settings: Sendable {
        /// Where pods lie.
        package var directory: String
        package var node = "fake-node"
        /// The folder with `martlet` and its supervisor, which stands for the step image.
        package var programs: String
        /// Whether it takes pods that no scheduler has placed.
        package var schedules = true

        package init(directory: String, programs: String) {
            self.directory = directory
            self.programs = programs
        }
    }

    let client: KubernetesClient
    let settings: Settings
    let supervisor: String
    let sandbox: SupervisorSpec.Sandbox
    let host: HostView
    let path: String
    /// Pods that run here, by uid, and whether they are to end: the grace in seconds.
    let running = Mutex<[String: Int?]>([:])
    /// By namespace and name.
    private let uids = Mutex<[String: String]>([:])

    package init(client: KubernetesClient, settings: Settings) throws {
        self.client = client
        self.settings = settings
        supervisor = settings.programs + "/Supervisor"
        try Disk.makeDirectories(settings.directory)
        sandbox =
            SupervisorClient.sandboxSupport(
                supervisorPath: supervisor, scratchDirectory: settings.directory
            ).sandbox
        path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        host = HostView(path: path, home: getenv("HOME").map { String(cString: $0) } ?? "/root")
    }

    /// Where a container's log lies.
    package func logPath(uid: String, container: String) -> String? {
        let path = "\(settings.directory)/\(uid)/\(container)/log"
        return Disk.exists("\(settings.directory)/\(uid)/\(container)") ? path : nil
    }

    /// The pod that has the name, or had it last; `NAMESPACE/NAME`.
    func uid(of name: String) -> String? { uids.withLock { $0[name] } }

    /// Runs pods until the task is cancelled.
    package func run() async {
        let (pods, inlet) = AsyncStream<JSONValue>.makeStream()
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                let watch = ResourceWatch(
                    client: client, path: "/api/v1/pods", labelSelector: "", onTrouble: { _ in })
                await watch.run { change in
                    switch change {
                    case .part(let list): for pod in list { inlet.yield(pod) }
                    case .all: break
                    case .changed(let pod): inlet.yield(pod)
                    case .deleted(let pod):
                        if let uid = pod["metadata"]?["uid"]?.stringValue { self.end(uid, grace: 0) }
                    }
                }
                inlet.finish()
            }
            for await pod in pods { take(pod, &group) }
        }
    }

    private func take(_ pod: JSONValue, _ group: inout DiscardingTaskGroup) {
        guard let uid = pod["metadata"]?["uid"]?.stringValue else { return }
        let node = pod["spec"]?["nodeName"]?.stringValue
        if pod["metadata"]?["deletionTimestamp"] != nil, node == settings.node {
            end(uid, grace: pod["metadata"]?["deletionGracePeriodSeconds"]?.intValue ?? 30)
            if running.withLock({ $0[uid] == nil }) {
                group.addTask { await PodRun(kubelet: self, pod: pod).remove() }
            }
            return
        }
        // A pod that is gated is nobody's to place yet.
        let isFree = node == nil && pod["spec"]?["schedulingGates"]?.arrayValue?.isEmpty != false
        guard node == settings.node || (isFree && settings.schedules),
            pod["status"]?["phase"]?.stringValue == "Pending"
        else { return }
        let isNew = running.withLock { running in
            guard running[uid] == nil else { return false }
            running[uid] = .some(nil)
            return true
        }
        if isNew {
            let metadata = pod["metadata"]
            let name = "\(metadata?["namespace"]?.stringValue ?? "")/\(metadata?["name"]?.stringValue ?? "")"
            uids.withLock { $0[name] = uid }
            group.addTask { [self] in
                await PodRun(kubelet: self, pod: pod).run()
                running.withLock { _ = $0.removeValue(forKey: uid) }
            }
        }
    }

    private func end(_ uid: String, grace: Int) {
        running.withLock { running in
            guard let asked = running[uid] else { return }
            running[uid] = .some(min(grace, asked ?? grace))
        }
    }

    /// The grace of a pod that is to end; nil while it may go on.
    func ending(_ uid: String) -> Int? { running.withLock { $0[uid] ?? nil } }
}
