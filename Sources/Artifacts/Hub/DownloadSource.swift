// Where a snapshot comes from: a hub's repository, a bucket, a directory or one address.

import Text

/// A place whose files can be listed and fetched. Whoever adds one (a bucket of objects, say) needs no more.
package protocol DownloadSource: Sendable {
    /// As messages show it: `Qwen/Qwen2.5-0.5B`, `s3://bucket/prefix`.
    var name: String { get }
    /// All files of the revision, as they are now. Blocks.
    /// - Throws: `DownloadError`
    func listing(_ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool) throws
        -> SourceListing
}

/// A file of a source.
package struct SourceFile: Sendable {
    /// Its name is the path in the source, with `/`.
    package var remote: RemoteFile
    /// Git's name of the file, or of the pointer that stands for a large one; nil where there is no git.
    package var gitObjectID: String?

    package var path: String { remote.name }

    package init(_ remote: RemoteFile, gitObjectID: String? = nil) {
        self.remote = remote
        self.gitObjectID = gitObjectID
    }

    /// What names the content: the digest, else the server's tag.
    package var tag: String? { remote.digest?.text ?? remote.etag }
}

/// What a source held when it was asked.
package struct SourceListing: Sendable {
    /// The commit that the revision stands for, or the revision where a source has no commits.
    package var commit: String
    package var files: [SourceFile]

    package init(commit: String, files: [SourceFile]) {
        self.commit = commit
        self.files = files
    }
}

/// What sources and snapshots need of the network.
package protocol HubTransport: Sendable {
    func fetch(
        _ jobs: [DownloadJob], progress: @escaping @Sendable (DownloadProgress) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws -> [DownloadedFile]

    func exchange(_ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool) throws -> HubReply
}

extension Downloader: HubTransport {}

extension HubTransport {
    /// The answer as JSON.
    /// - Parameter failure: makes the error of an answer that is not 2xx.
    func json(
        _ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool,
        failure: (HubReply) -> DownloadError
    ) throws -> (JSONValue, HubReply) {
        let reply = try exchange(request, isCancelled: isCancelled)
        guard (200..<300).contains(reply.status) else { throw failure(reply) }
        do {
            return (try JSONValue(parsingUTF8: reply.body), reply)
        } catch {
            throw DownloadError(
                .server, path: request.url, problem: "answered with what is no JSON (\(error))",
                remedy: "check that the address is a hub's and that no proxy answers in its place",
                status: reply.status)
        }
    }
}
