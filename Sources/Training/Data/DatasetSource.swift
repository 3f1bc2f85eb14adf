// Which files `dataset` means: paths, folders, and how many rows of each.
import Glibc

/// What a file's name says about its content.
enum DatasetFormat: String, Sendable, Hashable, CaseIterable {
    /// A JSON object a line.
    case jsonl
    /// A list of objects, or an object with the list under "data".
    case json
    /// RFC 4180 with the columns' names in the first record.
    case csv
    /// A text a line, as ms-swift reads it; blank lines are nothing.
    case txt

    init?(path: String) {
        guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return nil }
        self.init(rawValue: path[path.index(after: dot)...].lowercased())
    }
}

/// One entry of `dataset`.
struct DatasetSource: Sendable, Hashable {
    /// As it was given, without the number.
    var path: String
    /// How many rows are wanted, nil for all.
    var sampleCount: Int?
    /// The files, in the order of their paths.
    var files: [String]

    /// - Parameter entry: a file or a folder, with `#n` behind it for n rows.
    init(_ entry: String, parameter: String) throws(TrainingError) {
        path = entry
        // A name may have a number sign itself.
        if let sign = entry.lastIndex(of: "#"), Self.kind(of: entry) == nil {
            path = String(entry[..<sign])
            guard let count = Int(entry[entry.index(after: sign)...]), count > 0 else {
                throw TrainingError(
                    .badParameters, "\(parameter): \(entry): no number of rows is behind the #",
                    remedy: "write PATH#N with N of 1 or more")
            }
            sampleCount = count
        }
        switch Self.kind(of: path) {
        case S_IFREG:
            try Self.checkFormat(path, parameter)
            files = [path]
        case S_IFDIR:
            files = Self.supportedFiles(in: path, depth: 0)
            guard !files.isEmpty else {
                throw TrainingError(
                    .badParameters, "\(parameter): \(path): the folder has no jsonl, json, csv or txt file",
                    remedy: "put the rows there in one of these formats")
            }
        case nil:
            throw TrainingError(
                .badParameters, "\(parameter): \(path): there is no such file or folder",
                remedy: "check the path; a data set of a hub is fetched first by `martlet download`")
        default:
            throw TrainingError(
                .badParameters, "\(parameter): \(path): neither a file nor a folder",
                remedy: "write the rows into a file first")
        }
    }

    private static func checkFormat(_ path: String, _ parameter: String) throws(TrainingError) {
        guard DatasetFormat(path: path) == nil else { return }
        let isParquet = path.lowercased().hasSuffix(".parquet")
        throw TrainingError(
            .badParameters,
            "\(parameter): \(path): "
                + (isParquet
                    ? "parquet is not read" : "the name ends in none of .jsonl, .json, .csv and .txt"),
            remedy: isParquet
                ? "write it as jsonl: pandas.read_parquet(p).to_json(q, orient=\"records\", lines=True)"
                : "give the file the ending of its format")
    }

    /// The kind of what is at a path, nil for nothing.
    private static func kind(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    /// All files below a folder that have a format, hidden ones excluded, in the order of their paths.
    private static func supportedFiles(in folder: String, depth: Int) -> [String] {
        // A link may lead in a circle.
        guard depth < 16, let stream = opendir(folder) else { return [] }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        closedir(stream)
        var files: [String] = []
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            switch kind(of: path) {
            case S_IFDIR: files += supportedFiles(in: path, depth: depth + 1)
            case S_IFREG: if DatasetFormat(path: path) != nil { files.append(path) }
            default: break
            }
        }
        return files
    }
}
