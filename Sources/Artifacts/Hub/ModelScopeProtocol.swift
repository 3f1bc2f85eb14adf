// ModelScope's read protocol as values: addresses to ask, and what the answers mean.

import Text

/// Addresses and answers of ModelScope and of servers that speak like it.
enum ModelScopeProtocol {
    static let pageSize = 200
    /// Of a data set's listing.
    static let maximumPages = 25_000

    // MARK: Addresses

    private static func base(_ endpoint: String, _ repository: HubRepository) -> String {
        "\(endpoint)/api/v1/\(repository.kind.plural)/\(repository.id)"
    }

    /// - Parameter page: from 1; data sets only, as models come at once.
    static func listURL(
        _ endpoint: String, _ repository: HubRepository, revision: String, page: Int
    ) -> String {
        let query = "Revision=\(HubPath.quoted(revision, keepingSlash: false))&Recursive=True"
        return repository.kind == .dataset
            ? "\(base(endpoint, repository))/repo/tree?\(query)&PageNumber=\(page)&PageSize=\(pageSize)"
            : "\(base(endpoint, repository))/repo/files?\(query)"
    }

    static func fileURL(
        _ endpoint: String, _ repository: HubRepository, revision: String, path: String
    ) -> String {
        "\(base(endpoint, repository))/repo?Revision=\(HubPath.quoted(revision, keepingSlash: false))"
            + "&FilePath=\(HubPath.quoted(path, keepingSlash: false))"
    }

    static func revisionsURL(_ endpoint: String, _ repository: HubRepository) -> String {
        "\(base(endpoint, repository))/revisions"
    }

    /// Older parts of the service know the token as a cookie only.
    static func headers(token: String?) -> [String] {
        token.map { ["Authorization: Bearer \($0)", "Cookie: m_session_id=\($0)"] } ?? []
    }

    // MARK: Answers

    /// What an answer holds. Failures may come with status 200.
    enum Envelope: Hashable {
        case data(JSONValue)
        case failure(code: Int, message: String)
    }

    static func envelope(_ json: JSONValue) -> Envelope? {
        guard let members = json.objectValue else { return nil }
        let code = json["Code"]?.intValue ?? 0
        let isSuccess = json["Success"]?.boolValue ?? (code == 200)
        guard isSuccess else {
            return .failure(code: code, message: json["Message"]?.stringValue ?? "")
        }
        return .data(members["Data"] ?? .null)
    }

    /// A file of a listing.
    struct Entry: Hashable {
        var path: String
        var sizeBytes: Int?
        var sha256: String?
        /// The commit that changed it last, and when.
        var commit: String?
        var committedSeconds: Int
    }

    /// One page of a listing: its files, and how many files and directories it had; nil for what is none.
    static func entries(_ data: JSONValue) -> (files: [Entry], count: Int)? {
        guard let elements = data.arrayValue ?? (data["Files"] ?? data["files"])?.arrayValue else {
            // A repository without files has no list.
            return data["Files"]?.isNull == true ? ([], 0) : nil
        }
        var entries: [Entry] = []
        for element in elements {
            guard let path = (element["Path"] ?? element["Name"])?.stringValue else { return nil }
            guard (element["Type"]?.stringValue ?? "blob") != "tree" else { continue }
            let size = element["Size"]?.intValue
            guard size ?? 0 >= 0 else { return nil }
            let digest = element["Sha256"]?.stringValue?.lowercased()
            let commit = element["Revision"]?.stringValue
            entries.append(
                Entry(
                    path: path, sizeBytes: size,
                    sha256: digest.flatMap { HubPath.isHexadecimal($0, digits: 64) ? $0 : nil },
                    commit: commit.flatMap { HubPath.isCommit($0) ? $0 : nil },
                    committedSeconds: element["CommittedDate"]?.intValue ?? 0))
        }
        return (entries, elements.count)
    }

    /// The commit that the listing was made at: the newest that changed one of the files. What a later commit
    /// removed is not listed, so that the files are the same.
    static func commit(of entries: [Entry]) -> String? {
        entries.max { $0.committedSeconds < $1.committedSeconds }?.commit
    }

    /// Names of branches and tags.
    static func revisions(_ data: JSONValue) -> [String] {
        ["Branches", "Tags"].flatMap { data["RevisionMap"]?[$0]?.arrayValue ?? [] }
            .compactMap { $0["Revision"]?.stringValue }
    }

    // MARK: Failures

    /// Why the service refused.
    /// - Parameters:
    ///   - status: of the answer; 200 when the envelope tells the failure.
    ///   - code: the envelope's, 0 without one.
    static func failure(
        status: Int, code: Int, message: String, path: String, repository: HubRepository, hasToken: Bool
    ) -> DownloadError {
        func error(_ kind: DownloadError.Kind, _ problem: String, _ remedy: String) -> DownloadError {
            DownloadError(kind, path: path, problem: problem, remedy: remedy, status: status)
        }
        let said = message.isEmpty ? "" : " (\(message.prefix(300)))"
        let lower = message.lowercased()
        let giveToken = "give a token with MODELSCOPE_API_TOKEN or --token"
        switch status == 200 ? code : status {
        case 401:
            return hasToken
                ? error(.unauthorized, "the hub does not take the token\(said)", "renew it, or leave it out")
                : error(.unauthorized, "the hub wants to know who asks\(said)", giveToken)
        case 403:
            return error(
                .gated, "access is given by its owner only\(said)",
                "ask for access on the repository's page"
                    + (hasToken ? ", and try again when it is granted" : "; then " + giveToken))
        case 404:
            return notFound(path, repository, said, status, hasToken ? "" : giveToken)
        case _ where lower.contains("not exist") || lower.contains("not found"):
            return notFound(path, repository, said, status, hasToken ? "" : giveToken)
        default:
            return error(
                .server, "the hub answered with status \(status), code \(code)\(said)", "try again later")
        }
    }

    private static func notFound(
        _ path: String, _ repository: HubRepository, _ said: String, _ status: Int, _ giveToken: String
    ) -> DownloadError {
        DownloadError(
            .repositoryNotFound, path: path,
            problem: "there is no such \(repository.kind.rawValue), or it is private\(said)",
            remedy: "check the name and --repo_type"
                + (giveToken.isEmpty ? "" : "; for a private one \(giveToken)"),
            status: status)
    }
}
