// Reads a log file piece by piece through a scanner, and makes lines of what it finds.

import Glibc

/// The loop over a file's pieces, and lines as values.
enum LogReading {
    /// Hands the file's pieces to a scanner from where it stands.
    /// - Parameters:
    ///   - limit: the offset behind which nothing is read.
    ///   - goesOn: asked behind each piece, with the bytes that it took.
    ///   - between: called where the scanner can be kept: behind each line or so many bytes.
    /// - Returns: whether the end was reached.
    @discardableResult
    static func walk(
        _ file: Int32, _ scanner: inout LogScanner, limit: Int = .max,
        goesOn: (LogScanner, Int) -> Bool, each: (LogScanner.View) -> Bool, between: (LogScanner) -> Void
    ) -> Bool {
        // A record must fit, so that a piece always ends one.
        let size = LogIndex.pieceBytes
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        defer { buffer.deallocate() }
        while scanner.offset < limit {
            let wanted = min(size, limit - scanner.offset)
            let count = pread(file, buffer.baseAddress, wanted, off_t(scanner.offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return true }
            let before = scanner.offset
            let piece = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            guard take(piece, &scanner, each: each, between: between) else { return false }
            // Only the beginning of a record is left.
            if scanner.offset == before { return true }
            if !goesOn(scanner, scanner.offset - before) { return false }
        }
        return true
    }

    /// Gives a piece in parts, so that between them the scanner can be kept often enough.
    private static func take(
        _ piece: UnsafeRawBufferPointer, _ scanner: inout LogScanner,
        each: (LogScanner.View) -> Bool, between: (LogScanner) -> Void
    ) -> Bool {
        var start = 0
        while start < piece.count {
            // A part that ends no record is given together with what follows it.
            var end = min(piece.count, start + partBytes)
            while true {
                let part = UnsafeRawBufferPointer(rebasing: piece[start..<end])
                let before = scanner.offset
                guard scanner.take(part, each) else { return false }
                if scanner.offset > before {
                    start += scanner.offset - before
                    between(scanner)
                    break
                }
                if end == piece.count { return true }
                end = min(piece.count, end + partBytes)
            }
        }
        return true
    }

    /// Shorter than a thousand lines usually are.
    private static let partBytes = 32 << 10

    static func line(_ view: LogScanner.View) -> IndexedLine {
        var text = view.begun
        text.append(contentsOf: view.rest.prefix(max(0, LogIndex.textLimit - text.count)))
        return IndexedLine(
            number: view.number, line: line(time: view.time, tag: view.tag, text: text),
            isCut: text.count < view.length)
    }

    static func line(_ begun: LogScanner.Begun, number: Int) -> IndexedLine {
        IndexedLine(
            number: number, line: line(time: begun.time, tag: begun.tag, text: begun.text),
            isCut: begun.text.count < begun.length)
    }

    private static func line(
        time: some Collection<UInt8>, tag: some Collection<UInt8>, text: [UInt8]
    ) -> LogLine {
        let tag = String(decoding: tag, as: UTF8.self)
        let colon = tag.firstIndex(of: ":")
        return LogLine(
            time: String(decoding: time, as: UTF8.self),
            container: colon.map { String(tag[tag.index(after: $0)...]) } ?? "main",
            isError: tag.hasPrefix("stderr"), text: String(decoding: text, as: UTF8.self))
    }
}

/// The end of a log as text.
package enum LogTail {
    /// The texts of the last lines; the first may be a part of one. Blocks.
    package static func lines(_ path: String, limitBytes: Int) -> [String] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        var bytes = [UInt8](repeating: 0, count: min(size, limitBytes))
        let count = pread(file, &bytes, bytes.count, off_t(size - bytes.count))
        guard count > 0 else { return [] }
        var parser = LogParser()
        return (parser.take(Array(bytes[..<count])) + parser.finish()).map(\.text)
    }
}
