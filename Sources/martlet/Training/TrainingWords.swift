// The words of the training commands, made into what the parser takes: `--packing` and `--packing false` are
// both meant, lists take several words, and --config FILE stands for parameters that those on the command
// line replace.

import ArgumentParser
import Text
import WorkflowLanguage

/// A command whose words are read here before the parser sees them.
protocol ParameterCommand: ParsableCommand {
    /// The types of all its options.
    static var parameterGroups: [any ParsableArguments.Type] { get }
}

struct TrainingWords {
    static let commands: [any ParameterCommand.Type] = [
        DownloadCommand.self, PretrainCommand.self, SFTCommand.self, RLHFCommand.self, DPOCommand.self,
        EvaluateCommand.self, QuantizeCommand.self, MergeCommand.self, TokenizerCommand.self,
    ]

    /// What the parser gets, and what to tell the user.
    struct Prepared: Hashable {
        var words: [String]
        var notices: [String] = []
    }

    /// A parameter as it was given.
    private struct Entry {
        /// In kebab case.
        var name: String
        var values: [String]
        /// The file that it comes from; nil for the command line.
        var file: String?

        /// As configuration files and other trainers write it.
        var shown: String { "--" + snakeName }

        var snakeName: String { String(name.map { $0 == "-" ? "_" : $0 }) }
    }

    private let command: any ParameterCommand.Type
    private let table: ParameterTable
    private var notices: [String] = []
    private var problems: [String] = []

    private init(_ command: any ParameterCommand.Type) {
        self.command = command
        table = ParameterTable(command.parameterGroups)
    }

    private var commandName: String { command.configuration.commandName ?? "" }

    /// The words for the parser, or nil if their command is none of these or help is asked for. Notices are
    /// shown.
    static func expanded(_ words: [String]) throws -> [String]? {
        guard let prepared = try prepared(words) else { return nil }
        for notice in prepared.notices { Output.warning(notice) }
        return prepared.words
    }

    /// - Throws: `CommandError` with status 2 and all that is wrong with the words, a line each.
    static func prepared(
        _ words: [String], read: (String) throws -> [UInt8] = { try Environment.read($0) }
    ) throws -> Prepared? {
        guard let name = words.first,
            let command = commands.first(where: { $0.configuration.commandName == name }),
            !words.contains(where: { ["--help", "-h", "--help-hidden", "--version"].contains($0) })
        else { return nil }
        var reader = TrainingWords(command)
        let entries = try reader.entries(Array(words.dropFirst()), read)
        let prepared = Prepared(words: [name] + reader.words(for: entries), notices: reader.notices)
        guard reader.problems.isEmpty else {
            throw CommandError(reader.problems.joined(separator: "\n"), status: 2)
        }
        return prepared
    }

    // MARK: Reading

    private static func isFlag(_ word: String) -> Bool {
        word.hasPrefix("--") && word.count > 2
    }

    /// What is written on the command line and in the files that it names, those first.
    private mutating func entries(_ words: [String], _ read: (String) throws -> [UInt8]) throws -> [Entry] {
        var filed: [Entry] = []
        var written: [Entry] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard Self.isFlag(word) else {
                let isFile = index == 1 && [".yaml", ".yml", ".json"].contains(where: word.hasSuffix)
                if isFile {
                    filed += try entries(inFile: word, read)
                } else {
                    problems.append("\"\(word)\" belongs to no parameter; write --NAME \(word)")
                }
                continue
            }
            var entry = Self.entry(word)
            if entry.values.isEmpty {
                let following = words[index...].prefix { !Self.isFlag($0) }
                entry.values = Array(following.prefix(taken(by: entry.name, of: Array(following))))
                index += entry.values.count
            }
            if entry.name == "config" {
                guard let file = entry.values.first, !file.isEmpty else {
                    problems.append("--config has no value; give a YAML or JSON file")
                    continue
                }
                filed += try entries(inFile: file, read)
            } else {
                written.append(entry)
            }
        }
        // A list on the command line replaces that of the file, as any other value does.
        let replaced = Set(written.map(\.name))
        return filed.filter { !replaced.contains($0.name) } + written
    }

    private static func entry(_ word: String) -> Entry {
        let body = word.dropFirst(2)
        guard let mark = body.firstIndex(of: "=") else {
            return Entry(name: ParameterTable.canonical(String(body)), values: [])
        }
        let value = String(body[body.index(after: mark)...])
        return Entry(name: ParameterTable.canonical(String(body[..<mark])), values: [value])
    }

    /// How many of the words after it are values of the parameter.
    private func taken(by name: String, of following: [String]) -> Int {
        switch table.kinds[name] {
        case .flag: following.first.flatMap(Self.truth) == nil ? 0 : 1
        case .integer, .natural, .number, .text, .choice: 1
        case .list: following.count
        case nil where name == "config": 1
        case nil: following.count
        }
    }

    /// What people and programs write for true and false.
    static func truth(_ word: String) -> Bool? { StepParameter.truth(word) }

    private mutating func entries(
        inFile path: String, _ read: (String) throws -> [UInt8]
    ) throws -> [Entry] {
        let (documents, diagnostics) = ManifestReader.read(try read(path), file: path)
        if let problem = diagnostics.first { throw CommandError(problem.description, status: 2) }
        guard let members = documents.first?.json.objectValue, documents.count == 1 else {
            throw CommandError(
                "\(path): not a map of parameters; write lines like `lora_rank: 8`", status: 2)
        }
        var entries: [Entry] = []
        for (key, value) in members.sortedByKey where !value.isNull {
            let name = ParameterTable.canonical(key)
            if name == "config" {
                problems.append("\(path): config: a file cannot name another; give both on the command line")
                continue
            }
            if let path = value.stringValue, StepFiles.isAbsentInput(path) { continue }
            let values = Self.values(value).map { StepFiles.named($0, for: name) }
            entries.append(Entry(name: name, values: values, file: path))
        }
        return entries
    }

    /// The value as words; maps, and lists in lists, as JSON.
    private static func values(_ value: JSONValue) -> [String] {
        guard let elements = value.arrayValue else { return [value.scalarText ?? value.compactText] }
        return elements.map { $0.scalarText ?? $0.compactText }
    }

    // MARK: Writing

    private mutating func words(for entries: [Entry]) -> [String] {
        entries.flatMap { entry -> [String] in
            guard let kind = table.kinds[entry.name] else { return foreignWords(entry) }
            let flag = "--\(entry.name)="
            switch kind {
            case .list: return entry.values.map { flag + $0 }
            case .flag:
                guard entry.values.count <= 1 else { return tooMany(entry) }
                guard let isOn = Self.truth(entry.values.first ?? "true") else {
                    return reject(entry, "\"\(entry.values[0])\" is neither true nor false")
                }
                return [flag + (isOn ? "true" : "false")]
            case .integer, .natural, .number, .text, .choice:
                guard entry.values.count <= 1 else { return tooMany(entry) }
                guard let value = entry.values.first, !value.isEmpty else {
                    return reject(entry, "the value is missing")
                }
                let meant = StepParameterTable.canonical(value, of: entry.snakeName)
                if let problem = Self.problem(of: meant, kind) { return reject(entry, problem) }
                return [flag + meant]
            }
        }
    }

    /// Why the parser would not take the value.
    private static func problem(of value: String, _ kind: ParameterTable.Kind) -> String? {
        switch kind {
        case .flag, .text, .list: return nil
        case .integer: return Int(value) == nil ? "\"\(value)\" is not a whole number" : nil
        case .natural: return UInt64(value) == nil ? "\"\(value)\" is not a whole number from 0 on" : nil
        case .number:
            guard Double(value)?.isFinite != true else { return nil }
            return "\"\(value)\" is not a number; write one like 0.1 or 1e-4"
        case .choice(let words):
            return words.contains(value)
                ? nil : "\"\(value)\" is not there; write \(words.joined(separator: ", "))"
        }
    }

    private mutating func reject(_ entry: Entry, _ problem: String) -> [String] {
        let place = entry.file.map { "\($0): " } ?? ""
        problems.append("\(place)\(entry.shown): \(problem)")
        return []
    }

    private mutating func tooMany(_ entry: Entry) -> [String] {
        reject(entry, "one value is wanted, not \(entry.values.count)")
    }

    /// A parameter that this command does not have.
    private mutating func foreignWords(_ entry: Entry) -> [String] {
        let value = entry.values.joined(separator: " ")
        if let foreign = ForeignParameter.named(entry.name) {
            switch foreign.meaning(of: value.isEmpty ? "true" : value) {
            case .nothing: return []
            case .noEffect(let reason):
                notices.append("\(entry.shown) has no effect here: \(reason)")
                return []
            case .instead(let name, let value): return ["--\(name)=\(value)"]
            case .problem(let reason): return reject(entry, reason)
            }
        }
        // A step gets the path of every input artifact under its name, whether it is a parameter or not.
        if entry.file != nil, value.contains(MartletStep.inputDirectory + "/") {
            notices.append(
                "the input artifact \"\(entry.name)\" is not used: it is no parameter of \(commandName)")
            return []
        }
        return reject(entry, unknown(entry.name))
    }

    private func unknown(_ name: String) -> String {
        let owners = Self.commands.filter { ParameterTable($0.parameterGroups).kinds[name] != nil }
            .compactMap { $0.configuration.commandName }
        if !owners.isEmpty {
            return "this is a parameter of \(owners.joined(separator: ", ")), not of \(commandName)"
        }
        let known = table.kinds.keys.map { $0.replacing("-", with: "_") }.sorted()
        if let near = EditDistance.nearest(to: name.replacing("-", with: "_"), in: known) {
            return "no parameter has this name; did you mean --\(near)?"
        }
        return "no parameter has this name; see martlet \(commandName) --help"
    }
}
