// How an artifact's bytes are sent: whole, in ranges, packed or as a list, with the headers that keep what strangers
// wrote from acting in our name.

import Artifacts
import Text

/// Makes the reply for an artifact's bytes.
struct ArtifactReply: Sendable {
    let call: HTTPCall
    /// The file's name for who saves it.
    let name: String
    /// Whether a browser is to show it, rather than to save it.
    let isInline: Bool

    /// No script of an artifact may run as ours, nor may it load or send anything: it is shown as if it came
    /// from nowhere.
    private static let policy =
        "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self' "
        + "'unsafe-inline'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

    private func headers(type: String, etag: String?, name: String) -> [(name: String, value: String)] {
        let plain = String(
            decoding: name.utf8.map { PercentEncoding.isUnreserved($0) ? $0 : UInt8(ascii: "_") },
            as: UTF8.self)
        let kind = isInline ? "inline" : "attachment"
        return [
            ("Content-Type", type), ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "private, no-cache"), ("Content-Security-Policy", Self.policy),
            (
                "Content-Disposition",
                "\(kind); filename=\"\(plain)\"; filename*=UTF-8''\(PercentEncoding.encoded(name))"
            ),
        ] + (etag.map { [("ETag", "\"\($0)\"")] } ?? [])
    }

    private func isKnown(_ etag: String?) -> Bool {
        guard let etag, let known = call.headers["if-none-match"] else { return false }
        return known == "*" || known.contains("\"\(etag)\"")
    }

    /// One file, or the range of it that is asked for.
    func file(_ source: any ByteSource, tag: String?, bytes: Int, _ slot: RequestGate.Slot? = nil)
        -> HTTPReply
    {
        var headers = headers(type: MediaType.of(name), etag: tag, name: name) + [("Accept-Ranges", "bytes")]
        if isKnown(tag) { return HTTPReply(status: 304, headers: headers) }
        // Without a tag nobody can tell that the bytes are still the same.
        let isOther = call.headers["if-range"].map { tag == nil || $0 != "\"\(tag ?? "")\"" } ?? false
        var (status, range) = (200, 0..<bytes)
        switch ByteRange(isOther ? nil : call.headers["range"], sizeBytes: bytes) {
        case .whole: break
        case .part(let part):
            (status, range) = (206, part)
            headers.append(("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(bytes)"))
        case .unsatisfiable:
            headers.append(("Content-Range", "bytes */\(bytes)"))
            return HTTPReply(status: 416, headers: headers)
        }
        headers.append(("Content-Length", "\(range.count)"))
        if call.method == "HEAD" || range.isEmpty { return HTTPReply(status: status, headers: headers) }
        return HTTPReply(
            status: status, headers: headers,
            body: .stream { [range] sink in
                defer { withExtendedLifetime((source, slot)) {} }
                if let blob = source as? OpenBlob {
                    return try await sink.writeFile(
                        blob.descriptor, from: range.lowerBound, count: range.count
                    ) { _ in }
                }
                var place = range.lowerBound
                while place < range.upperBound {
                    let (from, count) = (place, min(RemoteObject.pieceBytes, range.upperBound - place))
                    try await sink.write(
                        try await RemoteReading.onThread { try source.read(at: from, count: count) })
                    place += count
                }
            })
    }

    /// The whole of what is only to be had from its beginning to its end.
    func whole(_ stream: RemoteStream, tag: String?, bytes: Int?, _ slot: RequestGate.Slot?) -> HTTPReply {
        var headers = headers(type: MediaType.of(name), etag: tag, name: name) + [("Accept-Ranges", "none")]
        if isKnown(tag) { return HTTPReply(status: 304, headers: headers) }
        if let bytes { headers.append(("Content-Length", "\(bytes)")) }
        if call.method == "HEAD" || bytes == 0 {
            return HTTPReply(headers: headers, body: Self.nothing(bytes))
        }
        return HTTPReply(
            headers: headers,
            body: .stream { sink in
                defer { withExtendedLifetime(slot) {} }
                while let piece = try await RemoteReading.onThread({ try stream.next() }) {
                    try await sink.write(piece)
                }
            })
    }

    /// The body of an answer to HEAD, whose length is told where it is known.
    private static func nothing(_ bytes: Int?) -> HTTPReply.Body {
        bytes == nil ? .stream { _ in } : .bytes([])
    }

    /// A value that stands in the manifest.
    func text(_ bytes: [UInt8]) -> HTTPReply {
        let hash = ContentDigest.of(bytes)
        let headers = headers(type: "text/plain; charset=utf-8", etag: hash, name: name)
        return isKnown(hash)
            ? HTTPReply(status: 304, headers: headers) : HTTPReply(headers: headers, body: .bytes(bytes))
    }

    /// A whole directory as a .tgz.
    func archive(
        _ manifest: TreeManifest, tag: String, _ slot: RequestGate.Slot? = nil,
        open: @escaping TarStream.Opener
    ) -> HTTPReply {
        let etag = tag + ".tgz"
        let headers = headers(type: "application/gzip", etag: etag, name: name + ".tgz")
        if isKnown(etag) { return HTTPReply(status: 304, headers: headers) }
        if call.method == "HEAD" { return HTTPReply(headers: headers, body: .stream { _ in }) }
        let stream = TarStream(manifest, name: name, open: open)
        return HTTPReply(
            headers: headers,
            body: .stream { sink in
                defer { withExtendedLifetime(slot) {} }
                // Files of a bucket are waited for on threads that are made for that.
                let isRemote = slot != nil
                var stream = stream
                while true {
                    let work: @Sendable () throws -> (TarStream, [UInt8]?) = { [stream] in
                        var stream = stream
                        let piece = try stream.piece()
                        return (stream, piece)
                    }
                    let next: TarStream
                    let piece: [UInt8]?
                    if isRemote {
                        (next, piece) = try await RemoteReading.onThread(work)
                    } else {
                        (next, piece) = try await WorkflowRoutes.onThread(work)
                    }
                    stream = next
                    guard let piece else { return }
                    try await sink.write(piece)
                }
            })
    }

    /// What is in a directory, to look at. Its links lead below the address of the page.
    func index(_ manifest: TreeManifest, tag: String) -> HTTPReply {
        let etag = tag + ".html"
        let headers = headers(type: "text/html; charset=utf-8", etag: etag, name: "index.html")
        if isKnown(etag) { return HTTPReply(status: 304, headers: headers) }
        var rows = ""
        for entry in manifest.entries.filter({ !$0.path.contains("/") }).sorted(by: { $0.path < $1.path }) {
            var (shown, size) = (entry.path, "")
            switch entry.content {
            case .directory: shown += "/"
            case .file(_, let bytes): size = "\(bytes)"
            case .link: size = "link"
            }
            let address = PercentEncoding.encoded(shown, keeping: "/")
            rows += "<tr><td><a href=\"./\(address)\">\(Self.escaped(shown))</a></td><td>\(size)</td></tr>\n"
        }
        let title = Self.escaped(name)
        let page = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>
            <style>
            :root { color-scheme: light dark } body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem }
            td { padding: .1rem 2rem .1rem 0 }
            td + td { text-align: right; font-variant-numeric: tabular-nums }
            </style></head><body><h1>\(title)</h1>
            <table>
            \(rows)</table></body></html>

            """
        return HTTPReply(headers: headers, body: .bytes(Array(page.utf8)))
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
