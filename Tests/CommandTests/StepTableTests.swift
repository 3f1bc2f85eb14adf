// What lint knows of the steps against what their commands declare and do.

import ArgumentParser
import Evaluation
import Scheduling
import Tables
import Testing
import Text

@testable import Training
@testable import WorkflowLanguage
@testable import martlet

@Suite("Tables of steps")
struct StepTableTests {
    private static let commands: [(MartletStep.Kind, any ParameterCommand.Type)] = [
        (.download, DownloadCommand.self), (.tokenizer, TokenizerCommand.self),
        (.pretrain, PretrainCommand.self), (.sft, SFTCommand.self), (.rlhf, RLHFCommand.self),
        (.dpo, DPOCommand.self), (.evaluate, EvaluateCommand.self), (.quantize, QuantizeCommand.self),
        (.merge, MergeCommand.self),
    ]

    private static func kind(_ kind: StepParameter.Kind) -> ParameterTable.Kind {
        switch kind {
        case .flag: .flag
        case .integer: .integer
        case .natural: .natural
        case .number: .number
        case .text: .text
        case .list, .names: .list
        case .choice(let words): .choice(words.sorted())
        }
    }

    @Test("Lint's tables are the commands' options, with the same types", arguments: 0..<9)
    func options(index: Int) {
        let (kind, command) = Self.commands[index]
        var declared: [String: ParameterTable.Kind] = [:]
        for (name, type) in ParameterTable(command.parameterGroups).kinds {
            let snake = name.replacing("-", with: "_")
            if case .choice(let words) = type {
                declared[snake] = .choice(words.sorted())
            } else {
                declared[snake] = type
            }
        }
        var known = StepParameterTable.of(kind).parameters.mapValues { Self.kind($0.kind) }
        // What every step may have, and no command does.
        known["backend"] = nil
        #expect(known == declared)
    }

    @Test("The fields of deploy are its table's")
    func deployment() {
        let names = StepParameterTable.of(.deploy).parameters.keys.filter { $0 != "backend" }
        #expect(Set(names) == Set(DeploymentSpec.fields.map(StepParameterTable.canonical)))
    }

    @Test("The options of generate are in its table")
    func generate() throws {
        let table = StepParameterTable.of(.generate)
        let help = GenerateCommand.helpMessage(columns: 200)
        let names = help.split(whereSeparator: { " \n,/".contains($0) }).filter { $0.hasPrefix("--") }.map {
            String($0.dropFirst(2).prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }).replacing(
                "-", with: "_")
        }
        #expect(names.count > 15)
        for name in names where !["help", "version"].contains(name) {
            #expect(table.parameter(name) != nil, "\(name)")
        }
    }

    /// Bounds of training parameters, each with a value inside and one outside.
    private static let bounds = StepParameterTable.of(.dpo).parameters.values
        .filter { $0.range != nil && $0.name != "quant_bits" && $0.name != "min_lr" }.sorted {
            $0.name < $1.name
        }

    @Test("The ranges are those that the trainer checks")
    func ranges() throws {
        for parameter in Self.bounds {
            let range = try #require(parameter.range)
            for (bound, isIn) in [(range.lower, range.includesLower), (range.upper, range.includesUpper)] {
                guard parameter.kind == .number || abs(bound) < 1e9 else { continue }
                let isWhole = parameter.kind != .number
                let word = isWhole ? String(Int(bound)) : "\(bound)"
                #expect(Self.isTaken(parameter.name, word) == isIn, "\(parameter.name) \(word)")
                let step = isWhole ? 1 : max(abs(bound) * 1e-6, 1e-12)
                let outside = bound == range.lower ? bound - step : bound + step
                let other = isWhole ? String(Int(outside)) : "\(outside)"
                #expect(!Self.isTaken(parameter.name, other), "\(parameter.name) \(other)")
            }
        }
    }

    private static func isTaken(_ name: String, _ value: String) -> Bool {
        var words = ["dpo", "--model", "m", "--dataset", "d", "--\(name)", value]
        if name == "early_stop_interval" { words += ["--val_dataset", "v"] }
        if name == "label_smoothing" { words += ["--loss_type", "sigmoid"] }
        do {
            _ = try TrainingReading.read(words)
            return true
        } catch let error as CommandError {
            return !error.message.contains("--\(name)")
        } catch {
            return false
        }
    }

    @Test(
        "The figures of the tasks that come with Martlet are those that lint knows",
        arguments: EvaluationTask.names)
    func metrics(name: String) throws {
        let task = try EvaluationTask.named(name)
        for scoring in task.scorings {
            let given = task.metrics(scoring, TaskRequest()).map { EvaluationOutputs.parameterName($0.name) }
            let step = MartletStep(
                kind: .evaluate,
                parameters: ["eval_dataset": .string(name), "scoring": .string(scoring.rawValue)])
            let contract = MartletStepContract(step)
            #expect(Set(contract.outputParameters) == Set(given + ["score"]))
            #expect(!contract.givesAnyParameter)
        }
    }

    /// Rows of many shapes: whatever a trainer reads, lint must not refuse.
    private static let rows = [
        #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        #"{"messages": [{"role": "assistant", "content": "b"}]}"#, #"{"text": "a"}"#,
        #"{"messages": [{"role": "user", "content": "a"}]}"#, #"{"query": "a", "response": "b"}"#,
        #"{"instruction": "a", "input": "b", "output": "c"}"#, #"{"Prompt": "a", "Completion": "b"}"#,
        #"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#,
        #"{"conversation": [{"human": "a", "assistant": "b"}]}"#, #"{"input_ids": [1, 2]}"#,
        #"{"prompt": "a", "chosen": "b", "rejected": "c"}"#, #"{"chosen": "a b", "rejected": "a c"}"#,
        #"{"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}"#, #"{"name": "a"}"#,
        #"{"prompt": "a"}"#,
        #"{"query": "a", "response": "b", "rejected_response": "c"}"#,
        #"{"query": "a", "response": "b", "label": false}"#,
        #"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
        #"{"prompt": [1], "completion": [2], "label": 1}"#, #"{"text": null, "answer": "b"}"#,
        #"{"messages": "[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]"}"#,
    ]

    @Test("Rows that a trainer can read pass lint", arguments: DataShape.Stage.allCases)
    func shapes(stage: DataShape.Stage) throws {
        let wanted: RowKind =
            switch stage {
            case .texts: .document
            case .conversations: .conversation
            case .pairs: .pair
            case .verdicts: .judged
            }
        let reader = RowReader(wanted: wanted, columns: [:], system: nil, vocabularySize: 100)
        var refused = 0
        for row in Self.rows {
            let isRead = (try? reader.contents(of: OrderedJSON(parsing: row))) != nil
            let problem = DataShape.problem(of: Array((row + "\n").utf8), for: stage)
            if isRead { #expect(problem == nil, "\(stage): \(row)") }
            if problem != nil { refused += 1 }
        }
        #expect(refused > 0)
    }
}
