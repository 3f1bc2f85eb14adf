// The `fields` of a request: which members of an answer the client wants, as Argo's server has them.

import Text

/// A list of paths such as `items.metadata.name,items.status.phase`; with a minus in front, of those to leave out.
/// Lists are passed through: the paths go on inside their elements.
struct FieldMask: Sendable, Hashable {
    /// Longer texts are cut: no client needs more, and each member of an answer is compared with each path.
    static let pathLimit = 200

    private var paths: [[String]]
    private var excludes: Bool

    init(_ text: String?) {
        var rest = (text ?? "")[...]
        excludes = rest.hasPrefix("-")
        if excludes { rest = rest.dropFirst() }
        paths = rest.split(separator: ",").prefix(Self.pathLimit).map { part in
            (part.hasPrefix("-") ? part.dropFirst() : part).split(separator: ".").map(String.init)
        }
        .filter { !$0.isEmpty }
    }

    /// Whether everything is wanted.
    var isAll: Bool { paths.isEmpty }

    /// The mask of a watch's events, below `object`. Clients name fields from `result.object` on, or from the object on.
    func ofWatch() -> FieldMask {
        var mask = self
        mask.paths = paths.map { path in
            if path.starts(with: ["result", "object"]) { return Array(path.dropFirst()) }
            return path.first == "result" ? Array(path.dropFirst()) : ["object"] + path
        }
        // Who asks for the whole result asks for everything.
        if mask.paths.contains([]) { mask.paths = [] }
        return mask
    }

    /// Whether any of what lies at a path or below it is in the answer.
    func wants(_ path: [String]) -> Bool {
        if isAll { return true }
        if excludes { return !paths.contains { path.starts(with: $0) } }
        return paths.contains { path.starts(with: $0) || $0.starts(with: path) }
    }

    /// The first members that are asked for below a prefix; nil where no list of them says so.
    func wantedPaths(below prefix: [String]) -> [[String]]? {
        if isAll || excludes { return nil }
        return paths.compactMap { path in
            path.starts(with: prefix) ? Array(path.dropFirst(prefix.count)) : nil
        }
    }

    /// What is wanted of an answer.
    func clean(_ value: JSONValue) -> JSONValue { isAll ? value : clean(value, at: []) }

    private func clean(_ value: JSONValue, at path: [String]) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map { clean($0, at: path) })
        case .object(let members):
            var kept: [String: JSONValue] = [:]
            for (key, member) in members {
                let inner = path + [key]
                guard wants(inner) else { continue }
                // Below a path that was asked for, all is wanted.
                let isWhole = !excludes && paths.contains { inner.starts(with: $0) }
                kept[key] = isWhole ? member : clean(member, at: inner)
            }
            return .object(kept)
        default: return value
        }
    }
}
