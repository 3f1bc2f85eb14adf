// A model that is served in a cluster, as objects: a pure function of the step's launch.

package import Scheduling
package import Text
import WorkflowLanguage

/// Labels and annotations of what serves a model.
package enum DeployMarks {
    static let prefix = "martlet.dev/"
    /// Label, and selector of the pods: the deployment's name.
    package static let deployment = "martlet.dev/deployment"
    /// The launch that asked for what stands in the specification.
    static let launch = "martlet.dev/launch"
    static let revision = "martlet.dev/revision"
    /// When that launch changed the Deployment.
    static let begun = "martlet.dev/begun"
    /// That pods of the template that stands there came up once.
    static let ready = "martlet.dev/ready"
    /// The pods' template that served before, as JSON: what a roll-out that fails goes back to.
    static let previous = "martlet.dev/previous"
    /// What was asked for last, and what served before it, as JSON: number, model, run and address.
    static let about = "martlet.dev/about"
    static let served = "martlet.dev/served"
    /// Why a launch failed, once it was rolled back.
    static let failure = "martlet.dev/failure"
    /// A template longer than this cannot be kept for going back.
    static let previousLimitBytes = 200 << 10

    static func identity(_ launch: Launch) -> String {
        "\(launch.key.workflowUID)/\(launch.key.nodeID)/\(launch.key.attempt)"
    }
}

package struct DeployRenderer: Sendable {
    /// How long a roll-out may stand still before it has failed, the loading of models included.
    static let progressSeconds = 900
    /// How long a pod gets to finish its requests.
    static let drainSeconds = 600

    package let settings: PodSettings

    package init(_ settings: PodSettings) { self.settings = settings }

    /// Kinds that a deployment may have beside its Deployment and Service, and where their API is.
    static let optional: [(kind: String, group: String, resource: String)] = [
        ("Ingress", "networking.k8s.io/v1", "ingresses"),
        ("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
        ("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    ]

    /// The Deployment, its Service, and what else was asked for. No run owns them: they go on after it.
    package func objects(for launch: Launch, token: String) throws(PodProblem) -> [JSONValue] {
        let plan = try DeployPlan(launch, settings)
        var list = [try deployment(plan, token: token), service(plan)]
        if let host = plan.host { list.append(ingress(plan, host: host)) }
        if let largest = plan.largest { list.append(autoscaler(plan, largest: largest)) }
        // One of one pod would keep its node from ever being drained.
        if plan.replicas > 1 { list.append(budget(plan)) }
        return list
    }

    private func selector(_ plan: DeployPlan) -> JSONValue {
        [
            PodMarks.managedBy: "martlet", PodMarks.instance: .string(PodNames.label(settings.instance)),
            DeployMarks.deployment: .string(plan.name),
        ]
    }

    private func head(_ plan: DeployPlan, _ notes: [String: JSONValue] = [:]) -> JSONValue {
        var metadata: [String: JSONValue] = [
            "name": .string(plan.name), "namespace": .string(plan.launch.namespace), "labels": labels(plan),
        ]
        if !notes.isEmpty { metadata["annotations"] = .object(notes) }
        return .object(metadata)
    }

    func labels(_ plan: DeployPlan) -> JSONValue {
        var labels = selector(plan).objectValue ?? [:]
        labels["app.kubernetes.io/name"] = "martlet-model"
        labels["app.kubernetes.io/component"] = "deployment"
        return .object(labels)
    }

    // MARK: The Deployment

    private func deployment(_ plan: DeployPlan, token: String) throws(PodProblem) -> JSONValue {
        let launch = plan.launch
        var raw = launch.template.raw.objectValue ?? [:]
        for key in [MartletStep.Kind.deploy.rawValue, "plugin", "inputs", "outputs", "podResources"] {
            raw[key] = nil
        }
        raw["container"] = try container(plan)
        var alike = launch
        alike.template = Template(.object(raw))
        alike.inputs = alike.template.inputs
        alike.deadlineSeconds = nil
        alike.capturesResult = false
        let pod = try PodRenderer(settings).pod(for: alike, owner: nil, token: token)
        var spec = pod["spec"]?.objectValue ?? [:]
        spec["restartPolicy"] = "Always"
        spec["terminationGracePeriodSeconds"] = .int(Self.drainSeconds + 10)
        if plan.bringsModel {
            spec["initContainers"] = .array(
                [fetch(plan, token: token)] + (spec["initContainers"]?.arrayValue ?? []))
        }
        try checkRequests(spec, plan)
        return [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": head(plan, [DeployMarks.launch: .string(DeployMarks.identity(launch))]),
            "spec": [
                "replicas": .int(plan.replicas), "selector": ["matchLabels": selector(plan)],
                "minReadySeconds": .int(plan.minReadySeconds),
                "progressDeadlineSeconds": .int(Self.progressSeconds),
                "revisionHistoryLimit": 3,
                // What serves goes only when what replaces it is ready.
                "strategy": [
                    "type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 0, "maxSurge": 1],
                ],
                "template": ["metadata": podMetadata(plan), "spec": .object(spec)],
            ],
        ]
    }

    /// What the template says of its pods, such as marks for a scraper. The selector's labels stay ours, and
    /// our own annotations have said what they had to.
    private func podMetadata(_ plan: DeployPlan) -> JSONValue {
        let own = PodRenderer.ownMetadata(plan.launch)
        let notes = own.annotations.filter { !$0.key.hasPrefix(DeployMarks.prefix) }
        var metadata: [String: JSONValue] = [
            "labels": PodSecurity.merged(.object(own.labels.mapValues(JSONValue.string)), labels(plan))
        ]
        if !notes.isEmpty { metadata["annotations"] = .object(notes.mapValues(JSONValue.string)) }
        return .object(metadata)
    }

    /// How busy a processor is, is measured by what was asked for: without that an autoscaler never scales,
    /// and says so only in its own status.
    private func checkRequests(_ spec: [String: JSONValue], _ plan: DeployPlan) throws(PodProblem) {
        func asks(_ resources: JSONValue?) -> Bool {
            resources?["requests"]?["cpu"] != nil || resources?["limits"]?["cpu"] != nil
        }
        guard plan.largest != nil, !asks(spec["resources"]) else { return }
        let beside = (spec["initContainers"]?.arrayValue ?? []).filter { $0["restartPolicy"] == "Always" }
        for container in (spec["containers"]?.arrayValue ?? []) + beside where !asks(container["resources"]) {
            let name = container["name"]?.stringValue ?? ""
            throw PodProblem(
                "\(DeployPlan.maxReplicas) scales by how much of the requested processor is used, and container "
                    + "\(name) requests none; write podResources: {requests: {cpu: ...}} in the template"
                    + (name == "main" ? "" : ", and resources for the containers beside it"))
        }
    }

    private func container(_ plan: DeployPlan) throws(PodProblem) -> JSONValue {
        var members: [String: JSONValue]
        let isOwn = plan.step.backend == .martlet
        if isOwn {
            members = try ownContainer(plan)
        } else {
            let inputs = plan.bringsModel ? ["model"] : []
            let places = BackendCommand.Places(inputs: plan.modelDirectory)
            switch BackendCommand.rendering(plan.step, inputs: inputs, places: places) {
            case .success(let command):
                let notes = plan.launch.annotations
                members = command.container(of: plan.step, annotations: notes).objectValue ?? [:]
                if plan.step.value("name") == nil {
                    members["args"] = .array(
                        (members["args"]?.arrayValue ?? []) + ["--served-model-name", .string(plan.name)])
                }
            case .failure(let refusal):
                throw PodProblem(
                    refusal.problems.map { "\($0.message); \($0.remedy)" }.joined(separator: ", "))
            }
        }
        if let resources = plan.launch.template.raw["podResources"] { members["resources"] = resources }
        members["ports"] = [["name": "http", "containerPort": .int(plan.port)]]
        let asks: JSONValue = ["path": "/health", "port": "http"]
        members["readinessProbe"] = ["httpGet": asks, "periodSeconds": 5, "timeoutSeconds": 3]
        members["startupProbe"] = [
            "httpGet": asks, "periodSeconds": 5, "timeoutSeconds": 3,
            "failureThreshold": .int(Self.progressSeconds / 5),
        ]
        members["livenessProbe"] = [
            "httpGet": asks, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
        ]
        if let secret = plan.secret {
            let variable = Self.keyVariables[isOwn ? 0 : 1]
            let reference: JSONValue = [
                "name": .string(variable),
                "valueFrom": [
                    "secretKeyRef": ["name": .string(secret), "key": "api-key"]
                ],
            ]
            members["env"] = .array((members["env"]?.arrayValue ?? []) + [reference])
        }
        return .object(members)
    }

    /// The model served by the step image.
    private func ownContainer(_ plan: DeployPlan) throws(PodProblem) -> [String: JSONValue] {
        var words = [
            "serve", plan.model, "--host", "0.0.0.0", "--port", String(plan.port), "--served-model-name",
            plan.name,
            "--quant", plan.step.value("quant")?.scalarText ?? "stored", "--drain-timeout",
            String(Self.drainSeconds),
        ]
        if plan.secret == nil { words.append("--no-auth") }
        do throws(DeploymentProblem) {
            let spec = try DeploymentSpec(parameters: plan.step.parameters, fallbackName: plan.name)
            for (name, place) in spec.adapters.sortedByKey {
                words += ["--lora-modules", "\(name)=\(place)"]
            }
        } catch {
            throw PodProblem(error.description)
        }
        var members: [String: JSONValue] = [
            "image": .string(settings.stepImage), "command": [.string(settings.stepProgram)],
            "args": .array(words.map { .string(PodText.literal($0)) }),
        ]
        members["imagePullPolicy"] = settings.stepImagePullPolicy.map(JSONValue.string)
        return members
    }

    /// Lays the model into the claim once; pods that come later find it there.
    private func fetch(_ plan: DeployPlan, token: String) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": "martlet-model", "image": .string(settings.stepImage),
            "command": [
                .string(settings.stepProgram), "internal-step", "model", "--directory",
                .string(plan.modelDirectory),
                "--input", .string(PodText.literal("model=\(plan.model)")),
            ],
            "env": [
                ["name": "MARTLET_STEP_URL", "value": .string(PodText.literal(settings.serverURL ?? ""))],
                ["name": "MARTLET_STEP_TOKEN", "value": .string(token)],
            ],
            "volumeMounts": [["name": "martlet-models", "mountPath": .string(DeployPlan.claimPath)]],
            "resources": ["requests": .object(settings.stepRequests.mapValues(JSONValue.string))],
        ]
        members["imagePullPolicy"] = settings.stepImagePullPolicy.map(JSONValue.string)
        let context = PodSecurity.containerDefaults(settings)
        if context != [:] { members["securityContext"] = context }
        return .object(members)
    }

    /// What `martlet serve` and vLLM read the key from that their clients must show.
    static let keyVariables = ["MARTLET_API_KEY", "VLLM_API_KEY"]

    // MARK: Beside it

    /// Where a deployment's Service answers, whatever the port of its pods.
    static let servicePort = 8000

    /// The Service's name within the cluster.
    static func serviceHost(_ name: String, namespace: String) -> String { "\(name).\(namespace).svc" }

    private func service(_ plan: DeployPlan) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Service", "metadata": head(plan),
            "spec": [
                "type": "ClusterIP", "selector": selector(plan),
                "ports": [
                    [
                        "name": "http", "port": .int(Self.servicePort), "targetPort": "http",
                        "protocol": "TCP",
                    ]
                ],
            ],
        ]
    }

    private func ingress(_ plan: DeployPlan, host: String) -> JSONValue {
        let backend: JSONValue = ["service": ["name": .string(plan.name), "port": ["name": "http"]]]
        var spec: [String: JSONValue] = [
            "rules": [
                [
                    "host": .string(host),
                    "http": ["paths": [["path": "/", "pathType": "Prefix", "backend": backend]]],
                ]
            ]
        ]
        spec["ingressClassName"] = plan.launch.annotations[DeployPlan.ingressClass].map(JSONValue.string)
        return [
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": head(plan),
            "spec": .object(spec),
        ]
    }

    private func autoscaler(_ plan: DeployPlan, largest: Int) -> JSONValue {
        [
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": head(plan),
            "spec": [
                "scaleTargetRef": [
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": .string(plan.name),
                ],
                "minReplicas": .int(plan.replicas), "maxReplicas": .int(largest),
                "metrics": [
                    [
                        "type": "Resource",
                        "resource": [
                            "name": "cpu",
                            "target": [
                                "type": "Utilization", "averageUtilization": .int(plan.targetPercent),
                            ],
                        ],
                    ]
                ],
            ],
        ]
    }

    private func budget(_ plan: DeployPlan) -> JSONValue {
        [
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": head(plan),
            "spec": ["maxUnavailable": 1, "selector": ["matchLabels": selector(plan)]],
        ]
    }
}
