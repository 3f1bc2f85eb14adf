// The last file of a checkpoint, which says that the others are complete.

import Tensors
import Text

/// `complete.json`: what a checkpoint consists of. A directory without it, or whose files differ from it, is
/// no checkpoint.
struct CheckpointMark: Sendable, Hashable {
    struct File: Sendable, Hashable {
        /// Within the checkpoint's directory.
        var path: String
        var byteCount: Int
        var crc: UInt32
    }

    static let name = "complete.json"
    private static let limitBytes = 16 << 20
    private static let version = 1

    var step: Int
    /// The value of `metric_for_best_model` at this step.
    var metric: Double?
    var files: [File]

    init(step: Int, metric: Double?, files: [File]) {
        self.step = step
        self.metric = metric
        self.files = files
    }

    var text: String {
        let files = files.map { file in
            OrderedJSON.object([
                .init(key: "path", value: .string(file.path)),
                .init(key: "bytes", value: .int(file.byteCount)),
                .init(key: "crc32c", value: .int(Int(file.crc))),
            ])
        }
        return OrderedJSON.object([
            .init(key: "version", value: .int(Self.version)),
            .init(key: "step", value: .int(step)),
            .init(key: "metric", value: metric.map { .number($0) } ?? .null),
            .init(key: "files", value: .array(files)),
        ]).prettyText + "\n"
    }

    /// Reads the mark in a directory.
    /// - Throws: a sentence for a warning.
    init(readingFrom directory: String) throws(CheckpointFault) {
        let json: OrderedJSON
        do {
            let bytes = try SmallFile.read("\(directory)/\(Self.name)", limitBytes: Self.limitBytes)
            json = try OrderedJSON(parsingUTF8: bytes)
        } catch let error as FileError where error.isMissing {
            throw CheckpointFault("it has no \(Self.name), so its writer did not come to an end")
        } catch {
            throw CheckpointFault("\(Self.name) cannot be read: \(error)")
        }
        guard json["version"]?.intValue == Self.version, let step = json["step"]?.intValue, step >= 0,
            let list = json["files"]?.arrayValue, !list.isEmpty
        else { throw CheckpointFault("\(Self.name) does not have the form that this version writes") }
        self.step = step
        metric = json["metric"]?.number
        files = []
        for item in list {
            guard let path = item["path"]?.stringValue, let byteCount = item["bytes"]?.intValue,
                let crc = item["crc32c"]?.intValue.flatMap({ UInt32(exactly: $0) }),
                !path.split(separator: "/").contains("..")
            else { throw CheckpointFault("\(Self.name) does not have the form that this version writes") }
            files.append(File(path: path, byteCount: byteCount, crc: crc))
        }
    }
}

/// What is wrong with a directory that looks like a checkpoint.
struct CheckpointFault: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

extension OrderedJSON {
    /// A number that JSON may not be able to say: what is not finite becomes the string that Python has for
    /// it.
    static func number(_ value: Double) -> OrderedJSON {
        if value.isNaN { return .string("NaN") }
        if value.isInfinite { return .string(value < 0 ? "-Infinity" : "Infinity") }
        return .double(value)
    }

    /// A number that `number(_:)` made.
    var number: Double? {
        switch self {
        case .string("NaN"): .nan
        case .string("Infinity"): .infinity
        case .string("-Infinity"): -.infinity
        default: doubleValue
        }
    }
}
