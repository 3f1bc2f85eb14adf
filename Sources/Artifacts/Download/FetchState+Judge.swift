// What the head of an answer means for a file: take the bytes, from where to where, or begin anew, or try
// again. Pure, so that each strange server is a row of a table in the tests.

import Text

/// What is known of an answer before its body.
struct AnswerFacts: Sendable {
    var status: Int
    var headers: ReplyHeaders
    /// Scheme, host and port that answered.
    var origin: String
    /// Whether the answer came from the address itself, not from where it redirects to.
    var isDirect: Bool
    /// The range that was asked for; nil for the whole file.
    var asked: Range<Int>?
    var generation: Int
    /// For messages.
    var shownURL: String
    var wallTime: Timestamp

    /// Longer than any file: sums of such numbers cannot overflow.
    static let lengthLimit = 1 << 44

    var contentLength: Int? { headers["content-length"].flatMap { Self.length($0) } }

    private static func length(_ text: some StringProtocol) -> Int? {
        Int(text).flatMap { (0...lengthLimit).contains($0) ? $0 : nil }
    }

    var validator: ContentValidator {
        ContentValidator(etag: headers["etag"], lastModified: headers["last-modified"], origin: origin)
    }

    /// `bytes 0-99/1000`, `bytes 0-99/*` or `bytes */1000`.
    var contentRange: (bytes: Range<Int>?, total: Int?)? {
        guard let text = headers["content-range"], text.lowercased().hasPrefix("bytes") else { return nil }
        let parts = text.dropFirst(5).drop { $0 == " " || $0 == "=" }.split(separator: "/")
        guard parts.count == 2 else { return nil }
        let total = Self.length(parts[1])
        if parts[0] == "*" { return (nil, total) }
        let bounds = parts[0].split(separator: "-").map { Self.length($0) }
        guard bounds.count == 2, let first = bounds[0], let last = bounds[1], last >= first else {
            return nil
        }
        return (first..<last + 1, total)
    }
}

/// What to do with an answer.
enum AnswerVerdict: Sendable {
    /// Write the body from `position` on, at most to `end`.
    /// `isFresh`: what was there before does not count any more.
    case content(position: Int, end: Int?, isFresh: Bool)
    /// There is nothing more to fetch.
    case complete
    /// The file begins anew, by whoever is free; this thread leaves.
    case restart
    case failed(ExchangeFailure)
}

extension FetchState {
    /// A content that changes so often while it is fetched never comes to an end.
    static let restartLimit = 8

    mutating func judge(_ index: Int, _ answer: AnswerFacts) -> AnswerVerdict {
        guard answer.generation == files[index].generation, files[index].phase != .restarting else {
            return .restart
        }
        let job = files[index].job.file
        if let etag = job.etag, job.digest == nil, answer.isDirect, answer.status < 300,
            let found = answer.headers["etag"], ContentValidator.bare(found) != ContentValidator.bare(etag)
        {
            return .failed(wrong(answer, index, "the server's ETag is \(found), but \(etag) is expected"))
        }
        switch answer.status {
        case 206: return judgeRange(index, answer)
        case 200: return judgeWhole(index, answer)
        case 416: return judgeUnsatisfiable(index, answer)
        default:
            let failure = ExchangeFailure(
                status: answer.status, headers: answer.headers, path: answer.shownURL,
                wallTime: answer.wallTime)
            return .failed(
                failure ?? wrong(answer, index, "the server answered with status \(answer.status)"))
        }
    }

    private mutating func judgeRange(_ index: Int, _ answer: AnswerFacts) -> AnswerVerdict {
        guard let asked = answer.asked, let (found, total) = answer.contentRange, let found,
            found.lowerBound == asked.lowerBound
        else {
            let range = answer.headers["content-range"] ?? "none"
            return .failed(
                wrong(answer, index, "the server sent another range than it was asked for: \(range)"))
        }
        guard let total, found.upperBound <= total else {
            return restart(index, acceptsRanges: false, answer)
        }
        if let length = answer.contentLength, length != found.count {
            return .failed(
                wrong(answer, index, "the answer has \(length) bytes, but says that it has \(found.count)"))
        }
        if let known = files[index].sizeBytes, known != total {
            return otherSize(index, answer, total)
        }
        if let before = files[index].validator, !agrees(before, answer, index) {
            return restart(index, acceptsRanges: true, answer)
        }
        setSize(index, total)
        let end = min(asked.upperBound, found.upperBound)
        files[index].assigned.insert(asked.lowerBound..<end)
        accept(index, answer)
        if files[index].phase == .probing { files[index].phase = .open }
        return .content(position: asked.lowerBound, end: end, isFresh: false)
    }

    /// The whole content, from its first byte on, whatever was asked for.
    private mutating func judgeWhole(_ index: Int, _ answer: AnswerFacts) -> AnswerVerdict {
        let file = files[index]
        if let expected = file.job.file.sizeBytes, let length = answer.contentLength, length != expected {
            return otherSize(index, answer, length)
        }
        let isSame = file.validator.map { agrees($0, answer, index) } ?? true
        let ignoresRange = answer.asked != nil && (isSame || answer.validator.strongETag == nil)
        guard file.active == 1 else {
            return restart(index, acceptsRanges: !ignoresRange, answer)
        }
        if !isSame {
            files[index].restarts += 1
            if files[index].restarts > Self.restartLimit { return changesForever(index, answer) }
        }
        // Nobody else writes: the bytes that are coming can be taken as they are.
        clear(index)
        if ignoresRange { files[index].acceptsRanges = false }
        setSize(index, file.job.file.sizeBytes ?? answer.contentLength)
        files[index].phase = .probing
        if let size = files[index].sizeBytes { files[index].assigned.insert(0..<size) }
        accept(index, answer)
        return .content(position: 0, end: files[index].sizeBytes, isFresh: true)
    }

    private mutating func judgeUnsatisfiable(_ index: Int, _ answer: AnswerFacts) -> AnswerVerdict {
        let known = files[index].sizeBytes
        guard let total = answer.contentRange?.total else {
            guard files[index].acceptsRanges, answer.asked != nil else {
                return .failed(wrong(answer, index, "the server answered with status 416"))
            }
            return restart(index, acceptsRanges: false, answer)
        }
        if total == 0 && known ?? 0 == 0 {
            setSize(index, 0)
            accept(index, answer)
            return .complete
        }
        if let known, total != known { return otherSize(index, answer, total) }
        return .failed(wrong(answer, index, "the server has \(total) bytes, but refuses the range of them"))
    }

    /// A length that somebody else promised cannot be helped by asking anew; one that the server itself had
    /// told means that its content is another one now.
    private mutating func otherSize(_ index: Int, _ answer: AnswerFacts, _ found: Int) -> AnswerVerdict {
        if let expected = files[index].job.file.sizeBytes {
            return .failed(
                wrong(answer, index, "the server has \(found) bytes, but \(expected) are expected"))
        }
        return restart(index, acceptsRanges: true, answer)
    }

    private func agrees(_ before: ContentValidator, _ answer: AnswerFacts, _ index: Int) -> Bool {
        before.agrees(with: answer.validator, isDigestKnown: files[index].job.file.digest != nil)
    }

    private mutating func accept(_ index: Int, _ answer: AnswerFacts) {
        files[index].validator = answer.validator
        files[index].etag = answer.headers["etag"].map(ContentValidator.bare) ?? files[index].job.file.etag
    }

    private mutating func restart(_ index: Int, acceptsRanges: Bool, _ answer: AnswerFacts) -> AnswerVerdict {
        if files[index].restarts >= Self.restartLimit { return changesForever(index, answer) }
        files[index].restart(acceptsRanges: files[index].acceptsRanges && acceptsRanges)
        return .restart
    }

    private func changesForever(_ index: Int, _ answer: AnswerFacts) -> AnswerVerdict {
        var failure = wrong(answer, index, "the content keeps changing while it is fetched")
        failure.failureClass = .permanent
        return .failed(failure)
    }

    private func wrong(_ answer: AnswerFacts, _ index: Int, _ problem: String) -> ExchangeFailure {
        ExchangeFailure(
            .answer,
            DownloadError(
                .corrupt, path: answer.shownURL, problem: problem,
                remedy: "try again later, or ask another mirror", status: answer.status))
    }
}
