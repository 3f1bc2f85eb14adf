// Runs that were stopped and gone on with.

import Testing

@testable import Training

@Suite("Runs that are stopped and resumed")
struct ResumeTests {
    /// 7 rows in micro batches of 2, 2 of them a step: 2 steps an epoch, the second one smaller.
    private func parameters(
        _ run: TinyRun, _ output: String, _ way: TrainingWay
    ) -> TrainingParameters {
        run.parameters(output) { parameters in
            parameters.gradientAccumulationSteps = 2
            parameters.maxSteps = 7
            parameters.warmupSteps = 2
            way.change(&parameters)
        }
    }

    @Test(
        "A run that is stopped and resumed ends with the bits of one that never was",
        arguments: TrainingWay.adapters + TrainingWay.whole)
    func resume(_ way: TrainingWay) throws {
        let run = try TinyRun(way)
        try run.run(parameters(run, "whole", way))
        var parameters = parameters(run, "parts", way)
        for last in [3, 4] {
            let error = try trainingError { try run.run(parameters, stoppingAfter: last) }
            #expect(error.kind == .interrupted)
            #expect(error.problem.contains("step \(last), which is saved"), "\(error)")
            parameters.resumeFromCheckpoint = "latest"
        }
        #expect(run.checkpoints("parts") == ["checkpoint-3", "checkpoint-4"])
        let summary = try run.run(parameters)
        #expect(summary.steps == 7)
        #expect(summary.lastCheckpoint == "\(run.path)/parts/checkpoint-7")
        try run.expectSame("whole/checkpoint-7", "parts/checkpoint-7")
        for key in ["step", "loss", "grad_norm", "learning_rate", "trained_tokens"] {
            #expect(try run.steps("parts", key) == run.steps("whole", key), "\(key)")
        }
        let whole = try TrainerState(readingFrom: "\(run.path)/whole/checkpoint-7/trainer_state.json")
        let parts = try TrainerState(readingFrom: "\(run.path)/parts/checkpoint-7/trainer_state.json")
        #expect(whole.lossTotal == parts.lossTotal)
        #expect(whole.samplesSeen == parts.samplesSeen && whole.tokensSeen == parts.tokensSeen)
    }

    @Test("What makes runs differ shows in their bits", arguments: [true, false])
    func seeds(isFull: Bool) throws {
        let run = try TinyRun()
        for (output, seed) in [("one", UInt64(1)), ("two", 2)] {
            try run.run(
                run.parameters(output) {
                    if isFull { $0.dataSeed = seed } else { $0.seed = seed }
                    $0.tunerType = isFull ? .full : .lora
                })
        }
        let (one, two) = (try run.tensors("one/checkpoint-6"), try run.tensors("two/checkpoint-6"))
        #expect(one.count == 2)
        for name in one.keys { #expect(one[name] != two[name], "\(name)") }
    }

    @Test("A checkpoint that is named is gone on from in another folder, whatever was saved after it")
    func namedCheckpoint() throws {
        let run = try TinyRun()
        try run.run(run.parameters("whole") { $0.saveSteps = 2 })
        #expect(run.checkpoints("whole") == ["checkpoint-2", "checkpoint-4", "checkpoint-6"])
        let summary = try run.run(
            run.parameters("other") { $0.resumeFromCheckpoint = "\(run.path)/whole/checkpoint-2" })
        #expect(summary.lastCheckpoint == "\(run.path)/other/checkpoint-6")
        try run.expectSame("whole/checkpoint-6", "other/checkpoint-6")
        // In its own folder nobody could tell the two branches apart afterwards.
        let error = try trainingError {
            try run.run(
                run.parameters("whole") { $0.resumeFromCheckpoint = "\(run.path)/whole/checkpoint-2" })
        }
        #expect(error.kind == .badParameters)
        #expect(error.description.contains("checkpoint-6 is later than"))
        #expect(run.checkpoints("whole") == ["checkpoint-2", "checkpoint-4", "checkpoint-6"])
    }

    @Test("A run that is wished to end before it begins saves where it stands, and goes on from there")
    func stoppedAtOnce() throws {
        let run = try TinyRun()
        let stop = StopRequest()
        stop.make()
        let error = try trainingError {
            _ = try TrainingRun(run.parameters("parts"), environment: RunEnvironment()).run(stop: stop)
        }
        #expect(error.kind == .interrupted)
        #expect(run.checkpoints("parts") == ["checkpoint-0"])
        try run.run(run.parameters("parts") { $0.resumeFromCheckpoint = "latest" })
        try run.run(run.parameters("whole"))
        try run.expectSame("whole/checkpoint-6", "parts/checkpoint-6")
    }

    @Test("A wish to end that comes with the last step changes nothing")
    func stoppedAtTheEnd() throws {
        let run = try TinyRun()
        #expect(try run.run(run.parameters(), stoppingAfter: 6).steps == 6)
        #expect(run.checkpoints() == ["checkpoint-6"])
    }

    @Test("Of several checkpoints the latest that is whole counts, and a run that is done stays as it is")
    func latest() throws {
        let run = try TinyRun()
        try run.run(run.parameters { $0.saveSteps = 2 })
        let before = try run.tensors("out/checkpoint-6")
        var again = run.parameters { $0.resumeFromCheckpoint = "latest" }
        #expect(try run.run(again).steps == 6)
        #expect(try run.tensors("out/checkpoint-6") == before)
        // A damaged file makes the one before it the latest.
        try run.folder.write("torn", to: "out/checkpoint-6/adapter_model.safetensors")
        again.logJSON = "\(run.path)/again.steps.jsonl"
        let heard = Heard()
        try run.run(again) { $0.say = { heard.add($0) } }
        #expect(try run.steps("again", "step") == [4, 5])
        #expect(heard.all.contains { $0.contains("checkpoint-6 is not used") }, "\(heard.all)")
        #expect(try run.tensors("out/checkpoint-6") == before)
    }

    @Test(
        "A run without its optimizer's states or exact weights cannot go on exactly, and says how it can",
        arguments: [
            TrainingWay("LoRA") { _ in },
            TrainingWay("SGD in bf16", isBF16: true) {
                TrainingWay.full(&$0)
                $0.optimizer = .sgd
            },
        ])
    func modelOnly(_ way: TrainingWay) throws {
        let run = try TinyRun(way)
        var parameters = run.parameters {
            $0.saveOnlyModel = true
            way.change(&$0)
        }
        _ = try trainingError { try run.run(parameters, stoppingAfter: 2) }
        parameters.resumeFromCheckpoint = "latest"
        let error = try trainingError { try run.run(parameters) }
        #expect(error.remedy.contains("--resume_only_model true"), "\(error)")
        parameters.resumeOnlyModel = true
        #expect(try run.run(parameters).steps == 6)
    }
}
