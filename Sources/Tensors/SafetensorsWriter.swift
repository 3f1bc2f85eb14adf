// Writes safetensors files byte for byte as the reference library does, and so that a crash leaves either the
// old file or the new one.

import Glibc

/// Writes tensors to safetensors files.
package struct SafetensorsWriter: Sendable {
    /// Goes into `__metadata__`; loaders of transformers want to see `format`.
    package var metadata: [String: String]

    package init(metadata: [String: String] = ["format": "pt"]) { self.metadata = metadata }

    /// Writes one file: under another name first, then to disk, then to its place.
    /// - Throws: for names given twice, shapes that do not fit, a source that gives too many or too few bytes,
    ///   a full disk; the file at `path` is then as it was.
    package func write(_ tensors: [TensorSource], to path: String) throws {
        let plan = try FilePlan(tensors, metadata: metadata, path: path)
        let file = try AtomicFile(path: path)
        try file.write(plan.header)
        for (tensor, byteCount) in plan.tensors {
            var written = 0
            try tensor.produce { piece in
                written += piece.count
                guard written <= byteCount else { throw Self.wrongLength(path, tensor, byteCount) }
                try file.write(piece)
            }
            guard written == byteCount else { throw Self.wrongLength(path, tensor, byteCount) }
        }
        try file.commit()
    }

    private static func wrongLength(_ path: String, _ tensor: TensorSource, _ count: Int) -> SafetensorsError
    {
        SafetensorsError(
            file: path, tensor: tensor.name,
            problem: "its source does not give the \(count) bytes that shape \(tensor.shape) takes",
            remedy: "this is an error of the program that writes; the file was not changed")
    }
}

/// A file's header and the order of what follows it.
private struct FilePlan {
    var header: [UInt8]
    var tensors: [(source: TensorSource, byteCount: Int)]

    init(_ sources: [TensorSource], metadata: [String: String], path: String) throws(SafetensorsError) {
        var names: Set<TensorName> = []
        tensors = []
        for source in sources.sorted(by: Self.precedes) {
            guard names.insert(TensorName(source.name)).inserted, source.name != "__metadata__" else {
                throw SafetensorsError(
                    file: path, tensor: source.name, problem: "the name is given twice or reserved",
                    remedy: "give every tensor a name of its own")
            }
            guard let size = source.elementType.size(of: source.shape),
                source.shape.count <= SafetensorsHeader.maximumDimensions
            else {
                throw SafetensorsError(
                    file: path, tensor: source.name, problem: "the shape \(source.shape) cannot be stored",
                    remedy: "check the tensor's shape")
            }
            tensors.append((source, size.bytes))
        }
        header = []
        let json = try Self.json(tensors, metadata: metadata, path: path)
        guard json.count <= SafetensorsHeader.maximumByteCount else {
            throw SafetensorsError(
                file: path, problem: "the header would have \(json.count) bytes, more than can be read again",
                remedy: "write fewer tensors to a file")
        }
        withUnsafeBytes(of: UInt64(json.count).littleEndian) { header.append(contentsOf: $0) }
        header += json
    }

    /// Widest type first, then by name: then all tensors are aligned.
    private static func precedes(_ one: TensorSource, _ other: TensorSource) -> Bool {
        let (a, b) = (one.elementType.layoutRank, other.elementType.layoutRank)
        return a == b ? TensorName.precedes(one.name, other.name) : a < b
    }

    /// Padded with spaces to a multiple of 8 bytes, as the format's specification asks for.
    private static func json(
        _ tensors: [(source: TensorSource, byteCount: Int)], metadata: [String: String], path: String
    ) throws(SafetensorsError) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let strings = metadata.sorted { TensorName.precedes($0.key, $1.key) }
                .map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }
            members.append("\"__metadata__\":{\(strings.joined(separator: ","))}")
        }
        var offset = 0
        for (source, byteCount) in tensors {
            let (end, overflowed) = offset.addingReportingOverflow(byteCount)
            guard !overflowed, end <= SafetensorsHeader.maximumFileByteCount else {
                throw SafetensorsError(
                    file: path, tensor: source.name, problem: "the file would be too large",
                    remedy: "write several files")
            }
            let shape = source.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(JSONText.quoted(source.name)):{\"dtype\":\"\(source.elementType.rawValue)\","
                    + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var bytes = Array("{\(members.joined(separator: ","))}".utf8)
        bytes += repeatElement(UInt8(ascii: " "), count: (8 - bytes.count % 8) % 8)
        return bytes
    }
}

/// JSON strings as Rust's and Python's writers have them, with other characters than ASCII left as they are.
enum JSONText {
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{8}": quoted += "\\b"
            case "\u{C}": quoted += "\\f"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
