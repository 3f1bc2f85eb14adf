// A data set of a test: files in a fresh temporary directory that goes with the value.

import Evaluation
import Glibc
import Tensors
import Text

final class DataFolder: Sendable {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        var template = Array("/tmp/martlet-evaluation-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(errno: errno, path: "/tmp", while: "create") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for (name, text) in files { try write(text, to: name) }
    }

    deinit { Self.remove(path) }

    func write(_ text: String, to name: String) throws {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/\(part)"
            mkdir(folder, 0o755)
        }
        let file = try AtomicFile(path: "\(path)/\(name)")
        try file.write(Array(text.utf8))
        try file.commit()
    }

    func text(_ name: String) throws -> String {
        String(decoding: try SmallFile.read("\(path)/\(name)", limitBytes: 1 << 24), as: UTF8.self)
    }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            var names: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { names.append(name) }
            }
            closedir(directory)
            for name in names { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

/// A row as if it stood in a file.
func row(_ json: String) throws -> SourceRow {
    SourceRow(file: "rows.jsonl", number: 3, fields: try OrderedJSON(parsing: json))
}

extension EvaluationSample {
    var context: String {
        guard case .multipleChoice(.raw(let text), _, _) = body else { return "" }
        return text
    }

    var continuations: [String] {
        guard case .multipleChoice(_, let continuations, _) = body else { return [] }
        return continuations
    }

    var prompt: PromptText? {
        guard case .generation(let request) = body else { return nil }
        return request.prompt
    }
}
