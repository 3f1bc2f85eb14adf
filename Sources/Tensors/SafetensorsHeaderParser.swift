// Reads the JSON of a safetensors header straight into entries: the general reader forgives what a header must
// not have (a name given twice, bytes that are not UTF-8), and files of many thousand tensors open faster.

/// Reads one header. Everything that it believes is checked except how the tensors lie to each other.
struct SafetensorsHeaderParser {
    let bytes: UnsafeRawBufferPointer
    let file: String
    /// How many bytes follow the header.
    private let dataByteCount: Int
    var position = 0
    var depth = 0

    /// How deep values of unknown fields may nest.
    static let maximumDepth = 64

    struct Contents {
        var entries: [SafetensorsHeader.Entry] = []
        var metadata: [String: String] = [:]
    }

    init(bytes: UnsafeRawBufferPointer, file: String, dataByteCount: Int) {
        self.bytes = bytes
        self.file = file
        self.dataByteCount = dataByteCount
    }

    mutating func parse() throws(SafetensorsError) -> Contents {
        guard bytes.first == UInt8(ascii: "{") else { throw malformed("it does not begin with \"{\"") }
        var contents = Contents()
        var names: Set<TensorName> = []
        var hasMetadata = false
        try parseMembers { (parser, name) throws(SafetensorsError) in
            if name == "__metadata__" {
                guard !hasMetadata else { throw parser.malformed("__metadata__ is given twice") }
                hasMetadata = true
                contents.metadata = try parser.parseMetadata()
            } else {
                guard names.insert(TensorName(name)).inserted else {
                    throw parser.fault(name, "the name is given twice in the header")
                }
                contents.entries.append(try parser.parseEntry(name))
            }
        }
        skipWhitespace()
        guard position == bytes.count else { throw malformed("text follows the object") }
        return contents
    }

    private mutating func parseMetadata() throws(SafetensorsError) -> [String: String] {
        var metadata: [String: String] = [:]
        guard peek() == UInt8(ascii: "{") else { throw malformed("__metadata__ is not an object") }
        try parseMembers { (parser, key) throws(SafetensorsError) in
            guard parser.peek() == UInt8(ascii: "\"") else {
                throw parser.malformed("a value of __metadata__ is not a string")
            }
            metadata[key] = try parser.parseString()
        }
        return metadata
    }

    private mutating func parseEntry(_ name: String) throws(SafetensorsError) -> SafetensorsHeader.Entry {
        guard peek() == UInt8(ascii: "{") else { throw fault(name, "its header entry is not an object") }
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try parseMembers { (parser, key) throws(SafetensorsError) in
            switch key {
            case "dtype":
                guard typeName == nil, parser.peek() == UInt8(ascii: "\"") else {
                    throw parser.fault(name, "its dtype is not one string")
                }
                typeName = try parser.parseString()
            case "shape":
                guard shape == nil else { throw parser.fault(name, "its shape is given twice") }
                shape = try parser.parseNumbers(
                    name, of: "shape", limit: SafetensorsHeader.maximumDimensions)
            case "data_offsets":
                guard offsets == nil else { throw parser.fault(name, "its data_offsets are given twice") }
                offsets = try parser.parseNumbers(name, of: "data_offsets", limit: 2)
            default: try parser.skipValue()
            }
        }
        return try entry(name, typeName: typeName, shape: shape, offsets: offsets)
    }

    private func entry(
        _ name: String, typeName: String?, shape: [Int]?, offsets: [Int]?
    ) throws(SafetensorsError) -> SafetensorsHeader.Entry {
        guard let typeName, let shape, let offsets else {
            let missing = typeName == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
            throw fault(name, "the header gives no \(missing)")
        }
        guard let type = ElementType(rawValue: typeName) else {
            let known = ElementType.allCases.map(\.rawValue).sorted().joined(separator: ", ")
            throw SafetensorsError(
                file: file, tensor: name,
                problem: "its element type \"\(SafetensorsError.shortened(typeName))\" is unknown",
                remedy: "convert the model to one of \(known)")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw fault(name, "its data_offsets \(offsets) are not a beginning and an end")
        }
        guard offsets[1] <= dataByteCount else {
            throw SafetensorsError(
                file: file, tensor: name,
                problem:
                    "it ends at byte \(offsets[1]) after the header, but only \(dataByteCount) are there",
                remedy: "the file was cut off: download or copy it again")
        }
        guard let size = type.size(of: shape) else {
            throw fault(name, "a tensor of shape \(shape) is too large for any machine")
        }
        guard size.bytes == offsets[1] - offsets[0] else {
            throw fault(
                name,
                "shape \(shape) of \(typeName) takes \(size.bytes) bytes, its data_offsets have "
                    + "\(offsets[1] - offsets[0])")
        }
        return SafetensorsHeader.Entry(
            name: name, elementType: type, shape: shape, byteRange: offsets[0]..<offsets[1])
    }

    func malformed(_ what: String) -> SafetensorsError {
        SafetensorsError(
            file: file, problem: "the header is not as the format wants it at byte \(8 + position): \(what)",
            remedy: "the file is damaged or none of safetensors: download or copy it again")
    }

    func fault(_ name: String, _ what: String) -> SafetensorsError {
        SafetensorsError(
            file: file, tensor: name, problem: what,
            remedy: "the file was written wrongly: save the model again with the safetensors library")
    }
}
