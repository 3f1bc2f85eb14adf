// Finds the data files at a path: one file, or all below a directory.

import Glibc
import Text

/// A data set as it lies on disk.
package struct DataDirectory: Sendable {
    /// More files are an error: the path is then hardly a data set.
    package static let maximumFiles = 20_000
    private static let maximumDepth = 5

    package let path: String
    /// Whether one file was named, and nothing is known but its own name.
    package let isFile: Bool
    /// In the order of their names' bytes.
    package let files: [DataFile]

    /// - Throws: if there is nothing at the path, or no file of rows.
    package init(_ path: String) throws(EvaluationError) {
        self.path = path
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw EvaluationError(
                path, problem: "there is no such file or directory",
                remedy: "give the path of your copy of the data, or download it with martlet download")
        }
        if status.st_mode & S_IFMT != S_IFDIR {
            isFile = true
            let name = path.split(separator: "/").last.map(String.init) ?? path
            files = [DataFile(path: path, name: name)]
            return
        }
        isFile = false
        var names: [String] = []
        try Self.walk(path, below: "", depth: 0, into: &names)
        names.sort { $0.precedesBytewise($1) }
        files = names.map { DataFile(path: "\(path)/\($0)", name: $0) }
        if files.isEmpty {
            throw EvaluationError(
                path, problem: "the directory has no csv, jsonl, json, parquet or txt file",
                remedy: "unpack archives first, and check that this is the data set's own directory")
        }
    }

    private static func walk(
        _ root: String, below folder: String, depth: Int, into names: inout [String]
    ) throws(EvaluationError) {
        let path = folder.isEmpty ? root : "\(root)/\(folder)"
        guard let directory = opendir(path) else {
            throw EvaluationError(
                path, problem: "cannot list the directory: \(String(cString: strerror(errno)))",
                remedy: "check its owner and mode")
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            // Hidden folders are git's and the downloader's own.
            if name.hasPrefix(".") { continue }
            let below = folder.isEmpty ? name : "\(folder)/\(name)"
            var status = stat()
            guard stat("\(root)/\(below)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                guard depth < maximumDepth else { continue }
                try walk(root, below: below, depth: depth + 1, into: &names)
            } else if DataFile.isData(name), !DataDirectory.isDescription(name) {
                names.append(below)
                guard names.count <= maximumFiles else {
                    throw EvaluationError(
                        root, problem: "there are more than \(maximumFiles) files below",
                        remedy: "give the data set's own directory")
                }
            }
        }
    }

    /// Files beside the data that would read as data.
    private static func isDescription(_ name: String) -> Bool {
        [
            "dataset_infos.json", "dataset_info.json", "state.json", "subject_mapping.json", "readme.txt",
            "license.txt",
        ]
        .contains(name.lowercased())
    }
}
