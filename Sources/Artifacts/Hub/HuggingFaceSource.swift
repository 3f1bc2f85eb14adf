// A repository of Hugging Face's Hub, or of a server that speaks its protocol, as a source of files.

/// Lists a revision by two kinds of requests: one that pins it to a commit, and one for each thousand files.
package struct HuggingFaceSource: DownloadSource {
    package let repository: HubRepository
    package let revision: String
    private let order: EndpointOrder

    package var name: String { repository.id }

    /// - Parameter endpoints: tried in this order, for the listing and then for each file.
    package init(_ repository: HubRepository, revision: String, endpoints: [HubSettings.Endpoint]) {
        self.repository = repository
        self.revision = revision
        order = EndpointOrder(endpoints: endpoints)
    }

    package func listing(
        _ transport: any HubTransport, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> SourceListing {
        let (found, chosen) = try order.first { endpoint, retries in
            let asked = Asking(
                endpoint: endpoint, repository: repository, retries: retries, transport: transport,
                isCancelled: isCancelled)
            let info = try asked.info(revision)
            var renamed = asked
            if let id = info.id { renamed.repository.id = id }
            return (info: info, entries: try renamed.entries(commit: info.commit), asked: renamed)
        }
        let commit = found.info.commit
        let files = try found.entries.map { entry in
            var file = SourceFile(
                RemoteFile(
                    name: entry.path,
                    addresses: addresses(entry.path, commit: commit, chosen, found.asked.repository),
                    sizeBytes: entry.sizeBytes,
                    digest: entry.sha256.map { .sha256($0) }
                        ?? entry.gitObjectID.map { .gitBlobSHA1($0) }),
                gitObjectID: entry.gitObjectID)
            if file.remote.digest == nil { try found.asked.complete(&file, commit: commit) }
            return file
        }
        return SourceListing(commit: commit, files: files)
    }

    /// The endpoint that knew the repository comes first, by the name that it has there now.
    private func addresses(
        _ path: String, commit: String, _ chosen: HubSettings.Endpoint, _ renamed: HubRepository
    ) -> [RemoteAddress] {
        ([chosen] + order.endpoints.filter { $0 != chosen }).map { endpoint in
            RemoteAddress(
                url: HuggingFaceProtocol.fileURL(
                    endpoint.url, endpoint == chosen ? renamed : repository, revision: commit, path: path),
                headers: HuggingFaceProtocol.headers(token: endpoint.token))
        }
    }
}

/// The questions to one server.
private struct Asking {
    let endpoint: HubSettings.Endpoint
    var repository: HubRepository
    let retries: Int?
    let transport: any HubTransport
    let isCancelled: @Sendable () -> Bool

    private func request(_ url: String) -> HubRequest {
        HubRequest(
            url: url,
            headers: HuggingFaceProtocol.headers(token: endpoint.token) + ["Accept: application/json"],
            retries: retries)
    }

    private func failure(_ reply: HubReply, path: String) -> DownloadError {
        HuggingFaceProtocol.failure(
            reply, path: path, endpoint: endpoint.url, repository: repository,
            hasToken: endpoint.token != nil)
    }

    /// A revision that is a commit already needs no question: the listing tells whether it is there.
    func info(_ revision: String) throws -> HuggingFaceProtocol.Info {
        if HubPath.isCommit(revision) {
            return HuggingFaceProtocol.Info(commit: revision, id: nil, isDisabled: false)
        }
        let path = "\(repository.id)@\(revision)"
        let request = request(
            HuggingFaceProtocol.infoURL(endpoint.url, repository, revision: revision))
        let (json, _) = try transport.json(request, isCancelled: isCancelled) { failure($0, path: path) }
        guard let info = HuggingFaceProtocol.info(json) else { throw strange(request.url) }
        guard !info.isDisabled else {
            throw DownloadError(
                .forbidden, path: path, problem: "the hub has disabled this repository",
                remedy: "use another one")
        }
        return info
    }

    func entries(commit: String) throws -> [HuggingFaceProtocol.Entry] {
        let first = HuggingFaceProtocol.treeURL(endpoint.url, repository, commit: commit)
        let place = first.prefix { $0 != "?" }
        var url = first
        var entries: [HuggingFaceProtocol.Entry] = []
        for _ in 0..<HuggingFaceProtocol.maximumPages {
            let (json, reply) = try transport.json(request(url), isCancelled: isCancelled) {
                failure($0, path: "\(repository.id)@\(commit)")
            }
            guard let page = HuggingFaceProtocol.entries(json) else { throw strange(url) }
            entries += page
            guard entries.count <= HuggingFaceProtocol.maximumFiles else { break }
            guard let query = HuggingFaceProtocol.nextQuery(link: reply.headers["Link"]) else {
                return entries
            }
            url = "\(place)?\(query)"
        }
        throw DownloadError(
            .server, path: url, problem: "the listing does not end",
            remedy: "the server is broken: ask another endpoint with HF_ENDPOINT")
    }

    /// Asks for the digest of a file that the listing tells none of.
    func complete(_ file: inout SourceFile, commit: String) throws {
        let request = HubRequest(
            "HEAD",
            url: HuggingFaceProtocol.fileURL(
                endpoint.url, repository, revision: commit, path: file.path),
            headers: HuggingFaceProtocol.headers(token: endpoint.token) + ["Accept-Encoding: identity"],
            redirects: .relativeOnly, retries: retries)
        let reply = try transport.exchange(request, isCancelled: isCancelled)
        guard (200..<400).contains(reply.status) else {
            throw failure(reply, path: "\(repository.id)/\(file.path)")
        }
        let resolved = HuggingFaceProtocol.resolved(reply)
        file.remote.digest = resolved.digest
        file.remote.etag = resolved.etag
        file.remote.sizeBytes = file.remote.sizeBytes ?? resolved.sizeBytes
        guard file.tag != nil else {
            throw DownloadError(
                .server, path: "\(repository.id)/\(file.path)",
                problem: "the server tells neither digest nor ETag of it",
                remedy: "use an endpoint that speaks the Hub's protocol, or give the file's own address")
        }
    }

    private func strange(_ url: String) -> DownloadError {
        DownloadError(
            .server, path: url, problem: "answered what a hub does not",
            remedy: "check that HF_ENDPOINT or --endpoint is a server of the Hub's protocol")
    }
}
