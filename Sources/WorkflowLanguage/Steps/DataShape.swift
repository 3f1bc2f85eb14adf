// Whether the first rows of a data set have what a trainer needs: known from the names of their fields, before
// anything is loaded.

import Text

/// The shape of rows. It says no only where every row that was looked at cannot be used.
package enum DataShape {
    /// What the rows are for.
    package enum Stage: Sendable, Hashable, CaseIterable {
        case texts, conversations, pairs, verdicts

        /// Nil for steps that take other data, or whose method only the run will tell.
        package init?(_ step: MartletStep) {
            switch step.kind {
            case .pretrain: self = .texts
            case .sft: self = .conversations
            case .dpo: self = .pairs
            case .rlhf:
                guard !step.isOpen("rlhf_type") else { return nil }
                switch step.literal("rlhf_type") ?? "dpo" {
                case "kto": self = .verdicts
                case "dpo", "orpo", "simpo", "cpo": self = .pairs
                default: return nil
                }
            default: return nil
            }
        }
    }

    /// Rows that are looked at.
    private static let rowLimit = 20

    /// What is wrong with JSON lines, of which these are the first bytes; nil if nothing is, or if the bytes are no
    /// JSON lines.
    package static func problem(of head: [UInt8], for stage: Stage) -> (message: String, remedy: String)? {
        var lines = head.split(separator: 0x0A, omittingEmptySubsequences: true)
        // What was cut off is no row.
        if head.last != 0x0A, lines.count > 1 { lines.removeLast() }
        var rows: [[String: JSONValue]] = []
        for line in lines.prefix(rowLimit) where line.contains(where: { $0 > 0x20 }) {
            guard let row = (try? JSONValue(parsingUTF8: Array(line)))?.objectValue else { return nil }
            var fields: [String: JSONValue] = [:]
            for (name, value) in row where value != .null { fields[name.lowercased()] = value }
            rows.append(fields)
        }
        guard let first = rows.first, !rows.contains(where: { fits($0, stage) }) else { return nil }
        let names = first.keys.sorted().joined(separator: ", ")
        let found = names.isEmpty ? "its rows are empty" : "its rows have \(names)"
        switch stage {
        case .pairs:
            return (
                "\(found), and no rejected answer",
                "give rows with messages and rejected_response, or prompt, chosen and rejected"
            )
        case .verdicts: return ("\(found), and no label", "give rows with messages and label: true or false")
        case .conversations:
            return ("\(found), and no answer to learn", "give rows with messages, or query and response")
        case .texts: return ("\(found), and no text", "give rows with text or messages")
        }
    }

    private static let messages = ["messages", "conversations", "conversation"]
    private static let answers = [
        "response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text",
        "completion", "content",
    ]
    private static let questions = ["query", "prompt", "input", "instruction", "question", "problem"]

    private static func fits(_ row: [String: JSONValue], _ stage: Stage) -> Bool {
        func has(_ names: [String]) -> Bool { names.contains { row[$0] != nil } }
        let isPair = has(["rejected", "rejected_response", "rejected_messages", "rejected_ids"])
        switch stage {
        case .texts: return has(messages + answers + questions + ["input_ids", "prompt_ids"])
        case .conversations: return has(messages + answers + ["input_ids", "prompt_ids"])
        case .pairs: return isPair
        case .verdicts: return row["label"] != nil || isPair || row["chosen"] != nil
        }
    }
}
