// A directory for one test, deleted with the value that holds it, and small files for it.

import Glibc
import Tensors

final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-tensors-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(errno: errno, path: "/tmp", while: "create") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names() { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// Writes a file as it is and returns its path.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = try AtomicFile(path: "\(path)/\(name)")
        try file.write(bytes)
        try file.commit()
        return "\(path)/\(name)"
    }

    func read(_ name: String) throws -> [UInt8] {
        try SmallFile.read("\(path)/\(name)", limitBytes: 1 << 24)
    }

    func names() -> [String] {
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
}

/// The bytes of a safetensors file with this header, whatever it says.
func safetensorsBytes(_ header: [UInt8], data: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header + data
}

func safetensorsBytes(_ header: String, dataByteCount: Int) -> [UInt8] {
    safetensorsBytes(Array(header.utf8), data: (0..<dataByteCount).map { UInt8(truncatingIfNeeded: $0) })
}
