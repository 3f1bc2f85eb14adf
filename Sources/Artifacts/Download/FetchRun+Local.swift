// A file of this machine as the source of a download: copied through the same partial file, with the same
// checks.

import Glibc

extension FetchRun {
    private static let pieceBytes = 1 << 19

    /// Copies what is missing of a segment from a `file:` address.
    /// - Returns: false when the next address is to be asked.
    func copyLocally(_ segment: Segment, from url: WebAddress, addressIndex: Int) throws -> Bool {
        let path = url.filePath
        let source = open(path, O_RDONLY | O_CLOEXEC)
        let error = errno
        defer { if source >= 0 { close(source) } }
        guard source >= 0, let status = Disk.status(descriptor: source), status.kind == .file else {
            var failure = DownloadError(errno: source < 0 ? error : EISDIR, path: path, while: "read")
            if failure.kind == .disk && (error == ENOENT || error == ENOTDIR) { failure.kind = .notFound }
            return try giveUpAddress(segment, addressIndex, failure)
        }
        var facts = AnswerFacts(
            status: 206, headers: ReplyHeaders(), origin: "file://", isDirect: false, asked: nil,
            generation: segment.generation, shownURL: url.shown, wallTime: settings.clock.wallTime())
        // The same questions as of a server's answer: has the length or the content changed since last time?
        let range = segment.range ?? 0..<status.sizeBytes
        let isEmpty = status.sizeBytes == 0
        facts.status = isEmpty ? 416 : 206
        facts.asked = range
        let last = min(range.upperBound, status.sizeBytes) - 1
        facts.headers.append(
            line: isEmpty
                ? "Content-Range: bytes */0"
                : "Content-Range: bytes \(range.lowerBound)-\(last)/\(status.sizeBytes)")
        facts.headers.append(line: "ETag: \"\(status.sizeBytes)-\(status.modifiedNanoseconds)\"")
        guard let partial = state.access({ $0.files[segment.file].partial }) else { return true }
        switch state.change({ $0.judge(segment.file, facts) }) {
        case .complete, .restart: return true
        case .failed(let failure): return try giveUpAddress(segment, addressIndex, failure.error)
        case .content(let position, let end, let isFresh):
            try contentBegins(segment.file, partial: partial, isFresh: isFresh)
            try copy(source, path, segment, position..<(end ?? status.sizeBytes), to: partial)
            return true
        }
    }

    private func giveUpAddress(_ segment: Segment, _ address: Int, _ error: DownloadError) throws -> Bool {
        let now = settings.clock.now()
        let verdict = state.change { [settings] in
            $0.files[segment.file].failed(
                ExchangeFailure(.permanent, error), address: address, started: now, now: now, jitter: 0,
                settings: settings)
        }
        if case .giveUp(let error) = verdict { throw error }
        return false
    }

    private func copy(
        _ source: Int32, _ path: String, _ segment: Segment, _ range: Range<Int>, to partial: PartialFile
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
        defer { buffer.deallocate() }
        var position = range.lowerBound
        while position < range.upperBound {
            let length = pread(
                source, buffer.baseAddress, min(buffer.count, range.upperBound - position), off_t(position))
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else {
                throw DownloadError(errno: length == 0 ? ENODATA : errno, path: path, while: "read")
            }
            let stops = { self.isStopped || self.generation(segment.file) != segment.generation }
            guard pay(length, shouldStop: stops), !stops() else { return }
            try partial.write(
                UnsafeRawBufferPointer(rebasing: buffer[0..<length]), at: position,
                sizeBytes: range.upperBound)
            received(segment.file, position..<position + length)
            try partial.append(DownloadJournal.written(position..<position + length))
            position += length
        }
    }
}
