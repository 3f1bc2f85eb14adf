// What `<partial>.journal` says: which bytes of a download are there. Lines are only appended, each with a
// checksum, so that a torn last line, or any other damage, costs no more than what that line said.

/// What was true of the content when its bytes were written; other content must not be mixed with it.
struct DownloadIdentity: Sendable, Equatable {
    var sizeBytes: Int
    /// As `ExpectedDigest.description` has it; nil when none was known.
    var digest: String?
    var validator: ContentValidator
}

/// What a server says of the version of its content.
struct ContentValidator: Sendable, Equatable {
    /// As the header has it.
    var etag: String?
    var lastModified: String?
    /// Scheme, host and port that said so.
    var origin: String

    /// For `If-Range`: only a strong tag promises the same bytes.
    var strongETag: String? { etag.flatMap { $0.hasPrefix("\"") ? $0 : nil } }

    /// Whether both can be of the same bytes. With a digest to check in the end, another server may name them
    /// otherwise; without one it may not.
    func agrees(with other: ContentValidator, isDigestKnown: Bool) -> Bool {
        if isDigestKnown && origin != other.origin { return true }
        if let etag, let otherTag = other.etag { return Self.bare(etag) == Self.bare(otherTag) }
        if let lastModified, let otherDate = other.lastModified { return lastModified == otherDate }
        return origin == other.origin && etag == other.etag
    }

    /// An ETag without `W/` and quotes.
    static func bare(_ etag: String) -> String {
        var text = etag[...]
        if text.hasPrefix("W/") { text = text.dropFirst(2) }
        if text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") { text = text.dropFirst().dropLast() }
        return String(text)
    }
}

/// The journal's content.
///
/// `w a b`: bytes a to b (exclusive) were handed to the kernel, which keeps them if this process is killed,
/// not if the machine loses power: such lines count as long as the machine runs without a restart, which the
/// boot's identity in the line `h` above tells. `d a b`: these bytes were synchronized to the disk first, and
/// count always.
struct DownloadJournal: Sendable, Equatable {
    /// 16 digits of checksum, a blank, then the line's text.
    static let checksumDigits = 16
    static let limitBytes = 64 << 20

    var identity: DownloadIdentity
    var received: ByteRanges
    var durable: ByteRanges

    static func line(_ text: String) -> String {
        let digits = String(checksum(text.utf8), radix: 16)
        let zeros = String(repeating: "0", count: checksumDigits - digits.utf8.count)
        return "\(zeros)\(digits) \(text)\n"
    }

    static func header(_ identity: DownloadIdentity, boot: String) -> String {
        let fields = [
            identity.digest, identity.validator.etag, identity.validator.lastModified,
            identity.validator.origin,
            boot,
        ]
        return line("h \(identity.sizeBytes) " + fields.map(escaped).joined(separator: " "))
    }

    static func written(_ range: Range<Int>) -> String { line("w \(range.lowerBound) \(range.upperBound)") }

    static func synchronized(_ range: Range<Int>) -> String {
        line("d \(range.lowerBound) \(range.upperBound)")
    }

    /// The whole journal anew, in its shortest form.
    func text(boot: String) -> String {
        var text = Self.header(identity, boot: boot)
        for range in durable.ranges { text += Self.synchronized(range) }
        for range in received.ranges { text += Self.written(range) }
        return text
    }

    /// Nil when no line tells what the bytes are of. Lines whose checksum is wrong are passed over.
    init?(reading bytes: [UInt8], boot: String) {
        var identity: DownloadIdentity?
        var isThisBoot = false
        received = ByteRanges()
        durable = ByteRanges()
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let words = Self.words(line), let kind = words.first else { continue }
            if kind == "h", let (found, lineBoot) = Self.header(words) {
                // Later lines of this kind are of the same bytes at another mirror.
                if let before = identity, before.sizeBytes != found.sizeBytes { return nil }
                identity = found
                isThisBoot = lineBoot == boot
            } else if let size = identity?.sizeBytes, words.count == 3, let start = Int(words[1]),
                let end = Int(words[2]), start >= 0, start < end, end <= size
            {
                if kind == "d" { durable.insert(start..<end) }
                if kind == "w" && isThisBoot { received.insert(start..<end) }
            }
        }
        guard let identity else { return nil }
        self.identity = identity
        received = received.union(durable)
    }

    init(identity: DownloadIdentity, received: ByteRanges = ByteRanges(), durable: ByteRanges = ByteRanges())
    {
        self.identity = identity
        self.received = received
        self.durable = durable
    }

    private static func words(_ line: ArraySlice<UInt8>) -> [String]? {
        guard line.count > checksumDigits + 1 else { return nil }
        let text = line.dropFirst(checksumDigits + 1)
        let digits = String(decoding: line.prefix(checksumDigits), as: UTF8.self)
        guard line[line.startIndex + checksumDigits] == UInt8(ascii: " "),
            UInt64(digits, radix: 16) == checksum(text)
        else { return nil }
        return text.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func header(_ words: [String]) -> (DownloadIdentity, boot: String)? {
        guard words.count == 7, let size = Int(words[1]),
            (0...AnswerFacts.lengthLimit).contains(size)
        else { return nil }
        let validator = ContentValidator(
            etag: unescaped(words[3]), lastModified: unescaped(words[4]), origin: unescaped(words[5]) ?? "")
        let identity = DownloadIdentity(sizeBytes: size, digest: unescaped(words[2]), validator: validator)
        return (identity, unescaped(words[6]) ?? "")
    }

    /// "-" for nothing, else "=" and the text; what would cut a line or a word becomes "%" and two digits.
    private static func escaped(_ text: String?) -> String {
        guard let text else { return "-" }
        var result = "="
        for byte in text.utf8 {
            if byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "%") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += byte < 16 ? "%0" : "%"
                result += String(byte, radix: 16)
            }
        }
        return result
    }

    private static func unescaped(_ word: String) -> String? {
        guard word.hasPrefix("=") else { return nil }
        var bytes: [UInt8] = []
        var rest = Array(word.utf8)[1...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2 {
                bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Fowler-Noll-Vo 1a in 64 bits: against torn writes, not against adversaries.
    private static func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
