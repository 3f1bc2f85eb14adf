// What a `deploy` step asks of a cluster: the step's own parameters, and annotations for what only clusters
// have.

package import Scheduling
import Text
import WorkflowLanguage

/// One model that is to be served.
package struct DeployPlan: Sendable {
    /// Host of an Ingress to the model; none without.
    static let ingressHost = "martlet.dev/ingress-host"
    static let ingressClass = "martlet.dev/ingress-class"
    /// With it the cluster scales between `replicas` and this number.
    static let maxReplicas = "martlet.dev/max-replicas"
    /// How busy processors shall be on average, in percent of what is requested; 80 unless given.
    static let targetCPU = "martlet.dev/target-cpu"
    /// A Secret whose `api-key` clients must show.
    static let keySecret = "martlet.dev/api-key-secret"

    let launch: Launch
    let step: MartletStep
    package private(set) var name: String
    private(set) var replicas: Int
    private(set) var minReadySeconds: Int
    private(set) var port: Int
    private(set) var host: String?
    private(set) var largest: Int?
    private(set) var targetPercent = 80
    private(set) var secret: String?
    /// What is served: a place in the pods.
    private(set) var model: String
    /// Whether the model is an input artifact, which is laid into the claim for models.
    private(set) var bringsModel = false

    private static let replicaLimit = 1000

    /// - Throws: `PodProblem` for what cannot be served in a cluster.
    package init(_ launch: Launch, _ settings: PodSettings) throws(PodProblem) {
        guard case .martlet(let step) = launch.template.kind, step.kind == .deploy else {
            throw PodProblem("template \"\(launch.template.name)\" is no deploy step")
        }
        self.launch = launch
        self.step = step
        name = step.value("name")?.scalarText ?? PodNames.dnsName(launch.workflowName)
        guard DeploymentSpec.isName(name), name.first?.isLetter == true else {
            throw PodProblem(
                "\"\(name.prefix(80))\" is no name of a deployment in a cluster: it needs 1 to 63 lowercase letters, "
                    + "digits and dashes, a letter in front; give `name`")
        }
        replicas =
            try Self.number(step.value("replicas")?.scalarText, "replicas", 1...DeploymentSpec.replicaLimit)
            ?? 1
        port = try Self.number(step.value("port")?.scalarText, "port", 0...65_000) ?? 0
        if port == 0 { port = 8000 }
        let seconds = step.value("min_ready_seconds")?.scalarText
        minReadySeconds = try Self.number(seconds, "min_ready_seconds", 0...3600) ?? 0
        let notes = launch.annotations
        host = notes[Self.ingressHost].flatMap { $0.isEmpty ? nil : $0 }
        secret = notes[Self.keySecret].flatMap { $0.isEmpty ? nil : $0 }
        largest = try Self.number(notes[Self.maxReplicas], Self.maxReplicas, 1...Self.replicaLimit)
        targetPercent = try Self.number(notes[Self.targetCPU], Self.targetCPU, 1...1000) ?? 80
        model = step.value("model")?.scalarText ?? ""
        if let artifact = launch.inputs.artifact("model"), artifact.location != nil {
            bringsModel = true
            // Another model is another place: pods of both revisions run beside each other.
            let mark = FNV1a.hash32("\(launch.key.workflowUID)/\(launch.key.nodeID)/\(launch.key.attempt)")
            model = "\(Self.claimPath)/deployments/\(name)/\(mark)/model"
        }
        try check(settings)
    }

    static let claimPath = "\(PodRenderer.directory)-models"

    /// The folder that the model's is in.
    var modelDirectory: String { String(model.dropLast("/model".utf8.count)) }

    private static func number(
        _ text: String?, _ what: String, _ range: ClosedRange<Int>
    ) throws(PodProblem) -> Int? {
        guard let text else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw PodProblem(
                "\(what): \"\(text)\" is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private func check(_ settings: PodSettings) throws(PodProblem) {
        if model.isEmpty {
            throw PodProblem("deploy has no model; write an input artifact or a parameter of that name")
        }
        if let largest, largest < replicas {
            throw PodProblem("\(Self.maxReplicas): \(largest) is less than replicas: \(replicas)")
        }
        if host != nil && secret == nil {
            throw PodProblem(
                "\(Self.ingressHost) opens the model to all who reach \(host ?? ""): name a Secret with an `api-key` in "
                    + "the annotation \(Self.keySecret)")
        }
        guard bringsModel else { return }
        if settings.serverURL == nil {
            throw PodProblem("the model cannot reach the pods: start the server with --step-url")
        }
        if settings.modelCacheClaim == nil {
            throw PodProblem(
                "the pods of a deployment outlive the step and need their model from a volume: start the server with "
                    + "--model-cache-claim, a claim that all nodes can mount, or give `model` a name or path that pods "
                    + "find by themselves")
        }
    }
}
