// Opening a data set: from paths to chosen rows, and to tokens that an earlier run may have left.
import Glibc
import Models
import Text

/// What it takes to open a data set, with files that are used several times opened once.
struct DatasetOpening {
    private let request: DatasetRequest
    private let encoder: RowEncoder
    private let progress: @Sendable (DatasetProgress) -> Void
    private let tokenizer: Tokenizer?
    private let chatTemplate: ChatTemplate?
    private var files: [RecordFile] = []
    private var numbers: [String: Int] = [:]

    init(
        _ request: DatasetRequest, _ tokenizer: Tokenizer?, _ chatTemplate: ChatTemplate?,
        _ progress: @escaping @Sendable (DatasetProgress) -> Void
    ) {
        self.request = request
        self.tokenizer = tokenizer
        self.chatTemplate = chatTemplate
        self.progress = progress
        encoder = RowEncoder(request, tokenizer: tokenizer, chatTemplate: chatTemplate)
    }

    /// The rows that the entries mean.
    mutating func rows(
        of entries: [String], _ parameter: String, ratio: Double
    ) throws(TrainingError) -> (training: [RecordReference], validation: [RecordReference]) {
        var training: [RecordReference] = []
        var validation: [RecordReference] = []
        for (number, entry) in entries.enumerated() {
            let source = try DatasetSource(entry, parameter: parameter)
            var references: [RecordReference] = []
            for path in source.files {
                let file = try self.file(path)
                references += (0..<UInt32(files[file].count)).map {
                    RecordReference(file: UInt32(file), record: $0)
                }
            }
            guard !references.isEmpty else {
                throw TrainingError(
                    .badData, "\(parameter): \(source.path) has no rows",
                    remedy: "check that the right file was named")
            }
            let selection = RowSelection.select(
                count: references.count, sampleCount: source.sampleCount, validationRatio: ratio,
                shuffles: request.shuffles, seed: request.dataSeed, source: number)
            training += selection.training.map { references[Int($0)] }
            validation += selection.validation.map { references[Int($0)] }
        }
        return (training, validation)
    }

    private mutating func file(_ path: String) throws(TrainingError) -> Int {
        if let number = numbers[path] { return number }
        files.append(try RecordFile(path: path))
        numbers[path] = files.count - 1
        return files.count - 1
    }

    func dataset(
        of references: [RecordReference], isValidation: Bool
    ) throws(TrainingError) -> TrainingDataset {
        let isStreaming = request.streaming && !isValidation
        var references = references
        if isStreaming && request.shuffles {
            // Rows of a stream are used in their order, so chance comes before.
            let order = SeededPermutation.order(count: references.count, seed: request.dataSeed, .stream)
            references = order.map { references[Int($0)] }
        }
        let directory = request.cacheDirectory ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let usesCache = request.loadsFromCache && !isStreaming
        let path = usesCache ? "\(directory)/\(key(references, withTime: true)).rows" : nil
        if let path, let (tokens, entries, notes) = TokenFile.openComplete(path),
            entries.allSatisfy({ $0.reference < references.count }), !entries.isEmpty
        {
            return dataset(references, tokens, entries, notes, isValidation: isValidation)
        }
        let tokens = try TokenFile.create(in: directory, finalPath: path)
        let job = TokenizingJob(
            request, references: references, files: files, encoder: encoder, tokens: tokens,
            isValidation: isValidation, progress: progress)
        try job.start(threads: request.threads)
        return TrainingDataset(
            job: job, isStreaming: isStreaming,
            streamFingerprint: isStreaming ? key(references, withTime: false) : "")
    }

    /// A data set whose rows were tokenized by an earlier run.
    private func dataset(
        _ references: [RecordReference], _ tokens: TokenFile, _ entries: [TokenFileEntry], _ notes: JSONValue,
        isValidation: Bool
    ) -> TrainingDataset {
        let job = TokenizingJob(
            request, references: references, files: files, encoder: encoder, tokens: tokens,
            isValidation: isValidation, progress: progress)
        let statistics = DatasetStatistics(notes: notes)
        job.monitor.change { state in
            state.entries = entries
            state.statistics = statistics
            state.fingerprint = notes["fingerprint"]?.stringValue
            state.isFinished = true
        }
        progress(
            DatasetProgress(
                isValidation: isValidation, rowsRead: references.count, rowsTotal: references.count,
                tokens: statistics.tokens, skipped: statistics.skipped))
        return TrainingDataset(job: job, isStreaming: false, streamFingerprint: "")
    }

    /// A digest of everything that decides which tokens the rows become.
    private func key(_ references: [RecordReference], withTime: Bool) -> String {
        var hash = ContentDigest()
        var settings = request
        // These decide nothing about the tokens.
        (settings.threads, settings.cacheDirectory, settings.loadsFromCache) = (1, nil, false)
        (settings.dataset, settings.valDataset, settings.columns) = ([], [], [:])
        let columns = request.columns.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        hash.update(Array("\(TokenFile.magic) \(settings) \(columns) \(chatTemplate?.source ?? "")\n".utf8))
        for file in files { file.identity(into: &hash, withTime: withTime) }
        references.withUnsafeBytes { hash.update($0) }
        if let tokenizer { Self.identify(tokenizer, into: &hash) }
        return hash.finishedHex()
    }

    /// All tokens, and how a text of many kinds of characters is split: merges follow from the former nearly
    /// always, normalizers and splitting show in the latter.
    private static func identify(_ tokenizer: Tokenizer, into hash: inout ContentDigest) {
        for id in 0..<Int32(tokenizer.vocabularySize) {
            hash.update(Array("\(tokenizer.token(id) ?? "")\0".utf8))
        }
        let text =
            "The quick brown  fox's 12345 jumps\r\n\n\tÜber die e\u{301}té \u{FB01}n 你好 😀 foo_bar(x)=[1.5];"
        hash.update(Array("\(tokenizer.encode(text, addSpecialTokens: true))".utf8))
        hash.update(Array("\(tokenizer.bosToken ?? "") \(tokenizer.eosToken ?? "")".utf8))
    }
}
