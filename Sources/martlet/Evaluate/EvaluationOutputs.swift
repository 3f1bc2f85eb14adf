// Where an evaluation writes: its directory, and what a step of a workflow gives.

import Artifacts
import Evaluation
import Glibc
import Text

/// The places of a run's files.
struct EvaluationOutputs: Sendable, Hashable {
    /// Reports, reviews and predictions, gone on from where they are there already.
    let directory: String
    /// What is there from another run is thrown away, as the directory is nobody's but ours.
    let restarts: Bool
    /// Where a step leaves its artifacts; nil for what is no step.
    let stepDirectory: String?
    /// Where a step tells how far it is.
    private let progressFile: String?

    static let defaultDirectory = "eval_output"

    init(_ options: EvaluationOutputOptions, environment: (String) -> String?) throws {
        func variable(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
        if let one = options.outputDir, let other = options.evalOutputDir, one != other {
            throw CommandError(
                "--output_dir and --eval_output_dir are the same, and have two values; give one", status: 2)
        }
        stepDirectory = variable("MARTLET_OUTPUT_DIR")
        progressFile = variable("ARGO_PROGRESS_FILE")
        if let named = options.outputDir ?? options.evalOutputDir {
            guard !named.isEmpty else {
                throw CommandError("--output_dir is empty; name a directory", status: 2)
            }
            (directory, restarts) = (named, options.restart)
        } else if let stepDirectory {
            // What a step keeps for its next attempt; the artifact is copied from there.
            let kept = variable("MARTLET_CHECKPOINT_DIR").map { $0 + "/evaluation" }
            (directory, restarts) = (kept ?? stepDirectory + "/report", true)
        } else {
            (directory, restarts) = (Self.defaultDirectory, options.restart)
        }
    }

    /// Where a task's files are: the directory itself for a single task.
    func directory(of task: String, isOnly: Bool) -> String {
        isOnly ? directory : "\(directory)/\(Self.fileName(task))"
    }

    /// A task's name as the name of a directory.
    static func fileName(_ name: String) -> String {
        let plain = name.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            return isPlain || ["-", "_", "."].contains(scalar) ? Character(scalar) : "_"
        }
        let text = String(plain)
        return text.allSatisfy({ $0 == "." }) ? "task" : text
    }

    /// The name of an output parameter: `pass@1` becomes `pass_at_1`.
    static func parameterName(_ metric: String) -> String {
        metric.reduce(into: "") { name, character in
            if character == "@" {
                name += "_at_"
            } else {
                let isPlain = character.isASCII && (character.isLetter || character.isNumber)
                name.append(isPlain || character == "-" || character == "_" ? character : "_")
            }
        }
    }

    func showProgress(_ done: Int, of total: Int) {
        // Its reader takes what is there; losing it is no failure of the step.
        guard let progressFile else { return }
        try? Disk.replace(progressFile, with: Array("\(done)/\(total)".utf8), durable: false)
    }

    /// Leaves the artifact `report` and the parameters of a step, whose names are those of the metrics,
    /// with the task's name in front where there are several, and `score`, the mean of the tasks' first
    /// metrics.
    func leave(_ reports: [EvaluationReport]) throws {
        guard let stepDirectory else { return }
        let artifact = stepDirectory + "/report"
        if directory != artifact { try Self.copyTree(directory, to: artifact) }
        let parameters = Self.parameters(reports)
        let json = OrderedJSON.object(parameters.map { .init(key: $0.name, value: .double($0.value)) })
        try Disk.replace(
            "\(stepDirectory)/parameters.json", with: Array(json.compactText.utf8), durable: true)
        // Where the step is a plain container, its engine reads a file for each.
        try Disk.makeDirectories("\(stepDirectory)/parameters")
        for (name, value) in parameters {
            try Disk.replace(
                "\(stepDirectory)/parameters/\(name)",
                with: Array(OrderedJSON.double(value).compactText.utf8), durable: false)
        }
    }

    static func parameters(_ reports: [EvaluationReport]) -> [(name: String, value: Double)] {
        var parameters: [(name: String, value: Double)] = []
        for report in reports {
            for figure in report.metrics where figure.estimate.value.isFinite {
                let name = parameterName(figure.name)
                parameters.append(
                    (
                        reports.count == 1 ? name : parameterName(report.task) + "_" + name,
                        figure.estimate.value
                    ))
            }
        }
        let scores = reports.compactMap(\.score).filter(\.isFinite)
        if !scores.isEmpty, !parameters.contains(where: { $0.name == "score" }) {
            parameters.append(("score", scores.reduce(0, +) / Double(scores.count)))
        }
        return parameters
    }

    /// Copies what an evaluation wrote: files, and directories of files.
    private static func copyTree(_ source: String, to target: String) throws {
        try Disk.makeDirectories(target)
        for name in (Disk.list(source) ?? []).sorted() where !name.hasPrefix(".") {
            let (from, to) = ("\(source)/\(name)", "\(target)/\(name)")
            switch Disk.status(from)?.kind {
            case .directory: try copyTree(from, to: to)
            case .file: try Disk.replace(to, with: Disk.read(from, limitBytes: 1 << 32), durable: false)
            default: continue
            }
        }
    }
}
