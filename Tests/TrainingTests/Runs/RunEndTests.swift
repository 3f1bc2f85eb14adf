// How runs end, other than after their last step: early, refused, diverged, out of memory.

import Models
import Tensors
import Testing
import Text

@testable import Training

@Suite("How runs end")
struct RunEndTests {
    // MARK: Evaluations

    /// Learns 3 rows by heart, which makes it ever worse at others.
    private func overfitting(_ run: TinyRun, _ change: (inout TrainingParameters) -> Void = { _ in }) throws
        -> TrainingParameters
    {
        try run.write(TinyRun.sequences(3), to: "rows.jsonl")
        try run.write(TinyRun.sequences(6, seed: 99), to: "held.jsonl")
        return run.parameters {
            TrainingWay.full(&$0)
            $0.valDataset = ["\(run.path)/held.jsonl"]
            ($0.perDeviceTrainBatchSize, $0.maxSteps, $0.learningRate) = (3, 60, 5e-3)
            ($0.saveSteps, $0.saveTotalLimit, $0.earlyStopInterval) = (1, 2, 4)
            change(&$0)
        }
    }

    private func evaluations(_ run: TinyRun) throws -> [(step: Int, loss: Double)] {
        try run.lines("out/logging.jsonl").compactMap { line in
            guard let loss = line["eval_loss"]?.doubleValue,
                let step = line["global_step/max_steps"]?.stringValue?.split(separator: "/").first
            else { return nil }
            return (try #require(Int(step)), loss)
        }
    }

    @Test("Without a better evaluation for a while a run stops, and keeps its best and its last checkpoint")
    func earlyStop() throws {
        let run = try TinyRun()
        let summary = try run.run(overfitting(run))
        let evaluations = try evaluations(run)
        let best = try #require(evaluations.min { $0.loss < $1.loss }?.step)
        #expect(
            best > 0 && summary.steps == best + 4 && summary.steps < 60, "best at \(best), \(summary.steps)")
        #expect(evaluations.map(\.step) == Array(1...summary.steps))
        #expect(Set(run.checkpoints()) == ["checkpoint-\(best)", "checkpoint-\(best + 4)"])
        #expect(summary.bestCheckpoint == "\(run.path)/out/checkpoint-\(best)")
        #expect(summary.lastCheckpoint == "\(run.path)/out/checkpoint-\(best + 4)")
        // Another attempt at what is over is over, too.
        let again = try run.run(overfitting(run) { $0.resumeFromCheckpoint = "latest" })
        #expect(again.steps == summary.steps)
        #expect(again.bestCheckpoint == summary.bestCheckpoint)
        let patient = try run.run(
            overfitting(run) {
                ($0.resumeFromCheckpoint, $0.earlyStopInterval) = ("latest", 7)
            })
        #expect(patient.steps > summary.steps)
    }

    @Test("Stopping early is the same after a resume, also where the best evaluation was not saved")
    func earlyStopAfterResume() throws {
        let (whole, parts) = (try TinyRun(), try TinyRun())
        func change(_ parameters: inout TrainingParameters) {
            parameters.evalStrategy = .steps
            (parameters.evalSteps, parameters.saveSteps, parameters.saveTotalLimit) = (2, 1000, nil)
        }
        let steps = try whole.run(overfitting(whole, change)).steps
        #expect(steps < 60)
        // At a step without an evaluation, behind the best one.
        var parameters = try overfitting(parts, change)
        _ = try trainingError { try parts.run(parameters, stoppingAfter: steps - 3) }
        parameters.resumeFromCheckpoint = "latest"
        #expect(try parts.run(parameters).steps == steps)
        #expect(try evaluations(parts).map(\.loss) == evaluations(whole).map(\.loss))
    }

    @Test("The last step's own evaluation decides about the best checkpoint, whenever evaluations are due")
    func lastEvaluation() throws {
        let run = try TinyRun()
        // Held-out rows that are the trained ones get better all the time.
        let summary = try run.run(
            run.parameters {
                $0.valDataset = $0.dataset
                ($0.evalStrategy, $0.evalSteps, $0.saveSteps) = (.steps, 4, 2)
            })
        let evaluations = try evaluations(run)
        #expect(evaluations.map(\.step) == [4, 6])
        #expect(summary.bestCheckpoint == "\(run.path)/out/checkpoint-6")
        let metric = try CheckpointStore.checkpoint(at: "\(run.path)/out/checkpoint-6").metric
        #expect(metric == summary.evalLoss && metric != nil)
    }

    @Test("A checkpoint that is saved again before anything was trained keeps its metric")
    func metricSurvives() throws {
        let run = try TinyRun()
        var parameters = try overfitting(run)
        _ = try trainingError { try run.run(parameters, stoppingAfter: 2) }
        let path = "\(run.path)/out/checkpoint-2"
        let metric = try #require(try CheckpointStore.checkpoint(at: path).metric)
        parameters.resumeFromCheckpoint = "latest"
        let stop = StopRequest()
        stop.make()
        _ = try trainingError {
            _ = try TrainingRun(parameters, environment: RunEnvironment()).run(stop: stop)
        }
        #expect(try CheckpointStore.checkpoint(at: path).metric == metric)
    }

    @Test(
        "A loss that is to be small and an accuracy that is to be large choose their own best",
        arguments: [("loss", false), ("eval_loss", false), ("token_acc", true), ("nll_loss", false)])
    func betterMetric(name: String, isGreater: Bool) {
        var parameters = TrainingParameters()
        parameters.metricForBestModel = name
        #expect(parameters.wantsGreaterMetric == isGreater)
        parameters.greaterIsBetter = !isGreater
        #expect(parameters.wantsGreaterMetric != isGreater)
    }

    @Test("A metric that is not measured is an error that names those that are")
    func unknownMetric() throws {
        let run = try TinyRun()
        let error = try trainingError {
            try run.run(overfitting(run) { $0.metricForBestModel = "bleu" })
        }
        #expect(error.kind == .badParameters)
        #expect(error.problem.contains("bleu") && error.remedy.contains("token_acc"), "\(error)")
    }

    // MARK: Refusals

    @Test("A folder with an earlier run is refused with what to do, and stays as it is")
    func earlierRun() throws {
        let run = try TinyRun()
        try run.run(run.parameters())
        let (before, log) = (try run.tensors("out/checkpoint-6"), try run.folder.text("out/logging.jsonl"))
        let error = try trainingError { try run.run(run.parameters { $0.seed = 5 }) }
        #expect(error.kind == .badParameters)
        #expect(error.problem.contains("\(run.path)/out/checkpoint-6"), "\(error)")
        #expect(error.remedy.contains("--resume_from_checkpoint latest"), "\(error)")
        #expect(error.remedy.contains("another --output_dir"), "\(error)")
        #expect(try run.tensors("out/checkpoint-6") == before)
        #expect(try run.folder.text("out/logging.jsonl") == log)
    }

    @Test("Attempts of a step go on without being told, from the directory that they share")
    func attempts() throws {
        let run = try TinyRun()
        func parameters(_ attempt: Int) -> TrainingParameters {
            run.parameters("attempt\(attempt)") { $0.checkpointDir = "\(run.path)/kept" }
        }
        _ = try trainingError { try run.run(parameters(1), stoppingAfter: 4) }
        #expect(try run.run(parameters(2)).steps == 6)
        #expect(try run.steps("attempt2", "step") == [4, 5])
        try run.run(run.parameters("whole"))
        try run.expectSame("whole/checkpoint-6", "kept/checkpoint-6")
        try run.expectSame("whole/checkpoint-6", "attempt2/checkpoint-6")
    }

    @Test("Another data set is refused at a resume, unless it is wanted")
    func otherData() throws {
        let run = try TinyRun()
        _ = try trainingError { try run.run(run.parameters(), stoppingAfter: 3) }
        try run.write(TinyRun.sequences(7, seed: 50), to: "rows.jsonl")
        var parameters = run.parameters { $0.resumeFromCheckpoint = "latest" }
        let error = try trainingError { try run.run(parameters) }
        #expect(error.kind == .badParameters)
        #expect(error.remedy.contains("--ignore_data_skip true"), "\(error)")
        #expect(run.checkpoints() == ["checkpoint-3"])
        parameters.ignoreDataSkip = true
        #expect(try run.run(parameters).steps == 6)
    }

    // MARK: Failures

    @Test("A loss that is no number ends the run with its rows named and nothing saved")
    func divergence() throws {
        let run = try TinyRun()
        let weights = "\(run.path)/model/model.safetensors"
        let stored = try SafetensorsFile(path: weights)
        let broken = stored.names.compactMap { stored.tensor($0) }.map { tensor in
            var floats = tensor.floats()
            if tensor.name == "model.layers.1.input_layernorm.weight" { floats[3] = .nan }
            return AdapterFile.source(tensor.name, tensor.shape, floats, as: .f32)
        }
        try SafetensorsWriter().write(broken, to: weights)
        let error = try trainingError { try run.run(run.parameters { $0.datasetShuffle = false }) }
        #expect(error.kind == .diverged)
        #expect(error.problem.contains("step 1 diverged: loss nan"), "\(error)")
        #expect(error.problem.contains("\(run.path)/rows.jsonl:1, \(run.path)/rows.jsonl:2"), "\(error)")
        #expect(error.remedy.contains("nothing was saved"), "\(error)")
        #expect(run.checkpoints() == [])
    }

    @Test("A run that diverges keeps the checkpoint before, and names it")
    func lateDivergence() throws {
        let run = try TinyRun()
        var parameters = run.parameters { TrainingWay.full(&$0) }
        _ = try trainingError { try run.run(parameters, stoppingAfter: 3) }
        let before = try run.tensors("out/checkpoint-3")
        parameters.resumeFromCheckpoint = "latest"
        (parameters.learningRate, parameters.maxSteps, parameters.maxGradNorm) = (1e6, 50, 0)
        let error = try trainingError { try run.run(parameters) }
        #expect(error.kind == .diverged)
        #expect(error.remedy.contains("the last checkpoint is \(run.path)/out/checkpoint-3"), "\(error)")
        #expect(try run.tensors("out/checkpoint-3") == before)
    }

    @Test("Memory that does not do ends the run with its own exit status and a remedy")
    func outOfMemory() throws {
        let run = try TinyRun()
        let error = try trainingError {
            try run.run(run.parameters { $0.neftuneNoiseAlpha = 1 }) { $0.memoryLimitBytes = 2_000 }
        }
        #expect(error.kind == .outOfMemory)
        #expect(error.remedy.contains("per_device_train_batch_size"), "\(error)")
        #expect(run.checkpoints() == [])
    }

    @Test("A tokenizer with more tokens than the model is told by the row that shows it")
    func foreignTokenizer() throws {
        let run = try TinyRun(rows: [#"{"text": "zz"}"#])
        let trainer = try BytePairTrainer(.init(vocabularySize: 256))
        let vocabulary = trainer.train()
        try run.folder.write(
            String(decoding: vocabulary.tokenizerJSON, as: UTF8.self), to: "model/tokenizer.json")
        let error = try trainingError { try run.run(run.parameters { $0.stage = .pretrain }) }
        #expect(error.kind == .badData)
        #expect(error.problem.contains("\(run.path)/rows.jsonl:1"), "\(error)")
        #expect(error.problem.contains("is not one of the model's 40"), "\(error)")
        #expect(run.checkpoints() == [])
    }

    @Test("A stream is read only as far as its rows are used")
    func streaming() throws {
        let rows = TinyRun.sequences(3000) + ["no row"]
        let run = try TinyRun(rows: rows)
        let heard = Heard()
        let summary = try run.run(
            run.parameters { ($0.streaming, $0.datasetShuffle) = (true, false) }
        ) { $0.say = { heard.add($0) } }
        #expect(summary.steps == 6)
        #expect(heard.all == [])
        let closing = try #require(try run.lines("out/logging.jsonl").last)
        #expect(closing["train_dataset"]?.stringValue?.contains("streaming") == true)
    }

    @Test("Held-out rows come in batches, and what fails among them is not lost")
    func heldOutBatches() {
        struct Broken: Error {}
        func row(_ number: Int) throws -> NumberedRow {
            if number == 5 { throw Broken() }
            return NumberedRow(number: number, row: .sequence(TokenSequence(ids: [1, 2], labels: [1, 2])))
        }
        let whole = HeldOutBatches(count: 5, size: 2, row: row)
        #expect(whole.batchCount == 3)
        #expect(whole.map { $0.map(\.number) } == [[0, 1], [2, 3], [4]])
        #expect(whole.failure == nil)
        let broken = HeldOutBatches(count: 7, size: 2, row: row)
        #expect(broken.map { $0.map(\.number) } == [[0, 1], [2, 3]])
        #expect(broken.failure is Broken)
    }
}
