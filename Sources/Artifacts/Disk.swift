// Files and directories by plain system calls: no allocation of Foundation objects where a step pays for it.

import Glibc

/// What a step's preparation, its collection and the store need of the file system.
package enum Disk {
    package enum Kind: Sendable { case file, directory, link, other }

    package struct Status: Sendable {
        package var kind: Kind
        package var sizeBytes: Int
        /// Permission bits only.
        package var mode: UInt32
        package var links: Int
        /// Nanoseconds since 1970.
        package var modifiedNanoseconds: Int64
        package var changedNanoseconds: Int64

        init(_ status: stat) {
            switch status.st_mode & S_IFMT {
            case S_IFREG: kind = .file
            case S_IFDIR: kind = .directory
            case S_IFLNK: kind = .link
            default: kind = .other
            }
            sizeBytes = Int(status.st_size)
            mode = status.st_mode & 0o7777
            links = Int(status.st_nlink)
            let (modified, changed) = (status.st_mtim, status.st_ctim)
            modifiedNanoseconds = Int64(modified.tv_sec) * 1_000_000_000 + Int64(modified.tv_nsec)
            changedNanoseconds = Int64(changed.tv_sec) * 1_000_000_000 + Int64(changed.tv_nsec)
        }
    }

    /// Of the path itself, a symbolic link included; nil when it cannot be reached.
    package static func status(_ path: String) -> Status? {
        var status = stat()
        return lstat(path, &status) == 0 ? Status(status) : nil
    }

    /// Of what a symbolic link leads to.
    package static func targetStatus(_ path: String) -> Status? {
        var status = stat()
        return stat(path, &status) == 0 ? Status(status) : nil
    }

    static func status(descriptor: Int32) -> Status? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Status(status) : nil
    }

    /// Where a symbolic link leads; nil for what is none.
    package static func linkTarget(_ path: String) -> String? { linkTarget(path, in: AT_FDCWD) }

    static func linkTarget(_ name: String, in directory: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = bytes.withUnsafeMutableBytes { buffer in
            buffer.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlinkat(directory, name, $0, text.count) } ?? -1
            }
        }
        return length < 0 ? nil : String(decoding: bytes.prefix(length), as: UTF8.self)
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The whole file.
    /// - Throws: `invalid` for a file above the limit.
    package static func read(_ path: String, limitBytes: Int) throws(ArtifactError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        defer { close(file) }
        return try read(descriptor: file, path: path, limitBytes: limitBytes)
    }

    /// From the descriptor's place to the end; the path is for the error only.
    package static func read(
        descriptor: Int32, path: String, limitBytes: Int
    ) throws(ArtifactError) -> [UInt8] {
        let expected = min(status(descriptor: descriptor)?.sizeBytes ?? 0, limitBytes)
        var bytes: [UInt8] = []
        var room = max(expected + 1, 512)
        while true {
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: room))
            let length = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: start), room)
            }
            let error = errno
            bytes.removeLast(room - max(length, 0))
            if length < 0 && error == EINTR { continue }
            if length < 0 { throw ArtifactError(errno: error, path: path, while: "read") }
            if length == 0 { return bytes }
            guard bytes.count <= limitBytes else {
                throw ArtifactError(.invalid, path: path, problem: "is larger than \(limitBytes) bytes")
            }
            room = max(4096, min(bytes.count, 1 << 20))
        }
    }

    /// Creates or overwrites a file that nobody else looks at yet.
    package static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(ArtifactError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        defer { close(file) }
        let error = bytes.withUnsafeBytes { writeAll(file, $0) }
        guard error == 0 else { throw ArtifactError(errno: error, path: path, while: "write") }
    }

    /// Writes at the descriptor's place; the path is for the error only.
    package static func append(_ bytes: [UInt8], to file: Int32, path: String) throws(ArtifactError) {
        let error = bytes.withUnsafeBytes { writeAll(file, $0) }
        guard error == 0 else { throw ArtifactError(errno: error, path: path, while: "write") }
    }

    /// Returns 0 or the errno of the first failure.
    static func writeAll(_ file: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        var count = 0
        while count < bytes.count {
            let length = Glibc.write(file, bytes.baseAddress?.advanced(by: count), bytes.count - count)
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return errno }
            count += length
        }
        return 0
    }

    /// The file appears under its name complete or not at all; what was there before is replaced.
    package static func replace(_ path: String, with bytes: [UInt8], durable: Bool) throws(ArtifactError) {
        let temporary = "\(path).\(uniqueSuffix())"
        do {
            try write(bytes, to: temporary)
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let error = errno
            unlink(temporary)
            throw ArtifactError(errno: error, path: path, while: "rename into place")
        }
        if durable { try synchronize(path) }
    }

    /// Waits until the file and the entry by which it is found would survive a loss of power.
    static func synchronize(_ path: String) throws(ArtifactError) {
        for name in [path, parent(of: path)] {
            let file = open(name, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw ArtifactError(errno: errno, path: name, while: "open") }
            defer { close(file) }
            guard fsync(file) == 0 else {
                throw ArtifactError(errno: errno, path: name, while: "save to disk")
            }
        }
    }

    /// Creates the directory and those above it.
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(ArtifactError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, path != "/", !path.isEmpty else {
            throw ArtifactError(errno: errno, path: path, while: "create the directory")
        }
        try makeDirectories(parent(of: path), mode: mode)
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        throw ArtifactError(errno: errno, path: path, while: "create the directory")
    }

    package static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    package static func name(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// Names in a directory without `.` and `..`, in no order; nil when it cannot be read.
    package static func list(_ path: String) -> [String]? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        return names(in: directory)
    }

    static func names(in directory: OpaquePointer) -> [String] {
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Deletes a file, or a directory with all that is in it, never following a link. What is gone already is
    /// no failure; what cannot be deleted stays.
    @discardableResult
    package static func removeTree(_ path: String) -> Bool {
        if unlink(path) == 0 || errno == ENOENT { return true }
        guard errno == EISDIR || errno == EPERM else { return false }
        return removeTree(name: path, in: AT_FDCWD, depth: 0)
    }

    private static func removeTree(name: String, in parent: Int32, depth: Int) -> Bool {
        if unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
        guard depth < 512 else { return false }
        var descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0 && errno == EACCES {
            // A step may take away its own rights to a directory.
            fchmodat(parent, name, 0o700, 0)
            descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
        guard descriptor >= 0, let directory = fdopendir(descriptor) else { return false }
        var isEmpty = true
        for entry in names(in: directory) {
            if unlinkat(descriptor, entry, 0) == 0 || errno == ENOENT { continue }
            if errno == EACCES {
                fchmod(descriptor, 0o700)
                if unlinkat(descriptor, entry, 0) == 0 { continue }
            }
            if !removeTree(name: entry, in: descriptor, depth: depth + 1) { isEmpty = false }
        }
        closedir(directory)
        return isEmpty && unlinkat(parent, name, AT_REMOVEDIR) == 0
    }

    /// A name that no other thread or process uses at the same time.
    package static func uniqueSuffix() -> String {
        String(UInt64.random(in: .min ... .max), radix: 36)
    }
}
