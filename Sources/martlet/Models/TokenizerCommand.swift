// `martlet tokenizer`: learn a byte-level BPE vocabulary from texts.

import ArgumentParser
import Artifacts
import Glibc
import Models
import Tensors
import Text

extension BytePairTrainer.Splitting: ExpressibleByArgument {}

/// The parameters of `tokenizer`.
struct TokenizerTrainingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Text or JSONL files, or folders of them; several may be given.", valueName: "PATH"))
    var dataset: [String] = []

    @Option(
        help: ArgumentHelp("Tokens, the 256 bytes and the special tokens included.", valueName: "N"))
    var vocabSize: Int?

    @Option(help: ArgumentHelp("Where the tokenizer is written.", valueName: "DIR"))
    var outputDir: String?

    @Option(
        help: ArgumentHelp(
            "Special tokens, which get the first ids; the first one also ends a text.", valueName: "TOKEN"))
    var specialTokens: [String] = []

    @Option(help: ArgumentHelp("Pairs that occur less often are not joined.", valueName: "N"))
    var minFrequency = 2

    @Option(help: "How texts are split first: gpt2, llama3 or qwen2.")
    var splitting: BytePairTrainer.Splitting = .qwen2

    @Option(
        help: ArgumentHelp(
            "How a conversation looks: chatml, none, or a file with a Jinja template; chatml unless given, "
                + "if its two tokens are among the special ones.", valueName: "chatml|none|FILE"))
    var chatTemplate: String?

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?

    static let usualSpecialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
}

struct TokenizerCommand: ParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer", abstract: "Train a byte-level BPE tokenizer on texts.",
        discussion: """
            A dataset is a text file, of which each line is a text, or JSONL with a "text" or "messages" in
            each line; in a folder all such files count. The special tokens are those of ChatML unless
            given. The result is tokenizer.json and tokenizer_config.json as transformers loads them.
            Examples:
              martlet tokenizer --dataset corpus.txt --vocab_size 32000 --output_dir ./tokenizer
            """)

    static let parameterGroups: [any ParsableArguments.Type] = [TokenizerTrainingOptions.self]

    @OptionGroup var options: TokenizerTrainingOptions

    func run() throws {
        let request = try TokenizerRequest(options)
        do {
            var settings = BytePairTrainer.Settings(vocabularySize: request.vocabSize)
            settings.minimumFrequency = options.minFrequency
            settings.specialTokens = request.specialTokens
            settings.splitting = options.splitting
            var trainer = try BytePairTrainer(settings)
            for path in try request.files() { try read(path, into: &trainer) }
            guard trainer.distinctWordCount > 0 else {
                throw CommandError("the dataset has no text", status: 65)
            }
            let progress = ProgressLine("learning")
            let vocabulary = trainer.train { count in
                progress.show(count, of: request.vocabSize)
                return true
            }
            progress.finish()
            try save(vocabulary, request)
            if vocabulary.count < request.vocabSize {
                Output.warning(
                    "the texts had pairs for \(vocabulary.count) tokens only, not \(request.vocabSize)")
            }
            if let step = request.stepDirectory {
                try StepParameters.write([("vocab_size", .int(vocabulary.count))], to: step)
            }
            Output.line("\(request.outputDir): \(vocabulary.count) tokens")
        } catch let error as TokenizerError {
            throw CommandError("\(error)", status: 2)
        } catch let error as FileError {
            throw CommandError("\(error)", status: 1)
        }
    }

    private func save(_ vocabulary: TrainedVocabulary, _ request: TokenizerRequest) throws {
        let outputDir = request.outputDir
        do {
            try Disk.makeDirectories(outputDir)
        } catch {
            throw CommandError("\(error)", status: 1)
        }
        let first = request.specialTokens.first
        for (name, bytes) in [
            ("tokenizer.json", vocabulary.tokenizerJSON),
            (
                "tokenizer_config.json",
                vocabulary.configurationJSON(
                    eosToken: first, padToken: first, chatTemplate: try request.chatTemplate())
            ),
        ] {
            let file = try AtomicFile(path: outputDir + "/" + name)
            try file.write(bytes)
            try file.commit()
        }
    }

    /// Files may be larger than memory, so they are read line by line.
    private func read(_ path: String, into trainer: inout BytePairTrainer) throws {
        let isJSON = path.hasSuffix(".jsonl")
        var reader = try LineReader(path)
        var number = 0
        while let line = try reader.next() {
            number += 1
            guard isJSON else {
                try trainer.add(String(decoding: line, as: UTF8.self) + "\n")
                continue
            }
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            let row: OrderedJSON
            do {
                row = try OrderedJSON(parsingUTF8: line)
            } catch {
                throw CommandError("\(path):\(number): \(error.message)", status: 65)
            }
            let texts =
                row["text"]?.stringValue.map { [$0] }
                ?? row["messages"]?.arrayValue?.compactMap { $0["content"]?.stringValue }
            guard let texts else {
                throw CommandError(
                    "\(path):\(number): the line has neither \"text\" nor \"messages\"", status: 65)
            }
            for text in texts { try trainer.add(text) }
        }
    }
}

/// The conversations of Qwen's models and many others: each turn between two special tokens.
enum ChatML {
    static let name = "chatml"
    static let tokens = ["<|im_start|>", "<|im_end|>"]
    static let template =
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
        + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
}

/// What a tokenizer is trained on, and where it goes.
struct TokenizerRequest: Hashable {
    /// Folders deeper than this are not looked into.
    private static let depthLimit = 16

    var dataset: [String]
    var vocabSize: Int
    var outputDir: String
    var specialTokens: [String]
    /// As it was given: chatml, none, or a file.
    private var template: String
    /// The directory of a step's artifacts, if this is one.
    var stepDirectory: String?

    /// - Throws: `CommandError` with status 2 and what to do.
    init(_ options: TokenizerTrainingOptions, environment: (String) -> String? = Environment.value) throws {
        var problems: [String] = []
        stepDirectory = TrainingArtifacts(environment: environment)?.directory
        if options.dataset.isEmpty { problems.append("--dataset is missing; give a text or JSONL file") }
        if options.vocabSize == nil { problems.append("--vocab_size is missing; give for example 8000") }
        let outputDir = options.outputDir ?? stepDirectory.map { $0 + "/tokenizer" }
        if outputDir == nil { problems.append("--output_dir is missing; give a directory") }
        guard problems.isEmpty, let vocabSize = options.vocabSize, let outputDir else {
            throw CommandError(problems.joined(separator: "\n"), status: 2)
        }
        self.dataset = options.dataset
        self.vocabSize = vocabSize
        self.outputDir = outputDir
        specialTokens =
            options.specialTokens.isEmpty
            ? TokenizerTrainingOptions.usualSpecialTokens : options.specialTokens
        let hasTurns = Set(ChatML.tokens).isSubset(of: specialTokens)
        template = options.chatTemplate ?? (hasTurns ? ChatML.name : "none")
        guard template != ChatML.name || hasTurns else {
            throw CommandError(
                "--chat_template chatml: --special_tokens must have \(ChatML.tokens.joined(separator: " and "))",
                status: 2)
        }
    }

    /// The template that goes into tokenizer_config.json, so that a model of this tokenizer can be talked to.
    /// - Throws: `CommandError` for a file that cannot be read.
    func chatTemplate() throws -> String? {
        switch template {
        case "none": nil
        case ChatML.name: ChatML.template
        default: String(decoding: try Environment.read(template), as: UTF8.self)
        }
    }

    /// The files of the data sets; folders stand for the texts in them, in the order of their names.
    func files() throws -> [String] {
        try dataset.flatMap { path -> [String] in
            guard Disk.targetStatus(path)?.kind == .directory else { return [path] }
            let files = Self.files(in: path, depth: 0)
            guard !files.isEmpty else {
                throw CommandError("\(path): the folder has no .txt or .jsonl file", status: 2)
            }
            return files
        }
    }

    private static func files(in folder: String, depth: Int) -> [String] {
        guard depth < depthLimit else { return [] }
        return (Disk.list(folder) ?? []).sorted().filter { !$0.hasPrefix(".") }.flatMap { name -> [String] in
            let path = "\(folder)/\(name)"
            switch Disk.targetStatus(path)?.kind {
            case .directory: return files(in: path, depth: depth + 1)
            case .file: return name.hasSuffix(".txt") || name.hasSuffix(".jsonl") ? [path] : []
            default: return []
            }
        }
    }
}

/// The lines of a file, one after another, with a buffer of a megabyte.
struct LineReader: ~Copyable {
    private let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// A longer line is refused.
    private static let maximumLineBytes = 1 << 28

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandError("cannot read \(path): \(String(cString: strerror(errno)))", status: 2)
        }
    }

    deinit { close(descriptor) }

    /// The next line without its end, nil after the last.
    mutating func next() throws -> [UInt8]? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                defer { position = end + 1 }
                return Array(buffer[position..<end])
            }
            if isAtEnd {
                defer { position = buffer.count }
                return position < buffer.count ? Array(buffer[position...]) : nil
            }
            buffer.removeFirst(position)
            position = 0
            searched = buffer.count
            guard searched < Self.maximumLineBytes else {
                throw CommandError(
                    "\(path): a line is longer than \(Self.maximumLineBytes) bytes", status: 65)
            }
            try fill()
        }
    }

    private mutating func fill() throws {
        let size = 1 << 20
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: size))
        let count = buffer.withUnsafeMutableBytes { bytes in
            Glibc.read(descriptor, bytes.baseAddress.map { $0 + start }, size)
        }
        let number = errno
        buffer.removeLast(size - max(count, 0))
        if count < 0 && number != EINTR {
            throw CommandError("cannot read \(path): \(String(cString: strerror(number)))", status: 2)
        }
        if count == 0 { isAtEnd = true }
    }
}
