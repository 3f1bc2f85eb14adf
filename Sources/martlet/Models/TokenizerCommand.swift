// `martlet tokenizer`: learn a byte-level BPE vocabulary from texts.

import ArgumentParser
import Glibc
import Models
import Tensors
import Text

extension BytePairTrainer.Splitting: ExpressibleByArgument {}

struct TokenizerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer", abstract: "Train a byte-level BPE tokenizer on texts.",
        discussion: """
            A dataset is a text file, of which each line is a text, or JSONL with a "text" or "messages" in each line.
            The result is tokenizer.json and tokenizer_config.json as transformers loads them.
            Examples:
              martlet tokenizer --dataset corpus.txt --vocab_size 32000 --output_dir ./tokenizer
            """)

    @Option(help: "A text or JSONL file; may be given several times.")
    var dataset: [String]

    @Option(help: "Tokens, the 256 bytes and the special tokens included.")
    var vocabSize: Int

    @Option(help: ArgumentHelp("Where the tokenizer is written.", valueName: "DIR"))
    var outputDir: String

    @Option(help: "Special tokens, which get the first ids; the first one also ends a text.")
    var specialTokens: [String] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

    @Option(help: "Pairs that occur less often are not joined.")
    var minFrequency = 2

    @Option(help: "How texts are split first: gpt2, llama3 or qwen2.")
    var splitting: BytePairTrainer.Splitting = .qwen2

    @Option(help: "YAML or JSON file with these options.")
    var config: String?

    func run() throws {
        do {
            var settings = BytePairTrainer.Settings(vocabularySize: vocabSize)
            settings.minimumFrequency = minFrequency
            settings.specialTokens = specialTokens
            settings.splitting = splitting
            var trainer = try BytePairTrainer(settings)
            for path in dataset { try read(path, into: &trainer) }
            guard trainer.distinctWordCount > 0 else {
                throw CommandError("the dataset has no text", status: 65)
            }
            let progress = ProgressLine("learning")
            let vocabulary = trainer.train { count in
                progress.show(count, of: vocabSize)
                return true
            }
            progress.finish()
            try save(vocabulary)
            if vocabulary.count < vocabSize {
                Output.warning("the texts had pairs for \(vocabulary.count) tokens only, not \(vocabSize)")
            }
            Output.line("\(outputDir): \(vocabulary.count) tokens")
        } catch let error as TokenizerError {
            throw CommandError("\(error)", status: 2)
        } catch let error as FileError {
            throw CommandError("\(error)", status: 1)
        }
    }

    private func save(_ vocabulary: TrainedVocabulary) throws {
        guard mkdir(outputDir, 0o755) == 0 || errno == EEXIST else {
            throw CommandError("cannot make \(outputDir): \(String(cString: strerror(errno)))", status: 1)
        }
        let first = specialTokens.first
        for (name, bytes) in [
            ("tokenizer.json", vocabulary.tokenizerJSON),
            ("tokenizer_config.json", vocabulary.configurationJSON(eosToken: first, padToken: first)),
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
