// Makes room for a path inside a directory of the machine that steps see read-only: a mount at /etc/config,
// say.

import Artifacts
import Glibc

/// A bind that is taken apart: the directories on the way to the path become the step's own, and everything
/// beside that way is a link to the machine's, which is bound elsewhere.
struct HostOpening {
    private static let shelter = "/.martlet/host"

    let root: String

    /// Returns the binds with those replaced that had to be taken apart.
    func open(_ paths: [String], in binds: [SupervisorSpec.Bind]) throws -> [SupervisorSpec.Bind] {
        var result = binds
        for index in result.indices {
            let bind = result[index]
            let inside = paths.filter { path in
                path.hasPrefix(bind.target + "/")
                    && !Disk.exists(bind.source + path.dropFirst(bind.target.utf8.count))
            }
            guard !inside.isEmpty else { continue }
            let sheltered = Self.shelter + bind.target
            let ways = inside.map { path in
                path.dropFirst(bind.target.utf8.count + 1).split(separator: "/").map(String.init)
            }
            try link(ways, source: bind.source, shown: sheltered, at: root + bind.target)
            result[index].target = sheltered
        }
        return result
    }

    private func link(_ ways: [[String]], source: String, shown: String, at path: String) throws {
        try Disk.makeDirectories(path)
        let opened = Dictionary(grouping: ways.filter { !$0.isEmpty }, by: { $0[0] })
        for name in Disk.list(source) ?? [] where opened[name] == nil {
            symlink("\(shown)/\(name)", "\(path)/\(name)")
        }
        for (name, ways) in opened {
            let rest = ways.map { Array($0.dropFirst()) }.filter { !$0.isEmpty }
            guard !rest.isEmpty else { continue }
            try link(rest, source: "\(source)/\(name)", shown: "\(shown)/\(name)", at: "\(path)/\(name)")
        }
    }
}
