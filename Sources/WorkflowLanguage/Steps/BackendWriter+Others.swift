// vLLM's and EvalScope's command lines.

import Text

extension BackendWriter {
    /// vLLM serves models, and does nothing else here.
    mutating func writeVLLM() {
        guard step.kind == .deploy else {
            return refuse(
                "backend", "vllm does no \(step.kind.rawValue) step",
                step.kind == .generate
                    ? "write backend: ms-swift with infer_backend: vllm"
                    : "it is for deploy steps; write ms-swift")
        }
        module = "vllm.entrypoints.openai.api_server"
        for (name, written, value) in given {
            switch name {
            case "model", "port": flag(name, value)
            case "name": flag("served-model-name", value)
            case "adapters":
                arguments.append("--enable-lora")
                let paths = (value.arrayValue ?? [value]).compactMap(\.scalarText)
                arguments.append("--lora-modules")
                arguments += paths.enumerated().map {
                    paths.count == 1 ? "adapter=\($1)" : "adapter-\($0)=\($1)"
                }
            case "torch_dtype": flag("dtype", value)
            case "replicas", "min_ready_seconds": continue
            default:
                let plain = name.hasPrefix("vllm_") ? String(name.dropFirst(5)) : name
                guard name.hasPrefix("vllm_") || BackendParameters.vllmNames.contains(name) else {
                    refuseForeign(written, "vllm")
                    continue
                }
                let flagName = String(plain.map { $0 == "_" ? "-" : $0 })
                // Its switches take no value.
                if let isOn = value.boolValue {
                    if isOn { arguments.append("--" + flagName) }
                } else {
                    flag(flagName, value)
                }
            }
        }
    }

    mutating func writeEvalScope() {
        guard step.kind == .evaluate else {
            return refuse(
                "backend", "evalscope does no \(step.kind.rawValue) step",
                "it is for evaluate steps; write ms-swift")
        }
        module = "evalscope.cli.cli"
        arguments = ["eval"]
        let tasks = step.literals("eval_dataset") + step.literals("datasets")
        if tasks.isEmpty {
            refuse(nil, "evalscope needs eval_dataset", "name its tasks: eval_dataset: [gsm8k]")
        }
        var generation: [String] = []
        var settings: [String: JSONValue] = [:]
        for (name, written, value) in given {
            let text = value.scalarText ?? value.compactText
            switch name {
            case "model", "seed", "timeout", "debug", "stream": flag(name, value)
            case "eval_dataset", "datasets": continue
            case "eval_limit", "limit": flag("limit", value)
            case "eval_batch_size": flag("eval-batch-size", value)
            case "api_url", "eval_url": arguments += ["--api-url", text, "--eval-type", "service"]
            case "api_key": flag("api-key", value)
            case "max_new_tokens": generation.append("max_tokens=\(text)")
            case "temperature", "top_p", "top_k", "n": generation.append("\(name)=\(text)")
            case "num_fewshot", "few_shot_num":
                settings["few_shot_num"] = Int(text).map(JSONValue.int) ?? .string(text)
            case "dataset": settings["local_path"] = value.arrayValue?.first ?? value
            case "subset_list":
                settings["subset_list"] = value.arrayValue.map(JSONValue.array) ?? .array([value])
            case "restart", "output_dir", "eval_output_dir": continue
            default:
                guard BackendParameters.evalScopeNames.contains(name) else {
                    refuseForeign(written, "evalscope")
                    continue
                }
                flag(String(name.map { $0 == "_" ? "-" : $0 }), value)
            }
        }
        arguments += ["--datasets"] + tasks
        if !settings.isEmpty {
            let all = Dictionary(tasks.map { ($0, JSONValue.object(settings)) }, uniquingKeysWith: { $1 })
            flag("dataset-args", JSONValue.object(all).compactText)
        }
        if !generation.isEmpty { flag("generation-config", generation.joined(separator: ",")) }
        flag("work-dir", "\(places.outputs)/report")
    }
}
