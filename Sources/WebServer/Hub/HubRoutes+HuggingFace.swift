// Descriptions in Hugging Face's words: lists, repositories, trees, branches.
import Glibc
import Text

extension HubRoutes {
    // MARK: Lists

    func list(_ kind: RepositoryKind, _ call: HTTPCall, _ query: URLQuery) async throws -> HTTPReply {
        let search = query["search"]?.lowercased()
        let author = query["author"]
        let names = try await library.repositories(kind).filter { name in
            (search.map { name.id.lowercased().contains($0) } ?? true)
                && (author.map { name.owner == $0 } ?? true)
        }
        let start = query["cursor"].map { cursor in names.count { !cursor.precedesBytewise($0.id) } } ?? 0
        let page = names[start...].prefix(pageSize(query))
        let isLast = page.endIndex == names.count
        let next = isLast ? [] : link(call, query, cursor: page.last?.id ?? "")
        return Self.json(.array(page.map { .object(Self.summary($0)) }), headers: next)
    }

    private func pageSize(_ query: URLQuery) -> Int {
        let limit = query["limit"].flatMap { Int($0) } ?? settings.pageSize
        return max(1, min(limit, settings.pageSize))
    }

    private func link(
        _ call: HTTPCall, _ query: URLQuery, cursor: String
    ) -> [(name: String, value: String)] {
        let address = "\(origin(of: call))\(call.path)?\(query.text(replacing: "cursor", with: cursor))"
        return [("Link", "<\(address)>; rel=\"next\"")]
    }

    private static func summary(_ name: RepositoryName) -> [OrderedJSON.Member] {
        var members: [OrderedJSON.Member] = [.init("_id", .string(identifier(name)))]
        members.append(.init("id", .string(name.id)))
        if name.kind == .models { members.append(.init("modelId", .string(name.id))) }
        if let owner = name.owner { members.append(.init("author", .string(owner))) }
        return members + [
            .init("private", .bool(false)), .init("gated", .bool(false)), .init("disabled", .bool(false)),
            .init("downloads", .int(0)), .init("likes", .int(0)), .init("tags", .array([])),
        ]
    }

    /// 24 hexadecimal digits, always the same for a name.
    private static func identifier(_ name: RepositoryName) -> String {
        String(GitObjects.blobID(Array("\(name.kind.rawValue)/\(name.id)".utf8)).prefix(24))
    }

    // MARK: One repository

    func info(_ name: RepositoryName, _ revision: String?, _ query: URLQuery) async throws -> HTTPReply {
        let snapshot = try await library.snapshot(of: name, revision: revision ?? "main", .now)
        let withBlobs = query.flag("blobs")
        let siblings = snapshot.files.map { file -> OrderedJSON in
            var members: [OrderedJSON.Member] = [.init("rfilename", .string(file.path))]
            if withBlobs {
                members.append(.init("size", .int(file.sizeBytes)))
                members.append(.init("blobId", .string(file.blobID)))
                if let pointerBytes = file.pointerBytes {
                    members.append(.init("lfs", Self.largeFile("sha256", file, pointerBytes)))
                }
            }
            return .object(members)
        }
        let moment = Self.date(snapshot.modified)
        var members = Self.summary(name)
        members += [
            .init("sha", .string(snapshot.commit)), .init("lastModified", .string(moment)),
            .init("createdAt", .string(moment)), .init("usedStorage", .int(snapshot.totalBytes)),
        ]
        if name.kind == .models, let config = try await modelConfiguration(snapshot) {
            members.append(.init("config", config))
        }
        members.append(.init("siblings", .array(siblings)))
        return Self.json(.object(members))
    }

    /// What the Hub tells of a model's `config.json`.
    private func modelConfiguration(_ snapshot: RepositorySnapshot) async throws -> OrderedJSON? {
        guard let file = snapshot.file("config.json"), file.sizeBytes <= 1 << 20 else { return nil }
        let descriptor = open(file.realPath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: file.sizeBytes)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        let value = try? OrderedJSON(parsingUTF8: Array(bytes.prefix(max(0, count))))
        guard let members = value?.objectValue else { return nil }
        return .object(members.filter { ["architectures", "model_type"].contains($0.key) })
    }

    private static func largeFile(
        _ digestKey: String, _ file: HubFile, _ pointerBytes: Int
    ) -> OrderedJSON {
        .object([
            .init(digestKey, .string(file.sha256)), .init("size", .int(file.sizeBytes)),
            .init("pointerSize", .int(pointerBytes)),
        ])
    }

    /// With milliseconds, as the Hub writes it.
    static func date(_ moment: Timestamp) -> String { moment.rfc3339.dropLast() + ".000Z" }

    // MARK: Files

    func tree(
        _ name: RepositoryName, _ revision: String, _ path: String, _ call: HTTPCall, _ query: URLQuery
    ) async throws -> HTTPReply {
        let cursor = query["cursor"]
        // Pages behind the first are of the same look, if nothing newer was seen.
        let snapshot = try await library.snapshot(
            of: name, revision: revision, cursor == nil ? .now : .recent)
        guard let entries = snapshot.entries(in: path, recursive: query.flag("recursive")) else {
            throw HubError.entryNotFound(path, in: name)
        }
        let start = cursor.map { cursor in entries.count { !cursor.precedesBytewise($0.path) } } ?? 0
        let page = entries[start...].prefix(pageSize(query))
        let isLast = page.endIndex == entries.count
        let next = isLast ? [] : link(call, query, cursor: page.last?.path ?? "")
        let isExpanded = query.flag("expand")
        let values = page.map { Self.json($0, in: snapshot, isExpanded: isExpanded) }
        return Self.json(.array(values), headers: next + [("X-Repo-Commit", snapshot.commit)])
    }

    private static func json(
        _ entry: RepositorySnapshot.Entry, in snapshot: RepositorySnapshot, isExpanded: Bool
    ) -> OrderedJSON {
        var members: [OrderedJSON.Member]
        switch entry.content {
        case .directory(let id):
            members = [
                .init("type", .string("directory")), .init("oid", .string(id)), .init("size", .int(0)),
                .init("path", .string(entry.path)),
            ]
        case .file(let file):
            members = [
                .init("type", .string("file")), .init("oid", .string(file.blobID)),
                .init("size", .int(file.sizeBytes)), .init("path", .string(entry.path)),
            ]
            if let pointerBytes = file.pointerBytes {
                members.append(.init("lfs", largeFile("oid", file, pointerBytes)))
            }
        }
        if isExpanded {
            members.append(
                .init(
                    "lastCommit",
                    .object([
                        .init("id", .string(snapshot.commit)), .init("title", .string("as served")),
                        .init("date", .string(date(snapshot.modified))),
                    ])))
        }
        return .object(members)
    }

    func pathsInfo(_ name: RepositoryName, _ revision: String, _ call: HTTPCall) async throws -> HTTPReply {
        let body = try await call.readBody(settings.maxRequestBytes)
        var paths: [String]
        var isExpanded = false
        if call.headers["content-type"]?.hasPrefix("application/json") ?? false {
            guard let json = try? OrderedJSON(parsingUTF8: body) else {
                throw HubError.badRequest("the body is not JSON")
            }
            var fields = try FieldReader(json)
            paths = try fields.strings("paths", limit: 100_000) ?? []
            isExpanded = try fields.bool("expand") ?? false
        } else {
            let form = URLQuery(String(decoding: body, as: UTF8.self))
            paths = form.values("paths")
            isExpanded = form.flag("expand")
        }
        let snapshot = try await library.snapshot(of: name, revision: revision, .now)
        // Paths that are not there are left out, as on the Hub.
        let entries = paths.compactMap { snapshot.entry($0) }
        return Self.json(.array(entries.map { Self.json($0, in: snapshot, isExpanded: isExpanded) }))
    }

    // MARK: Branches and persons

    func references(_ name: RepositoryName) async throws -> HTTPReply {
        let branches = try await library.references(of: name).map { branch -> OrderedJSON in
            .object([
                .init("name", .string(branch.name)), .init("ref", .string("refs/heads/\(branch.name)")),
                .init("targetCommit", .string(branch.commit)),
            ])
        }
        return Self.json(
            .object([
                .init("branches", .array(branches)), .init("converts", .array([])),
                .init("tags", .array([])), .init("pullRequests", .array([])),
            ]))
    }

    func whoAmI(hasToken: Bool) throws(HubError) -> HTTPReply {
        guard hasToken else { throw .unauthorized(hasToken: false) }
        return Self.json(
            .object([
                .init("type", .string("user")), .init("id", .string("reader")),
                .init("name", .string("reader")), .init("fullname", .string("Reader of this hub")),
                .init("orgs", .array([])),
                .init(
                    "auth",
                    .object([
                        .init("type", .string("access_token")),
                        .init(
                            "accessToken",
                            .object([
                                .init("displayName", .string("hub")), .init("role", .string("read")),
                            ])),
                    ])),
            ]))
    }
}
