// Makes the files of a run that was killed fit the checkpoint from which it goes on.

import Glibc
import Tensors
import Text

/// Files of JSON lines.
enum LogFile {
    private static let limitBytes = 1 << 30

    /// `logging.jsonl`: lines beyond the resumed step go, and those that ended the run, since it goes on.
    static func prepare(_ path: String, resumedStep: Int?) throws {
        guard let resumedStep else {
            if (CheckpointDisk().byteCount(path) ?? 0) > 0, rename(path, "\(path).old") != 0 {
                throw FileError(errno: errno, path: path, while: "rename")
            }
            return
        }
        try rewrite(path) { line in
            if line["log_history"] != nil || line["train_runtime"] != nil { return false }
            guard let position = line["global_step/max_steps"]?.stringValue,
                let step = position.split(separator: "/").first.flatMap({ Int($0) })
            else { return true }
            return step <= resumedStep
        }
    }

    /// The file of `--log_json`, whose steps count from 0.
    static func prepareSteps(_ path: String, resumedStep: Int?) throws {
        try rewrite(path) { line in (line["step"]?.intValue).map { $0 < resumedStep ?? 0 } ?? true }
    }

    private static func rewrite(_ path: String, keeps: (OrderedJSON) -> Bool) throws {
        // What is no regular file (a pipe, /dev/null) has no past.
        guard CheckpointDisk().byteCount(path) != nil else { return }
        let bytes = try SmallFile.read(path, limitBytes: limitBytes)
        let kept = keptLines(of: bytes, keeps: keeps)
        guard kept != bytes else { return }
        let file = try AtomicFile(path: path)
        try file.write(kept)
        try file.commit()
    }

    /// The lines to be kept, each with its end. A last line without an end is kept if it is JSON all the
    /// same; a line in between that is no JSON came from elsewhere and stays.
    static func keptLines(of bytes: [UInt8], keeps: (OrderedJSON) -> Bool) -> [UInt8] {
        var kept: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A)
            let line = Array(bytes[start..<(end ?? bytes.count)])
            let json = try? OrderedJSON(parsingUTF8: line)
            let isTorn = end == nil && json?.objectValue == nil
            if !isTorn, json.map(keeps) ?? true { kept += line + [0x0A] }
            start = (end ?? bytes.count) + 1
        }
        return kept
    }
}
