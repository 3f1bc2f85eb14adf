// The operations on files by which checkpoints come and go, each of which a test can make fail.

import Glibc
import Tensors

/// What a checkpoint store does to the disk. Every change goes through here, one system call or a small file
/// at a time, so that a test can end the run between any two of them.
package struct CheckpointDisk {
    /// A change about to be made.
    package enum Operation: Sendable, Hashable {
        case makeDirectory(String)
        case write(String)
        case sync(String)
        case rename(String, to: String)
        /// Both names are there before and after.
        case exchange(String, with: String)
        case link(String, target: String)
        case remove(String)
    }

    /// Asked before each operation; what it throws comes out of the operation, which is then not done.
    package var willPerform: (Operation) throws -> Void
    /// Off where the file system cannot exchange two directories, such as NFS.
    package var canExchange = true

    package init(willPerform: @escaping (Operation) throws -> Void = { _ in }) {
        self.willPerform = willPerform
    }

    // MARK: Changes

    func makeDirectory(_ path: String) throws {
        try willPerform(.makeDirectory(path))
        guard mkdir(path, 0o755) == 0 else { throw FileError(errno: errno, path: path, while: "create") }
    }

    /// Makes a directory and those above it; one that is there already is no error.
    func makeDirectories(_ path: String) throws {
        guard mode(path) == nil else { return }
        var parent = path
        while parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        if let slash = parent.lastIndex(of: "/"), slash > parent.startIndex {
            try makeDirectories(String(parent[..<slash]))
        }
        try makeDirectory(path)
    }

    /// Writes a small file whole, and to disk.
    func write(_ bytes: [UInt8], to path: String) throws {
        try willPerform(.write(path))
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
    }

    /// Brings a directory's entries to disk.
    func syncDirectory(_ path: String) throws {
        try willPerform(.sync(path))
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(errno: errno, path: path, while: "write") }
    }

    /// Brings a file's bytes to disk and tells how many they are and their checksum.
    func seal(_ path: String) throws -> (byteCount: Int, crc: UInt32) {
        try willPerform(.sync(path))
        return try contents(path, bringsToDisk: true)
    }

    func rename(_ path: String, to other: String) throws {
        try willPerform(.rename(path, to: other))
        guard Glibc.rename(path, other) == 0 else {
            throw FileError(errno: errno, path: path, while: "rename")
        }
    }

    /// Exchanges two names in one step.
    /// - Returns: false, nothing being done, where the file system or the C library cannot.
    func exchange(_ path: String, with other: String) throws -> Bool {
        typealias RenameAt2 =
            @convention(c) (
                Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32
            ) -> Int32
        // The C module that Swift sees lacks this function, as it belongs to no standard.
        guard canExchange, let symbol = dlsym(nil, "renameat2") else { return false }
        try willPerform(.exchange(path, with: other))
        let exchangeFlag: UInt32 = 2
        let renameAt2 = unsafeBitCast(symbol, to: RenameAt2.self)
        if renameAt2(AT_FDCWD, path, AT_FDCWD, other, exchangeFlag) == 0 { return true }
        let number = errno
        if number == EINVAL || number == ENOSYS || number == ENOTSUP { return false }
        throw FileError(errno: number, path: other, while: "replace")
    }

    /// Makes `path` a symbolic link, replacing the link that has the name.
    func replaceLink(_ path: String, target: String, temporaryPath: String) throws {
        try willPerform(.link(temporaryPath, target: target))
        guard symlink(target, temporaryPath) == 0 else {
            throw FileError(errno: errno, path: path, while: "link")
        }
        try rename(temporaryPath, to: path)
    }

    /// Removes a file, a link, or a directory with all that is in it. What is gone already is no error.
    func remove(_ path: String) throws {
        guard let mode = mode(path) else { return }
        let isDirectory = mode & S_IFMT == S_IFDIR
        if isDirectory {
            for name in names(path) { try remove("\(path)/\(name)") }
        }
        try willPerform(.remove(path))
        guard (isDirectory ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT else {
            throw FileError(errno: errno, path: path, while: "remove")
        }
    }

    // MARK: Questions

    /// The kind and the rights of what is at the path, not following a link; nil for nothing.
    func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : nil
    }

    func isDirectory(_ path: String) -> Bool { mode(path).map { $0 & S_IFMT == S_IFDIR } ?? false }

    /// The size of a regular file, in bytes; nil for anything else.
    func byteCount(_ path: String) -> Int? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// The names in a directory, sorted; none where it cannot be read.
    func names(_ path: String) -> [String] {
        guard let listing = opendir(path) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// What can still be written to the disk of a path, in bytes; nil where it cannot be found out.
    func freeByteCount(_ path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let (bytes, overflowed) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize))
        return overflowed ? nil : bytes
    }

    /// Size and checksum of a file as it is read now.
    func contents(_ path: String) throws -> (byteCount: Int, crc: UInt32) {
        try contents(path, bringsToDisk: false)
    }

    private func contents(_ path: String, bringsToDisk: Bool) throws -> (byteCount: Int, crc: UInt32) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "open") }
        defer { close(descriptor) }
        guard !bringsToDisk || fsync(descriptor) == 0 else {
            throw FileError(errno: errno, path: path, while: "write")
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var checksum = CRC32C()
        var byteCount = 0
        while true {
            let length = read(descriptor, &buffer, buffer.count)
            if length < 0 && errno == EINTR { continue }
            guard length >= 0 else { throw FileError(errno: errno, path: path, while: "read") }
            if length == 0 { return (byteCount, checksum.value) }
            buffer.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
            byteCount += length
        }
    }
}
