// The parameters of `evaluate`: what they come to, what they leave behind, and what is refused.

import ArgumentParser
import Evaluation
import Foundation
import Testing
import Text

@testable import martlet

@Suite("Parameters of evaluate")
struct EvaluateRequestTests {
    private static func request(
        _ tasks: [String], _ models: [String], _ output: [String] = [], environment: [String: String] = [:]
    ) throws -> EvaluateRequest {
        try EvaluateRequest(
            EvaluationTaskOptions.parse(tasks), EvaluationModelOptions.parse(models),
            EvaluationOutputOptions.parse(output), environment: { environment[$0] })
    }

    private static let task = ["--eval-dataset=mmlu", "--dataset=data/mmlu"]
    private static let model = ["--model=models/small"]

    @Test("With a model and data alone, everything else is what the task says")
    func defaults() throws {
        let request = try Self.request(Self.task, Self.model)
        #expect(request.jobs.map(\.task.name) == ["mmlu"] && request.jobs.map(\.dataset) == ["data/mmlu"])
        #expect(request.model == .local(directory: "models/small", adapter: nil))
        #expect(request.tokenizer == "models/small" && request.batchSize == 16)
        #expect(request.settings == TaskRequest())
        #expect(request.sampling.temperature == 0 && request.applyChatTemplate == nil)
        #expect(request.outputs.directory == "eval_output" && request.programSeconds == 4)
    }

    @Test("Names of ms-swift and EvalScope mean the same")
    func names() throws {
        let tasks = [
            "--datasets=arc", "--datasets=gsm8k", "--dataset=a", "--dataset=b", "--limit=7",
            "--few-shot-num=3",
            "--subset-list=one", "--subset-list=two", "--scoring=generation", "--apply-chat-template=false",
        ]
        let models = ["--model=m", "--n=5", "--k=1", "--k=3", "--seed=9", "--max-new-tokens=11", "--stop=x"]
        let request = try Self.request(tasks, models, ["--eval-output-dir=o"])
        #expect(
            request.jobs.map(\.task.name) == ["arc", "gsm8k"] && request.jobs.map(\.dataset) == ["a", "b"])
        #expect(request.settings.limit == 7 && request.settings.shots == 3)
        #expect(request.settings.subsets == ["one", "two"] && request.settings.scoring == .generation)
        #expect(request.settings.completions == 5 && request.settings.passAt == [1, 3])
        #expect(request.settings.maxNewTokens == 11 && request.settings.stop == ["x"])
        // Several answers that are all the same one are of no use.
        #expect(request.sampling.temperature == 0.8 && request.sampling.seed == 9)
        #expect(request.applyChatTemplate == false && request.outputs.directory == "o")
    }

    @Test("A server's model has a name, a key and no files")
    func server() throws {
        let words = ["--model=name", "--api-url=http://host:1/v1"]
        let request = try Self.request(Self.task, words, environment: ["OPENAI_API_KEY": "secret"])
        #expect(request.model == .remote(address: "http://host:1/v1", name: "name", key: "secret"))
        #expect(request.tokenizer == nil && request.batchSize == 8)
    }

    @Test("One path serves several tasks, by their names where it has directories for them")
    func sharedData() throws {
        let directory = NSTemporaryDirectory() + "martlet-evaluate-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: directory + "/arc", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let words = ["--eval-dataset=arc", "--eval-dataset=gsm8k", "--dataset=\(directory)"]
        let request = try Self.request(words, Self.model)
        #expect(request.jobs.map(\.dataset) == [directory + "/arc", directory])
    }

    @Test(
        "What cannot be meant is refused with what to do",
        arguments: [
            (tasks: [], models: model, output: [], words: "--eval_dataset is missing"),
            (["--eval-dataset=mmlu"], model, [], "--dataset is missing"),
            (["--eval-dataset=mmul", "--dataset=a"], model, [], "did you mean \"mmlu\""),
            (task, [], [], "--model is missing"),
            (task + ["--dataset=b"], model, [], "2 paths for 1 tasks"),
            (task + ["--eval-dataset=mmlu"], model, [], "given twice"),
            (task, ["--model=m", "--api-url=host:80"], [], "http://"),
            (
                task, ["--model=m", "--api-url=http://h", "--quant=int4"], [],
                "belong to a model in this process"
            ),
            (task, model + ["--adapters=a", "--adapters=b"], [], "merge several"),
            (task, model + ["--eval-batch-size=0"], [], "--eval_batch_size"),
            (task, model + ["--n=3", "--k=4"], [], "from 1 to --n"),
            (task, model + ["--temperature=-1"], [], "--temperature"),
            (task, model + ["--timeout=0"], [], "--timeout"),
            (task + ["--limit=1", "--eval-limit=2"], model, [], "two values"),
            (task, model, ["--output-dir=a", "--eval-output-dir=b"], "two values"),
        ] as [(tasks: [String], models: [String], output: [String], words: String)])
    func refusals(tasks: [String], models: [String], output: [String], words: String) throws {
        let error = #expect(throws: CommandError.self) { try Self.request(tasks, models, output) }
        #expect(error?.status == 2)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    // MARK: Steps

    @Test("A step keeps its work where its next attempt finds it, and gives it as the artifact report")
    func step() throws {
        let step = ["MARTLET_OUTPUT_DIR": "/out", "MARTLET_CHECKPOINT_DIR": "/kept"]
        let kept = try Self.request(Self.task, Self.model, environment: step).outputs
        #expect(kept.directory == "/kept/evaluation" && kept.restarts && kept.stepDirectory == "/out")
        let plain = try Self.request(Self.task, Self.model, environment: ["MARTLET_OUTPUT_DIR": "/out"])
            .outputs
        #expect(plain.directory == "/out/report")
        let named = try Self.request(Self.task, Self.model, ["--output-dir=o"], environment: step).outputs
        #expect(named.directory == "o" && !named.restarts)
        #expect(named.directory(of: "a/b", isOnly: true) == "o")
        #expect(named.directory(of: "a/b", isOnly: false) == "o/a_b")
        #expect(named.directory(of: "..", isOnly: false) == "o/task")
    }

    @Test(
        "Metrics have names that parameters may have",
        arguments: [
            ("pass@1", "pass_at_1"), ("acc_norm", "acc_norm"), ("f1 (macro)", "f1__macro_"), ("é", "_"),
        ])
    func parameterNames(metric: String, name: String) {
        #expect(EvaluationOutputs.parameterName(metric) == name)
    }

    // MARK: Gates

    @Test("A bound with a task's name in front is that task's alone")
    func gates() throws {
        let options = try EvaluationOutputOptions.parse([
            "--fail-below=arc.acc=0.5", "--fail-below=acc=0.25,arc.acc_norm=0.1", "--fail-above=gsm8k.loss=2",
        ])
        let gates = try EvaluationGates(options, tasks: ["arc", "gsm8k"])
        let arc = try gates.gate("arc")
        #expect(arc.failBelow.map(\.metric) == ["acc", "acc", "acc_norm"] && arc.failAbove.isEmpty)
        #expect(arc.failBelow.map(\.value) == [0.5, 0.25, 0.1])
        let other = try gates.gate("gsm8k")
        #expect(other.failBelow.map(\.value) == [0.25] && other.failAbove.map(\.metric) == ["loss"])
        #expect(throws: CommandError.self) {
            try EvaluationGates(EvaluationOutputOptions.parse(["--fail-below=high"]), tasks: ["arc"])
        }
    }

    // MARK: Details

    @Test(
        "The root of an API is found however its address is written",
        arguments: [
            ("http://h:8000", "http://h:8000/v1"), ("http://h:8000/", "http://h:8000/v1"),
            ("http://h/v1/", "http://h/v1"), ("https://h/v1/chat/completions", "https://h/v1"),
            ("https://h/api/v3/completions/", "https://h/api/v3"), ("http://h/v1/models", "http://h/v1"),
        ])
    func root(address: String, root: String) {
        #expect(DownloaderTransport.root(of: address) == root)
    }

    @Test(
        "Progress tells the speed of this run and the time that is left at it",
        arguments: [
            (done: 10, total: 40, finished: 0, seconds: 5, line: "t 10/40"),
            (20, 40, 10, 4, "t 20/40, 2.5 samples/s, 8 seconds left"),
            (40, 40, 40, 8, "t 40/40, 5.0 samples/s, 0 seconds left"),
        ])
    func progress(done: Int, total: Int, finished: Int, seconds: Int, line: String) {
        let shown = EvaluationProgress.line(
            "t", done: done, of: total, finished: finished, elapsed: .seconds(seconds))
        #expect(shown == line)
    }
}
