// A web address whose bytes are read in parts: which part to ask for, and whether the answers belong together.

/// Where to ask, and with what.
struct HTTPSource: Sendable {
    /// Of one part, the first included.
    private static let attemptLimit = 3

    var url: String
    /// For the address's own host only: a redirect to elsewhere is followed without them.
    var headers: [String]
    /// As messages show it.
    var name: String
    var downloader: Downloader

    /// - Throws: `invalid` for what is no http or https address.
    func request(_ range: Range<Int>) throws(ArtifactError) -> OutgoingRequest {
        guard let address = WebAddress(url), address.scheme != "file" else {
            throw ArtifactError(.invalid, path: name, problem: "is no http or https address")
        }
        return OutgoingRequest(
            url: address, origin: address.origin, ownHeaders: headers,
            range: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
    }

    /// - Parameter marks: of the first answer; others must have the same.
    func object(_ marks: HTTPMarks, sizeBytes: Int) -> RemoteObject {
        RemoteObject(name: name, sizeBytes: sizeBytes, mark: marks.text) { range throws(ArtifactError) in
            var attempt = 1
            while true {
                let (status, headers, body) = try part(range, isLast: attempt == Self.attemptLimit)
                let now = HTTPMarks(headers)
                if status == 206, now.text == marks.text, now.first == range.lowerBound,
                    now.total == sizeBytes
                {
                    return body
                }
                guard status == 0 || status == 429 || status >= 500, attempt < Self.attemptLimit else {
                    throw RemoteObject.changed(name)
                }
                downloader.settings.clock.sleep(.milliseconds(100))
                attempt += 1
            }
        }
    }

    /// One try.
    /// - Returns: status 0 for an answer that broke off, where it is not the last try.
    private func part(_ range: Range<Int>, isLast: Bool) throws(ArtifactError) -> (
        status: Int, headers: ReplyHeaders, body: [UInt8]
    ) {
        let request = try request(range)
        let receiver = MemoryReceiver(limitBytes: range.count, isStopped: { false })
        let failure: DownloadError
        do {
            let (head, end, answering) = try downloader.send(request, to: receiver)
            if receiver.isTooLong { throw RemoteObject.changed(name) }
            guard let problem = downloader.failure(end, path: answering.shown) else {
                return (head.status, head.headers, receiver.body)
            }
            failure = problem.error
        } catch let error as ArtifactError {
            throw error
        } catch let error as ExchangeFailure {
            failure = error.error
        } catch let error as DownloadError {
            failure = error
        } catch {
            throw ArtifactError(.transfer, path: name, problem: "\(error)")
        }
        if isLast { throw ArtifactError(failure) }
        return (0, ReplyHeaders(), [])
    }
}

/// What the headers of an answer say of the bytes: whether they are still the same, and which of them came.
struct HTTPMarks {
    /// ETag and time of the last change; nil without either.
    var text: String?
    /// The first byte that came, and how many there are in all.
    var first: Int?
    var total: Int?

    init(_ headers: ReplyHeaders) {
        let marks = ["etag", "last-modified"].compactMap { headers[$0] }
        text = marks.isEmpty ? nil : marks.joined(separator: "\n")
        // `bytes 0-0/1234`, or `bytes */1234`.
        guard let range = headers["content-range"], range.lowercased().hasPrefix("bytes ") else { return }
        let parts = range.dropFirst("bytes ".count).split(separator: "/")
        guard parts.count == 2 else { return }
        first = Int(parts[0].prefix { $0 != "-" })
        total = Int(parts[1]).flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension HTTPLocation {
    /// The declared headers and the login, for the address's own host only.
    func ownHeaders(_ secrets: SecretLookup) throws(ArtifactError) -> [String] {
        guard let user = try user?.value(secrets) else { return headers }
        let password = try password?.value(secrets) ?? ""
        return headers + ["Authorization: Basic " + Base64Words.text(Array("\(user):\(password)".utf8))]
    }
}

/// Base64 (RFC 4648) as the Authorization header has it.
enum Base64Words {
    private static let letters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            var bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            bits <<= UInt32(8 * (3 - part.count))
            for index in 0..<4 {
                let letter = letters[Int(bits >> UInt32(18 - 6 * index)) & 63]
                out.append(index <= part.count ? letter : UInt8(ascii: "="))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
