// Where the files lie that hold Secrets: in memory, never on a disk. A reboot takes them away, and with it every step
// that could have used them.

import Artifacts
import CLinux
import Glibc
import Scheduling
import Text

enum SecretMemory {
    struct Unavailable: Error, CustomStringConvertible {
        let description: String
    }

    /// The directory of one attempt.
    static func directory(_ dataDirectory: String, _ key: AttemptKey) -> String {
        let names = [key.workflowUID, key.nodeID, String(key.attempt)].map(AttemptPaths.name)
        return place(of: dataDirectory) + "/" + names.joined(separator: "/")
    }

    /// A run that was restored into another data directory keeps its uid, so each directory has a place of its own.
    private static func place(of dataDirectory: String) -> String {
        "\(base)/\(FNV1a.hash32(dataDirectory))"
    }

    /// One directory a user; others cannot look into it.
    private static var base: String { root + "/martlet-\(geteuid())" }

    private static let root: String = {
        var candidates = ["/dev/shm"]
        if let own = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), own.hasPrefix("/") {
            candidates.append(own)
        }
        candidates += ["/run/user/\(geteuid())", "/run"]
        return candidates.first { martlet_is_in_memory($0) != 0 && access($0, W_OK) == 0 } ?? "/dev/shm"
    }()

    /// Whether this machine has a file system in memory.
    static var isThere: Bool { martlet_is_in_memory(root) != 0 }

    /// Makes the attempt's directory anew, empty.
    /// - Throws: `Unavailable` where no file system in memory can be written.
    static func make(_ dataDirectory: String, _ key: AttemptKey) throws -> String {
        guard isThere else {
            throw Unavailable(
                description: "a step with Secrets needs a file system in memory; mount a tmpfs at /dev/shm")
        }
        try makeOwn(base)
        let directory = directory(dataDirectory, key)
        Disk.removeTree(directory)
        try Disk.makeDirectories(directory)
        guard chmod(directory, 0o700) == 0 else {
            throw ArtifactError(errno: errno, path: directory, while: "protect")
        }
        return directory
    }

    /// The place is writable for all: what is there already must be this user's own directory.
    private static func makeOwn(_ path: String) throws {
        if mkdir(path, 0o700) == 0 { return }
        guard errno == EEXIST else { throw ArtifactError(errno: errno, path: path, while: "create") }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            status.st_mode & 0o077 == 0
        else {
            throw Unavailable(
                description: "\(path) is not this user's own private directory; remove it, and try again")
        }
    }

    /// Forgets what an attempt was given.
    static func remove(_ dataDirectory: String, _ key: AttemptKey) {
        let directory = directory(dataDirectory, key)
        guard Disk.exists(directory) else { return }
        Disk.removeTree(directory)
        // The directories around it go with their last attempt.
        let node = Disk.parent(of: directory)
        if rmdir(node) == 0 { rmdir(Disk.parent(of: node)) }
    }

    /// Forgets attempts of a data directory that ended while nobody was there to see it.
    static func sweep(dataDirectory: String) {
        let root = place(of: dataDirectory)
        for uid in Disk.list(root) ?? [] {
            for node in Disk.list("\(root)/\(uid)") ?? [] {
                for attempt in Disk.list("\(root)/\(uid)/\(node)") ?? [] {
                    let attemptDirectory = "\(dataDirectory)/runs/\(uid)/\(node)/\(attempt)"
                    guard let number = Int(attempt),
                        Disk.exists(attemptDirectory + "/outcome") || !Disk.exists(attemptDirectory)
                    else { continue }
                    remove(dataDirectory, AttemptKey(workflowUID: uid, nodeID: node, attempt: number))
                }
            }
        }
    }
}
