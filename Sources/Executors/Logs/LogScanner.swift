// Walks over the records of a log file without making a value of each: for logs of gigabytes.

import Glibc

/// Turns records into numbered lines. It is a value that can be kept and gone on with, which is what makes an index.
struct LogScanner: Sendable {
    /// A line whose end has not come.
    struct Begun: Sendable {
        var tag: [UInt8]
        var time: [UInt8]
        /// At most the scanner's limit of it.
        var text: [UInt8]
        /// All of it.
        var length: Int
    }

    /// A whole line; valid only while it is handed out.
    struct View {
        var number: Int
        var time: UnsafeRawBufferPointer
        var tag: UnsafeRawBufferPointer
        /// What earlier records held of the line, at most the scanner's limit.
        var begun: [UInt8]
        /// What the last record holds of it.
        var rest: UnsafeRawBufferPointer
        /// Bytes of the whole line.
        var length: Int
    }

    /// How much of a begun line is kept.
    static let textLimit = 16 << 10
    /// Where a line that does not end is ended, as `LogParser` does it.
    static let longestLine = LogParser.longestLine
    /// A record longer than this is none of ours and is left out.
    static let longestRecord = 1 << 20

    /// Of the next byte that was not taken.
    var offset = 0
    /// The number of the next line.
    var line = 0
    /// The latest time of a line so far.
    var latest: [UInt8] = []
    var begun: [Begun] = []
    /// Only this container's lines are counted and handed out; nil for all.
    var container: [UInt8]?
    /// How much of a begun line is kept by this scanner.
    var keptBytes = Self.textLimit
    /// Inside a record that is too long; such a place cannot be gone on from by another scanner.
    private(set) var isSkipping = false

    init(container: String?) { self.container = container.map { Array($0.utf8) } }

    /// Takes what is whole of a piece of the file that begins at `offset`.
    /// - Parameter body: gets each line, and stops the walk behind it by returning false.
    /// - Returns: whether `body` let it go on.
    mutating func take(_ piece: UnsafeRawBufferPointer, _ body: (View) throws -> Bool) rethrows -> Bool {
        var start = 0
        while start < piece.count {
            let left = UnsafeRawBufferPointer(rebasing: piece[start...])
            guard let end = Self.index(of: 0x0A, in: left) else {
                if left.count >= Self.longestRecord {
                    isSkipping = true
                    offset += left.count
                }
                return true
            }
            start += end + 1
            offset += end + 1
            if isSkipping {
                isSkipping = false
                continue
            }
            let goesOn = try record(UnsafeRawBufferPointer(rebasing: left[..<end]), body)
            if !goesOn { return false }
        }
        return true
    }

    private mutating func record(
        _ bytes: UnsafeRawBufferPointer, _ body: (View) throws -> Bool
    ) rethrows -> Bool {
        guard let first = Self.index(of: 0x20, in: bytes) else { return true }
        let behind = UnsafeRawBufferPointer(rebasing: bytes[(first + 1)...])
        guard let second = Self.index(of: 0x20, in: behind), second + 1 < behind.count else { return true }
        let tag = UnsafeRawBufferPointer(rebasing: behind[..<second])
        if let container, !Self.names(tag, container) { return true }
        let flags = UnsafeRawBufferPointer(rebasing: behind[(second + 1)...])
        let third = Self.index(of: 0x20, in: flags) ?? flags.count
        let isPart = third == 1 && flags[0] == UInt8(ascii: "P")
        let text = UnsafeRawBufferPointer(rebasing: flags[min(third + 1, flags.count)...])
        let time = UnsafeRawBufferPointer(rebasing: bytes[..<first])
        let place = begun.isEmpty ? nil : begun.firstIndex { Self.equal(tag, $0.tag) }
        let length = (place.map { begun[$0].length } ?? 0) + text.count
        if isPart, length < Self.longestLine {
            keep(text, place, tag: tag, time: time, length: length)
            return true
        }
        guard let place else {
            return try hand(
                View(number: line, time: time, tag: tag, begun: [], rest: text, length: length), body)
        }
        let whole = begun.remove(at: place)
        return try whole.time.withUnsafeBytes { time in
            let view = View(
                number: line, time: time, tag: tag, begun: whole.text, rest: text, length: length)
            return try hand(view, body)
        }
    }

    private mutating func hand(_ view: View, _ body: (View) throws -> Bool) rethrows -> Bool {
        line += 1
        if Self.isLater(view.time, than: latest) { latest = Array(view.time) }
        return try body(view)
    }

    private mutating func keep(
        _ text: UnsafeRawBufferPointer, _ place: Int?, tag: UnsafeRawBufferPointer,
        time: UnsafeRawBufferPointer, length: Int
    ) {
        let index = place ?? begun.count
        if place == nil { begun.append(Begun(tag: Array(tag), time: Array(time), text: [], length: 0)) }
        begun[index].length = length
        let room = keptBytes - begun[index].text.count
        if room > 0 { begun[index].text.append(contentsOf: text.prefix(room)) }
    }

    // MARK: Bytes

    static func index(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let start = bytes.baseAddress, let found = memchr(start, Int32(byte), bytes.count) else {
            return nil
        }
        return UnsafeRawPointer(found) - start
    }

    static func equal(_ left: UnsafeRawBufferPointer, _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return right.withUnsafeBytes { bytes in
            guard let a = left.baseAddress, let b = bytes.baseAddress else { return true }
            return memcmp(a, b, bytes.count) == 0
        }
    }

    private static func isLater(_ left: UnsafeRawBufferPointer, than right: [UInt8]) -> Bool {
        right.withUnsafeBytes { bytes in
            guard let a = left.baseAddress else { return false }
            guard let b = bytes.baseAddress else { return true }
            let order = memcmp(a, b, min(left.count, bytes.count))
            return order == 0 ? left.count > bytes.count : order > 0
        }
    }

    /// Whether a tag such as `stdout:NAME` is of a container; without a name it is of `main`.
    private static func names(_ tag: UnsafeRawBufferPointer, _ container: [UInt8]) -> Bool {
        guard let colon = index(of: UInt8(ascii: ":"), in: tag) else {
            return container.elementsEqual("main".utf8)
        }
        return equal(UnsafeRawBufferPointer(rebasing: tag[(colon + 1)...]), container)
    }
}
