// Files, trees, text and processes for a pod's container, with nothing but the C library.

import Glibc

enum PodFile {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The first bytes of a file; nil when it cannot be read or is none.
    static func bytes(_ path: String, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let length = read(file, &chunk, min(chunk.count, limit - bytes.count))
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return nil }
            if length == 0 { break }
            bytes.append(contentsOf: chunk[..<length])
        }
        return bytes
    }

    static func text(_ path: String) -> String? {
        bytes(path, limit: 4096).map { String(decoding: $0, as: UTF8.self) }
    }

    /// - Parameter inPlace: for a file that is a mount and cannot be renamed over.
    static func write(_ bytes: [UInt8], to path: String, inPlace: Bool = false) {
        let place = inPlace ? path : path + ".new"
        let file = open(place, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        let isWhole = bytes.withUnsafeBytes { writeAll(file, $0) } == bytes.count
        close(file)
        if isWhole && !inPlace { rename(place, path) }
    }
}

/// Copies files and directories as they are: modes and links are kept.
enum PodTree {
    private static let depthLimit = 256

    /// - Returns: why not, nil when it was copied or is not there.
    static func copy(from source: String, to target: String, depth: Int = 0) -> String? {
        var status = stat()
        // What the manifest names may be a link; what lies in a directory stays one.
        guard (depth == 0 ? stat(source, &status) : lstat(source, &status)) == 0 else {
            return depth == 0 && (errno == ENOENT || errno == ENOTDIR) ? nil : failure(source)
        }
        guard depth < depthLimit else { return "\(source): nested too deep" }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return copyFile(source, target, status)
        case S_IFLNK: return copyLink(source, target)
        case S_IFDIR: return copyDirectory(source, target, status, depth)
        default: return nil
        }
    }

    private static func failure(_ path: String) -> String { "\(path): \(String(cString: strerror(errno)))" }

    private static func copyDirectory(_ source: String, _ target: String, _ status: stat, _ depth: Int)
        -> String?
    {
        guard mkdir(target, 0o777) == 0 || errno == EEXIST else { return failure(target) }
        guard let folder = opendir(source) else { return failure(source) }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            if let problem = copy(from: "\(source)/\(name)", to: "\(target)/\(name)", depth: depth + 1) {
                return problem
            }
        }
        // The companion must be able to read what others wrote for themselves only.
        chmod(target, status.st_mode & 0o7777 | 0o555)
        return nil
    }

    private static func copyLink(_ source: String, _ target: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink(source, &buffer, Int(PATH_MAX)) >= 0 else { return failure(source) }
        return symlink(buffer, target) == 0 ? nil : failure(target)
    }

    private static func copyFile(_ source: String, _ target: String, _ status: stat) -> String? {
        // On the pod's own volume nothing needs to be copied.
        if link(source, target) == 0 { return nil }
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { return failure(source) }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard output >= 0 else { return failure(target) }
        defer { close(output) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let length = read(input, &chunk, chunk.count)
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return failure(source) }
            if length == 0 { break }
            let written = chunk.withUnsafeBytes {
                writeAll(output, UnsafeRawBufferPointer(rebasing: $0[..<length]))
            }
            guard written == length else { return failure(target) }
        }
        fchmod(output, status.st_mode & 0o7777 | 0o444)
        return nil
    }
}

enum PodText {
    /// As a JSON string.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

enum PodProcess {
    /// Starts a command in a process group of its own, with the container's environment and default signals.
    /// - Parameter output: its standard output; -1 for the container's.
    /// - Returns: its number, and 0 or why it could not be started.
    static func start(_ command: [String], output: Int32) -> (pid_t, Int32) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        guard posix_spawn_file_actions_init(&actions) == 0, posix_spawnattr_init(&attributes) == 0 else {
            return (-1, ENOMEM)
        }
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        if output >= 0 { posix_spawn_file_actions_adddup2(&actions, output, 1) }
        let words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = -1
        let error = posix_spawnp(&child, command[0], &actions, &attributes, words, environ)
        return (child, error)
    }
}
