// Reading manifest files for the commands that take them.

import Controller
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// Documents of some files with what is wrong with them.
struct Manifests {
    var documents: [ManifestDocument] = []
    var diagnostics: [Diagnostic] = []

    /// Reads files; directories are searched for YAML and JSON.
    static func read(_ paths: [String]) throws -> Manifests {
        var result = Manifests()
        for path in paths {
            for file in try files(at: path) {
                let bytes = try Environment.read(file, limit: ReadLimits().fileBytes + 1)
                let (documents, diagnostics) = ManifestReader.read(bytes, file: file)
                result.documents += documents
                result.diagnostics += diagnostics
            }
        }
        return result
    }

    private static func files(at path: String) throws -> [String] {
        var status = stat()
        guard path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        guard let directory = opendir(path) else {
            throw CommandError("cannot read \(path): \(String(cString: strerror(errno)))", status: 2)
        }
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard !name.hasPrefix(".") else { continue }
            let child = path + "/" + name
            if stat(child, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                found += try files(at: child)
            } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") || name.hasSuffix(".json") {
                found.append(child)
            }
        }
        return found.sorted()
    }

    func documents(of kinds: Set<String>) -> [ManifestDocument] {
        documents.filter { kinds.contains($0.kind) }
    }
}

extension Diagnostic {
    /// With colours for a terminal.
    func shown(colored: Bool) -> String {
        guard colored else { return description }
        let word = severity.rawValue + ":"
        let color = severity == .error ? "\u{1B}[31m" : "\u{1B}[33m"
        guard let range = description.firstRange(of: word) else { return description }
        return description.replacingCharacters(in: range, with: "\(color)\(word)\u{1B}[0m")
    }
}

extension String {
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }

    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
