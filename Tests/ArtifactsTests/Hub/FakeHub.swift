// Both hubs' protocols in memory, for flows: it counts what it gives, and notes who breaks its rules.

import Crypto
import Glibc
import Synchronization
import Text

@testable import Artifacts

final class FakeHub: HubTransport {
    struct File {
        var content: [UInt8]
        var isLarge: Bool
        /// Leaves the digests out of listings.
        var isBare = false

        init(_ text: String, isLarge: Bool = false, isBare: Bool = false) {
            content = Array(text.utf8)
            self.isLarge = isLarge
            self.isBare = isBare
        }

        var sha256: String { hexadecimal(SHA256.hash(data: content)) }
        var oid: String {
            var hash = Insecure.SHA1()
            hash.update(data: Array("blob \(content.count)\0".utf8))
            hash.update(data: content)
            return hexadecimal(hash.finalize())
        }
        var tag: String { isLarge ? sha256 : oid }
    }

    struct State {
        /// By their paths, as a server would list them: any text.
        var files: [(path: String, file: File)] = []
        var commit = String(repeating: "a1", count: 20)
        /// The name that the repository has now.
        var id = "org/name"
        var pageSize = 2
        /// Instead of an answer, by the beginning of an address.
        var replies: [(prefix: String, status: Int, headers: [String])] = []
        var unreachable: [String] = []
        var token: String?
        /// What was done.
        var requests: [String] = []
        var fetchedBytes: [String: Int] = [:]
        var violations: [String] = []
        var busy: Set<String> = []
        /// How many files a fetch finishes before it fails.
        var failsAfter: Int?
    }

    private let state: Mutex<State>
    /// Called within each fetch, without a lock held.
    let during: @Sendable () -> Void

    init(_ files: [(String, File)] = [], during: @escaping @Sendable () -> Void = {}) {
        var state = State()
        state.files = files.map { (path: $0.0, file: $0.1) }
        self.state = Mutex(state)
        self.during = during
    }

    func with<Value: Sendable>(_ body: (inout sending State) -> Value) -> Value {
        state.withLock { body(&$0) }
    }
    var requests: [String] { with { $0.requests } }
    var violations: [String] { with { $0.violations } }
    var totalBytes: Int { with { $0.fetchedBytes.values.reduce(0, +) } }

    // MARK: Files

    func fetch(
        _ jobs: [DownloadJob], progress: @escaping @Sendable (DownloadProgress) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws -> [DownloadedFile] {
        var done: [DownloadedFile] = []
        for job in jobs {
            if isCancelled() { throw DownloadError(.cancelled, path: "", problem: "interrupted") }
            if let limit = with({ $0.failsAfter }), done.count >= limit {
                throw DownloadError(.network, path: job.file.name, problem: "connection lost")
            }
            with {
                if !$0.busy.insert(job.partial).inserted {
                    $0.violations.append("\(job.partial) written twice at once")
                }
            }
            defer { with { _ = $0.busy.remove(job.partial) } }
            let file = try content(of: job)
            try Disk.write(file.content, to: job.partial)
            during()
            guard rename(job.partial, job.destination) == 0 else {
                throw DownloadError(.disk, path: job.destination, problem: "cannot be renamed to")
            }
            with { $0.fetchedBytes[job.file.name, default: 0] += file.content.count }
            done.append(
                DownloadedFile(
                    path: job.destination, bytes: file.content.count, bytesFetched: file.content.count,
                    sha256: file.sha256, etag: nil))
            var part = DownloadProgress()
            part.filesDone = done.count
            progress(part)
        }
        return done
    }

    private func content(of job: DownloadJob) throws -> File {
        for address in job.file.addresses {
            if address.url.hasPrefix("file://") {
                guard let path = HubPath.unquoted(address.url.dropFirst(7)) else { continue }
                return File(String(decoding: try Disk.read(path, limitBytes: 1 << 20), as: UTF8.self))
            }
            if with({ state in state.unreachable.contains { address.url.hasPrefix($0) } }) { continue }
            checkToken(address.url, address.headers)
            guard let file = file(at: address.url) else { continue }
            switch job.file.digest {
            case .sha256(let digits): if digits != file.sha256 { continue }
            case .gitBlobSHA1(let digits): if digits != file.oid { continue }
            case nil: break
            }
            return file
        }
        throw DownloadError(.corrupt, path: job.file.name, problem: "no address has these bytes")
    }

    private func file(at url: String) -> File? {
        with { state in
            state.files.first { path, _ in
                url.hasSuffix("/resolve/\(state.commit)/" + HubPath.quoted(path, keepingSlash: true))
                    || url.hasSuffix("&FilePath=" + HubPath.quoted(path, keepingSlash: false))
            }?.file
        }
    }

    /// Only `http://hub` may see the token.
    private func checkToken(_ url: String, _ headers: [String]) {
        let isSent = headers.contains { $0.hasPrefix("Authorization:") }
        with { state in
            if isSent, !url.hasPrefix("http://hub/") { state.violations.append("the token went to \(url)") }
            if let token = state.token, url.hasPrefix("http://hub/"),
                !headers.contains("Authorization: Bearer \(token)")
            {
                state.violations.append("no token went to \(url)")
            }
        }
    }

    // MARK: Questions

    func exchange(_ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool) throws -> HubReply {
        with { $0.requests.append("\(request.method) \(request.url)") }
        checkToken(request.url, request.headers)
        let fixed: (Int, [String])? = with { state in
            state.replies.first { request.url.hasPrefix($0.prefix) }.map { ($0.status, $0.headers) }
        }
        if with({ state in state.unreachable.contains { request.url.hasPrefix($0) } }) {
            throw DownloadError(.network, path: request.url, problem: "is not reachable")
        }
        if let (status, headers) = fixed { return HubProtocolTests.reply(status, headers) }
        if request.url.contains("/revision/") {
            return with { state in
                HubProtocolTests.reply(
                    200, [], "{\"sha\":\"\(state.commit)\",\"id\":\"\(state.id)\"}")
            }
        }
        if request.url.contains("/tree/") { return tree(request.url) }
        if request.url.contains("/repo/files?") || request.url.contains("/repo/tree?") {
            return scope(request.url)
        }
        if request.method == "HEAD", let file = file(at: request.url) {
            return HubProtocolTests.reply(
                200, ["ETag: \"\(file.tag)\"", "Content-Length: \(file.content.count)"])
        }
        return HubProtocolTests.reply(404, ["X-Error-Code: EntryNotFound"])
    }

    private func tree(_ url: String) -> HubReply {
        with { state in
            let mark = url.firstIndex(of: "&").map { url[$0...] } ?? ""
            let start = mark.hasPrefix("&cursor=") ? Int(mark.dropFirst(8)) ?? 0 : 0
            let page = state.files.dropFirst(start).prefix(state.pageSize).map { path, file -> JSONValue in
                if file.isBare {
                    return ["type": "file", "path": .string(path), "size": .int(file.content.count)]
                }
                var entry: [String: JSONValue] = [
                    "type": "file", "path": .string(path), "size": .int(file.content.count),
                    "oid": .string(file.oid),
                ]
                if file.isLarge {
                    entry["lfs"] = ["oid": .string(file.sha256), "size": .int(file.content.count)]
                }
                return .object(entry)
            }
            let next = start + state.pageSize
            // A mirror that passes on the address of the hub behind it.
            let link =
                next < state.files.count
                ? ["Link: <http://elsewhere/api/tree?recursive=true&cursor=\(next)>; rel=\"next\""] : []
            return HubProtocolTests.reply(200, link, JSONValue.array(page).compactText)
        }
    }

    private func scope(_ url: String) -> HubReply {
        with { state in
            let entries = state.files.map { path, file -> JSONValue in
                [
                    "Path": .string(path), "Type": "blob", "Size": .int(file.content.count),
                    "Sha256": .string(file.sha256), "Revision": .string(state.commit), "CommittedDate": 1,
                ]
            }
            let json: JSONValue = ["Code": 200, "Success": true, "Data": ["Files": .array(entries)]]
            return HubProtocolTests.reply(200, [], json.compactText)
        }
    }
}

private func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
