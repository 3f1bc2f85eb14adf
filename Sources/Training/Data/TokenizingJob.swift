// The threads that make tokens of rows while the model is loaded, and what they have made so far.
import Glibc
import Models
import Text

/// What is known of the rows so far.
struct TokenizingState: Sendable {
    var entries: [TokenFileEntry] = []
    var statistics = DatasetStatistics()
    /// The digests of the chunks, in their order.
    var hash = ContentDigest()
    /// Of rows that were tokenized before.
    var fingerprint: String?
    /// Where the next row goes in the file.
    var end = TokenFile.start
    /// The chunk that the next free thread takes, and the one that is written next.
    var nextChunk = 0
    var chunksWritten = 0
    /// The highest row that was asked for, which a stream stays ahead of.
    var highestWanted = 0
    var failure: TrainingError?
    var isFinished = false
    var isCancelled = false

    /// Whether no more rows come.
    var isOver: Bool { isFinished || failure != nil }
}

/// Turns the chosen records of files into rows of a `TokenFile`, chunk by chunk: threads work on several at a
/// time, but write them in order, so the rows and the first error are the same for any number of threads.
final class TokenizingJob: Sendable {
    /// Records of a chunk. A thread keeps the rows of one in memory.
    private static let chunkCount = 64
    /// How many rows a stream is ahead.
    private static let lookahead = 1024

    let references: [RecordReference]
    let files: [RecordFile]
    let monitor: Monitor<TokenizingState>
    let tokens: TokenFile
    private let encoder: RowEncoder
    private let isStrict: Bool
    private let isStreaming: Bool
    private let isValidation: Bool
    private let progress: @Sendable (DatasetProgress) -> Void

    init(
        _ request: DatasetRequest, references: [RecordReference], files: [RecordFile], encoder: RowEncoder,
        tokens: TokenFile, isValidation: Bool, progress: @escaping @Sendable (DatasetProgress) -> Void
    ) {
        self.references = references
        self.files = files
        self.encoder = encoder
        self.tokens = tokens
        self.isValidation = isValidation
        self.progress = progress
        isStrict = request.strict
        isStreaming = request.streaming && !isValidation
        monitor = Monitor(TokenizingState())
    }

    func start(threads: Int) throws(TrainingError) {
        var started = 0
        for _ in 0..<min(threads, max(chunks, 1)) where WorkerThread.start({ self.work() }) { started += 1 }
        if started == 0 {
            throw TrainingError(
                .failed, "no thread can be started to read the data set",
                remedy: "raise the limit of processes (ulimit -u)")
        }
    }

    /// Lets the threads end after the chunk that they work on.
    func cancel() { monitor.change { $0.isCancelled = true } }

    func place(of reference: Int) -> (file: String, line: Int) {
        let reference = references[reference]
        let file = files[Int(reference.file)]
        return (file.path, file.line(of: Int(reference.record)))
    }

    private var chunks: Int { (references.count + Self.chunkCount - 1) / Self.chunkCount }

    // MARK: Work

    private func work() {
        while let chunk = takeChunk() {
            let output = output(of: chunk)
            guard waitForTurn(chunk) else { return }
            do throws(TrainingError) {
                try write(output, chunk)
            } catch {
                monitor.change { $0.failure = $0.failure ?? error }
                return
            }
        }
    }

    /// - Returns: nil when there is nothing more to do.
    private func takeChunk() -> Int? {
        let answer: Int?? = monitor.wait { state in
            if state.isOver || state.isCancelled || state.nextChunk >= max(chunks, 1) { return .some(nil) }
            if isStreaming, state.entries.count > state.highestWanted + Self.lookahead { return nil }
            state.nextChunk += 1
            return .some(state.nextChunk - 1)
        }
        return answer ?? nil
    }

    private func waitForTurn(_ chunk: Int) -> Bool {
        monitor.wait { state in
            if state.failure != nil || state.isCancelled { return false }
            return state.chunksWritten == chunk ? true : nil
        }
    }

    /// What a chunk of records became.
    private struct Output: Sendable {
        var bytes: [UInt8] = []
        /// With offsets from the chunk's beginning.
        var entries: [TokenFileEntry] = []
        var statistics = DatasetStatistics()
        var digest: [UInt8] = []
        /// The bad row at which a strict reading stops.
        var failure: TrainingError?
    }

    private func output(of chunk: Int) -> Output {
        var output = Output()
        let range = chunk * Self.chunkCount..<min((chunk + 1) * Self.chunkCount, references.count)
        for index in range {
            do throws(RowProblem) {
                try add(index, to: &output)
            } catch {
                let place = place(of: index)
                let reason = "\(place.file):\(place.line): \(error)"
                if isStrict && !error.isTooLong {
                    output.failure = TrainingError(
                        .badData, reason, remedy: "correct the row, or leave bad rows out without --strict")
                    break
                }
                output.statistics.skip(reason, isTooLong: error.isTooLong)
            }
        }
        var hash = ContentDigest()
        hash.update(output.bytes)
        output.digest = hash.finished()
        releasePages(of: range)
        return output
    }

    private func add(_ index: Int, to output: inout Output) throws(RowProblem) {
        let reference = references[index]
        let result = try encoder.rows(of: files[Int(reference.file)].row(Int(reference.record)))
        if result.isTruncated { output.statistics.truncated += 1 }
        for row in result.rows {
            let start = output.bytes.count
            RowCodec.append(row, to: &output.bytes)
            output.entries.append(
                TokenFileEntry(
                    offset: UInt64(start), byteCount: UInt32(output.bytes.count - start),
                    length: UInt32(row.length), reference: UInt32(index)))
            output.statistics.add(row.length)
        }
    }

    /// Pages of a file stay in this process's memory until they are given back.
    private func releasePages(of range: Range<Int>) {
        guard let first = range.first.map({ references[$0] }), let last = range.last.map({ references[$0] }),
            first.file == last.file, last.record >= first.record,
            Int(last.record - first.record) < range.count
        else { return }
        files[Int(first.file)].release(Int(first.record)..<Int(last.record) + 1)
    }

    /// Called when it is the chunk's turn: nobody else writes.
    private func write(_ output: Output, _ chunk: Int) throws(TrainingError) {
        var (end, statistics) = monitor.read { ($0.end, $0.statistics) }
        try tokens.write(output.bytes, at: end)
        statistics.add(output.statistics)
        progress(
            DatasetProgress(
                isValidation: isValidation, rowsRead: min((chunk + 1) * Self.chunkCount, references.count),
                rowsTotal: references.count, tokens: statistics.tokens, skipped: statistics.skipped))
        monitor.change { state in
            for var entry in output.entries {
                entry.offset += UInt64(end)
                state.entries.append(entry)
            }
            state.statistics = statistics
            state.hash.update(output.digest)
            state.end += output.bytes.count
            state.chunksWritten += 1
        }
        if let failure = output.failure { throw failure }
        end += output.bytes.count
        if chunk + 1 >= chunks { try finish(end) }
    }

    private func finish(_ end: Int) throws(TrainingError) {
        let state = monitor.read { $0 }
        guard !state.entries.isEmpty else {
            let reason = state.statistics.reasons.first.map { ", the first because of: \($0)" } ?? ""
            throw TrainingError(
                .badData, "none of the \(references.count) rows of the data set can be used\(reason)",
                remedy: "check the format, --columns and --max_length")
        }
        let notes = state.statistics.notes(fingerprint: state.hash.finishedHex())
        try tokens.finish(state.entries, end: end, notes: notes)
        monitor.change { $0.isFinished = true }
    }
}
