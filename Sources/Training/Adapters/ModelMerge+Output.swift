// Writes a merged model: a complete directory that appears at once.

import Models
package import Tensors
import Text

extension ModelMerge {
    /// Writes the merged model, in files like the model's and with its element types. Memory is bounded by a
    /// block of rows and the matrices of one layer, whatever the model's size.
    ///
    /// The directory is filled under a temporary name, brought to disk and renamed, so that a crash leaves
    /// nothing at its path, or the whole.
    /// - Parameters:
    ///   - output: a directory that does not exist or is empty.
    ///   - existOK: replaces a model that is there.
    ///   - progress: called after each tensor; what it throws ends the merge, and nothing is left.
    package func write(
        to output: String, existOK: Bool = false, pool: ThreadPool,
        progress: @escaping (Progress) throws -> Void = { _ in }
    ) throws {
        try requireFree(output, existOK: existOK)
        let staged = try StagedDirectory(path: output)
        var done = 0
        for file in files {
            let sources = file.tensors.map { tensor in
                tensor.source(pool: pool) {
                    done += 1
                    try progress(Progress(done: done, total: tensorCount, tensor: tensor.name))
                }
            }
            let metadata = model.files.first { $0.path.hasSuffix("/\(file.name)") }?.metadata ?? [:]
            try SafetensorsWriter(metadata: metadata).write(sources, to: "\(staged.stagingPath)/\(file.name)")
        }
        try writeIndex(to: staged.stagingPath)
        try copyFiles(to: staged.stagingPath)
        // What may be large has taken a while: somebody else may have come first.
        try requireFree(output, existOK: existOK)
        try staged.commit()
    }
}

// MARK: The place

extension ModelMerge {
    private func requireFree(_ output: String, existOK: Bool) throws {
        let sources = [directory] + adapters.map(\.directory)
        guard let obstacle = StagedDirectory.obstacle(at: output, existOK: existOK, sources: sources) else {
            return
        }
        throw TrainingError(.badParameters, "\(output): \(obstacle.problem)", remedy: obstacle.remedy)
    }
}

// MARK: What is beside the weights

extension ModelMerge {
    /// The model's index with what the merge adds to it.
    private func writeIndex(to directory: String) throws {
        let path = "\(self.directory)/\(SafetensorsModel.indexFileName)"
        guard files.count > 1 || files.first?.name != SafetensorsModel.singleFileName else { return }
        guard SmallFile.exists(path) else { return }
        let old = try OrderedJSON(
            parsingUTF8: SmallFile.read(path, limitBytes: SafetensorsModel.maximumIndexByteCount))
        var metadata = old["metadata"]?.objectValue ?? []
        var map: [OrderedJSON.Member] = []
        var byteCount = 0
        for file in files {
            for tensor in file.tensors {
                map.append(OrderedJSON.Member(key: tensor.name, value: .string(file.name)))
                byteCount += tensor.elementType.size(of: tensor.base.shape)?.bytes ?? 0
            }
        }
        metadata.removeAll { $0.key == "total_size" }
        metadata.append(OrderedJSON.Member(key: "total_size", value: .int(byteCount)))
        var style = Self.style
        style.sortsKeys = true
        let index = OrderedJSON.object([
            OrderedJSON.Member(key: "metadata", value: .object(metadata)),
            OrderedJSON.Member(key: "weight_map", value: .object(map)),
        ])
        try Self.write(
            Array((index.pythonText(style) + "\n").utf8), to: "\(directory)/\(SafetensorsModel.indexFileName)"
        )
    }

    /// The model's own files beside its weights.
    private func copyFiles(to directory: String) throws {
        let name = ModelConfiguration.fileName
        if untiesEmbedding {
            try Self.write(
                Array((untiedConfiguration.pythonText(Self.style) + "\n").utf8), to: "\(directory)/\(name)")
        }
        try ModelCompanions.copy(
            from: self.directory, to: directory, except: untiesEmbedding ? [name] : [])
    }

    private var untiedConfiguration: OrderedJSON {
        var members = configuration.json.objectValue ?? []
        members.removeAll { $0.key == "tie_word_embeddings" }
        members.append(OrderedJSON.Member(key: "tie_word_embeddings", value: .bool(false)))
        return .object(members)
    }

    private static var style: OrderedJSON.PythonStyle {
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        return style
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
    }
}
