// Why a download failed: what went wrong, where, and what the reader can do about it.

import Glibc

/// A failure that trying again now would not mend.
package struct DownloadError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The repository exists, but its owner must grant access first.
        case gated
        /// The repository does not exist, or the token may not see it.
        case repositoryNotFound
        case revisionNotFound
        /// The file or address does not exist.
        case notFound
        /// No token, or one that the server does not take.
        case unauthorized
        case forbidden
        /// The server asked to come later; see `retryAfter`.
        case rateLimited
        /// The server failed, or answered with what cannot be.
        case server
        /// No connection, or none that lasted.
        case network
        /// The content is not what its digest, size or ETag says.
        case corrupt
        case noSpace
        /// A file or directory of ours cannot be written or read.
        case disk
        /// The network may not be used.
        case offline
        case cancelled
        /// The request or the address is wrong.
        case badRequest
    }

    package var kind: Kind
    /// The file as messages show it, or the address.
    package var path: String
    package var problem: String
    /// What the reader can do, empty where there is nothing to say.
    package var remedy: String
    /// How long the server asked to wait.
    package var retryAfter: Duration?
    /// Status of the answer, nil when there was none.
    package var status: Int?

    package init(
        _ kind: Kind, path: String, problem: String, remedy: String = "", retryAfter: Duration? = nil,
        status: Int? = nil
    ) {
        self.kind = kind
        self.path = path
        self.problem = problem
        self.remedy = remedy
        self.retryAfter = retryAfter
        self.status = status
    }

    package var description: String {
        var text = path.isEmpty ? problem : "\(path): \(problem)"
        if !remedy.isEmpty { text += "; \(remedy)" }
        return text
    }
}

extension DownloadError {
    static let cancelled = DownloadError(
        .cancelled, path: "", problem: "the download was cancelled",
        remedy: "run it again to go on where it stopped")

    /// What an answer's status and the hub's error headers mean; nil below 400.
    /// - Parameter path: what the error names.
    package init?(status: Int, headers: ReplyHeaders, path: String) {
        guard status >= 400 else { return nil }
        let (kind, remedy) = Self.meaning(status: status, code: headers["x-error-code"] ?? "")
        var problem = "the server answered with status \(status)"
        // A server's own words, but not a page of them.
        let words = [headers["x-error-code"], headers["x-error-message"]].compactMap { $0 }
        if !words.isEmpty { problem += " (\(words.joined(separator: ": ").prefix(500)))" }
        self.init(kind, path: path, problem: problem, remedy: remedy, status: status)
        if words.contains(where: { $0.hasPrefix("Access to this resource is disabled") }) {
            self.kind = .forbidden
            self.remedy = "its owner or the hub has disabled it; choose another repository"
        }
    }

    private static func meaning(status: Int, code: String) -> (Kind, remedy: String) {
        switch code {
        case "GatedRepo":
            return (.gated, "ask for access on the repository's page, and set the token of that account")
        case "RepoNotFound":
            return (.repositoryNotFound, "check the repository's name, and set a token if it is private")
        case "RevisionNotFound":
            return (.revisionNotFound, "check the name of the branch, tag or commit")
        case "EntryNotFound":
            return (.notFound, "check the file's name and the revision")
        default: break
        }
        switch status {
        case 401:
            return (
                .unauthorized,
                "set a token that may read it, and check the name: hubs say the same of missing ones"
            )
        case 403: return (.forbidden, "check that the account of the token may read it")
        case 404, 410: return (.notFound, "check the address")
        case 407: return (.forbidden, "give the proxy's name and password in its address")
        case 429: return (.rateLimited, "try again later, with a token or with fewer connections")
        case 451: return (.forbidden, "")
        case 408, 500...: return (.server, "try again later or give another mirror")
        default: return (.badRequest, "check the address")
        }
    }

    /// A failed system call on one of our files.
    init(errno number: Int32, path: String, while action: String, neededBytes: Int? = nil) {
        let error = ArtifactError(errno: number, path: path, while: action)
        self.init(.disk, path: path, problem: error.problem, remedy: error.remedy)
        if number == ENOSPC || number == EDQUOT {
            let needed = neededBytes.map { "; \(Self.amount($0)) more are needed" } ?? ""
            self.init(.noSpace, path: path, problem: error.problem + needed, remedy: Self.spaceRemedy)
        }
    }

    init(neededBytes: Int, availableBytes: Int, path: String) {
        self.init(
            .noSpace, path: path,
            problem: "\(Self.amount(availableBytes)) are left on the disk, "
                + "but \(Self.amount(neededBytes)) are needed",
            remedy: Self.spaceRemedy)
    }

    private static let spaceRemedy =
        "free space there, or choose a folder on another disk; what was fetched is kept and used next time"

    /// Small amounts exactly, so that a limit can be compared; large ones so that they can be read.
    private static func amount(_ bytes: Int) -> String {
        bytes < 10 << 20 ? "\(bytes) bytes" : "\(bytes >> 20) MiB"
    }
}
