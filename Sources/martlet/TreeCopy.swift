// A file or directory copied to a new place, without its bytes a second time where the disk allows it.

import Artifacts
import Glibc

enum TreeCopy {
    /// Directories deeper than this are no output of ours.
    private static let depthLimit = 32

    /// Copies what is at `source` to `target`, which must be free or a directory. Links are followed.
    /// - Parameter names: members of the top directory that are left out.
    static func copy(_ source: String, to target: String, leavingOut names: Set<String> = []) throws {
        try copy(source, to: target, names, depth: 0)
    }

    private static func copy(
        _ source: String, to target: String, _ names: Set<String>, depth: Int
    ) throws {
        guard depth < depthLimit else {
            throw ArtifactError(
                .unsupported, path: source, problem: "directories are nested too deeply",
                remedy: "look for a link that leads in a circle")
        }
        switch Disk.targetStatus(source)?.kind {
        case .directory:
            try Disk.makeDirectories(target)
            for name in (Disk.list(source) ?? []).sorted() where !names.contains(name) {
                try copy("\(source)/\(name)", to: "\(target)/\(name)", [], depth: depth + 1)
            }
        case .file: try copyFile(source, to: target)
        default: return
        }
    }

    private static func copyFile(_ source: String, to target: String) throws {
        if linkat(AT_FDCWD, source, AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0 { return }
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ArtifactError(errno: errno, path: source, while: "open") }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw ArtifactError(errno: errno, path: target, while: "create") }
        defer { close(output) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(input, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw ArtifactError(errno: errno, path: source, while: "read") }
            if count == 0 { return }
            try Disk.append(Array(buffer[..<count]), to: output, path: target)
        }
    }
}
