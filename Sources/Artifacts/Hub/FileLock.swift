// One of many processes does the work: locks that end with their process, as Python's `filelock` takes them.

import Glibc

/// An exclusive `flock` on a file, held while the value lives. A process that dies holds it no longer, so
/// that nobody has to find out whether a lock is stale.
final class FileLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The lock, or nil while another process or another value of this one has it.
    /// - Throws: `disk` when the lock's file cannot be made.
    static func take(_ path: String) throws(DownloadError) -> FileLock? {
        // A file that was deleted and made again between opening and locking is another lock.
        for _ in 0..<8 {
            var descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o664)
            if descriptor < 0, errno == EACCES {
                // Another user's: to lock it, reading is enough.
                descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            }
            guard descriptor >= 0 else {
                throw DownloadError(errno: errno, path: path, while: "create the lock")
            }
            var result: Int32
            repeat { result = flock(descriptor, LOCK_EX | LOCK_NB) } while result != 0 && errno == EINTR
            if result != 0, errno == EWOULDBLOCK {
                close(descriptor)
                return nil
            }
            // File systems without locks (some network ones): each process then does its own work, and what
            // it writes is verified before it appears.
            let lock = FileLock(descriptor: descriptor)
            var (own, named) = (stat(), stat())
            if fstat(descriptor, &own) == 0, stat(path, &named) == 0, own.st_ino == named.st_ino,
                own.st_dev == named.st_dev
            {
                return lock
            }
        }
        return nil
    }
}

extension DownloadError {
    /// A failed system call on a path.
    init(errno number: Int32, path: String, while action: String) {
        self.init(ArtifactError(errno: number, path: path, while: action))
    }

    /// The same failure of a disk in the words of downloads.
    init(_ error: ArtifactError) {
        let isFull = error.kind == .noSpace
        self.init(
            isFull ? .noSpace : .disk, path: error.path, problem: error.problem,
            remedy: isFull
                ? "free space, or choose another place with HF_HOME, MODELSCOPE_CACHE or --local_dir"
                : error.remedy)
    }
}
