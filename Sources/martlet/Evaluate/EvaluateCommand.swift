// `martlet evaluate`: how good a model is, by tasks that others use, too.

import ArgumentParser
import Evaluation
import Glibc
import Tables
import Tensors

struct EvaluateCommand: AsyncParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Evaluate a model, here or behind an OpenAI address.",
        discussion: """
            Data are your own copies: CSV, JSON lines or Parquet, as the hub and the tasks' makers have them.
            What is finished is kept: the same command goes on where an earlier one was ended.
            Exit status: 0 done, 1 a gate failed, 2 bad parameters, 65 bad data.
            Examples:
              martlet evaluate --model ./Qwen2.5-0.5B --eval_dataset mmlu --dataset ./mmlu --output_dir out
              martlet evaluate --model ./model --eval_dataset gsm8k --dataset test.jsonl --limit 100 \\
                --num_fewshot 4 --fail_below acc=0.3
              martlet evaluate --api_url http://127.0.0.1:8000/v1 --model name --eval_dataset arc \\
                --dataset ./arc --scoring generation
              martlet evaluate --model ./model --task mine.yaml --fail_if_worse_than ./before
              martlet evaluate --compare ./before ./after
            """)

    static let parameterGroups: [any ParsableArguments.Type] = [
        EvaluationTaskOptions.self, EvaluationModelOptions.self, EvaluationOutputOptions.self,
    ]

    @OptionGroup(title: "What is asked") var tasks: EvaluationTaskOptions
    @OptionGroup(title: "Who is asked") var models: EvaluationModelOptions
    @OptionGroup(title: "What becomes of it") var output: EvaluationOutputOptions

    /// A signal ended the evaluation.
    private struct Interrupted: Error {
        var signal: Int32
    }

    func run() async throws {
        do {
            guard output.compare.isEmpty else { return try Self.compare(output.compare) }
            let request = try EvaluateRequest(tasks, models, output)
            let gates = try EvaluationGates(output, tasks: request.jobs.map(\.task.name))
            let run = EvaluationRun(request: request, gates: gates)
            let hasPassed = try await Self.untilSignaled { try await run.run().hasPassed }
            if !hasPassed { throw CommandError("a gate was not passed; see above", status: 1) }
        } catch let interrupted as Interrupted {
            Output.note("ended by a signal; the same command goes on with what is left")
            throw ExitCode(128 + interrupted.signal)
        } catch {
            throw Self.commandError(for: error)
        }
    }

    /// Runs the work until it ends or the first signal comes, which cancels it; the second ends the process.
    private static func untilSignaled(_ work: @escaping @Sendable () async throws -> Bool) async throws
        -> Bool
    {
        let (stops, stop) = AsyncStream<Int32>.makeStream()
        let signals = SignalWatch { stop.yield($0) }
        defer { signals.cancel() }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await work() }
            group.addTask {
                for await signal in stops { throw Interrupted(signal: signal) }
                throw CancellationError()
            }
            return try await group.next() ?? false
        }
    }

    private static func compare(_ paths: [String]) throws {
        guard paths.count == 2 else {
            throw CommandError("--compare takes two reports, not \(paths.count)", status: 2)
        }
        let comparison = try ReportComparison(StoredReport(paths[0]), StoredReport(paths[1]))
        Output.text(ReportTable.text(comparison))
    }

    /// The error with the exit status that belongs to it: 65 for what is wrong inside of data, 2 for what
    /// was asked.
    static func commandError(for error: any Error) -> any Error {
        switch error {
        case let error as EvaluationError:
            CommandError(error.description, status: error.row == nil && error.field == nil ? 2 : 65)
        case let error as TableError: CommandError("\(error)", status: 65)
        case let error as ScoringError: CommandError(error.description, status: 1)
        default: TrainingStart.commandError(for: error)
        }
    }
}
