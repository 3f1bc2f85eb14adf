// The files that pyarrow wrote, and a fresh folder for those that tests write.

import Glibc
import Testing

enum Fixtures {
    static let directory = String(#filePath.dropLast("Fixtures.swift".count)) + "Fixtures"

    /// Names without endings, of those that can be read.
    static let names = files(ending: ".parquet").filter { !$0.hasPrefix("REFUSED_") }

    static func path(_ name: String) -> String { "\(directory)/\(name).parquet" }

    static func bytes(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0, "cannot open \(path)")
        defer { close(descriptor) }
        var status = stat()
        fstat(descriptor, &status)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = read(descriptor, &bytes, bytes.count)
        try #require(count == bytes.count)
        return bytes
    }

    static func lines(_ name: String) throws -> [String] {
        String(decoding: try bytes("\(directory)/\(name).jsonl"), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    private static func files(ending: String) -> [String] {
        guard let folder = opendir(directory) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name.hasSuffix(ending) { names.append(String(name.dropLast(ending.count))) }
        }
        return names.sorted()
    }
}

/// A folder of its own for a test, removed with its files at the end.
final class TemporaryFolder {
    let path: String
    private var names: Set<String> = []

    init() throws {
        var template = Array("/tmp/martlet-tables-XXXXXX".utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// Writes a file anew and returns its path.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = "\(path)/\(name)"
        names.insert(name)
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        return file
    }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String { try write(Array(text.utf8), to: name) }
}
