// Descriptions in ModelScope's words: files, revisions, repositories, all in its envelope.
import Text

extension HubRoutes {
    private static let pageLimit = 10_000

    private func success(_ members: [OrderedJSON.Member], _ requestID: String) -> HTTPReply {
        Self.json(ModelScopeEnvelope.success(.object(members), requestID: requestID))
    }

    func scopeInfo(_ name: RepositoryName, _ query: URLQuery, _ requestID: String) async throws -> HTTPReply {
        let snapshot = try await library.snapshot(of: name, revision: query["Revision"] ?? "master", .now)
        return success(
            [
                .init("Name", .string(name.lastPart)), .init("Path", .string(name.owner ?? "")),
                .init("Id", .string(name.id)), .init("Revision", .string(snapshot.commit)),
                .init("StorageSize", .int(snapshot.totalBytes)), .init("Visibility", .int(5)),
                .init("LastUpdatedTime", .int(snapshot.modified.seconds)),
            ], requestID)
    }

    /// All files of a model, or a page of a data set's.
    func scopeFiles(
        _ name: RepositoryName, _ query: URLQuery, _ requestID: String
    ) async throws -> HTTPReply {
        let revision = query["Revision"] ?? "master"
        let snapshot = try await library.snapshot(of: name, revision: revision, .now)
        let root = (query["Root"] ?? "").split(separator: "/").joined(separator: "/")
        guard let entries = snapshot.entries(in: root, recursive: query.flag("Recursive")) else {
            throw HubError.entryNotFound(root, in: name)
        }
        var page = entries[...]
        // Clients ask page by page until one is short, so a page has what they asked for.
        if name.kind == .datasets || query["PageNumber"] != nil {
            let size = try number(query, "PageSize", 1...Self.pageLimit) ?? 100
            let number = try number(query, "PageNumber", 1...1_000_000) ?? 1
            page = entries.dropFirst((number - 1) * size).prefix(size)
        }
        return success(
            [
                .init("Files", .array(page.map { Self.json($0, in: snapshot) })),
                .init("TotalCount", .int(entries.count)),
                .init("Revision", .string(snapshot.commit)),
            ], requestID)
    }

    private func number(_ query: URLQuery, _ key: String, _ range: ClosedRange<Int>) throws(HubError) -> Int?
    {
        guard let text = query[key] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .badRequest("\(key) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func json(
        _ entry: RepositorySnapshot.Entry, in snapshot: RepositorySnapshot
    ) -> OrderedJSON {
        var members: [OrderedJSON.Member] = [
            .init("Name", .string(entry.name)), .init("Path", .string(entry.path)),
            .init("Revision", .string(snapshot.commit)),
            .init("CommittedDate", .int(snapshot.modified.seconds)),
        ]
        switch entry.content {
        case .directory:
            members += [
                .init("Type", .string("tree")), .init("Mode", .string("16384")), .init("Size", .int(0)),
                .init("Sha256", .string("")), .init("IsLFS", .bool(false)),
            ]
        case .file(let file):
            members += [
                .init("Type", .string("blob")), .init("Mode", .string("33188")),
                .init("Size", .int(file.sizeBytes)), .init("Sha256", .string(file.sha256)),
                .init("IsLFS", .bool(file.isLarge)), .init("InCheck", .bool(false)),
            ]
        }
        return .object(members)
    }

    func scopeRevisions(_ name: RepositoryName, _ requestID: String) async throws -> HTTPReply {
        let branches = try await library.references(of: name).map { branch -> OrderedJSON in
            .object([
                .init("Revision", .string(branch.name == "main" ? "master" : branch.name)),
                .init("CommitId", .string(branch.commit)),
            ])
        }
        let map: [OrderedJSON.Member] = [.init("Branches", .array(branches)), .init("Tags", .array([]))]
        return success([.init("RevisionMap", .object(map))], requestID)
    }
}
