// The rows of a training run by number, whatever files and formats they come from.
package import Models

/// Rows that are tokenized on threads of their own while other things are done. What is asked for is waited
/// for. Rows lie in a file on disk; in memory there are about 40 bytes for each.
package final class TrainingDataset: Sendable {
    private let job: TokenizingJob
    private let isStreaming: Bool
    /// Of a stream, whose rows are not known before they are used.
    private let streamFingerprint: String

    /// Finds the rows of all files and begins to tokenize them.
    /// - Parameters:
    ///   - tokenizer: nil where all rows are ids.
    ///   - chatTemplate: nil where the model has none; then ChatML is used if the tokenizer has its tokens.
    ///   - progress: called from the threads, after a few rows each.
    /// - Returns: at once, but for the scan of the files for where rows begin. Bad rows are found later, by
    ///   `wait`.
    package static func open(
        _ request: DatasetRequest, tokenizer: Tokenizer?, chatTemplate: ChatTemplate?,
        progress: @escaping @Sendable (DatasetProgress) -> Void = { _ in }
    ) throws -> (train: TrainingDataset, validation: TrainingDataset?) {
        try request.check()
        var opening = DatasetOpening(request, tokenizer, chatTemplate, progress)
        let hasOwn = !request.valDataset.isEmpty
        let (training, split) = try opening.rows(
            of: request.dataset, "dataset", ratio: hasOwn ? 0 : request.splitDatasetRatio)
        let own = hasOwn ? try opening.rows(of: request.valDataset, "val_dataset", ratio: 0).training : []
        let validation = hasOwn ? own : split
        return (
            try opening.dataset(of: training, isValidation: false),
            validation.isEmpty ? nil : try opening.dataset(of: validation, isValidation: true)
        )
    }

    init(job: TokenizingJob, isStreaming: Bool, streamFingerprint: String) {
        self.job = job
        self.isStreaming = isStreaming
        self.streamFingerprint = streamFingerprint
    }

    deinit { job.cancel() }

    /// Rows of the files, good or bad: what there is to read, known from the beginning.
    package var recordCount: Int { job.references.count }

    /// Waits until all rows are tokenized. A stream does not get there without being read.
    /// - Throws: `TrainingError` at the first bad row if they are not left out, and if no row can be used.
    package func wait() throws {
        if let failure = over({ $0.failure }) { throw failure }
    }

    /// The number of rows; 0 if reading them failed.
    package var count: Int { over { $0.failure == nil ? $0.entries.count : 0 } }

    /// The tokens of a row, of its answers together.
    package func length(of row: Int) -> Int { over { Int($0.entries[row].length) } }

    /// The lengths of all rows.
    package var lengths: [Int] { over { $0.entries.map { Int($0.length) } } }

    package var statistics: DatasetStatistics { over { $0.statistics } }

    /// How many rows of the files could not be used; `statistics` says why.
    package var skipped: Int { statistics.skipped }

    /// A digest of all rows as they are trained on, so of the files' content and of the settings; of a
    /// stream, of the settings and of the files' sizes, beginnings and ends.
    package var fingerprint: String {
        isStreaming ? streamFingerprint : over { $0.fingerprint ?? $0.hash.finishedHex() }
    }

    /// A row, when it is tokenized. Behind the last row of a stream the first comes again.
    package func row(_ number: Int) throws -> TrainingRow {
        let entry = try entry(number)
        let bytes = try job.tokens.read(offset: Int(entry.offset), count: Int(entry.byteCount))
        guard let row = RowCodec.row(bytes) else { throw job.tokens.damaged() }
        return row
    }

    /// The file and the line from which a row comes.
    package func source(of row: Int) -> (file: String, line: Int) {
        guard let entry = try? entry(row) else { return (file: "", line: 0) }
        return job.place(of: Int(entry.reference))
    }

    private func over<Result>(_ body: (TokenizingState) -> Result) -> Result {
        // Whoever wants all of a stream gets it.
        want(.max / 2)
        return job.monitor.wait { $0.isOver ? body($0) : nil }
    }

    /// Lets the threads of a stream go on. A change of its own, as they may be asleep.
    private func want(_ row: Int) {
        guard isStreaming else { return }
        job.monitor.change { $0.highestWanted = max($0.highestWanted, row) }
    }

    private func entry(_ number: Int) throws -> TokenFileEntry {
        want(number)
        let result: Result<TokenFileEntry, TrainingError> = job.monitor.wait { state in
            if number >= 0, number < state.entries.count {
                return .success(state.entries[number])
            }
            if let failure = state.failure { return .failure(failure) }
            if state.isFinished, self.isStreaming, number >= 0 {
                return .success(state.entries[number % state.entries.count])
            }
            if state.isFinished || number < 0 {
                return .failure(
                    TrainingError(
                        .failed, "the data set has no row \(number), only \(state.entries.count)",
                        remedy: "check the batch order"))
            }
            return nil
        }
        return try result.get()
    }
}
