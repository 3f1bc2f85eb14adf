// What the names of data files say: which split and which subset of a data set they hold.

/// The parts that data sets come in.
package enum DataSplit: String, Sendable, Hashable, CaseIterable {
    case test, validation, dev, train

    /// Reads a word such as `val` or `Test`, nil for other words.
    package init?(word: some StringProtocol) {
        switch word.lowercased() {
        case "test": self = .test
        case "val", "valid", "validation": self = .validation
        case "dev", "develop": self = .dev
        case "train", "training": self = .train
        default: return nil
        }
    }
}

/// A file of rows within a data set.
package struct DataFile: Sendable, Hashable {
    package var path: String
    /// The path below the directory that was named, or the file's own name.
    package var name: String
    /// nil where the name says nothing.
    package var split: DataSplit?
    /// Empty where the name says nothing.
    package var subset: String

    /// Reads the layouts in use: `dev/anatomy_dev.csv` (MMLU's and C-Eval's archives), `test/anatomy.csv`
    /// (CMMLU), `anatomy/test-00000-of-00001.parquet` (the hub), `data/train-00000-of-00002.parquet`,
    /// `ARC-Easy/ARC-Easy-Test.jsonl`, `hellaswag_val.jsonl`, `mine_val.csv` (general_mcq) and `test.jsonl`.
    package init(path: String, name: String) {
        self.path = path
        self.name = name
        var folders = name.split(separator: "/").map(String.init)
        let stem = Self.stem(of: folders.popLast() ?? name)
        let folder = folders.last ?? ""
        let folderSplit = DataSplit(word: folder)
        if let split = DataSplit(word: stem) {
            self.split = split
            subset = folder == "data" || folderSplit != nil ? "" : folder
        } else if let cut = stem.lastIndex(where: { $0 == "_" || $0 == "-" || $0 == "." }),
            let split = DataSplit(word: stem[stem.index(after: cut)...])
        {
            self.split = split
            subset = String(stem[..<cut])
        } else {
            split = folderSplit
            subset = stem
        }
    }

    /// The name without its endings and without the hub's `-00000-of-00003`.
    private static func stem(of name: String) -> String {
        var stem = name[...]
        for _ in 0..<2 {
            guard let dot = stem.lastIndex(of: "."), dot != stem.startIndex,
                Self.endings.contains(stem[stem.index(after: dot)...].lowercased())
            else { break }
            stem = stem[..<dot]
        }
        let parts = stem.split(separator: "-", omittingEmptySubsequences: false)
        if parts.count >= 4, parts[parts.count - 2] == "of", parts[parts.count - 1].allSatisfy(\.isNumber),
            parts[parts.count - 3].allSatisfy(\.isNumber)
        {
            return parts.dropLast(3).joined(separator: "-")
        }
        return String(stem)
    }

    private static let endings: Set = [
        "csv", "tsv", "jsonl", "ndjson", "json", "parquet", "txt", "text", "gz", "zst",
    ]

    /// Whether a file's name says that it has rows.
    package static func isData(_ name: String) -> Bool {
        let lowered = name.lowercased()
        let packed = [".gz", ".zst"].first { lowered.hasSuffix($0) }
        let plain = packed.map { lowered.dropLast($0.count) } ?? lowered[...]
        return ["csv", "tsv", "jsonl", "ndjson", "json", "parquet", "txt", "text"].contains {
            plain.hasSuffix("." + $0)
        }
    }
}
