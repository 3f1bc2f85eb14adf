// One pod on the fake node, from its volumes to its last status.

import Artifacts
import Executors
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

struct PodRun: Sendable {
    private static let pause = Duration.milliseconds(20)

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
            if spec["nodeName"] == nil {
                _ = try await kubelet.client.create(
                    path + "/binding",
                    [
                        "apiVersion": "v1", "kind": "Binding", "metadata": ["name": .string(name)],
                        "target": [
                            "apiVersion": "v1", "kind": "Node", "name": .string(kubelet.settings.node),
                        ],
                    ])
            }
            try await work()
        } catch let broken as Broken {
            let waiting: JSONValue = [
                "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                "state": ["waiting": ["reason": .string(broken.reason), "message": .string(broken.message)]],
            ]
            await report(["phase": "Pending", "containerStatuses": [waiting]])
            while kubelet.ending(uid) == nil, (try? await Task.sleep(for: Self.pause)) != nil {}
            await remove()
        } catch {
            await report(["phase": "Failed", "reason": "FakeKubelet", "message": .string("\(error)")])
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

    private func work() async throws {
        var volumes = PodVolumes(pod: pod, directory: directory + "/volumes")
        try await volumes.prepare(kubelet.client)
        var initial: [NodeContainer] = []
        var beside: [NodeContainer] = []
        for json in spec.list("initContainers") {
            var container = NodeContainer(
                json, pod: pod, directory: directory, volumes: volumes, kubelet: kubelet)
            try await container.resolve(kubelet.client, namespace)
            try start(&container)
            if json["restartPolicy"]?.stringValue == "Always" {
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
            try await container.resolve(kubelet.client, namespace)
            try start(&container)
            main.append(container)
        }
        await wait(for: main, phase: "Running", initial: initial, main: main)
        for index in main.indices { main[index].look() }
        await finish(initial: initial, main: main, beside: beside)
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
