// Writes a quantized model's directory: weights in files like those of save_pretrained, and what lies beside
// them.

import Glibc
import Tensors
import Text

/// A directory in the making. Each layer goes to a file of its own as soon as it is done, so that no more
/// than one is in memory; at the end all are put together.
final class QuantizedModelWriter {
    private let directory: String
    private let model: SafetensorsModel
    private let parts: String
    private var partNames: [String] = []
    /// The model's tensors that others have taken the place of.
    private var replaced: Set<String> = []

    init(directory: String, model: SafetensorsModel) throws(FileError) {
        (self.directory, self.model) = (directory, model)
        parts = "\(directory)/.layers"
        guard mkdir(parts, 0o755) == 0 else { throw FileError(errno: errno, path: parts, while: "create") }
    }

    /// Writes what has become of a layer.
    /// - Parameter replaced: names of the model's tensors that are not to be copied.
    func write(_ tensors: [TensorSource], replacing replaced: [String]) throws {
        self.replaced.formUnion(replaced)
        guard !tensors.isEmpty else { return }
        let path = "\(parts)/\(partNames.count).safetensors"
        try SafetensorsWriter().write(tensors, to: path)
        partNames.append(path)
    }

    /// Puts all layers and the model's other tensors together.
    /// - Returns: bytes of all tensors.
    func finish(
        _ scheme: QuantizationScheme, _ configuration: ModelConfiguration, maximumShardBytes: Int
    ) throws -> Int {
        var views = model.names.filter { !replaced.contains($0) }.compactMap(model.tensor)
        for path in partNames {
            let file = try SafetensorsFile(path: path)
            views += file.names.compactMap(file.tensor)
            // The mapping keeps the bytes; the space is free when the last of them is written.
            unlink(path)
        }
        rmdir(parts)
        // As save_pretrained has them, layer by layer, so that readers find what belongs together in one
        // file.
        let sources = views.sorted { Self.precedes($0.name, $1.name) }.map { TensorSource($0) }
        try SafetensorsWriter().write(
            sources, toDirectory: directory, maximumShardByteCount: maximumShardBytes)
        try writeConfiguration(scheme, configuration)
        try ModelCompanions.copy(
            from: model.directory, to: directory, except: [ModelConfiguration.fileName])
        return views.reduce(0) { $0 + $1.byteCount }
    }

    /// Numbers in names count as numbers: layer 2 comes before layer 10.
    private static func precedes(_ one: String, _ other: String) -> Bool {
        let (left, right) = (one.split(separator: "."), other.split(separator: "."))
        for (a, b) in zip(left, right) where a != b {
            if let a = Int(a), let b = Int(b) { return a < b }
            return a.utf8.lexicographicallyPrecedes(b.utf8)
        }
        return left.count < right.count
    }

    // MARK: What is beside the weights

    private func writeConfiguration(
        _ scheme: QuantizationScheme, _ configuration: ModelConfiguration
    ) throws {
        var members = configuration.json.objectValue ?? []
        members.removeAll { $0.key == "quantization_config" }
        members.append(
            OrderedJSON.Member(key: "quantization_config", value: QuantizedTensors.configuration(scheme)))
        try Self.write(.object(members), to: "\(directory)/\(ModelConfiguration.fileName)")
    }

    /// A file of JSON, indented as the hub's are.
    static func write(_ json: OrderedJSON, to path: String) throws {
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        let file = try AtomicFile(path: path)
        try file.write(Array((json.pythonText(style) + "\n").utf8))
        try file.commit()
    }
}
