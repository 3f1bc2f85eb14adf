// One container on the fake node: an attempt of the supervisor, whose files say how it stands.

import Artifacts
import Executors
import Glibc
import Kubernetes
import Text
import WorkflowLanguage

struct NodeContainer: Sendable {
    private static let skeleton = ["root", "run", "mnt", "home", "var", "var/tmp", "tmp"]
    /// Where the programs of the step image are seen.
    private static let imagePrograms = "/.image/bin"

    let json: JSONValue
    let pod: JSONValue
    let directory: String
    let volumes: PodVolumes
    let kubelet: FakeKubelet
    private var environment: [(name: String, value: String)] = []
    private(set) var exitCode: Int?
    private(set) var wasEnded = false
    private var result: AttemptResult?

    init(_ json: JSONValue, pod: JSONValue, directory: String, volumes: PodVolumes, kubelet: FakeKubelet) {
        self.json = json
        self.pod = pod
        self.directory = "\(directory)/\(json["name"]?.stringValue ?? "x")"
        self.volumes = volumes
        self.kubelet = kubelet
    }

    private var fields: Fields { Fields(json) }
    private var name: String { fields.text("name") ?? "" }
    private var messagePath: String { directory + "/message" }

    // MARK: Environment

    /// Looks values up in the cluster, as a node does before a container begins.
    /// - Throws: `NotReady` for what is not there yet.
    mutating func resolve(_ values: NodeValues) async throws {
        var list = [("PATH", kubelet.path + ":" + Self.imagePrograms), ("HOME", "/root")]
        list.append(("HOSTNAME", pod["metadata"]?["name"]?.stringValue ?? ""))
        for source in fields.list("envFrom").map({ Fields($0) }) {
            for (key, isSecret) in [("configMapRef", false), ("secretRef", true)] {
                guard let reference = source.object(key) else { continue }
                for (key, value) in try await values.all(of: reference, isSecret: isSecret) {
                    list.append(((source.string("prefix") ?? "") + key, value))
                }
            }
        }
        for variable in fields.list("env").map({ Fields($0) }) {
            let key = variable.text("name") ?? ""
            if let value = variable.text("value") {
                list.append((key, expanded(value, list)))
            } else if let path = variable.object("valueFrom")?.object("fieldRef")?.string("fieldPath") {
                list.append((key, PodField.value(path, of: pod) ?? ""))
            }
            for (kind, isSecret) in [("configMapKeyRef", false), ("secretKeyRef", true)] {
                guard let reference = variable.object("valueFrom")?.object(kind) else { continue }
                if let value = try await values.one(of: reference, isSecret: isSecret) {
                    list.append((key, value))
                }
            }
        }
        environment = list.map { (name: $0.0, value: $0.1) }
    }

    /// `$(NAME)` is replaced, `$$` stands for one dollar.
    private func expanded(_ text: String, _ known: [(String, String)]) -> String {
        var result = ""
        var rest = text[...]
        while let character = rest.popFirst() {
            guard character == "$", let next = rest.first else {
                result.append(character)
                continue
            }
            if next == "$" {
                rest.removeFirst()
                result.append("$")
            } else if next == "(", let end = rest.firstIndex(of: ")") {
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                if let value = known.last(where: { $0.0 == name })?.1 {
                    result += value
                    rest = rest[rest.index(after: end)...]
                } else {
                    result.append("$")
                }
            } else {
                result.append("$")
            }
        }
        return result
    }

    // MARK: Life

    func start() throws {
        let known = environment.map { ($0.name, $0.value) }
        let words = (fields.strings("command") + fields.strings("args")).map { expanded($0, known) }
        guard !fields.strings("command").isEmpty else {
            throw PodVolumes.Unknown(description: "no command is given, and there are no images here")
        }
        let root = directory + "/root"
        for folder in Self.skeleton { try Disk.makeDirectories("\(root)/\(folder)") }
        chmod(root + "/tmp", 0o1777)
        try Disk.write([], to: messagePath)
        var container = SupervisorSpec.Container(command: words, environment: environment)
        container.workingDirectory = fields.string("workingDir") ?? "/"
        var spec = SupervisorSpec(containers: [container])
        spec.sandbox = kubelet.sandbox
        spec.root = root
        spec.links = kubelet.host.links
        spec.binds = kubelet.host.binds
        spec.binds.append(.init(source: kubelet.settings.programs, target: Self.imagePrograms))
        spec.binds.append(.init(source: messagePath, target: "/dev/termination-log", access: .readWrite))
        let mounts = fields.list("volumeMounts").map { ($0, VolumeMount($0)) }
        for (_, mount) in mounts.sorted(by: { $0.1.mountPath.utf8.count < $1.1.mountPath.utf8.count }) {
            var source = try volumes.place(mount.name)
            if let part = mount.subPath, !part.isEmpty {
                source += "/" + part
                if !Disk.exists(source) { try Disk.makeDirectories(source) }
            }
            spec.binds.append(
                .init(
                    source: source, target: mount.mountPath, access: mount.readOnly ? .readOnly : .readWrite))
        }
        let grace = pod["spec"]?["terminationGracePeriodSeconds"]?.intValue ?? 30
        spec.grace = .seconds(grace)
        try spec.write(to: directory)
        _ = try SupervisorClient.spawn(supervisorPath: kubelet.supervisor, attemptDirectory: directory)
    }

    mutating func look() {
        guard exitCode == nil else { return }
        switch SupervisorClient.state(of: directory) {
        case .finished(let result):
            self.result = result
            exitCode = Int(result.exitCode)
        case .lost: exitCode = 137
        case .neverStarted, .running: break
        }
        if result?.reason == .cancelled { wasEnded = true }
    }

    var isRunning: Bool {
        switch SupervisorClient.state(of: directory) {
        case .finished, .lost: false
        case .neverStarted, .running: true
        }
    }

    func end(immediately: Bool) {
        _ = try? SupervisorClient.cancel(attemptDirectory: directory, immediately: immediately)
    }

    /// Over the loopback interface, which all pods share here.
    var answersProbe: Bool {
        guard let get = fields.object("readinessProbe")?.object("httpGet"), let port = get["port"]?.scalarText
        else {
            return true
        }
        var exchange = HTTPExchange(url: "http://127.0.0.1:\(port)\(get.string("path") ?? "/")")
        exchange.timeout = .seconds(1)
        return ((try? exchange.perform(output: -1))?.status).map { (200..<400).contains($0) } ?? false
    }

    // MARK: Status

    /// A node keeps 12 KiB of all of a pod's containers together, and 4 KiB of each.
    private var messageLimitBytes: Int {
        let spec = Fields(pod["spec"])
        return min(4096, (12 << 10) / (spec.list("containers").count + spec.list("initContainers").count))
    }

    var status: JSONValue {
        var state: [String: JSONValue] = ["running": [:]]
        if let exitCode {
            let message = (try? Disk.read(messagePath, limitBytes: 1 << 20)) ?? []
            var ended: [String: JSONValue] = [
                "exitCode": .int(exitCode), "reason": .string(exitCode == 0 ? "Completed" : "Error"),
                "message": .string(String(decoding: message.prefix(messageLimitBytes), as: UTF8.self)),
            ]
            if let result, result.startedAt.nanoseconds > 0 {
                ended["startedAt"] = .string(result.startedAt.rfc3339)
                ended["finishedAt"] = .string(result.finishedAt.rfc3339)
            }
            if result?.oomKilled == true { ended["reason"] = "OOMKilled" }
            state = ["terminated": .object(ended)]
        }
        return [
            "name": .string(name), "image": fields["image"] ?? "", "imageID": "", "restartCount": 0,
            "ready": .bool(exitCode == nil), "state": .object(state),
        ]
    }
}

extension Fields {
    var textMapSorted: [(String, String)] {
        members.compactMap { key, value in
            value.scalarText.map { (key, $0) }
        }.sorted { $0.0 < $1.0 }
    }
}
