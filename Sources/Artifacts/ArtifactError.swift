// Why an artifact could not be saved, found, loaded or sent: what went wrong, where, and what to do about it.

import Glibc

/// A failure of the artifact store or of a transfer.
package struct ArtifactError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The file, key or address does not exist.
        case notFound
        case permissionDenied
        /// The disk or the quota is full.
        case noSpace
        /// The manifest asks for something that cannot be done or is not supported.
        case unsupported
        /// The content is damaged, or is not what it should be.
        case invalid
        /// The network, a server or a program failed.
        case transfer
        case system
    }

    package var kind: Kind
    /// The file, key or address.
    package var path: String
    package var problem: String
    /// What the reader can do, empty where there is nothing to say.
    package var remedy: String

    package init(_ kind: Kind, path: String, problem: String, remedy: String = "") {
        self.kind = kind
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    /// A failed system call on a path.
    package init(errno number: Int32, path: String, while action: String) {
        self.path = path
        problem = "cannot \(action): \(String(cString: strerror(number)))"
        remedy = ""
        switch number {
        case ENOENT, ENOTDIR:
            kind = .notFound
            problem = "cannot \(action): path not found"
        case EACCES, EPERM, EROFS:
            kind = .permissionDenied
            remedy = "check the owner and the mode of the path"
        case ENOSPC, EDQUOT:
            kind = .noSpace
            remedy = "free space on the disk of the data directory, or move it with --data-dir"
        case EMFILE, ENFILE:
            kind = .system
            remedy = "raise the limit of open files (ulimit -n)"
        default: kind = .system
        }
    }

    package var description: String {
        var text = path.isEmpty ? problem : "\(path): \(problem)"
        if !remedy.isEmpty { text += "; \(remedy)" }
        return text
    }
}
