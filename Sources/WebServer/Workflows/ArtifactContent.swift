// The bytes of one artifact, or of one file in it, found in the store, and sent with the headers that keep
// what strangers wrote from acting in our name.

import Artifacts
import Crypto
import Glibc
import Scheduling
import Text
import WorkflowLanguage

/// What lies behind an artifact's name and a path in it.
enum ArtifactContent: Sendable {
    case file(OpenBlob, hash: String, bytes: Int)
    case directory(TreeManifest, hash: String)
    case text([UInt8])

    /// How many links are followed from one file of a directory to the next.
    private static let linkLimit = 10

    /// Looks the artifact up; blocks.
    /// - Parameter path: inside a directory artifact; empty for the artifact itself.
    static func find(
        _ artifact: Artifact, path: String, namespace: String, in store: LocalArtifactStore
    ) throws -> ArtifactContent {
        guard !artifact.deleted else {
            throw ServiceError.notFound(
                "the bytes of artifact \"\(artifact.name)\" were deleted by garbage collection")
        }
        switch try ArtifactLocation(artifact) {
        case .key(let key):
            guard let tree = try store.resolve(key: key, namespace: namespace) else {
                throw ServiceError.notFound(
                    "artifact \"\(artifact.name)\" has no bytes under its key \"\(key.shortened)\"")
            }
            return try content(of: tree, artifact, path, store)
        case .raw(let text):
            guard path.isEmpty else { throw missing(path, artifact) }
            return .text(Array(text.utf8))
        case .s3(let location):
            throw elsewhere(artifact, "s3://\(location.bucket.name)/\(location.key)")
        case .http, .git: throw elsewhere(artifact, "another server")
        case nil:
            throw ServiceError.notFound("artifact \"\(artifact.name)\" says no place where its bytes are")
        }
    }

    private static func elsewhere(_ artifact: Artifact, _ place: String) -> ServiceError {
        .unimplemented(
            "the bytes of artifact \"\(artifact.name)\" lie in \(place.shortened), and this server "
                + "has no copy; "
                + "fetch them there")
    }

    private static func missing(_ path: String, _ artifact: Artifact) -> ServiceError {
        .notFound("artifact \"\(artifact.name)\" has no file \"\(path.shortened)\"")
    }

    private static func content(
        of tree: StoredTree, _ artifact: Artifact, _ path: String, _ store: LocalArtifactStore
    ) throws -> ArtifactContent {
        guard tree.isDirectory else {
            guard path.isEmpty else { throw missing(path, artifact) }
            return .file(OpenBlob(try store.openFile(tree)), hash: tree.hash, bytes: tree.bytes)
        }
        let manifest = try store.manifest(of: tree)
        var parts = path.split(separator: "/").map(String.init)
        if parts.isEmpty { return .directory(manifest, hash: tree.hash) }
        for _ in 0..<linkLimit {
            let name = parts.joined(separator: "/")
            guard let entry = manifest.entries.first(where: { $0.path == name }) else { break }
            switch entry.content {
            case .file(let hash, let bytes):
                return .file(OpenBlob(try store.openBlob(hash)), hash: hash, bytes: bytes)
            case .directory:
                return .directory(
                    manifest.inside(name, mode: entry.mode),
                    hash: tree.hash + "-" + ContentDigest.of(Array(name.utf8)))
            case .link(let target):
                guard let next = resolved(target, from: parts.dropLast()) else {
                    throw missing(path, artifact)
                }
                parts = next
            }
        }
        throw missing(path, artifact)
    }

    /// Where a link leads inside the directory; nil for one that leads out of it.
    private static func resolved(_ target: String, from folder: ArraySlice<String>) -> [String]? {
        guard !target.hasPrefix("/") else { return nil }
        var parts = Array(folder)
        for part in target.split(separator: "/") where part != "." {
            if part == ".." {
                if parts.popLast() == nil { return nil }
            } else {
                parts.append(String(part))
            }
        }
        return parts.isEmpty ? nil : parts
    }
}

extension TreeManifest {
    /// The part below one of its directories, as a manifest of its own.
    fileprivate func inside(_ name: String, mode: UInt32) -> TreeManifest {
        let prefix = name + "/"
        var part = self
        part.mode = mode
        part.entries = entries.filter { $0.path.hasPrefix(prefix) }.map { entry in
            var entry = entry
            entry.path.removeFirst(prefix.count)
            return entry
        }
        return part
    }
}

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

    private func headers(type: String, etag: String, name: String) -> [(name: String, value: String)] {
        let plain = String(
            decoding: name.utf8.map { PercentEncoding.isUnreserved($0) ? $0 : UInt8(ascii: "_") },
            as: UTF8.self)
        let kind = isInline ? "inline" : "attachment"
        return [
            ("Content-Type", type), ("X-Content-Type-Options", "nosniff"), ("ETag", "\"\(etag)\""),
            ("Cache-Control", "private, no-cache"), ("Content-Security-Policy", Self.policy),
            (
                "Content-Disposition",
                "\(kind); filename=\"\(plain)\"; filename*=UTF-8''\(PercentEncoding.encoded(name))"
            ),
        ]
    }

    private func isKnown(_ etag: String) -> Bool {
        guard let known = call.headers["if-none-match"] else { return false }
        return known == "*" || known.contains("\"\(etag)\"")
    }

    /// One file, or the range of it that is asked for.
    func file(_ blob: OpenBlob, hash: String, bytes: Int) -> HTTPReply {
        var headers = headers(type: MediaType.of(name), etag: hash, name: name) + [("Accept-Ranges", "bytes")]
        if isKnown(hash) { return HTTPReply(status: 304, headers: headers) }
        let isOther = call.headers["if-range"].map { $0 != "\"\(hash)\"" } ?? false
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
                try await sink.writeFile(blob.descriptor, from: range.lowerBound, count: range.count) { _ in }
                withExtendedLifetime(blob) {}
            })
    }

    /// A value that stands in the manifest.
    func text(_ bytes: [UInt8]) -> HTTPReply {
        let hash = ContentDigest.of(bytes)
        let headers = headers(type: "text/plain; charset=utf-8", etag: hash, name: name)
        return isKnown(hash)
            ? HTTPReply(status: 304, headers: headers) : HTTPReply(headers: headers, body: .bytes(bytes))
    }

    /// A whole directory as a .tgz.
    func archive(_ manifest: TreeManifest, hash: String, store: LocalArtifactStore) -> HTTPReply {
        let etag = hash + ".tgz"
        let headers = headers(type: "application/gzip", etag: etag, name: name + ".tgz")
        if isKnown(etag) { return HTTPReply(status: 304, headers: headers) }
        if call.method == "HEAD" { return HTTPReply(headers: headers, body: .stream { _ in }) }
        let stream = TarStream(manifest, name: name) { try store.openBlob($0) }
        return HTTPReply(
            headers: headers,
            body: .stream { sink in
                var stream = stream
                while true {
                    let (next, piece) = try await WorkflowRoutes.onThread { [stream] in
                        var stream = stream
                        let piece = try stream.piece()
                        return (stream, piece)
                    }
                    stream = next
                    guard let piece else { return }
                    try await sink.write(piece)
                }
            })
    }

    /// What is in a directory, to look at. Its links lead below the address of the page.
    func index(_ manifest: TreeManifest, hash: String) -> HTTPReply {
        let etag = hash + ".html"
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

enum ContentDigest {
    /// SHA-256 in lower-case hexadecimal.
    static func of(_ bytes: [UInt8]) -> String { GitObjects.hexadecimal(SHA256.hash(data: bytes)) }
}
