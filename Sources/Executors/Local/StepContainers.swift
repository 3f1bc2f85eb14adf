// Turns a template's containers into what the supervisor starts: commands, environments, order.

import Artifacts
import Scheduling
import Text
import WorkflowLanguage

struct StepContainers {
    let plan: StepPlan
    let values: LaunchValues
    let gpus: [Int]
    /// Which node of a group the containers are for; nil for a step of its own.
    let member: GroupMember?
    private let facts: PodFacts

    /// Longer texts would not fit into a process's environment.
    private static let templateLimit = 64 << 10

    init(plan: StepPlan, values: LaunchValues, gpus: [Int], member: GroupMember? = nil) {
        self.member = member
        self.plan = plan
        self.values = values
        self.gpus = gpus
        facts = PodFacts(plan.launch)
    }

    /// All containers, init containers first.
    /// - Throws: for a container without a command and for missing values.
    func all() throws -> [SupervisorSpec.Container] {
        let template = plan.template
        var containers: [SupervisorSpec.Container] = []
        for (index, container) in template.initContainers.enumerated() {
            containers.append(try made(container, name: name(container, "init-\(index)"), role: .initial))
        }
        switch template.kind {
        case .container(let container): containers.append(try made(container, name: "main", role: .main))
        case .script(let container, _):
            var main = try made(container, name: "main", role: .main)
            main.command.append(shown(StepPlan.scriptPath))
            containers.append(main)
        case .containerSet(let set): containers += try members(of: set)
        case .martlet(let step) where step.backend != .martlet:
            containers.append(try foreign(step))
        case .martlet(let step):
            containers.append(try built(in: [step.kind.rawValue, "--config"], file: "step.json"))
        case .http: containers.append(try built(in: ["internal-http"], file: "http.json"))
        default:
            throw StepVolumes.Problem(description: "a template of this kind needs no container")
        }
        for (index, container) in template.sidecars.enumerated() {
            containers.append(try made(container, name: name(container, "sidecar-\(index)"), role: .sidecar))
        }
        return containers
    }

    private func name(_ container: Container, _ fallback: String) -> String {
        container.name.isEmpty ? fallback : container.name
    }

    private func members(of set: ContainerSet) throws -> [SupervisorSpec.Container] {
        try set.containers.enumerated().map { index, container in
            let name = name(container, "container-\(index)")
            var made = try made(container, name: name, role: name == "main" ? .main : .member)
            made.dependsOn = container.dependencies
            made.retries = set.retries.flatMap { Int($0) } ?? 0
            made.retryDelay =
                set.retryDuration.flatMap { text in
                    GoDuration.parse(text) ?? Int(text).map { .seconds($0) }
                } ?? .zero
            return made
        }
    }

    private func made(
        _ container: Container, name: String, role: SupervisorSpec.Role
    ) throws -> SupervisorSpec.Container {
        var environment = base(containerName: name)
        try environment.add(container, facts: facts, values: values)
        setGPUs(container, &environment)
        let command = try command(of: container, name: name)
        var made = SupervisorSpec.Container(
            command: command.map(environment.expand), environment: environment.variables)
        made.name = name
        made.role = role
        if let directory = container.workingDirectory, !directory.isEmpty {
            made.workingDirectory = directory
        }
        return made
    }

    private func command(of container: Container, name: String) throws -> [String] {
        if case .command(let prefix)? = plan.host.settings.mapping(ofImage: container.image) {
            return prefix + container.command + container.args
        }
        guard container.command.isEmpty else { return container.command + container.args }
        let image = container.image.isEmpty ? "" : " of the image \(container.image)"
        throw StepVolumes.Problem(
            description:
                "\(name): no command is given, and the command\(image) is not known without the image; "
                + "write it as `command`, or map the image")
    }

    /// One of our own steps: the program, its words, and a file of the attempt.
    private func built(in words: [String], file: String) throws -> SupervisorSpec.Container {
        var environment = base(containerName: "main")
        environment.set("MARTLET_OUTPUT_DIR", shown(StepPlan.outputsTarget))
        let program = plan.host.isPlain ? plan.host.settings.martletExecutablePath : HostSetup.martletTarget
        let command = [program] + words + [shown("\(StepPlan.martletDirectory)/\(file)")]
        if !gpus.isEmpty { set(gpus, in: &environment) }
        return SupervisorSpec.Container(command: command, environment: environment.variables)
    }

    /// A step that another program does, in its virtual environment.
    private func foreign(_ step: MartletStep) throws -> SupervisorSpec.Container {
        let directory = try plan.environment(of: step)
        let places = BackendCommand.Places(
            inputs: shown(StepPlan.inputsTarget), outputs: shown(StepPlan.outputsTarget))
        let command: BackendCommand
        switch BackendCommand.rendering(
            step, inputs: plan.template.inputs.artifacts.map(\.name), places: places)
        {
        case .success(let made): command = made
        case .failure(let refusal):
            throw StepVolumes.Problem(
                description: refusal.problems.map { "\($0.message); \($0.remedy)" }.joined(separator: ", "))
        }
        var environment = base(containerName: "main")
        environment.set("PATH", "\(directory)/bin:\(plan.host.searchPath)")
        environment.set("VIRTUAL_ENV", directory)
        environment.set("MARTLET_OUTPUT_DIR", shown(StepPlan.outputsTarget))
        if !gpus.isEmpty { set(gpus, in: &environment) }
        var words = command.containerWords(of: step, places: places)
        words[0] = directory + "/bin/python"
        return SupervisorSpec.Container(command: words, environment: environment.variables)
    }

    /// How the step names a file of the attempt.
    func shown(_ path: String) -> String { plan.shown(path) }

    private func base(containerName: String) -> StepEnvironment {
        let launch = plan.launch
        var environment = StepEnvironment()
        for (name, value) in plan.host.passedVariables { environment.set(name, value) }
        environment.set("PATH", plan.host.searchPath)
        environment.set("HOME", plan.host.home)
        environment.set("HOSTNAME", launch.podName)
        environment.set("MARTLET_WORKFLOW", launch.workflowName)
        environment.set("MARTLET_NODE", launch.nodeName)
        environment.set("MARTLET_ATTEMPT", String(launch.retryOrdinal))
        environment.set(
            "MARTLET_CHECKPOINT_DIR", plan.host.isPlain ? plan.checkpoints : StepPlan.checkpointTarget)
        environment.set("MARTLET_METRICS_FILE", shown("\(StepPlan.martletDirectory)/metrics.jsonl"))
        environment.set("ARGO_PROGRESS_FILE", shown("\(StepPlan.martletDirectory)/progress"))
        setMember(&environment)
        environment.set("ARGO_CONTAINER_NAME", containerName)
        environment.set("ARGO_NODE_ID", launch.key.nodeID)
        environment.set("ARGO_WORKFLOW_NAME", launch.workflowName)
        environment.set("ARGO_WORKFLOW_UID", launch.key.workflowUID)
        let template = launch.template.raw.compactText
        if template.utf8.count <= Self.templateLimit { environment.set("ARGO_TEMPLATE", template) }
        return environment
    }

    /// Metrics and progress are the group's, and rank 0 tells them: others' would come once more for each rank.
    private func setMember(_ environment: inout StepEnvironment) {
        guard let member else { return }
        for (name, value) in member.variables { environment.set(name, value) }
        guard member.rank > 0 else { return }
        let own = "\(StepPlan.martletDirectory)/rank-\(member.rank)"
        environment.set("MARTLET_METRICS_FILE", shown(own + "-metrics.jsonl"))
        environment.set("ARGO_PROGRESS_FILE", shown(own + "-progress"))
    }

    /// A step with GPUs sees its own. One that asks for none sees what the machine shows, unless it says 0.
    private func setGPUs(_ container: Container, _ environment: inout StepEnvironment) {
        let asked = container.requests.filter { $0.key.hasSuffix("/gpu") }
        if asked.contains(where: { (ResourceQuantity.count($0.value) ?? 0) > 0 }) {
            set(gpus, in: &environment)
        } else if !asked.isEmpty {
            set([], in: &environment)
        }
    }

    private func set(_ gpus: [Int], in environment: inout StepEnvironment) {
        let list = gpus.map(String.init).joined(separator: ",")
        environment.set("CUDA_VISIBLE_DEVICES", list)
        environment.set("HIP_VISIBLE_DEVICES", list)
    }
}

extension StepPlan {
    /// How the step names a path of its root: in the plain mode by where it lies on the machine.
    func shown(_ path: String) -> String { host.isPlain ? root + path : path }
}
