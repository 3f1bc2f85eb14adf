// What a generate step of a workflow gives: each row of its prompts with the answer beside it.

import Artifacts
import Text

enum GeneratedRows {
    /// The row with its answer as `response`, which is also how trainers read it.
    static func row(_ row: OrderedJSON, prompt: String?, answer: String) -> OrderedJSON {
        var members = (row.objectValue ?? []).filter { $0.key != "response" }
        if let prompt { members.append(.init(key: "prompt", value: .string(prompt))) }
        members.append(.init(key: "response", value: .string(answer)))
        return .object(members)
    }

    /// Leaves the artifact `output`, a folder with `responses.jsonl`; nothing where this is no step.
    static func leave(_ rows: [OrderedJSON], environment: (String) -> String? = Environment.value) throws {
        guard let directory = TrainingArtifacts(environment: environment)?.directory else { return }
        let lines = rows.map { $0.compactText + "\n" }.joined()
        do {
            try Disk.makeDirectories("\(directory)/output")
            try Disk.replace(
                "\(directory)/output/responses.jsonl", with: Array(lines.utf8), durable: false)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
    }
}
