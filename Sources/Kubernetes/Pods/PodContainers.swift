// The containers of a step's pod: the user's, wrapped by the supervisor, and those of the step image that
// bring things in and take them out.

import Scheduling
import Text
import WorkflowLanguage

struct PodContainers {
    /// Fields of Argo's container types that Kubernetes' has not.
    private static let argoFields = ["mirrorVolumeMounts", "source", "dependencies"]
    static let sharedMemoryPath = "/dev/shm"

    let plan: PodPlan
    let token: String

    private var template: Template { plan.template }

    // MARK: In order

    /// What brings the supervisor and the inputs, the manifest's own, and what sends the outputs.
    var initial: [JSONValue] {
        var list: [JSONValue] = []
        if plan.needsSupervisor || !plan.inputs.isEmpty { list.append(preparation) }
        for (index, container) in template.initContainers.enumerated() {
            var own = PodContainer(
                name: container.name.isEmpty ? "init-\(index)" : container.name, container: container)
            own.isSidecar = true
            list.append(plain(own))
        }
        if plan.needsCompanion { list.append(companion) }
        for sidecar in plan.sidecars where !sidecar.isWrapped {
            // Without a command it cannot be wrapped, but the kubelet ends such a one after the work, too.
            var members = plain(sidecar).objectValue ?? [:]
            members["restartPolicy"] = "Always"
            list.append(.object(members))
        }
        return list
    }

    var all: [JSONValue] {
        plan.work.map { plan.needsSupervisor && $0.isWrapped ? wrapped($0) : started($0) }
            + plan.sidecars.filter(\.isWrapped).map(wrapped)
    }

    var usesWorkVolume: Bool { plan.needsSupervisor || !plan.inputs.isEmpty || plan.needsCompanion }

    /// Volumes for claims of the installation's, by their names in the pod.
    var claims: [(name: String, claim: String)] {
        var list: [(String, String)] = []
        if let claim = plan.settings.checkpointClaim { list.append(("martlet-checkpoints", claim)) }
        if let claim = plan.settings.modelCacheClaim { list.append(("martlet-models", claim)) }
        return list
    }

    /// The volume with models and data that steps share, where the installation has one.
    private var cacheVolume: String? {
        plan.settings.modelCacheClaim == nil && plan.settings.modelCachePath == nil ? nil : "martlet-models"
    }

    /// Names of volumes that the manifest's containers mount.
    var mountedNames: [String] {
        let containers = plan.work.map(\.container) + template.sidecars + template.initContainers
        let names =
            containers.flatMap(\.volumeMounts).map(\.name)
            + plan.sharedMounts.compactMap { Fields($0).text("name") }
        return Set(names).sorted()
    }

    // MARK: Accelerators

    private func devices(of container: Container, where isMeant: (String) -> Bool) -> [String] {
        container.requests.filter { isMeant($0.key) && $0.value != "0" }.keys.sorted()
    }

    /// What the work asks for that a node may keep other pods away for.
    var devices: [String] {
        Set(plan.work.flatMap { devices(of: $0.container, where: Accelerator.mayTaint) }).sorted()
    }

    /// Data loaders and collectives pass tensors through shared memory, of which a container has 64 MiB by
    /// itself.
    var needsSharedMemory: Bool { plan.work.contains(where: needsSharedMemory) }

    /// What a claim (`resources.claims`) hands out is not known by its name; it is nearly always a GPU.
    private func needsSharedMemory(_ one: PodContainer) -> Bool {
        let claims = one.container.raw["resources"]?["claims"]?.arrayValue ?? []
        let computes = !devices(of: one.container, where: Accelerator.isAccelerator).isEmpty
        return (computes || !claims.isEmpty)
            && !one.container.volumeMounts.contains { $0.mountPath == Self.sharedMemoryPath }
    }

    // MARK: The manifest's

    private func plain(_ one: PodContainer) -> JSONValue {
        var members = one.container.raw.objectValue ?? [:]
        for key in Self.argoFields { members[key] = nil }
        members = members.filter { $0.value != .null }
        members["name"] = .string(one.name)
        members["env"] = .array(environment(of: one))
        let mounts = mounts(of: one)
        members["volumeMounts"] = mounts.isEmpty ? nil : .array(mounts)
        members["resources"] = resources(members["resources"])
        members["securityContext"] = PodSecurity.merged(
            PodSecurity.containerDefaults(plan.settings), members["securityContext"])
        if members["securityContext"] == [:] { members["securityContext"] = nil }
        return .object(members)
    }

    /// Quantities as text; an extended resource is asked for exactly as far as it is limited.
    private func resources(_ given: JSONValue?) -> JSONValue? {
        guard var members = given?.objectValue, !members.isEmpty else { return nil }
        var tables: [String: [String: JSONValue]] = [:]
        for name in ["limits", "requests"] {
            let table = members[name]?.objectValue ?? [:]
            tables[name] = table.mapValues { $0.scalarText.map(JSONValue.string) ?? $0 }
        }
        for (key, value) in tables["requests"] ?? [:] where Accelerator.isExtended(key) {
            if tables["limits"]?[key] == nil { tables["limits"]?[key] = value }
        }
        for (name, table) in tables { members[name] = table.isEmpty ? nil : .object(table) }
        return .object(members)
    }

    private func environment(of one: PodContainer) -> [JSONValue] {
        let launch = plan.launch
        let given = (one.container.raw["env"]?.arrayValue ?? []).map { variable -> JSONValue in
            guard var members = variable.objectValue, let value = members["value"], value.stringValue == nil
            else {
                return variable
            }
            members["value"] = value == .null ? nil : .string(value.scalarText ?? value.compactText)
            return .object(members)
        }
        var values = [
            "MARTLET_WORKFLOW": launch.workflowName, "MARTLET_NODE": launch.nodeName,
            "MARTLET_ATTEMPT": String(launch.retryOrdinal), "ARGO_CONTAINER_NAME": one.name,
            "ARGO_NODE_ID": launch.key.nodeID, "ARGO_WORKFLOW_NAME": launch.workflowName,
            "ARGO_WORKFLOW_UID": launch.key.workflowUID,
        ]
        if usesWorkVolume {
            values["MARTLET_METRICS_FILE"] = "\(PodRenderer.directory)/metrics.jsonl"
            values["ARGO_PROGRESS_FILE"] = "\(PodRenderer.directory)/progress"
            values["MARTLET_OUTPUT_DIR"] = MartletStep.outputDirectory
        }
        if plan.settings.checkpointClaim != nil {
            values["MARTLET_CHECKPOINT_DIR"] = "\(PodRenderer.directory)-checkpoints"
        }
        if cacheVolume != nil { values["HF_HOME"] = "\(PodRenderer.directory)-models" }
        let names = Set(given.compactMap { $0["name"]?.scalarText })
        let own = values.filter { !names.contains($0.key) }.sortedByKey.map { name, value -> JSONValue in
            ["name": .string(name), "value": .string(PodText.literal(value))]
        }
        return own + given
    }

    private func mounts(of one: PodContainer) -> [JSONValue] {
        var list = one.container.raw["volumeMounts"]?.arrayValue ?? []
        if !one.isSidecar { list += plan.sharedMounts }
        if one.isSidecar && one.container.mirrorVolumeMounts {
            list += plan.main.container.raw["volumeMounts"]?.arrayValue ?? []
        }
        var seen: Set<String> = []
        list = list.filter { seen.insert(VolumeMount($0).mountPath).inserted }
        func add(_ name: String, _ path: String, _ more: [String: JSONValue] = [:]) {
            guard seen.insert(path).inserted else { return }
            var mount = more
            mount["name"] = .string(name)
            mount["mountPath"] = .string(path)
            list.append(.object(mount))
        }
        if usesWorkVolume { add(PodRenderer.workVolume, PodRenderer.directory) }
        if !one.isSidecar || one.container.mirrorVolumeMounts {
            for input in plan.inputs
            where input.mount == nil && !input.path.hasPrefix(PodRenderer.directory + "/") {
                let place = input.directory.dropFirst(PodRenderer.directory.utf8.count + 1)
                add(PodRenderer.workVolume, input.path, ["subPath": .string(String(place))])
            }
        }
        guard !one.isSidecar else { return list }
        if plan.script != nil { add(PodRenderer.scriptVolume, Self.parent(of: PodRenderer.scriptFile)) }
        if needsSharedMemory(one) { add("martlet-shm", Self.sharedMemoryPath) }
        let key = plan.launch.key.workflowUID + "/" + plan.launch.checkpointNodeID
        if plan.settings.checkpointClaim != nil {
            add("martlet-checkpoints", PodRenderer.directory + "-checkpoints", ["subPath": .string(key)])
        }
        if let cacheVolume { add(cacheVolume, PodRenderer.directory + "-models") }
        return list
    }

    private static func parent(of path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    // MARK: Wrapped

    private func arguments(of one: PodContainer) -> [String] {
        one.isMain && plan.script != nil
            ? one.container.command + [PodRenderer.scriptFile] : one.container.command + one.container.args
    }

    /// As it is, where nothing is to be taken from it.
    private func started(_ one: PodContainer) -> JSONValue {
        guard one.isMain, plan.script != nil, var members = plain(one).objectValue else { return plain(one) }
        members["args"] = [.string(PodRenderer.scriptFile)]
        return .object(members)
    }

    private func wrapped(_ one: PodContainer) -> JSONValue {
        var members = plain(one).objectValue ?? [:]
        var words = [PodRenderer.supervisor, "--pod", PodRenderer.directory, "--name", one.name]
        words += ["--grace", String(max(1, plan.settings.graceSeconds - 5))]
        if one.isSidecar {
            words += plan.work.flatMap { ["--until", $0.name] }
        } else {
            words += one.dependencies.flatMap { ["--after", $0] }
            if plan.retries > 0 {
                words += ["--retries", String(plan.retries)]
                words += ["--retry-delay", String(plan.retryDelay.wholeNanoseconds / 1_000_000)]
            }
        }
        if one.isMain {
            let beside = plan.sidecars.filter(\.isWrapped).count
            let limit = plan.messageLimitBytes(containers: initial.count + plan.work.count + beside)
            if limit < 4096 { words += ["--message-limit", String(limit)] }
            if plan.launch.capturesResult { words.append("--result") }
            words += plan.parameterPaths.flatMap {
                ["--parameter", PodText.literal("\($0.name)=\($0.path)")]
            }
            words += plan.artifactPaths.flatMap { ["--artifact", PodText.literal("\($0.name)=\($0.path)")] }
            if plan.needsCompanion { words.append("--saved") }
        }
        words.append("--")
        members["command"] = .array(words.map(JSONValue.string))
        members["args"] = .array(arguments(of: one).map(JSONValue.string))
        return .object(members)
    }

    // MARK: The step image's

    private func own(_ name: String, _ words: [String]) -> [String: JSONValue] {
        let requests = plan.settings.stepRequests.mapValues(JSONValue.string)
        var members: [String: JSONValue] = [
            "name": .string(name), "image": .string(plan.settings.stepImage),
            "command": .array(([plan.settings.stepProgram, "internal-step"] + words).map(JSONValue.string)),
            "resources": requests.isEmpty ? [:] : ["requests": .object(requests)],
            "volumeMounts": [
                ["name": .string(PodRenderer.workVolume), "mountPath": .string(PodRenderer.directory)]
            ],
        ]
        members["imagePullPolicy"] = plan.settings.stepImagePullPolicy.map(JSONValue.string)
        let context = PodSecurity.containerDefaults(plan.settings)
        if context != [:] { members["securityContext"] = context }
        if let url = plan.settings.serverURL {
            members["env"] = [
                ["name": "MARTLET_STEP_URL", "value": .string(PodText.literal(url))],
                ["name": "MARTLET_STEP_TOKEN", "value": .string(token)],
            ]
        } else if !plan.direct.isEmpty {
            members["env"] = .array(plan.direct.environment)
        }
        return members
    }

    private var preparation: JSONValue {
        var words = ["prepare", "--directory", PodRenderer.directory]
        for input in plan.inputs {
            words += ["--input", PodText.literal("\(input.name)=\(input.target)")]
        }
        var members = own("martlet-init", words)
        var mounts = members["volumeMounts"]?.arrayValue ?? []
        var seen: Set<String> = []
        for mount in plan.inputs.compactMap(\.mount) where seen.insert(mount.mountPath).inserted {
            var json: [String: JSONValue] = [
                "name": .string(mount.name),
                "mountPath": .string("\(PodRenderer.directory)-volumes\(mount.mountPath)"),
            ]
            json["subPath"] = mount.subPath.map(JSONValue.string)
            mounts.append(.object(json))
        }
        members["volumeMounts"] = .array(mounts)
        return .object(members)
    }

    /// A sidecar that is ended by the kubelet after main, which waits for it.
    private var companion: JSONValue {
        var members = own(
            "martlet-save", ["save", "--directory", PodRenderer.directory, "--main", plan.main.name])
        members["restartPolicy"] = "Always"
        return .object(members)
    }
}

/// Text in a pod's commands and variables, where `$(NAME)` would be replaced.
enum PodText {
    static func literal(_ text: String) -> String {
        var result = ""
        var previous: Character?
        for character in text {
            // `$$(` is how Kubernetes writes a `$(` that stays.
            if character == "(" && previous == "$" { result.append("$(") } else { result.append(character) }
            previous = character
        }
        return result
    }
}
