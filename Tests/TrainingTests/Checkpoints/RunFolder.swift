// A directory for one test of checkpoints or reports, deleted with the value that holds it, and ways to look
// at it.

import Glibc
import Tensors

@testable import Training

final class RunFolder {
    let path: String

    /// In memory where that can be had: these tests bring files to disk thousands of times.
    init() throws {
        for parent in ["/dev/shm", "/tmp"] {
            var template = Array("\(parent)/martlet-run-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { continue }
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return
        }
        throw FileError(errno: errno, path: "/tmp", while: "create")
    }

    deinit { try? CheckpointDisk().remove(path) }

    /// Writes a file as it is, with the directories above it.
    func write(_ text: String, to name: String) throws {
        let file = "\(path)/\(name)"
        if let slash = file.lastIndex(of: "/") {
            try CheckpointDisk().makeDirectories(String(file[..<slash]))
        }
        try CheckpointDisk().write(Array(text.utf8), to: file)
    }

    func text(_ name: String) throws -> String {
        String(decoding: try SmallFile.read("\(path)/\(name)", limitBytes: 1 << 24), as: UTF8.self)
    }

    /// The names in the folder or one below it.
    func names(_ name: String = "") -> [String] { CheckpointDisk().names("\(path)/\(name)") }

    /// What a symbolic link holds; nil for anything else.
    func link(_ name: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("\(path)/\(name)", &buffer, buffer.count)
        guard length >= 0 else { return nil }
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Collects the sentences that a user would see.
final class Warnings {
    private(set) var all: [String] = []

    func add(_ sentence: String) { all.append(sentence) }
}
