// Where everything of this machine's Martlet lies, and what is opened there.

import ArgumentParser
import Artifacts
import Controller
import Executors
import Glibc
import Persistence
import Text

/// The option that all commands share.
struct DataOptions: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help: ArgumentHelp(
            "Directory of database, runs and artifacts.",
            discussion:
                "Default: $MARTLET_DATA_DIR, else $XDG_DATA_HOME/martlet, else ~/.local/share/martlet.",
            valueName: "DIR"))
    var dataDirectory: String?

    @Option(name: [.customShort("n"), .long], help: "Namespace of the workflow.")
    var namespace: String = "default"

    /// The options as a plain value.
    var location: DataLocation { DataLocation(directory: dataDirectory, namespace: namespace) }

    /// The absolute path of the data directory.
    var path: String { location.path }

    func openStore() throws -> Store { try location.openStore() }
}

/// Where a command's data lies, and in which namespace.
struct DataLocation: Sendable, Hashable {
    /// As it was given; nil for the usual place.
    var directory: String?
    var namespace = "default"

    /// The absolute path of the data directory.
    var path: String {
        let given = directory ?? Environment.value("MARTLET_DATA_DIR")
        if let given, !given.isEmpty { return Environment.absolute(given) }
        if let home = Environment.value("XDG_DATA_HOME"), !home.isEmpty { return home + "/martlet" }
        return (Environment.value("HOME") ?? "/root") + "/.local/share/martlet"
    }

    func openStore() throws -> Store {
        do {
            return try Store.open(dataDirectory: path)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }
}

enum Environment {
    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// All variables by name.
    static var all: [String: String] {
        var found: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            found[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
            entry += 1
        }
        return found
    }

    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return String(cString: current) + "/" + path
    }

    /// The clock of the commands: the machine's.
    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// A file's bytes, or standard input's for `-`.
    static func read(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandError("cannot read \(path): \(String(cString: strerror(errno)))", status: 2)
        }
        defer { if path != "-" { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw CommandError("cannot read \(path): \(String(cString: strerror(errno)))", status: 2)
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            // The reader refuses what is longer than its limit; there is no use in reading all of it.
            if bytes.count > limit { return bytes }
        }
    }
}
