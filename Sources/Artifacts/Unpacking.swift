// Unpacks archives that come from outside; what the store keeps itself is never packed.

import Glibc
import WorkflowLanguage

/// A downloaded file that may be an archive.
struct Unpacking {
    /// The file; it is used up.
    let file: String
    /// Where the content shall be; the place must be free.
    let target: String
    /// Nil means tar, as in Argo: the file is unpacked if it is a tar archive in gzip.
    let strategy: ArchiveStrategy?

    func perform() throws(ArtifactError) {
        switch strategy {
        case .some(.none): try move(file, to: target)
        case .zip: try unpack(["unzip", "-q", "-o", file, "-d", folder])
        case .tar, nil:
            guard isGzip, try isTar() else { return try move(file, to: target) }
            try unpack(["tar", "-xzf", file, "-C", folder, "--no-same-owner"])
        }
    }

    private var folder: String { target + ".unpacked" }

    private var isGzip: Bool {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var bytes: [UInt8] = [0, 0]
        return read(descriptor, &bytes, 2) == 2 && bytes == [0x1f, 0x8b]
    }

    /// Whether the first header inside says so. tar itself takes a short text for an empty archive.
    private func isTar() throws(ArtifactError) -> Bool {
        let script = "gzip -dc -- \"$1\" 2>/dev/null | head -c 262 | tail -c 5"
        return try CommandRun(["sh", "-c", script, "sh", file]).run().output == "ustar"
    }

    /// An archive of one file or directory becomes that, one of several a directory with them.
    private func unpack(_ arguments: [String]) throws(ArtifactError) {
        Disk.removeTree(folder)
        try Disk.makeDirectories(folder)
        defer { Disk.removeTree(folder) }
        let outcome = try CommandRun(arguments).run()
        let names = Disk.list(folder) ?? []
        guard outcome.exitCode == 0 else {
            let words = outcome.output.split(separator: "\n").suffix(3).joined(separator: "; ")
            throw ArtifactError(
                .invalid, path: file, problem: "cannot unpack the archive: \(words)",
                remedy: "say `archive: {none: {}}` to take the file as it is")
        }
        try move(names.count == 1 ? "\(folder)/\(names[0])" : folder, to: target)
        unlink(file)
    }

    private func move(_ from: String, to: String) throws(ArtifactError) {
        guard rename(from, to) == 0 else {
            throw ArtifactError(errno: errno, path: to, while: "rename into place")
        }
    }
}
