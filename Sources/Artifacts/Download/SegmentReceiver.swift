// Gets the answer to one request of a file, piece by piece, on the thread that performs it.

import Glibc
import Text

/// Judges the head, then writes the body into the partial file.
final class SegmentReceiver: AnswerReceiver {
    /// More than a hub's explanation is not read of an answer that is no content.
    private static let messageLimitBytes = 1 << 16

    private let run: FetchRun
    private let index: Int
    private let generation: Int
    private let partial: PartialFile
    /// Where the answer comes from cannot be known before; the run tells by the head.
    private let judge: (AnswerFacts) -> AnswerVerdict
    private let facts: (AnswerHead) -> AnswerFacts

    private(set) var verdict: AnswerVerdict?
    /// The next byte to be written, and the last but one; nil for as many as come.
    private(set) var position = 0
    private(set) var end: Int?
    /// The answer is the whole file, whatever was asked for.
    private(set) var isWhole = false
    private(set) var isTooLong = false
    private(set) var diskError: DownloadError?
    private var journaled: Int
    private var journalStep = 0
    private var messageBytes = 0

    init(
        run: FetchRun, index: Int, generation: Int, partial: PartialFile, position: Int, end: Int?,
        facts: @escaping (AnswerHead) -> AnswerFacts, judge: @escaping (AnswerFacts) -> AnswerVerdict
    ) {
        self.run = run
        self.index = index
        self.generation = generation
        self.partial = partial
        self.position = position
        journaled = position
        self.end = end
        self.facts = facts
        self.judge = judge
    }

    var shouldStop: Bool { run.isStopped || run.generation(index) != generation }

    /// The head may come without any body.
    func headArrived(_ head: AnswerHead) {
        guard verdict == nil else { return }
        var verdict = judge(facts(head))
        if case .content(let position, let end, let isFresh) = verdict {
            (self.position, self.end, isWhole) = (position, end, isFresh)
            (journaled, journalStep) = (position, Self.step(end))
            do {
                try run.contentBegins(index, partial: partial, isFresh: isFresh)
            } catch {
                diskError = error
                verdict = .restart
            }
        }
        self.verdict = verdict
    }

    func take(_ bytes: UnsafeRawBufferPointer, head: AnswerHead) -> Bool {
        headArrived(head)
        guard case .content = verdict else {
            messageBytes += bytes.count
            if case .failed = verdict { return messageBytes <= Self.messageLimitBytes }
            return false
        }
        let room = end.map { max(0, $0 - position) } ?? bytes.count
        let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(room))
        if !piece.isEmpty && !write(piece) { return false }
        if bytes.count > room {
            isTooLong = true
            return false
        }
        return true
    }

    private func write(_ piece: UnsafeRawBufferPointer) -> Bool {
        guard run.pay(piece.count, shouldStop: { shouldStop }), !shouldStop else { return false }
        do {
            try partial.write(piece, at: position, sizeBytes: end)
            run.received(index, position..<position + piece.count)
            position += piece.count
            if position - journaled >= journalStep { try writeJournal() }
        } catch {
            diskError = error
            return false
        }
        return true
    }

    /// Notes what has come since the last time. Also called when the exchange has ended, however it did.
    func writeJournal() throws(DownloadError) {
        guard position > journaled else { return }
        try partial.append(DownloadJournal.written(journaled..<position))
        journaled = position
    }

    /// A killed process loses at most so much of each connection. The kernel keeps what was written, so that
    /// a line costs one small write and no synchronizing, which only a loss of power would need.
    private static func step(_ end: Int?) -> Int { max(1 << 18, (end ?? 0) >> 16) }
}
