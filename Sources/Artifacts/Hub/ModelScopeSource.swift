// A repository of ModelScope, or of a server that speaks its protocol, as a source of files.

import Text

package struct ModelScopeSource: DownloadSource {
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
        guard repository.kind != .space else {
            throw DownloadError(
                .badRequest, path: repository.id, problem: "spaces of ModelScope cannot be downloaded",
                remedy: "download a model or a dataset")
        }
        let (entries, chosen) = try order.first { endpoint, retries in
            try self.entries(endpoint, retries, transport, isCancelled)
        }
        let endpoints = [chosen] + order.endpoints.filter { $0 != chosen }
        // One identifier a snapshot: the service counts downloads by it.
        let snapshot = (0..<4).map { _ in
            let digits = String(UInt32.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
        let files = entries.map { entry in
            SourceFile(
                RemoteFile(
                    name: entry.path,
                    addresses: endpoints.map { endpoint in
                        RemoteAddress(
                            url: ModelScopeProtocol.fileURL(
                                endpoint.url, repository, revision: revision, path: entry.path),
                            headers: ModelScopeProtocol.headers(token: endpoint.token)
                                + ["snapshot-identifier: \(snapshot)"])
                    },
                    sizeBytes: entry.sizeBytes, digest: entry.sha256.map { .sha256($0) }))
        }
        let commit = HubPath.isCommit(revision) ? revision : ModelScopeProtocol.commit(of: entries)
        return SourceListing(commit: commit ?? revision, files: files)
    }

    private func entries(
        _ endpoint: HubSettings.Endpoint, _ retries: Int?, _ transport: any HubTransport,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> [ModelScopeProtocol.Entry] {
        var entries: [ModelScopeProtocol.Entry] = []
        for page in 1...ModelScopeProtocol.maximumPages {
            let url = ModelScopeProtocol.listURL(endpoint.url, repository, revision: revision, page: page)
            let data: JSONValue
            do {
                data = try self.data(url, endpoint, retries, transport, isCancelled)
            } catch let error as DownloadError where error.kind == .repositoryNotFound && page == 1 {
                throw notFound(error, endpoint, transport, isCancelled)
            }
            guard let (files, count) = ModelScopeProtocol.entries(data) else { throw strange(url) }
            entries += files
            if repository.kind != .dataset || count < ModelScopeProtocol.pageSize { return entries }
        }
        throw DownloadError(
            .server, path: repository.id, problem: "the listing does not end",
            remedy: "the server is broken: ask another with --endpoint")
    }

    /// What the envelope of an answer holds.
    private func data(
        _ url: String, _ endpoint: HubSettings.Endpoint, _ retries: Int?, _ transport: any HubTransport,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> JSONValue {
        let path = "\(repository.id)@\(revision)"
        func failure(_ status: Int, _ code: Int, _ message: String) -> DownloadError {
            ModelScopeProtocol.failure(
                status: status, code: code, message: message, path: path, repository: repository,
                hasToken: endpoint.token != nil)
        }
        let request = HubRequest(
            url: url,
            headers: ModelScopeProtocol.headers(token: endpoint.token) + ["Accept: application/json"],
            retries: retries)
        let (json, reply) = try transport.json(request, isCancelled: isCancelled) { reply in
            let json = try? JSONValue(parsingUTF8: reply.body)
            guard case .failure(let code, let message)? = json.flatMap(ModelScopeProtocol.envelope) else {
                return failure(reply.status, 0, "")
            }
            return failure(reply.status, code, message)
        }
        switch ModelScopeProtocol.envelope(json) {
        case .data(let data): return data
        case .failure(let code, let message): throw failure(reply.status, code, message)
        case nil: throw strange(url)
        }
    }

    /// The service tells a missing revision and a missing repository alike; a repository that is there has a
    /// list of its revisions.
    private func notFound(
        _ error: DownloadError, _ endpoint: HubSettings.Endpoint, _ transport: any HubTransport,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) -> DownloadError {
        let url = ModelScopeProtocol.revisionsURL(endpoint.url, repository)
        guard let data = try? self.data(url, endpoint, 0, transport, isCancelled) else { return error }
        let names = ModelScopeProtocol.revisions(data)
        guard !names.isEmpty, !names.contains(revision) else { return error }
        return DownloadError(
            .revisionNotFound, path: "\(repository.id)@\(revision)",
            problem: "the repository has no such revision",
            remedy: "its revisions are \(names.prefix(10).joined(separator: ", "))", status: error.status)
    }

    private func strange(_ url: String) -> DownloadError {
        DownloadError(
            .server, path: url, problem: "answered what ModelScope does not",
            remedy: "check that MODELSCOPE_ENDPOINT or --endpoint is a server of its protocol")
    }
}
