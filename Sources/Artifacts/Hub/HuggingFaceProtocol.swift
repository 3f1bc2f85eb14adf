// The Hub's read protocol as values: addresses to ask, and what the answers mean.

import Text

/// Addresses and answers of Hugging Face's Hub and of servers that speak like it.
enum HuggingFaceProtocol {
    /// Pages of a listing; each has up to a thousand files.
    static let maximumPages = 10_000
    static let maximumFiles = 5_000_000

    // MARK: Addresses

    static func infoURL(_ endpoint: String, _ repository: HubRepository, revision: String) -> String {
        "\(endpoint)/api/\(repository.kind.plural)/\(repository.id)/revision/"
            + HubPath.quoted(revision, keepingSlash: false)
    }

    static func treeURL(_ endpoint: String, _ repository: HubRepository, commit: String) -> String {
        "\(endpoint)/api/\(repository.kind.plural)/\(repository.id)/tree/\(commit)"
            + "?recursive=true&expand=false"
    }

    static func fileURL(
        _ endpoint: String, _ repository: HubRepository, revision: String, path: String
    ) -> String {
        "\(pageURL(endpoint, repository))/resolve/\(HubPath.quoted(revision, keepingSlash: false))/"
            + HubPath.quoted(path, keepingSlash: true)
    }

    /// Where people look at it.
    static func pageURL(_ endpoint: String, _ repository: HubRepository) -> String {
        "\(endpoint)/\(repository.kind == .model ? "" : repository.kind.plural + "/")\(repository.id)"
    }

    static func headers(token: String?) -> [String] {
        token.map { ["Authorization: Bearer \($0)"] } ?? []
    }

    // MARK: Answers

    /// What is told of a repository at a revision.
    struct Info: Hashable {
        var commit: String
        /// The present name, which differs from the one that was asked for after renaming.
        var id: String?
        var isDisabled: Bool
    }

    static func info(_ json: JSONValue, hub: HubRepository.Hub = .huggingFace) -> Info? {
        guard let commit = json["sha"]?.stringValue, HubPath.isCommit(commit) else { return nil }
        let id = json["id"]?.stringValue
        return Info(
            commit: commit,
            id: id.flatMap { HubRepository.problem(ofID: $0, hub: hub) == nil ? $0 : nil },
            isDisabled: json["disabled"]?.boolValue ?? false)
    }

    /// A file of a listing.
    struct Entry: Hashable {
        var path: String
        var sizeBytes: Int?
        /// Of the file, or of the pointer that stands for a large one.
        var gitObjectID: String?
        var sha256: String?
    }

    /// One page of a listing without its directories; nil for what is none.
    static func entries(_ json: JSONValue) -> [Entry]? {
        guard let elements = json.arrayValue else { return nil }
        var entries: [Entry] = []
        for element in elements {
            guard let path = element["path"]?.stringValue, let type = element["type"]?.stringValue else {
                return nil
            }
            guard type == "file" else { continue }
            let large = element["lfs"]
            let size = large?["size"]?.intValue ?? element["size"]?.intValue
            guard size ?? 0 >= 0 else { return nil }
            let object = element["oid"]?.stringValue?.lowercased()
            let digest = large?["oid"]?.stringValue?.lowercased()
            entries.append(
                Entry(
                    path: path, sizeBytes: size,
                    gitObjectID: object.flatMap { HubPath.isCommit($0) ? $0 : nil },
                    sha256: digest.flatMap { HubPath.isHexadecimal($0, digits: 64) ? $0 : nil }))
        }
        return entries
    }

    /// The query of the address with `rel="next"` in a Link header; nil on the last page. Of the address no
    /// more is taken: a mirror may pass on another host's, which must not be asked with this one's token.
    static func nextQuery(link: String?) -> String? {
        for part in (link ?? "").split(separator: "<") {
            guard let close = part.firstIndex(of: ">") else { continue }
            let parameters = part[part.index(after: close)...].split { $0 == ";" || $0 == "," }.map {
                $0.filter { $0 != " " && $0 != "\"" }.lowercased()
            }
            guard parameters.contains("rel=next") else { continue }
            let url = part[..<close]
            guard let mark = url.firstIndex(of: "?") else { return nil }
            let query = String(url[url.index(after: mark)...])
            // It becomes part of the next request's line.
            return query.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") } ? query : nil
        }
        return nil
    }

    /// What the headers of a resolved file tell.
    struct Resolved: Hashable {
        var commit: String?
        var etag: String?
        var sizeBytes: Int?
        /// What the tag says of the content, by its form.
        var digest: ExpectedDigest?
    }

    static func resolved(_ reply: HubReply) -> Resolved {
        let isRedirect = (300..<400).contains(reply.status)
        let etag = (reply.headers["X-Linked-Etag"] ?? reply.headers["ETag"]).flatMap(HubPath.normalizedETag)
        let size = reply.headers["X-Linked-Size"] ?? (isRedirect ? nil : reply.headers["Content-Length"])
        var digest: ExpectedDigest?
        if let etag, HubPath.isHexadecimal(etag, digits: 64) { digest = .sha256(etag) }
        if let etag, HubPath.isCommit(etag) { digest = .gitBlobSHA1(etag) }
        return Resolved(
            commit: reply.headers["X-Repo-Commit"], etag: etag,
            sizeBytes: size.flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }, digest: digest)
    }

    // MARK: Failures

    /// Why the Hub refused.
    /// - Parameter path: what was asked for, as messages show it.
    static func failure(
        _ reply: HubReply, path: String, endpoint: String, repository: HubRepository, hasToken: Bool
    ) -> DownloadError {
        let code = reply.headers["X-Error-Code"]
        let message = reply.headers["X-Error-Message"] ?? ""
        let page = pageURL(endpoint, repository)
        func error(_ kind: DownloadError.Kind, _ problem: String, _ remedy: String = "") -> DownloadError {
            DownloadError(kind, path: path, problem: problem, remedy: remedy, status: reply.status)
        }
        let giveToken = "give a token with HF_TOKEN or --token"
        if message == "Access to this resource is disabled." {
            return error(.forbidden, "the hub has disabled this repository", "use another one")
        }
        switch (code, reply.status) {
        case ("GatedRepo", _):
            return error(
                .gated, "access is given by its owner only",
                "accept the conditions at \(page), then "
                    + (hasToken ? "try again when access is granted to the token's account" : giveToken))
        case ("RevisionNotFound", _):
            return error(
                .revisionNotFound, "the repository has no such revision",
                "see its branches, tags and commits at \(page), and name one with --revision")
        case ("EntryNotFound", _):
            return error(.notFound, "the repository has no such file", "see its files at \(page)")
        case (_, 401) where hasToken && code != "RepoNotFound",
            (_, 401) where message.contains("Invalid cred"):
            return error(
                .unauthorized, "the hub does not take the token",
                "renew it (HF_TOKEN, --token or the token file), or leave it out")
        case ("RepoNotFound", _), (_, 401), (_, 404):
            let other = repository.kind == .model ? "dataset" : "model"
            return error(
                .repositoryNotFound, "there is no such \(repository.kind.rawValue), or it is private",
                "check the name and --repo_type (\(other)?); for a private one "
                    + (hasToken ? "use a token that may read it" : giveToken))
        case (_, 403):
            return error(
                .forbidden, "the token may not read it" + (message.isEmpty ? "" : " (\(message))"),
                hasToken ? "give a token that may read this repository" : giveToken)
        default:
            return reply.failure(path: path)
                ?? error(.server, "the server answered with status \(reply.status)")
        }
    }
}
