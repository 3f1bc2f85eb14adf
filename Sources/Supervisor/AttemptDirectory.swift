// The attempt's directory: its lock is the supervisor's identity, its marker the promise to run but once.

import CLinux
import Glibc

/// Files are reached through one descriptor, so that neither a moved directory nor the step's mounts matter.
struct AttemptDirectory {
    enum LockOutcome {
        case taken
        case startedBefore
        case failed(Int32)
    }

    let descriptor: Int32

    init?(path: UnsafePointer<CChar>) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    /// Takes the lock for the life of this process, and says who holds it in the file. An engine that looks
    /// holds a shared lock for an instant, so a held lock means a second supervisor only when it lasts.
    func lock() -> LockOutcome {
        let file = openat(descriptor, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if file < 0 { return .failed(errno) }
        var pause = timespec(tv_sec: 0, tv_nsec: 1_000_000)
        let attempts = 5000
        for attempt in 0..<attempts {
            let result = martlet_try_lock(file, 1)
            if wasStarted { return .startedBefore }
            if result == 0 { break }
            if result != -EWOULDBLOCK { return .failed(-result) }
            if attempt == attempts - 1 { return .startedBefore }
            nanosleep(&pause, nil)
        }
        // A shorter number must not keep digits of a longer one left by a supervisor that never started.
        var text = String(getpid()) + "\n"
        let isNoted = waitingForSpace {
            let written = text.withUTF8 { pwrite(file, $0.baseAddress, $0.count, 0) }
            return written == text.utf8.count && ftruncate(file, off_t(written)) == 0
        }
        return isNoted ? .taken : .failed(errno)
    }

    private var wasStarted: Bool { faccessat(descriptor, "started", F_OK, 0) == 0 }

    /// False when the attempt was started before.
    func markStarted() -> Bool {
        waitingForSpace {
            let file = openat(descriptor, "started", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if file >= 0 { close(file) }
            return file >= 0
        }
    }

    /// Repeats a write for as long as the disk is full: a result that is not written would make the step run
    /// a second time. Gives up after a day; the attempt is lost then.
    func waitingForSpace(_ write: () -> Bool) -> Bool {
        var pause = timespec(tv_sec: 0, tv_nsec: 200_000_000)
        for _ in 0..<(86_400 * 5) {
            if write() { return true }
            guard errno == ENOSPC || errno == EDQUOT else { return false }
            nanosleep(&pause, nil)
        }
        return false
    }

    /// Reads a whole file into memory that is never freed; nil with errno when that fails.
    func read(_ name: String, limit: Int) -> UnsafeMutableRawBufferPointer? {
        let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC)
        if file < 0 { return nil }
        defer { close(file) }
        var status = stat()
        if fstat(file, &status) < 0 { return nil }
        let size = Int(status.st_size)
        guard size <= limit else {
            errno = EFBIG
            return nil
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 1, alignment: 16)
        var count = 0
        while count < size {
            let length = Glibc.read(file, buffer.baseAddress?.advanced(by: count), size - count)
            if length < 0 && errno == EINTR { continue }
            if length <= 0 { break }
            count += length
        }
        buffer[count] = 0
        return UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
    }

    /// A file appears under its name complete or not at all.
    func replace(_ name: String, with bytes: UnsafeRawBufferPointer) -> Bool {
        let temporary = name + ".new"
        return waitingForSpace {
            let file = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            if file < 0 { return false }
            let isComplete = writeAll(file, bytes) == bytes.count
            let error = errno
            close(file)
            errno = error
            return isComplete && renameat(descriptor, temporary, descriptor, name) == 0
        }
    }

    func write(result: StepResult) -> Bool {
        var text = result.text
        return text.withUTF8 { replace("result", with: UnsafeRawBufferPointer($0)) }
    }
}

/// Returns how many bytes were written before the first error.
func writeAll(_ file: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    var count = 0
    while count < bytes.count {
        let length = write(file, bytes.baseAddress?.advanced(by: count), bytes.count - count)
        if length < 0 && errno == EINTR { continue }
        if length <= 0 { break }
        count += length
    }
    return count
}
