// Input artifacts that are single files have no ending in their name: a step finds them under the artifact's
// name. What reads data sets goes by endings, so such a file gets a second name with the one that its content
// has.

import Artifacts
import Glibc
import Text
import WorkflowLanguage

enum StepFiles {
    /// How much of a file is looked at.
    private static let headBytes = 4096

    /// Parameters whose files are told apart by their endings.
    private static let parameters: Set<String> = ["dataset", "val-dataset", "few-shot-file", "file"]

    /// Whether a value names an input of a step that it was not given.
    static func isAbsentInput(_ value: String) -> Bool {
        value.hasPrefix(MartletStep.inputDirectory + "/") && Disk.exists(MartletStep.configPath)
            && !Disk.exists(value)
    }

    /// The path, or a link to it in `directory` whose name has an ending.
    /// - Parameter parameter: in kebab case.
    static func named(
        _ path: String, for parameter: String, linksIn directory: String? = nil
    ) -> String {
        guard parameters.contains(parameter), path.contains(MartletStep.inputDirectory + "/"),
            !Disk.name(of: path).contains("."), Disk.targetStatus(path)?.kind == .file,
            let head = head(of: path)
        else { return path }
        let place = directory ?? Environment.value("TMPDIR") ?? "/tmp"
        let link = "\(place)/martlet-\(getpid())-\(Disk.name(of: path)).\(ending(of: head))"
        unlink(link)
        return symlink(path, link) == 0 ? link : path
    }

    /// What the first bytes of a file of rows say about its format.
    static func ending(of head: [UInt8]) -> String {
        if head.starts(with: Array("PAR1".utf8)) { return "parquet" }
        let text = head.drop {
            $0 == 0x20 || (0x09...0x0D).contains($0) || $0 == 0xEF || $0 == 0xBB || $0 == 0xBF
        }
        switch text.first {
        case UInt8(ascii: "{"):
            // An object that goes on beyond its first line is a whole document.
            let line = Array(text.prefix { $0 != 0x0A })
            let isWhole = (try? JSONValue(parsingUTF8: line)) != nil
            return isWhole || line.count == text.count ? "jsonl" : "json"
        case UInt8(ascii: "["): return "json"
        default:
            let line = text.prefix { $0 != 0x0A }
            return line.contains(UInt8(ascii: ",")) && !line.contains(UInt8(ascii: " ")) ? "csv" : "txt"
        }
    }

    private static func head(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: headBytes)
        let count = read(file, &bytes, bytes.count)
        return count > 0 ? Array(bytes[..<count]) : nil
    }
}
