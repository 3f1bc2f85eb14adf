// One pod on the fake node, from its volumes to its last status.

import Artifacts
import Executors
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

struct PodRun: Sendable {
    private static let pause = Duration.milliseconds(20)
    /// Between looks for a Secret or a ConfigMap that is not there.
    private static let longPause = Duration.milliseconds(250)

    let kubelet: FakeKubelet
    let pod: JSONValue

    private var metadata: Fields { Fields(pod["metadata"]) }
    private var spec: Fields { Fields(pod["spec"]) }
    private var uid: String { metadata.string("uid") ?? "" }
    private var name: String { metadata.string("name") ?? "" }
    private var namespace: String { metadata.string("namespace") ?? "default" }
    private var path: String { "/api/v1/namespaces/\(namespace)/pods/\(name)" }
    private var directory: String { "\(kubelet.settings.directory)/\(uid)" }

    private struct Broken: Error {
        var reason: String
        var message: String
    }

    func run() async {
        do {
            guard try await isOurs() else { return }
            try await work()
        } catch let broken as Broken {
            await report(waiting(broken.reason, broken.message))
            while kubelet.ending(uid) == nil, (try? await Task.sleep(for: Self.pause)) != nil {}
            await remove()
        } catch {
            await report(["phase": "Failed", "reason": "FakeKubelet", "message": .string("\(error)")])
        }
    }

    /// Whether the pod is on this node, which it is put on if nobody has put it on another.
    private func isOurs() async throws -> Bool {
        if spec["nodeName"] != nil { return true }
        do {
            _ = try await kubelet.client.create(
                path + "/binding",
                [
                    "apiVersion": "v1", "kind": "Binding", "metadata": ["name": .string(name)],
                    "target": ["apiVersion": "v1", "kind": "Node", "name": .string(kubelet.settings.node)],
                ])
            return true
        } catch let error as KubernetesError where error.status == 409 || error.isNotFound {
            // A scheduler was first.
            guard let there = try? await kubelet.client.get(path) else { return false }
            return there["spec"]?["nodeName"]?.stringValue == kubelet.settings.node
                && there["metadata"]?["uid"]?.stringValue == uid
        }
    }

    /// Takes the object away, as a node does when nothing of the pod is left.
    func remove() async {
        try? await kubelet.client.delete(path, graceSeconds: 0, uid: uid)
        Disk.removeTree(directory)
    }

    private func report(_ status: JSONValue) async {
        _ = try? await kubelet.client.patch(path + "/status", .merge, ["status": status])
    }

    // MARK: Work

    /// Whether an init container goes on while the others run. API servers before 1.28 do not know the field and drop
    /// it; there the companion of a step is known by its name.
    private static func runsBeside(_ container: JSONValue) -> Bool {
        container["restartPolicy"]?.stringValue == "Always"
            || container["name"]?.stringValue == "martlet-save"
    }

    private func work() async throws {
        var volumes = PodVolumes(pod: pod, directory: directory + "/volumes")
        let values = NodeValues(client: kubelet.client, namespace: namespace)
        try await untilReady { try await volumes.prepare(values) }
        var initial: [NodeContainer] = []
        var beside: [NodeContainer] = []
        for json in spec.list("initContainers") {
            var container = NodeContainer(
                json, pod: pod, directory: directory, volumes: volumes, kubelet: kubelet)
            try await untilReady { try await container.resolve(values) }
            try start(&container)
            if Self.runsBeside(json) {
                beside.append(container)
                initial.append(container)
                continue
            }
            await wait(for: [container], phase: "Pending", initial: initial + [container], main: [])
            container.look()
            initial.append(container)
            guard container.exitCode == 0 else {
                return await finish(initial: initial, main: [], beside: beside)
            }
        }
        var main: [NodeContainer] = []
        for json in spec.list("containers") {
            var container = NodeContainer(
                json, pod: pod, directory: directory, volumes: volumes, kubelet: kubelet)
            try await untilReady { try await container.resolve(values) }
            try start(&container)
            main.append(container)
        }
        await wait(for: main, phase: "Running", initial: initial, main: main)
        for index in main.indices { main[index].look() }
        await finish(initial: initial, main: main, beside: beside)
    }

    /// Tries again what waits for something that may still come, and says so meanwhile.
    private func untilReady(_ body: () async throws -> Void) async throws {
        var told: String?
        while true {
            do {
                return try await body()
            } catch let missing as NotReady {
                if kubelet.ending(uid) != nil {
                    throw Broken(reason: missing.reason, message: missing.message)
                }
                if told != missing.message { await report(waiting(missing.reason, missing.message)) }
                told = missing.message
            }
            try await Task.sleep(for: Self.longPause)
        }
    }

    private func waiting(_ reason: String, _ message: String) -> JSONValue {
        let state: JSONValue = ["waiting": ["reason": .string(reason), "message": .string(message)]]
        let containers = spec.list("containers").map { container -> JSONValue in
            [
                "name": container["name"] ?? "", "ready": false, "restartCount": 0, "image": "",
                "imageID": "",
                "state": state,
            ]
        }
        return ["phase": "Pending", "containerStatuses": .array(containers)]
    }

    private func start(_ container: inout NodeContainer) throws {
        do {
            try container.start()
        } catch {
            throw Broken(reason: "CreateContainerError", message: "\(error)")
        }
    }

    /// Until all have ended, which a deletion or the deadline brings about; tells the API what changes.
    private func wait(
        for containers: [NodeContainer], phase: String, initial: [NodeContainer], main: [NodeContainer]
    ) async {
        var containers = containers
        var told: JSONValue?
        var wasAsked = false
        let deadline = spec.int("activeDeadlineSeconds").map { ContinuousClock.now + .seconds($0) }
        while true {
            var isOver = true
            for index in containers.indices {
                containers[index].look()
                if containers[index].exitCode == nil { isOver = false }
            }
            var status = statusOf(initial: initial, main: main, phase: phase)
            if phase == "Running" {
                let isReady = containers.allSatisfy { $0.exitCode == nil && $0.answersProbe }
                status["conditions"] = [["type": "Ready", "status": .string(isReady ? "True" : "False")]]
            }
            let json = JSONValue.object(status)
            if json != told {
                told = json
                await report(json)
            }
            if isOver { return }
            let isLate = deadline.map { ContinuousClock.now > $0 } ?? false
            if let grace = kubelet.ending(uid) ?? (isLate ? 2 : nil), !wasAsked || grace == 0 {
                wasAsked = true
                for container in containers { container.end(immediately: grace == 0) }
            }
            try? await Task.sleep(for: Self.pause)
            if Task.isCancelled { return }
        }
    }

    private func finish(initial: [NodeContainer], main: [NodeContainer], beside: [NodeContainer]) async {
        for container in beside { container.end(immediately: false) }
        var initial = initial
        let limit = ContinuousClock.now + .seconds(5)
        while beside.contains(where: { $0.isRunning }), ContinuousClock.now < limit {
            try? await Task.sleep(for: Self.pause)
        }
        for container in beside where container.isRunning { container.end(immediately: true) }
        for index in initial.indices { initial[index].look() }
        let isGood = !main.isEmpty && main.allSatisfy { $0.exitCode == 0 }
        var status = statusOf(initial: initial, main: main, phase: isGood ? "Succeeded" : "Failed")
        if let seconds = spec.int("activeDeadlineSeconds"), !isGood, main.contains(where: \.wasEnded),
            kubelet.ending(uid) == nil
        {
            status["reason"] = "DeadlineExceeded"
            status["message"] = .string("Pod was active on the node longer than \(seconds) s")
        }
        status["conditions"] = [["type": "Ready", "status": "False"]]
        await report(.object(status))
        if kubelet.ending(uid) != nil { await remove() }
    }

    private func statusOf(
        initial: [NodeContainer], main: [NodeContainer], phase: String
    ) -> [String: JSONValue] {
        [
            "phase": .string(phase), "podIP": "127.0.0.1", "hostIP": "127.0.0.1",
            "initContainerStatuses": .array(initial.map(\.status)),
            "containerStatuses": .array(main.map(\.status)),
        ]
    }
}
