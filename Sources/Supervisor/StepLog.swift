// Writes D/log in the format of the Kubernetes container log: time, stream, F or P, text. P marks a piece
// that the next line of the same stream goes on with, so the bytes come back exactly. The stream is `stdout`
// or `stderr` for main, and `stdout:NAME` or `stderr:NAME` for another container. Nodes of a group are all main's, as
// `stdout#RANK`, and each of their lines begins with `[rank RANK] `.

import Glibc

/// One pipe of one container, cut into lines.
struct LogStream {
    /// Kubernetes cuts lines there too.
    static let pieceLimit = 16 << 10

    /// " stdout F " for main, " stdout:NAME F " for another container.
    private let fullTag: [UInt8]
    private let partialTag: [UInt8]
    /// Stands before each line, not before each piece of one.
    private let prefix: [UInt8]
    /// Whether the last piece left its line open.
    private var isInLine = false
    private(set) var pending: [UInt8] = []

    /// - Parameter rank: of a node in a group, whose lines show it.
    init(name: String, container: String, rank: Int? = nil) {
        var stream = container == "main" ? name : name + ":" + container
        if let rank { stream = "\(name)#\(rank)" }
        prefix = rank.map { Array("[rank \($0)] ".utf8) } ?? []
        fullTag = Array(" \(stream) F ".utf8)
        partialTag = Array(" \(stream) P ".utf8)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, to log: inout StepLog) {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            let room = Self.pieceLimit - pending.count
            let window = min(rest.count, room)
            if let newline = memchr(start, 10, window) {
                let length = UnsafeRawPointer(newline) - start
                log.write(tag(isWhole: true), pending, UnsafeRawBufferPointer(rebasing: rest[0..<length]))
                pending.removeAll(keepingCapacity: true)
                rest = UnsafeRawBufferPointer(rebasing: rest[(length + 1)...])
            } else if window == room {
                log.write(tag(isWhole: false), pending, UnsafeRawBufferPointer(rebasing: rest[0..<window]))
                pending.removeAll(keepingCapacity: true)
                rest = UnsafeRawBufferPointer(rebasing: rest[window...])
            } else {
                pending.append(contentsOf: rest)
                return
            }
        }
    }

    /// Shows what has no end of line yet: a progress bar, a prompt, the last words of a program.
    mutating func flushPartial(to log: inout StepLog) {
        if pending.isEmpty { return }
        log.write(tag(isWhole: false), pending, UnsafeRawBufferPointer(start: nil, count: 0))
        pending.removeAll(keepingCapacity: true)
    }

    private mutating func tag(isWhole: Bool) -> [UInt8] {
        let tag = isWhole ? fullTag : partialTag
        defer { isInLine = !isWhole }
        return prefix.isEmpty || isInLine ? tag : tag + prefix
    }
}

/// The file, behind a buffer. It is created with the first line. A full disk never stops a step: lines
/// wait in memory, and are lost only past a limit.
struct StepLog {
    private static let bufferLimit = 256 << 10
    /// What a full disk may hold back.
    private static let heldLimit = 64 << 20

    private let directory: Int32
    private let limitBytes: Int
    private var file: Int32 = -1
    private var buffer: [UInt8] = []
    private var acceptedBytes = 0
    private var isFull = false
    private var prefix: [UInt8] = Array("1970-01-01T00:00:00.000000000Z".utf8)
    private var prefixSecond = -1
    private(set) var lostBytes = 0

    init(directory: Int32, limitBytes: Int) {
        self.directory = directory
        self.limitBytes = limitBytes
    }

    /// Sets the time of the lines that follow.
    mutating func stamp() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        if now.tv_sec != prefixSecond {
            prefixSecond = now.tv_sec
            let day = now.tv_sec / 86_400
            let second = now.tv_sec % 86_400
            putDate(daysSinceEpoch: day)
            put(second / 3600, at: 11, digits: 2)
            put(second / 60 % 60, at: 14, digits: 2)
            put(second % 60, at: 17, digits: 2)
        }
        put(now.tv_nsec, at: 20, digits: 9)
    }

    /// The C library's gmtime would read the machine's time zone file first. Counting the years from March
    /// puts the leap day last, where it disturbs no other month.
    private mutating func putDate(daysSinceEpoch: Int) {
        let day = daysSinceEpoch + 719_468
        let era = day / 146_097
        let dayOfEra = day % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        put(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), at: 0, digits: 4)
        put(month, at: 5, digits: 2)
        put(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, at: 8, digits: 2)
    }

    private mutating func put(_ number: Int, at offset: Int, digits: Int) {
        var rest = number
        for index in stride(from: offset + digits - 1, through: offset, by: -1) {
            prefix[index] = UInt8(48 + rest % 10)
            rest /= 10
        }
    }

    fileprivate mutating func write(_ tag: [UInt8], _ head: [UInt8], _ tail: UnsafeRawBufferPointer) {
        let length = prefix.count + tag.count + head.count + tail.count + 1
        guard !isFull else {
            lostBytes += head.count + tail.count
            return
        }
        if acceptedBytes + length > limitBytes {
            isFull = true
            lostBytes += head.count + tail.count
            buffer.append(contentsOf: prefix)
            buffer.append(
                contentsOf: " stderr F martlet: the log's limit is reached; what follows is not kept\n".utf8)
            return
        }
        acceptedBytes += length
        buffer.append(contentsOf: prefix)
        buffer.append(contentsOf: tag)
        buffer.append(contentsOf: head)
        buffer.append(contentsOf: tail)
        buffer.append(10)
        if buffer.count >= Self.bufferLimit { flush() }
    }

    /// Writes what is buffered. On a full disk the rest stays in memory for the next time, up to a limit.
    /// - Returns: whether nothing is left.
    @discardableResult
    mutating func flush() -> Bool {
        if buffer.isEmpty { return true }
        if file < 0 { file = openat(directory, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }
        let written = file < 0 ? 0 : buffer.withUnsafeBytes { writeAll(file, $0) }
        if written == buffer.count {
            buffer.removeAll(keepingCapacity: true)
            return true
        }
        let isWorthKeeping = (errno == ENOSPC || errno == EDQUOT) && buffer.count < Self.heldLimit
        buffer.removeFirst(written)
        if isWorthKeeping { return false }
        lostBytes += buffer.count
        buffer.removeAll()
        return true
    }
}
