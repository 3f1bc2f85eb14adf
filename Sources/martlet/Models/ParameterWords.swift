// The words of a step's command: `_` and `-` are the same in a flag, and --config FILE stands for flags.

import ArgumentParser
import Text
import WorkflowLanguage

enum ParameterWords {
    /// Options whose value is a file with more options.
    private static let configurationFlag = "--config"

    /// `--max_new_tokens 5` as `--max-new-tokens 5`; values and what follows `--` stay as they are.
    static func normalized(_ words: [String]) -> [String] {
        var isOpen = true
        return words.map { word in
            if word == "--" { isOpen = false }
            guard isOpen, word.hasPrefix("--") else { return word }
            let end = word.firstIndex(of: "=") ?? word.endIndex
            return String(word[..<end].map { $0 == "_" ? "-" : $0 }) + word[end...]
        }
    }

    /// Replaces `--config FILE` by the flags that the file stands for, in front of all others, so that what is
    /// written on the command line counts.
    static func expanded(_ words: [String]) throws -> [String] {
        let words = DownloadWords.named(words)
        if let words = try TrainingWords.expanded(words) { return words }
        var rest: [String] = []
        var flags: [String] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            if word == configurationFlag, index + 1 < words.count {
                flags += try self.flags(in: words[index + 1], of: words.first ?? "")
                index += 2
            } else if word.hasPrefix(configurationFlag + "=") {
                let file = String(word.dropFirst(configurationFlag.count + 1))
                flags += try self.flags(in: file, of: words.first ?? "")
                index += 1
            } else {
                rest.append(word)
                index += 1
            }
        }
        return Array(rest.prefix(1)) + flags + rest.dropFirst()
    }

    /// How a step of a workflow names what the command has under another name: its model is a bare word.
    private static func word(_ name: String, of command: String) -> String {
        guard command == "generate" else { return normalized(["--" + name])[0] }
        switch name {
        case "model": return ""
        case "dataset", "prompts": return "--file"
        case "adapters", "ref_adapter": return "--adapter"
        default: return normalized(["--" + name])[0]
        }
    }

    private static func flags(in path: String, of command: String) throws -> [String] {
        let (documents, diagnostics) = ManifestReader.read(try Environment.read(path), file: path)
        if let problem = diagnostics.first { throw CommandError(problem.description, status: 2) }
        guard let members = documents.first?.json.objectValue, documents.count == 1 else {
            throw CommandError(
                "\(path): not a map of parameters; write lines like `temperature: 0`", status: 2)
        }
        return try members.sortedByKey.flatMap { name, value -> [String] in
            if let path = value.stringValue, StepFiles.isAbsentInput(path) { return [] }
            let flag = word(name, of: command)
            if flag.isEmpty { return value.scalarText.map { [$0] } ?? [] }
            switch value {
            case .null: return []
            case .bool(let isOn): return isOn ? [flag] : []
            case .array(let elements):
                return try elements.flatMap { element -> [String] in
                    guard let text = element.scalarText else { throw unreadable(path, name) }
                    return [flag + "=" + text]
                }
            default:
                guard let text = value.scalarText else { throw unreadable(path, name) }
                return [flag + "=" + StepFiles.named(text, for: String(flag.dropFirst(2)))]
            }
        }
    }

    private static func unreadable(_ path: String, _ name: String) -> CommandError {
        CommandError("\(path): \(name): write a text, a number, true or false, or a list of these", status: 2)
    }
}
