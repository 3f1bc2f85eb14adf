// The table of paths, for both protocols.

/// What an address asks for.
enum HubRoute: Equatable {
    // Hugging Face's.
    case list(RepositoryKind)
    case info(RepositoryName, revision: String?)
    case tree(RepositoryName, revision: String, path: String)
    case pathsInfo(RepositoryName, revision: String)
    case references(RepositoryName)
    case authCheck(RepositoryName)
    case whoAmI
    case resolve(RepositoryName, revision: String, path: String)
    // ModelScope's.
    case scopeInfo(RepositoryName)
    case scopeFiles(RepositoryName)
    case scopeRevisions(RepositoryName)
    case scopeDownload(RepositoryName)
    // Our own.
    case statistics, health

    /// - Parameter path: as sent. It is divided before it is decoded: a revision may hold escaped slashes.
    /// - Throws: 404.
    static func find(_ path: String) throws(HubError) -> HubRoute {
        let parts = path.split(separator: "/").map { PercentEncoding.decoded($0) }
        switch parts.prefix(3) {
        case ["-", "stats"]: return .statistics
        case ["-", "health"]: return .health
        case ["api", "whoami-v2"]: return .whoAmI
        case ["api", "v1", "models"], ["api", "v1", "datasets"]:
            if let kind = RepositoryKind(rawValue: parts[2]), let route = scope(kind, parts.dropFirst(3)) {
                return route
            }
        case let start where start.first == "api":
            if parts.count >= 2, let kind = RepositoryKind(rawValue: parts[1]) {
                if parts.count == 2 { return .list(kind) }
                if let route = hub(kind, Array(parts.dropFirst(2))) { return route }
            }
        case let start where start.first == "datasets":
            if let route = resolve(.datasets, Array(parts.dropFirst())) { return route }
        default:
            if let route = resolve(.models, parts) { return route }
        }
        throw .nothingAt(path)
    }

    private static let operations: Set = [
        "revision", "tree", "paths-info", "refs", "auth-check",
    ]

    /// A name has one part or two; the word behind tells which.
    private static func hub(_ kind: RepositoryKind, _ parts: [String]) -> HubRoute? {
        var nameCount = min(parts.count, 2)
        if parts.count == 2 && (parts[1] == "refs" || parts[1] == "auth-check") { nameCount = 1 }
        if parts.count > 2 && !operations.contains(parts[2]) { nameCount = 1 }
        guard let name = RepositoryName(kind, Array(parts[..<nameCount])) else { return nil }
        let rest = parts[nameCount...]
        let revision = rest.dropFirst().first
        switch (rest.first, rest.count) {
        case (nil, _): return .info(name, revision: nil)
        case ("refs", 1): return .references(name)
        case ("auth-check", 1): return .authCheck(name)
        case ("revision", 2): return .info(name, revision: revision)
        case ("paths-info", 2): return revision.map { .pathsInfo(name, revision: $0) }
        case ("tree", 2...):
            let path = rest.dropFirst(2).joined(separator: "/")
            return revision.map { .tree(name, revision: $0, path: path) }
        default: return nil
        }
    }

    private static func resolve(_ kind: RepositoryKind, _ parts: [String]) -> HubRoute? {
        for nameCount in [2, 1] where parts.count >= nameCount + 3 && parts[nameCount] == "resolve" {
            guard let name = RepositoryName(kind, Array(parts[..<nameCount])) else { return nil }
            return .resolve(
                name, revision: parts[nameCount + 1],
                path: parts[(nameCount + 2)...].joined(separator: "/"))
        }
        return nil
    }

    private static func scope(_ kind: RepositoryKind, _ parts: ArraySlice<String>) -> HubRoute? {
        guard parts.count >= 2, let name = RepositoryName(kind, Array(parts.prefix(2))) else { return nil }
        switch Array(parts.dropFirst(2)) {
        case []: return .scopeInfo(name)
        case ["repo"]: return .scopeDownload(name)
        case ["revisions"]: return .scopeRevisions(name)
        case ["repo", "files"], ["repo", "tree"]: return .scopeFiles(name)
        default: return nil
        }
    }

    var dialect: HubDialect {
        switch self {
        case .scopeInfo, .scopeFiles, .scopeRevisions, .scopeDownload: .modelScope
        default: .huggingFace
        }
    }
}

extension HubRoute {
    /// Whether the request may be a POST.
    var takesBody: Bool {
        if case .pathsInfo = self { return true }
        return false
    }
}
