// The page: the files of `web/`, out of the binary or, while the page is worked on, out of a folder.

import CWebPage
import Crypto
import Glibc
import NIOPosix
import Text

/// A file of the page.
struct PageFile: Sendable {
    var bytes: [UInt8]
    var type: String
    /// With its quotes: changes with the content.
    var etag: String

    init(path: String, bytes: [UInt8]) {
        self.bytes = bytes
        type =
            Self.types[path.split(separator: ".").last.map(String.init) ?? ""] ?? "application/octet-stream"
        let digits = SHA256.hash(data: bytes).prefix(12).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        etag = "\"\(digits.joined())\""
    }

    private static let types = [
        "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "mjs": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml",
        "json": "application/json", "png": "image/png", "ico": "image/x-icon",
        "txt": "text/plain; charset=utf-8",
        "webmanifest": "application/manifest+json", "woff2": "font/woff2",
    ]
}

struct PageRoutes: RouteGroup {
    private static let index = "index.html"
    /// A file of the page that is longer than this is none.
    private static let longestFileBytes = 8 << 20
    /// What begins so belongs to programs: an unknown address there is an error, and not a view of the page.
    private static let reserved: Set<Substring> = [
        "api", "artifacts", "artifacts-by-uid", "artifact-files", "input-artifacts", "input-artifacts-by-uid",
        "hf", "v1", "deployments", "metrics", "openapi.json", "healthz", "readyz",
    ]

    /// By path, without a leading slash.
    private let embedded: [String: PageFile]
    private let directory: String?

    /// - Parameter directory: serves that folder's files in place of the embedded ones.
    init(directory: String? = nil) {
        self.directory = directory
        embedded = directory == nil ? Self.embeddedFiles : [:]
    }

    var routes: [ServiceRoute] {
        [ServiceRoute("GET", "/", "Page_Index", .open) { try await answer($0, path: Self.index) }]
    }

    /// Files and views of the page.
    var fallback: ServiceRoute {
        ServiceRoute("GET", "/{path...}", "Page_File", .open) { request in
            try await answer(request, path: try Self.path(of: request.call.path))
        }
    }

    /// Paths of the embedded files.
    static var embeddedPaths: [String] { embeddedFiles.keys.sorted() }

    private static let embeddedFiles: [String: PageFile] = {
        var files: [String: PageFile] = [:]
        var index = 0
        while let entry = web_file_at(index), let path = entry.pointee.path {
            let name = String(cString: path)
            let bytes = Array(UnsafeBufferPointer(start: entry.pointee.bytes, count: entry.pointee.length))
            files[name] = PageFile(path: name, bytes: bytes)
            index += 1
        }
        return files
    }()

    // MARK: Answering

    /// The file's path in an address; the index for a view.
    private static func path(of address: String) throws(ServiceError) -> String {
        let segments = address.dropFirst().split(separator: "/")
        guard let first = segments.first else { return index }
        // The page has files in folders of these names, and a view at /deployments itself.
        let isOfPage = looksLikeFile(segments.last ?? "") || (first == "deployments" && segments.count == 1)
        if reserved.contains(first), !isOfPage { throw .notFound("there is nothing at \(address.shortened)") }
        var parts: [String] = []
        for segment in segments {
            guard let part = PercentEncoding.strictlyDecoded(segment), part != ".", part != "..",
                part.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "/") })
            else { throw .invalid("\(address.shortened) is no address of the page") }
            parts.append(part)
        }
        return parts.joined(separator: "/")
    }

    private func answer(_ request: ServiceRequest, path: String) async throws -> HTTPReply {
        var found = try await file(path)
        if found == nil {
            // A name with an ending is a file that is not there; anything else is a view, which the page finds itself.
            let name = path.split(separator: "/").last ?? ""
            guard !Self.looksLikeFile(name) else {
                throw ServiceError.notFound("the page has no file \(path.shortened)")
            }
            found = try await file(Self.index)
        }
        guard let found else { throw ServiceError.notFound("this server has no page") }
        let headers = [
            ("Content-Type", found.type), ("ETag", found.etag), ("Cache-Control", "no-cache"),
            ("Content-Security-Policy", SecurityHeaders.pagePolicy),
        ]
        if Self.matches(request.call.headers["if-none-match"], found.etag) {
            return HTTPReply(status: 304, headers: headers)
        }
        return HTTPReply(headers: headers, body: .bytes(found.bytes))
    }

    private static func looksLikeFile(_ name: Substring) -> Bool {
        let endings: Set<Substring> = [
            "html", "js", "mjs", "css", "svg", "json", "png", "ico", "txt", "webmanifest", "woff2", "map",
            "php",
        ]
        return name.split(separator: ".").count > 1 && endings.contains(name.split(separator: ".").last ?? "")
    }

    private static func matches(_ header: String?, _ etag: String) -> Bool {
        guard let header else { return false }
        return header.split(separator: ",").prefix(20).contains { item in
            let item = String(item).trimmedOfBlanks
            return item == "*" || item == etag || item == "W/" + etag
        }
    }

    private func file(_ path: String) async throws -> PageFile? {
        guard let directory else { return embedded[path] }
        return try await NIOThreadPool.singleton.runIfActive { Self.read(directory + "/" + path, as: path) }
    }

    private static func read(_ place: String, as path: String) -> PageFile? {
        let descriptor = open(place, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            Int(status.st_size) <= longestFileBytes
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let length = bytes[count...].withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if length <= 0 { break }
            count += length
        }
        return PageFile(path: path, bytes: Array(bytes.prefix(count)))
    }
}
