// The files of a run: how they begin, go on after a kill, and what is never touched.

import Glibc
import Tensors
import Testing

@testable import Training

@Suite("Report files")
struct ReportFilesTests {
    private let clock = ReportClock(wallSeconds: { 1_700_000_000 }, steadySeconds: { 0 })

    private static func line(_ step: Int, _ key: String = "loss") -> String {
        #"{"\#(key)": 1.5, "global_step/max_steps": "\#(step)/30"}"# + "\n"
    }

    private static let closing = #"{"model_parameter_info": "", "global_step": 30, "log_history": []}"# + "\n"

    private static let repairs: [(text: String, kept: String)] = [
        ("\(line(5))\(line(10))\(line(15))", "\(line(5))\(line(10))"),
        (
            "\(line(5))\(line(10, "eval_loss"))\(line(11, "eval_loss"))",
            "\(line(5))\(line(10, "eval_loss"))"
        ),
        ("\(line(5)){\"loss\": 2.1, \"global_st", line(5)),
        ("\(line(5))\(line(10).dropLast())", "\(line(5))\(line(10))"),
        ("\(line(5))\(line(12).dropLast())", line(5)),
        ("\(line(10))\(line(10, "train_runtime"))\(closing)", line(10)),
        ("not ours\n\(line(20)){}\n", "not ours\n{}\n"),
        ("12", ""),
        ("", ""),
    ]

    @Test(
        "On resume a torn line is repaired, and lines beyond the step and of the end go", arguments: repairs)
    func repair(text: String, kept: String) throws {
        let folder = try RunFolder()
        try folder.write(text, to: "logging.jsonl")
        var places = ReportPlaces()
        places.log = "\(folder.path)/logging.jsonl"
        let sinks = try places.open(resumedStep: 10, clock: clock)
        #expect(try folder.text("logging.jsonl") == kept)
        try sinks.log?("next")
        #expect(try folder.text("logging.jsonl") == kept + "next\n")
        #expect(folder.names() == ["logging.jsonl"])
    }

    @Test("A run that begins anew keeps the earlier log beside")
    func anew() throws {
        let folder = try RunFolder()
        try folder.write("old\n", to: "logging.jsonl")
        try folder.write("{\"step\": 3}\n", to: "steps.jsonl")
        var places = ReportPlaces()
        places.log = "\(folder.path)/logging.jsonl"
        places.steps = "\(folder.path)/steps.jsonl"
        let sinks = try places.open(resumedStep: nil, clock: clock)
        try sinks.log?("new")
        #expect(try folder.text("logging.jsonl") == "new\n")
        #expect(try folder.text("logging.jsonl.old") == "old\n")
        #expect(try folder.text("steps.jsonl") == "")
    }

    @Test("The file of steps, which count from 0, is cut where the resumed run begins")
    func steps() throws {
        let folder = try RunFolder()
        try folder.write((0..<5).map { "{\"step\": \($0)}\n" }.joined() + "{\"st", to: "steps.jsonl")
        var places = ReportPlaces()
        places.steps = "\(folder.path)/steps.jsonl"
        _ = try places.open(resumedStep: 3, clock: clock)
        #expect(try folder.text("steps.jsonl") == "{\"step\": 0}\n{\"step\": 1}\n{\"step\": 2}\n")
    }

    @Test("The metrics file is only ever added to, and the progress file replaced")
    func metricsAndProgress() throws {
        let folder = try RunFolder()
        try folder.write("{\"step\":99}\n{\"st", to: "metrics.jsonl")
        try folder.write("1000/1000\n", to: "progress")
        var places = ReportPlaces()
        places.metrics = "\(folder.path)/metrics.jsonl"
        places.progress = "\(folder.path)/progress"
        let sinks = try places.open(resumedStep: 3, clock: clock)
        try sinks.metrics?("{\"step\":4}")
        try sinks.progress?("4/9")
        #expect(try folder.text("metrics.jsonl") == "{\"step\":99}\n{\"st\n{\"step\":4}\n")
        #expect(try folder.text("progress") == "4/9\n")
    }

    @Test("Event files have TensorBoard's name, each run one of its own")
    func events() throws {
        let folder = try RunFolder()
        var places = ReportPlaces()
        places.eventDirectory = "\(folder.path)/out/runs"
        let first = try places.open(resumedStep: nil, clock: clock, hostName: "box")
        try first.events?([1, 2, 3])
        _ = try places.open(resumedStep: 7, clock: clock, hostName: "box")
        #expect(
            folder.names("out/runs")
                == ["events.out.tfevents.1700000000.box", "events.out.tfevents.1700000000.box.1"])
        let version = EventRecord.fileVersion(wallSeconds: 1_700_000_000)
        let start = EventRecord.sessionStart(step: 8, wallSeconds: 1_700_000_000)
        let path = "\(places.eventDirectory ?? "")/events.out.tfevents.1700000000.box"
        #expect(try SmallFile.read(path, limitBytes: 1_000) == version + [1, 2, 3])
        #expect(try SmallFile.read(path + ".1", limitBytes: 1_000) == version + start)
    }

    @Test("Parameters and environment say which files there are")
    func places() {
        var parameters = TrainingParameters()
        parameters.outputDir = "/out"
        parameters.logJSON = "/tmp/steps"
        let environment = ["MARTLET_METRICS_FILE": "/m", "ARGO_PROGRESS_FILE": ""]
        let places = ReportPlaces(parameters) { environment[$0] }
        var expected = ReportPlaces()
        expected.log = "/out/logging.jsonl"
        expected.eventDirectory = "/out/runs"
        expected.metrics = "/m"
        expected.steps = "/tmp/steps"
        #expect(places == expected)
        parameters.reportTo = ["none"]
        #expect(ReportPlaces(parameters) { _ in nil }.eventDirectory == nil)
    }

    @Test("A place that cannot be written to is an error with its path")
    func refused() throws {
        let folder = try RunFolder()
        var places = ReportPlaces()
        places.steps = "\(folder.path)/none/steps.jsonl"
        let error = #expect(throws: TrainingError.self) { _ = try places.open(resumedStep: 1, clock: clock) }
        #expect(error?.problem.contains("\(folder.path)/none/steps.jsonl") == true)
    }
}
