// The node as the cluster knows it: a Node with room for pods that is Ready, and a Lease that shows that it lives. A
// cluster with a scheduler and with the controller that watches nodes then takes it for one of its own.

import Glibc
import Kubernetes
import Text

struct NodeObject: Sendable {
    /// What a kubelet does by itself: the Lease every ten seconds, the state every five minutes.
    private static let leaseInterval = Duration.seconds(10)
    private static let leaseSeconds = 40
    private static let stateLooks = 30
    private static let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

    let client: KubernetesClient
    let name: String
    /// Where the API finds the logs of containers; nil where they are not served.
    let logPort: Int?
    let now: @Sendable () -> Timestamp

    /// Makes the node known, or known again; then beats until the task is cancelled.
    /// - Parameter onTrouble: told what does not succeed; it is tried again.
    func run(onTrouble: @Sendable (String) -> Void) async {
        var looks = 0
        while !Task.isCancelled {
            do {
                if looks % Self.stateLooks == 0 { try await register() }
                try await beat()
                looks += 1
            } catch {
                if Task.isCancelled { return }
                looks = 0
                onTrouble("the node cannot tell that it is there: \(error)")
            }
            try? await Task.sleep(for: Self.leaseInterval)
        }
    }

    /// One node with its state, as often as one likes.
    func register() async throws {
        let path = "/api/v1/nodes"
        let labels: JSONValue = [
            "kubernetes.io/hostname": .string(name), "kubernetes.io/os": "linux",
            "kubernetes.io/arch": .string(Self.machine),
        ]
        do {
            _ = try await client.create(
                path,
                ["apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": labels]])
        } catch let error as KubernetesError where error.isAlreadyThere {
            _ = try await client.patch("\(path)/\(name)", .merge, ["metadata": ["labels": labels]])
        }
        _ = try await client.patch("\(path)/\(name)/status", .merge, ["status": status])
        // New nodes are marked as not ready by the API itself; a cluster without the controller that takes the mark
        // away would leave it there.
        let node = try await client.get("\(path)/\(name)")
        let taints = node["spec"]?["taints"]?.arrayValue ?? []
        let rest = taints.filter { $0["key"]?.stringValue != "node.kubernetes.io/not-ready" }
        if rest.count < taints.count {
            _ = try await client.patch("\(path)/\(name)", .merge, ["spec": ["taints": .array(rest)]])
        }
    }

    private func beat() async throws {
        let spec: JSONValue = [
            "holderIdentity": .string(name), "leaseDurationSeconds": .int(Self.leaseSeconds),
            "renewTime": .string(Self.microTime(now())),
        ]
        do {
            _ = try await client.patch("\(Self.leases)/\(name)", .merge, ["spec": spec])
        } catch let error as KubernetesError where error.isNotFound {
            _ = try await client.create(
                Self.leases,
                [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": ["name": .string(name), "namespace": "kube-node-lease"], "spec": spec,
                ])
        }
    }

    // MARK: State

    private var status: JSONValue {
        // Pods are processes of this machine, which has as much of everything as it has: what they ask for is not
        // held against it.
        let room: JSONValue = [
            "cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000",
            "nvidia.com/gpu": "16",
        ]
        let moment = JSONValue.string(now().rfc3339)
        func condition(_ type: String, _ status: String, _ reason: String) -> JSONValue {
            [
                "type": .string(type), "status": .string(status), "reason": .string(reason),
                "message": .string(reason), "lastHeartbeatTime": moment, "lastTransitionTime": moment,
            ]
        }
        var members: [String: JSONValue] = [
            "capacity": room, "allocatable": room,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "addresses": [
                ["type": "InternalIP", "address": "127.0.0.1"],
                ["type": "Hostname", "address": .string(name)],
            ],
            "nodeInfo": [
                "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
                "containerRuntimeVersion": "fake://1", "kubeletVersion": "v1.36.0-fake",
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": .string(Self.machine),
            ],
        ]
        if let logPort { members["daemonEndpoints"] = ["kubeletEndpoint": ["Port": .int(logPort)]] }
        return .object(members)
    }

    private static let machine: String = {
        var names = utsname()
        uname(&names)
        let word = withUnsafeBytes(of: &names.machine) { raw in
            String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
        }
        return ["x86_64": "amd64", "aarch64": "arm64"][word] ?? word
    }()

    /// Leases have microseconds.
    private static func microTime(_ moment: Timestamp) -> String {
        let micros = moment.nanoseconds / 1000 % 1_000_000
        let digits = String(micros)
        let fraction = String(repeating: "0", count: 6 - digits.count) + digits
        return String(moment.rfc3339.dropLast()) + "." + fraction + "Z"
    }
}
