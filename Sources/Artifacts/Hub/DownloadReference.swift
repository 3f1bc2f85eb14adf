// What the user wants fetched, as it is written on a command line or in a manifest.

/// A place that can be downloaded from.
package enum DownloadReference: Sendable, Hashable {
    /// `path` is one file or directory of it.
    case repository(HubRepository, revision: String?, path: String?)
    case file(url: String)
    /// `s3://bucket/prefix`
    case objects(url: String)
    case directory(path: String)

    package struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
        package var description: String
    }

    /// Reads `owner/name`, `owner/name@revision`, `hf://[datasets/]owner/name[@revision][/path]`, `ms://...`
    /// likewise, addresses of repositories and of files, `s3://bucket/prefix`, `file:///directory`, and paths
    /// that begin with `/`, `./`, `../` or `~/`.
    ///
    /// - Parameters:
    ///   - hub: where bare names are looked for.
    ///   - kind: what bare names are; nil for a model, or what the reference itself says.
    ///   - settings: tell which addresses are a hub's.
    package init(
        _ text: String, hub: HubRepository.Hub = .huggingFace, kind: HubRepository.Kind? = nil,
        settings: HubSettings? = nil
    ) throws(Failure) {
        guard !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw Failure(description: "what to download is empty or has control characters")
        }
        func repository(_ rest: some StringProtocol, _ hub: HubRepository.Hub) throws(Failure) -> Self {
            try Self.repository(String(rest), hub: hub, kind: kind, whole: text)
        }
        if ["/", "./", "../", "~/"].contains(where: text.hasPrefix) || text == "." || text == ".." {
            self = .directory(path: text)
        } else if text.hasPrefix("file://") {
            guard let path = HubPath.unquoted(text.dropFirst(7)), path.hasPrefix("/") else {
                throw Failure(description: "\(text): write file:///DIR with the whole path")
            }
            self = .directory(path: path)
        } else if text.hasPrefix("s3://") {
            self = .objects(url: text)
        } else if text.hasPrefix("hf://") {
            self = try repository(text.dropFirst(5), .huggingFace)
        } else if text.hasPrefix("ms://") {
            self = try repository(text.dropFirst(5), .modelScope)
        } else if text.hasPrefix("modelscope://") {
            self = try repository(text.dropFirst(13), .modelScope)
        } else if text.hasPrefix("http://") || text.hasPrefix("https://") {
            self = try Self.page(text, settings, kind) ?? .file(url: text)
        } else if let end = text.firstIndex(of: ":"), text[end...].hasPrefix("://") {
            throw Failure(
                description:
                    "\(text): \(text[..<end]) is not known; use hf://, ms://, https://, s3:// or file://")
        } else {
            self = try repository(text, hub)
        }
    }

    /// - Parameter text: `[datasets/]owner/name[@revision][/path]`, or one name alone.
    private static func repository(
        _ text: String, hub: HubRepository.Hub, kind: HubRepository.Kind?, whole: String
    ) throws(Failure) -> Self {
        var parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.last == "" { parts.removeLast() }
        var kind = kind
        if parts.count > 1, let named = HubRepository.Kind.allCases.first(where: { $0.plural == parts[0] }) {
            if let kind, kind != named {
                throw Failure(description: "\(whole): this is a \(named.rawValue), not a \(kind.rawValue)")
            }
            kind = named
            parts.removeFirst()
        }
        // A revision may have slashes, so all behind the sign is the revision where no path can follow.
        var revision: String?
        if let index = parts.prefix(2).firstIndex(where: { $0.contains("@") }) {
            let pieces = parts[index].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
            let isReference = pieces[1] == "refs" && parts.count >= index + 3
            let end = isReference ? index + 3 : index + 1
            revision = ([String(pieces[1])] + parts[(index + 1)..<end]).joined(separator: "/")
            parts = parts[..<index] + [String(pieces[0])] + parts[end...]
            if !whole.contains("://"), parts.count > index + 1 {
                revision = ([revision ?? ""] + parts[(index + 1)...]).joined(separator: "/")
                parts = Array(parts[...index])
            }
        }
        let id = parts.prefix(2).joined(separator: "/")
        let path = parts.dropFirst(2).joined(separator: "/")
        if let problem = HubRepository.problem(ofID: id, hub: hub) {
            throw Failure(
                description:
                    "\(whole): \(problem); write owner/name, or ./DIR for a directory of this machine")
        }
        if let revision, !HubPath.isRevision(revision) {
            throw Failure(description: "\(whole): \"\(revision)\" cannot be a revision")
        }
        if !path.isEmpty {
            guard whole.contains("://") else {
                throw Failure(
                    description:
                        "\(whole): a repository is named owner/name; for a directory of this machine "
                        + "write ./\(whole), for a file of the repository --include")
            }
            if let problem = HubPath.problem(of: path) {
                throw Failure(description: "\(whole): the path \(problem)")
            }
        }
        return .repository(
            HubRepository(hub: hub, kind: kind ?? .model, id: id), revision: revision,
            path: path.isEmpty ? nil : path)
    }

    // MARK: Addresses

    /// A hub's page of a repository or of a file in it; nil for an address of another kind.
    private static func page(
        _ url: String, _ settings: HubSettings?, _ kind: HubRepository.Kind?
    ) throws(Failure) -> Self? {
        let known: [(HubRepository.Hub, [String])] = [
            (
                .huggingFace,
                [HubSettings.defaultHuggingFaceEndpoint, "https://hf.co"]
                    + (settings?.huggingFace.map(\.url) ?? [])
            ),
            (
                .modelScope,
                [
                    HubSettings.defaultModelScopeEndpoint, "https://modelscope.cn",
                    "https://www.modelscope.ai",
                ] + (settings?.modelScope.map(\.url) ?? [])
            ),
        ]
        for (hub, endpoints) in known {
            guard let endpoint = endpoints.first(where: { url.hasPrefix($0 + "/") }) else { continue }
            let path = url.dropFirst(endpoint.count + 1).prefix { $0 != "?" && $0 != "#" }
            var parts: [String] = []
            for part in path.split(separator: "/") {
                guard let text = HubPath.unquoted(part) else { return nil }
                parts.append(text)
            }
            return try page(parts, hub, kind, url)
        }
        return nil
    }

    private static func page(
        _ parts: [String], _ hub: HubRepository.Hub, _ kind: HubRepository.Kind?, _ url: String
    ) throws(Failure) -> Self? {
        var parts = parts[...]
        var kind = kind
        if let named = HubRepository.Kind.allCases.first(where: { $0.plural == parts.first }) {
            kind = named
            parts = parts.dropFirst()
        }
        let words = ["tree", "blob", "resolve", "files", "summary"]
        let names = parts.prefix(2).prefix { !words.contains($0) }
        let rest = Array(parts.dropFirst(names.count))
        let id = names.joined(separator: "/")
        guard HubRepository.problem(ofID: id, hub: hub) == nil else { return nil }
        let repository = HubRepository(hub: hub, kind: kind ?? .model, id: id)
        guard let word = rest.first, words.contains(word) else {
            return rest.isEmpty ? .repository(repository, revision: nil, path: nil) : nil
        }
        guard rest.count > 1, hub == .huggingFace else {
            return .repository(repository, revision: nil, path: nil)
        }
        let isReference = rest[1] == "refs" && rest.count >= 4
        let revision = isReference ? rest[1...3].joined(separator: "/") : rest[1]
        let path = rest.dropFirst(isReference ? 4 : 2).joined(separator: "/")
        guard HubPath.isRevision(revision), path.isEmpty || HubPath.problem(of: path) == nil else {
            throw Failure(description: "\(url): revision or path cannot be read")
        }
        return .repository(repository, revision: revision, path: path.isEmpty ? nil : path)
    }
}
