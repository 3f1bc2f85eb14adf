// What tests of data sets share: a tokenizer of bytes, templates, and folders that go away.
import Foundation
import Models
import Testing
import Text

@testable import Training

/// A row of a file and what it becomes.
struct RowExample: Sendable, CustomTestStringConvertible {
    var kind = ""
    var row = ""
    var expected: [String] = []

    var testDescription: String { row }
}

enum DataFixture {
    /// Examples between blank lines: the row, which may be broken anywhere; each thing that it becomes behind
    /// "= ", its further lines behind "+ "; a kind behind "@ " before.
    static func cases(_ text: String) -> [RowExample] {
        text.split(separator: "\n\n").map { part in
            var example = RowExample()
            for line in part.split(separator: "\n") {
                switch line.prefix(2) {
                case "@ ": example.kind = String(line.dropFirst(2))
                case "= ": example.expected.append(String(line.dropFirst(2)))
                case "+ ": example.expected[example.expected.count - 1] += line.dropFirst(2)
                default: example.row += line
                }
            }
            return example
        }
    }

    /// A token for each byte, and ChatML's.
    static func tokenizer(
        specialTokens: [String] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    ) throws -> Tokenizer {
        var settings = BytePairTrainer.Settings(vocabularySize: 256 + specialTokens.count)
        settings.specialTokens = specialTokens
        let trainer = try BytePairTrainer(settings)
        let vocabulary = trainer.train()
        return try Tokenizer(
            tokenizerJSON: vocabulary.tokenizerJSON,
            configurationJSON: vocabulary.configurationJSON(
                eosToken: specialTokens.first, padToken: specialTokens.first))
    }

    /// Messages one after another, each closed by a token and a line break; tools come first.
    static let chatML = """
        {%- if tools %}{{- 'tools ' + (tools | tojson) + '\\n' }}{%- endif %}
        {%- for m in messages %}
        {{- '<|im_start|>' + m.role + '\\n' + m.content }}
        {%- for c in m.tool_calls or [] %}{{- '<call>' + (c.function | tojson) + '</call>' }}{%- endfor %}
        {{- '<|im_end|>\\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
        """

    /// Writes files into a new directory, which goes away after `body`.
    static func withFiles<Result>(
        _ files: [String: String], _ body: (String) throws -> Result
    ) throws -> Result {
        let directory = NSTemporaryDirectory() + "martlet-data-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (name, text) in files {
            let path = "\(directory)/\(name)"
            let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        return try body(directory)
    }

    /// A request whose paths lie in a folder, as do its tokenized rows.
    static func request(
        in directory: String, _ files: [String], _ change: (inout TrainingParameters) -> Void = { _ in }
    ) -> DatasetRequest {
        var parameters = TrainingParameters()
        parameters.dataset = files.map { "\(directory)/\($0)" }
        change(&parameters)
        return DatasetRequest(parameters, cacheDirectory: "\(directory)/cache")
    }

    /// The rows of a file with ChatML's template, when they are all read.
    static func rows(
        of text: String, name: String = "data.jsonl", template: String? = chatML,
        _ change: (inout TrainingParameters) -> Void = { _ in }
    ) throws -> (rows: [String], statistics: DatasetStatistics) {
        try withFiles([name: text]) { directory in
            let tokenizer = try tokenizer()
            let dataset = try TrainingDataset.open(
                request(in: directory, [name], change), tokenizer: tokenizer,
                chatTemplate: template.map { try ChatTemplate($0) }
            ).train
            try dataset.wait()
            let rows = try (0..<dataset.count).map { shown(try dataset.row($0), tokenizer) }
            var statistics = dataset.statistics
            statistics.reasons = statistics.reasons.map { $0.replacing(directory + "/", with: "") }
            return (rows, statistics)
        }
    }

    /// A row as text: what is learned in brackets, line breaks as ~; the parts of preferences between bars,
    /// with a sign for the verdict.
    static func shown(_ row: TrainingRow, _ tokenizer: Tokenizer) -> String {
        func text(_ ids: [Int32]) -> String {
            tokenizer.decode(ids, skipSpecialTokens: false).replacing("<|im_start|>", with: "<")
                .replacing("<|im_end|>", with: ">").replacing("<|endoftext|>", with: "$")
                .replacing("\n", with: "~")
        }
        switch row {
        case .sequence(let row):
            var result = ""
            var start = 0
            while start < row.ids.count {
                let isLearned = row.labels[start] != TokenSequence.ignored
                var end = start
                while end < row.ids.count, (row.labels[end] != TokenSequence.ignored) == isLearned {
                    end += 1
                }
                let part = text(Array(row.ids[start..<end]))
                result += isLearned ? "[\(part)]" : part
                start = end
            }
            return result
        case .preference(let row):
            return "\(text(row.prompt))|\(text(row.chosen))|\(text(row.rejected))"
        case .unpaired(let row):
            return "\(text(row.prompt))|\(text(row.completion))|\(row.isDesirable ? "+" : "-")"
        }
    }
}
