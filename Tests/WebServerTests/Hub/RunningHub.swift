// A hub over a fresh directory, on a free port, for the length of a test.
import Glibc
import Synchronization
import Text

@testable import WebServer

/// A directory that goes when its test does.
final class HubFolder: Sendable {
    let path: String

    struct NoFolder: Error {}

    init() throws {
        var template = Array("/tmp/martlet-hub-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw NoFolder() }
        let name = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Digests are remembered by paths without links.
        guard let real = realpath(name, nil) else { throw NoFolder() }
        defer { free(real) }
        path = String(cString: real)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        if let directory = opendir(path) {
            var names: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { names.append(name) }
            }
            closedir(directory)
            for name in names { remove(path + "/" + name) }
        }
        rmdir(path)
    }

    /// Writes a file and the directories above it.
    func write(_ name: String, _ content: some Sequence<UInt8>) throws {
        makeDirectories(above: name)
        let file = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw NoFolder() }
        defer { close(file) }
        let bytes = Array(content)
        guard bytes.withUnsafeBytes({ Glibc.write(file, $0.baseAddress, $0.count) }) == bytes.count else {
            throw NoFolder()
        }
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func link(_ name: String, to target: String) throws {
        makeDirectories(above: name)
        guard symlink(target, path + "/" + name) == 0 else { throw NoFolder() }
    }

    private func makeDirectories(above name: String) {
        var place = path
        for part in name.split(separator: "/").dropLast() {
            place += "/" + part
            mkdir(place, 0o755)
        }
    }
}

enum RunningHub {
    /// Runs a hub beside `body`, which gets its port; stops it behind.
    static func with(
        _ folder: HubFolder, surroundings: ServerSurroundings = .system,
        configure: (inout HubServingSettings) -> Void = { _ in },
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        var settings = HubServingSettings(directory: folder.path)
        settings.logLevel = .critical
        settings.showsStatistics = true
        // Every look is a new one, because the tests change files between two requests.
        settings.freshness = .zero
        configure(&settings)
        let server = try HubServer(settings: settings, surroundings: surroundings)
        let (ports, found) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await server.run { found.yield($0) }
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else {
                try await group.waitForAll()
                return
            }
            do {
                try await body(port)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}

extension JSONValue {
    subscript(index: Int) -> JSONValue? {
        guard let elements = arrayValue, elements.indices.contains(index) else { return nil }
        return elements[index]
    }
}
