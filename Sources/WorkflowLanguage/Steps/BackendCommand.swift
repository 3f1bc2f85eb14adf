// A step's parameters as the command line of another program that does the same work: ms-swift, vLLM, EvalScope.
// By Python module, since `swift` is a compiler on machines like these.

import Text

/// `python -m MODULE ARGUMENTS`.
package struct BackendCommand: Sendable, Hashable {
    /// A parameter that the program has nothing for, or something that it cannot do without.
    package struct Problem: Sendable, Hashable {
        package var parameter: String?
        package var message: String
        package var remedy: String
    }

    package struct Refusal: Error, Sendable, Hashable {
        package var problems: [Problem]
    }

    /// Where the program finds and leaves files.
    package struct Places: Sendable, Hashable {
        package var inputs: String
        package var outputs: String

        package init(
            inputs: String = MartletStep.inputDirectory, outputs: String = MartletStep.outputDirectory
        ) {
            self.inputs = inputs
            self.outputs = outputs
        }
    }

    package var backend: StepBackend
    package var module: String
    package var arguments: [String]

    package var words: [String] { ["python", "-m", module] + arguments }

    /// The image that has the program.
    package var image: String { Self.image(of: backend) }

    package static func image(of backend: StepBackend) -> String {
        switch backend {
        case .martlet: "martlet"
        case .msSwift: "modelscope/ms-swift"
        case .vllm: "vllm/vllm-openai"
        case .evalscope: "modelscope/evalscope"
        }
    }

    /// The command of a step with another backend.
    /// - Parameter inputs: names of the template's input artifacts.
    package static func rendering(
        _ step: MartletStep, inputs: [String], places: Places = Places()
    ) -> Result<BackendCommand, Refusal> {
        var writer = BackendWriter(step: step, inputs: inputs, places: places)
        switch step.backend {
        case .msSwift: writer.writeSwift()
        case .vllm: writer.writeVLLM()
        case .evalscope: writer.writeEvalScope()
        case .martlet, nil:
            writer.refuse("backend", "the step has no other backend", "write backend: ms-swift")
        }
        guard writer.problems.isEmpty, let backend = step.backend else {
            return .failure(Refusal(problems: writer.problems))
        }
        return .success(
            BackendCommand(backend: backend, module: writer.module, arguments: writer.arguments))
    }
}

/// A command line that grows.
struct BackendWriter {
    let step: MartletStep
    let inputs: [String]
    let places: BackendCommand.Places
    var module = ""
    var arguments: [String] = []
    var problems: [BackendCommand.Problem] = []

    init(step: MartletStep, inputs: [String], places: BackendCommand.Places) {
        self.step = step
        self.inputs = inputs
        self.places = places
    }

    mutating func refuse(_ parameter: String?, _ message: String, _ remedy: String) {
        problems.append(.init(parameter: parameter, message: message, remedy: remedy))
    }

    /// The step's parameters under their own names, `backend` left out, and the paths of input artifacts that
    /// no parameter replaces.
    var given: [(name: String, written: String, value: JSONValue)] {
        var all: [(name: String, written: String, value: JSONValue)] = []
        for (written, value) in step.parameters.objectValue ?? [:] where value != .null {
            let name = StepParameterTable.canonical(written)
            if name != "backend" { all.append((name, written, value)) }
        }
        let names = Set(all.map(\.name))
        for input in inputs where input != MartletStep.configArtifact {
            let name = StepParameterTable.canonical(input)
            guard !names.contains(name) else { continue }
            all.append((name, input, .string("\(places.inputs)/\(input)")))
        }
        return all.sorted { $0.name < $1.name }
    }

    mutating func flag(_ name: String, _ value: JSONValue) {
        arguments.append("--" + name)
        switch value {
        case .array(let elements): arguments += elements.map { $0.scalarText ?? $0.compactText }
        case .bool(let isOn): arguments.append(isOn ? "true" : "false")
        default: arguments.append(value.scalarText ?? value.compactText)
        }
    }

    mutating func flag(_ name: String, _ text: String) { arguments += ["--" + name, text] }

    mutating func refuseForeign(_ written: String, _ program: String, _ remedy: String? = nil) {
        refuse(
            written, "\(program) has nothing for \(written)",
            remedy ?? "leave it out, or write backend: martlet")
    }
}

/// Parameters that other programs have and ours has not.
package enum BackendParameters {
    /// Whether a program takes a parameter that is in none of our tables, under this name.
    package static func knows(_ name: String, backend: StepBackend) -> Bool {
        let name = StepParameterTable.canonical(name)
        switch backend {
        case .martlet: return false
        case .msSwift:
            let kebab = String(name.map { $0 == "_" ? "-" : $0 })
            return swiftNames.contains(name) || ForeignParameter.named(kebab) != nil
        case .vllm: return name.hasPrefix("vllm_") || vllmNames.contains(name)
        case .evalscope: return evalScopeNames.contains(name)
        }
    }

    private static let swiftNames: Set<String> = [
        "use_hf", "model_type", "template", "attn_impl", "deepspeed", "fsdp", "infer_backend", "task_type",
        "sequence_parallel_size", "padding_free", "packing_strategy", "use_liger_kernel", "merge_lora",
        "max_completion_length", "num_generations", "reward_funcs", "reward_model", "hub_token",
        "eval_backend", "max_batch_size", "write_batch_size", "result_path", "to_mcore", "push_to_hub",
        "hub_model_id", "model_revision", "freeze_llm", "max_pixels", "bf16", "fp16", "served_model_name",
        "host", "api_key", "num_labels", "teacher_model", "galore_rank", "eval_num_proc",
        "dataloader_num_workers",
    ]

    static let vllmNames: Set<String> = [
        "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "max_model_len",
        "max_num_seqs", "dtype", "torch_dtype", "quantization", "enforce_eager", "trust_remote_code",
        "api_key",
        "host", "seed", "swap_space", "kv_cache_dtype", "max_lora_rank", "enable_prefix_caching",
    ]

    static let evalScopeNames: Set<String> = [
        "dataset_hub", "eval_type", "eval_backend", "use_cache", "model_id", "stream", "debug",
        "judge_strategy",
    ]
}
