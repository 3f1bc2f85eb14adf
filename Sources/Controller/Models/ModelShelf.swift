// The folder of recorded models, in the layout of Hugging Face's cache, so that what serves such folders
// serves these.
//
//     models/models--NAME/snapshots/COMMIT/...      the files of a version; COMMIT is 40 digits of its hash
//     models/models--NAMESPACE--NAME/...            in other namespaces than `default`
//     models/models--NAME/refs/TAG                  the commit of a tag, of `main` and of versions: v3

import Artifacts
import Glibc
package import Persistence

/// Calls block and belong on threads.
package struct ModelShelf: Sendable {
    static let defaultNamespace = "default"

    package let directory: String

    package init(dataDirectory: String) { directory = dataDirectory + "/models" }

    /// The name by which clients ask for a model.
    package static func repository(namespace: String, name: String) -> String {
        namespace == defaultNamespace ? name : "\(namespace)/\(name)"
    }

    private static func folder(namespace: String, name: String) -> String {
        "models--" + (namespace == defaultNamespace ? name : "\(namespace)--\(name)")
    }

    package static func commit(_ sha256: String) -> String { String(sha256.prefix(40)) }

    static func place(namespace: String, name: String, sha256: String) -> String {
        "\(folder(namespace: namespace, name: name))/snapshots/\(commit(sha256))"
    }

    /// Where the files of a version lie.
    package func path(of model: ModelRow) -> String { directory + "/" + model.place }

    /// Fills a place; one that is filled stays as it is.
    func put(_ place: String, _ fill: (String) throws -> Void) throws {
        let path = directory + "/" + place
        if Disk.exists(path) { return }
        try Disk.makeDirectories(Disk.parent(of: path))
        // Not a commit's name, so that nobody is shown half of it.
        let part = path + ".part-" + Disk.uniqueSuffix()
        defer { Disk.removeTree(part) }
        try fill(part)
        guard rename(part, path) == 0 else {
            if Disk.exists(path) { return }
            throw ArtifactError(errno: errno, path: path, while: "name")
        }
    }

    /// Names the versions of a model as the rows have them.
    /// - Parameter rows: all of one name, newest first.
    func name(_ rows: [ModelRow]) throws {
        guard let first = rows.first else { return }
        let folder = "\(directory)/\(Self.folder(namespace: first.namespace, name: first.name))/refs"
        try Disk.makeDirectories(folder)
        var wanted: [String: String] = [:]
        for row in rows.reversed() where row.deletedAt == nil {
            let commit = Self.commit(row.sha256)
            wanted["main"] = commit
            wanted["v\(row.version)"] = commit
        }
        for row in rows where row.deletedAt == nil {
            for tag in row.tags { wanted[tag] = Self.commit(row.sha256) }
        }
        for (name, commit) in wanted {
            let path = "\(folder)/\(name)"
            if (try? Disk.read(path, limitBytes: 128)) == Array(commit.utf8) { continue }
            try Disk.replace(path, with: Array(commit.utf8), durable: false)
        }
        for name in Disk.list(folder) ?? [] where wanted[name] == nil { unlink("\(folder)/\(name)") }
    }

    func remove(_ place: String) { Disk.removeTree("\(directory)/\(place)") }

    /// Lays a version's files out at a free path whose parent is there, for somebody who may change them.
    package func export(_ model: ModelRow, to path: String) throws {
        try Self.copy(directory + "/" + model.place, to: path, shares: false)
    }

    /// The same for somebody who only reads: the bytes are shared where they can be.
    package func link(_ model: ModelRow, to path: String) throws {
        try Self.copy(directory + "/" + model.place, to: path, shares: true)
    }

    private static func copy(_ source: String, to target: String, shares: Bool) throws {
        guard let status = Disk.status(source) else {
            throw ArtifactError(
                .notFound, path: source, problem: "is not there", remedy: "run what made the model again")
        }
        switch status.kind {
        case .directory:
            guard mkdir(target, 0o755) == 0 else {
                throw ArtifactError(errno: errno, path: target, while: "create the directory")
            }
            for name in Disk.list(source) ?? [] {
                try copy("\(source)/\(name)", to: "\(target)/\(name)", shares: shares)
            }
        case .link:
            guard let destination = Disk.linkTarget(source), symlink(destination, target) == 0 else {
                throw ArtifactError(errno: errno, path: target, while: "link")
            }
        default:
            if shares, Glibc.link(source, target) == 0 { return }
            try copyFile(source, to: target, mode: status.mode)
        }
    }

    private static func copyFile(_ source: String, to target: String, mode: UInt32) throws {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ArtifactError(errno: errno, path: source, while: "open") }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode | 0o200)
        guard output >= 0 else { throw ArtifactError(errno: errno, path: target, while: "create") }
        defer { close(output) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(input, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw ArtifactError(errno: errno, path: source, while: "read") }
            if count == 0 { return }
            try Disk.append(Array(chunk[..<count]), to: output, path: target)
        }
    }
}
