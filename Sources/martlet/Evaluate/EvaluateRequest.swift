// What an evaluation is to do, read out of its parameters: every default filled in, every contradiction
// refused.

import Evaluation
import Glibc
import Models
import Text
import WorkflowLanguage

/// All that `evaluate` was asked for.
struct EvaluateRequest: Sendable {
    /// A task with its data.
    struct Job: Sendable {
        var task: EvaluationTask
        var dataset: String
    }

    /// Who answers.
    enum Model: Sendable, Hashable {
        case local(directory: String, adapter: String?)
        case remote(address: String, name: String, key: String?)
    }

    var jobs: [Job]
    var model: Model
    /// The directory of the tokenizer; the model's own unless given. Nil for a server's model without one.
    var tokenizer: String?
    var quantization = WeightQuantization.stored
    var threads: Int?
    var maxLength: Int?
    var batchSize: Int
    /// Settings of all tasks, but for the chat template where it is nil.
    var settings: TaskRequest
    var applyChatTemplate: Bool?
    var sampling: CompletionSampling
    var programSeconds: Double
    var outputs: EvaluationOutputs

    /// - Parameter environment: variables of this process.
    /// - Throws: `CommandError` with status 2 and what to do.
    init(
        _ tasks: EvaluationTaskOptions, _ models: EvaluationModelOptions, _ output: EvaluationOutputOptions,
        environment: (String) -> String? = Environment.value
    ) throws {
        jobs = try Self.jobs(tasks)
        model = try Self.model(models, environment)
        if case .local(let directory, _) = model {
            tokenizer = models.tokenizer ?? directory
        } else {
            tokenizer = models.tokenizer
        }
        quantization = models.quant
        if let threads = models.threads, !(1...1024).contains(threads) {
            throw Self.failure("--threads must be from 1 to 1024, not \(threads)")
        }
        threads = models.threads
        if let maxLength = models.maxLength, maxLength < 2 {
            throw Self.failure("--max_length must be at least 2")
        }
        maxLength = models.maxLength
        batchSize = try Self.batchSize(models, model)
        settings = try Self.settings(tasks, models)
        applyChatTemplate = tasks.applyChatTemplate
        sampling = try Self.sampling(models)
        guard models.timeout > 0, models.timeout <= 86_400 else {
            throw Self.failure("--timeout must be above 0 seconds, not \(models.timeout)")
        }
        programSeconds = models.timeout
        outputs = try EvaluationOutputs(output, environment: environment)
    }

    private static func failure(_ problem: String) -> CommandError { CommandError(problem, status: 2) }

    // MARK: Tasks

    private static func jobs(_ options: EvaluationTaskOptions) throws -> [Job] {
        var tasks: [EvaluationTask] = []
        do {
            for name in options.evalDataset + options.datasets { tasks.append(try .named(name)) }
            for file in options.task { tasks += try described(in: file) }
        } catch let error as EvaluationError {
            throw failure(error.description)
        }
        guard !tasks.isEmpty else {
            throw failure(
                "--eval_dataset is missing; name a task: \(EvaluationTask.names.joined(separator: ", "))")
        }
        let names = tasks.map(\.name)
        if let twice = names.first(where: { name in names.filter { $0 == name }.count > 1 }) {
            throw failure("the task \(twice) is given twice; give each once, with a name of its own")
        }
        return try zip(tasks, datasets(options.dataset, tasks)).map { Job(task: $0, dataset: $1) }
    }

    /// Tasks that a file describes, one in each of its documents.
    private static func described(in file: String) throws -> [EvaluationTask] {
        let (documents, diagnostics) = ManifestReader.read(try Environment.read(file), file: file)
        if let problem = diagnostics.first { throw failure(problem.description) }
        guard !documents.isEmpty else {
            throw failure("\(file): there is no task; write lines like `scoring: generation`")
        }
        let folder = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? ""
        return try documents.map { try EvaluationTask(description: $0.json, place: file, folder: folder) }
    }

    /// The data of each task: its own, the one that all share, or the one in its place.
    private static func datasets(_ paths: [String], _ tasks: [EvaluationTask]) throws -> [String] {
        if paths.count == tasks.count { return paths }
        if paths.count > 1 {
            throw failure(
                "--dataset: \(paths.count) paths for \(tasks.count) tasks; give one for each, or one for all")
        }
        return try tasks.map { task in
            if let own = task.dataset, paths.isEmpty { return own }
            guard let path = paths.first else {
                throw failure(
                    "--dataset is missing; give the file or directory of your copy of \(task.name)")
            }
            let inner = "\(path)/\(task.name)"
            return tasks.count > 1 && access(inner, F_OK) == 0 ? inner : path
        }
    }

    // MARK: The model

    private static func model(
        _ options: EvaluationModelOptions, _ environment: (String) -> String?
    ) throws -> Model {
        if options.apiUrl != nil, options.evalUrl != nil {
            throw failure("--api_url and --eval_url are the same; give one")
        }
        guard let name = options.model, !name.isEmpty else {
            throw failure(
                "--model is missing; give the model's directory, or its name with --api_url")
        }
        if let address = options.apiUrl ?? options.evalUrl {
            guard address.hasPrefix("http://") || address.hasPrefix("https://") else {
                throw failure("--api_url \(address): write it with http:// or https:// in front")
            }
            guard options.adapters.isEmpty, options.quant == .stored else {
                throw failure(
                    "--adapters and --quant belong to a model in this process; leave them out with --api_url")
            }
            let key = options.apiKey ?? environment("OPENAI_API_KEY").flatMap { $0.isEmpty ? nil : $0 }
            if let key, key.utf8.contains(where: { $0 < 0x20 }) {
                throw failure("--api_key has a control character; give the key alone")
            }
            return .remote(address: address, name: name, key: key)
        }
        guard options.adapters.count <= 1 else {
            throw failure(
                "--adapters: one adapter can be evaluated at once; merge several with martlet merge first")
        }
        return .local(directory: name, adapter: options.adapters.first)
    }

    private static func batchSize(_ options: EvaluationModelOptions, _ model: Model) throws -> Int {
        let size: Int
        if case .local = model {
            size = options.evalBatchSize ?? 16
        } else {
            size = options.evalBatchSize ?? 8
        }
        guard (1...1024).contains(size) else {
            throw failure("--eval_batch_size must be from 1 to 1024, not \(size)")
        }
        return size
    }

    // MARK: Settings

    private static func settings(
        _ tasks: EvaluationTaskOptions, _ models: EvaluationModelOptions
    ) throws -> TaskRequest {
        func one<Value: Equatable>(_ name: String, _ first: Value?, _ second: Value?) throws -> Value? {
            if let first, let second, first != second {
                throw failure("\(name) are the same, and have two values; give one")
            }
            return first ?? second
        }
        var request = TaskRequest()
        request.shots = try one("--num_fewshot and --few_shot_num", tasks.numFewshot, tasks.fewShotNum)
        request.limit = try one("--eval_limit and --limit", tasks.evalLimit, tasks.limit)
        request.scoring = tasks.scoring
        request.subsets = tasks.subsetList
        request.split = tasks.evalSplit
        request.examplesPath = tasks.fewShotFile
        request.systemPrompt = tasks.system
        request.maxNewTokens = models.maxNewTokens
        request.stop = models.stop
        request.seed = models.seed
        guard (1...1000).contains(models.n) else {
            throw failure("--n must be from 1 to 1000, not \(models.n)")
        }
        request.completions = models.n
        request.passAt = try passAt(models)
        return request
    }

    private static func passAt(_ options: EvaluationModelOptions) throws -> [Int] {
        guard !options.k.isEmpty else { return options.n > 1 ? [1, options.n] : [1] }
        return try options.k.map { word in
            guard let k = Int(word), (1...options.n).contains(k) else {
                throw failure("--k \(word): write whole numbers from 1 to --n, which is \(options.n)")
            }
            return k
        }
    }

    private static func sampling(_ options: EvaluationModelOptions) throws -> CompletionSampling {
        let temperature = options.temperature ?? (options.n > 1 ? 0.8 : 0)
        guard (0...100).contains(temperature) else {
            throw failure("--temperature must be from 0 to 100, not \(temperature)")
        }
        if let topP = options.topP, !(topP > 0 && topP <= 1) {
            throw failure("--top_p must be above 0 and at most 1, not \(topP)")
        }
        if let topK = options.topK, topK < 0 { throw failure("--top_k must not be below 0") }
        return CompletionSampling(
            temperature: temperature, topP: options.topP ?? 1,
            topK: options.topK.flatMap { $0 > 0 ? $0 : nil }, seed: options.seed)
    }
}
