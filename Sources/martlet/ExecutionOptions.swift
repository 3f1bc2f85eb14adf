// Options that say how steps run on this machine.

import ArgumentParser
import Artifacts
import Executors
import Glibc
import Text
import WorkflowLanguage

enum ExecutorChoice: String, ExpressibleByArgument, CaseIterable {
    case local, kubernetes, noop
}

struct ExecutionOptions: ParsableArguments {
    @Option(
        help:
            "local, kubernetes, or noop: every step succeeds at once without being run (for measuring the engine)."
    )
    var executor: ExecutorChoice = .local

    @Option(help: ArgumentHelp("Steps that may run at a time.", valueName: "N"))
    var maxParallel: Int?

    @Option(help: "How steps are kept apart: auto, namespaces or plain.")
    var sandbox: String = "auto"

    @Option(help: ArgumentHelp("Number of GPUs to hand out; default: what nvidia-smi lists.", valueName: "N"))
    var gpus: Int?

    @Option(help: ArgumentHelp("Seconds between TERM and KILL when a step is ended.", valueName: "S"))
    var gracePeriod: Int = 30

    @Option(
        help: ArgumentHelp(
            "A Python environment for steps with that backend, such as ms-swift=/opt/swift-venv.",
            valueName: "NAME=DIR"))
    var backend: [String] = []

    @OptionGroup(title: "With --executor kubernetes") var kubernetes: KubernetesOptions

    /// The options as a plain value.
    var settings: ExecutionSettings {
        ExecutionSettings(
            executor: executor, maxParallel: maxParallel, sandbox: sandbox, gpus: gpus,
            gracePeriod: gracePeriod, backends: backends, kubernetes: kubernetes.settings)
    }

    private var backends: [String: String] {
        Dictionary(
            backend.compactMap(SubmissionRequest.pair).map { ($0.0, Environment.absolute($0.1)) },
            uniquingKeysWith: { $1 })
    }

    func validate() throws {
        if let maxParallel, maxParallel < 1 { throw ValidationError("--max-parallel must be at least 1") }
        if !["auto", "namespaces", "plain"].contains(sandbox) {
            throw ValidationError("--sandbox is auto, namespaces or plain")
        }
        for text in backend {
            let known = StepBackend.allCases.filter { $0 != .martlet }.map(\.rawValue)
            guard let (name, directory) = SubmissionRequest.pair(text), known.contains(name) else {
                throw ValidationError(
                    "--backend \(text): write NAME=DIR with NAME one of \(known.joined(separator: ", "))")
            }
            guard Environment.exists(directory + "/bin/python") else {
                throw ValidationError("--backend \(text): there is no bin/python in the directory")
            }
        }
        if gracePeriod < 0 { throw ValidationError("--grace-period must not be negative") }
    }
}

/// How steps run on this machine, with the defaults of `ExecutionOptions`.
struct ExecutionSettings: Sendable, Hashable {
    var executor = ExecutorChoice.local
    var maxParallel: Int?
    var sandbox = "auto"
    var gpus: Int?
    var gracePeriod = 30
    /// Directories of virtual environments, by the backend that they have.
    var backends: [String: String] = [:]
    var kubernetes = KubernetesSettings()
}
