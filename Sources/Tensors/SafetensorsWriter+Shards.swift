// Large models in several files, cut and named as transformers' save_pretrained does.

import Glibc

extension SafetensorsWriter {
    /// The size at which `save_pretrained` begins another file, in bytes.
    package static let defaultMaximumShardByteCount = 50_000_000_000

    /// Writes `model.safetensors` if everything fits into one file, else `model-00001-of-0000n.safetensors` and
    /// so on with `model.safetensors.index.json`, and then removes what an earlier save left there under other
    /// names. Tensors stay in the given order; one that is larger than the limit gets a file of its own.
    ///
    /// Each file is replaced as a whole, but not all of them at once: write a new model to a directory of its own.
    /// - Returns: the names of the files, in order.
    @discardableResult
    package func write(
        _ tensors: [TensorSource], toDirectory directory: String,
        maximumShardByteCount: Int = defaultMaximumShardByteCount
    ) throws -> [String] {
        let shards = try Self.split(tensors, maximumByteCount: maximumShardByteCount, directory: directory)
        guard shards.count > 1 else {
            let name = SafetensorsModel.singleFileName
            try write(tensors, to: "\(directory)/\(name)")
            try Self.removeStale(directory, keeping: [name])
            return [name]
        }
        let names = shards.indices.map { Self.shardName($0, of: shards.count) }
        var map: [(tensor: String, file: String)] = []
        var totalSize = 0
        for (name, shard) in zip(names, shards) {
            try write(shard.tensors, to: "\(directory)/\(name)")
            map += shard.tensors.map { ($0.name, name) }
            totalSize += shard.byteCount
        }
        let index = try AtomicFile(path: "\(directory)/\(SafetensorsModel.indexFileName)")
        try index.write(Array(Self.indexText(map, totalSize: totalSize).utf8))
        try index.commit()
        try Self.removeStale(directory, keeping: names + [SafetensorsModel.indexFileName])
        return names
    }

    private static func shardName(_ index: Int, of count: Int) -> String {
        func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        return "model-\(padded(index + 1))-of-\(padded(count)).safetensors"
    }

    private static func split(
        _ tensors: [TensorSource], maximumByteCount: Int, directory: String
    ) throws(SafetensorsError) -> [(tensors: [TensorSource], byteCount: Int)] {
        var shards: [(tensors: [TensorSource], byteCount: Int)] = []
        var current: (tensors: [TensorSource], byteCount: Int) = ([], 0)
        var names: Set<TensorName> = []
        for tensor in tensors {
            guard names.insert(TensorName(tensor.name)).inserted else {
                throw SafetensorsError(
                    file: directory, tensor: tensor.name, problem: "the name is given twice",
                    remedy: "give every tensor a name of its own")
            }
            guard let size = tensor.elementType.size(of: tensor.shape)?.bytes,
                size <= SafetensorsHeader.maximumFileByteCount
            else {
                throw SafetensorsError(
                    file: directory, tensor: tensor.name,
                    problem: "the shape \(tensor.shape) cannot be stored", remedy: "check the tensor's shape")
            }
            if size > maximumByteCount {
                shards.append(([tensor], size))
                continue
            }
            if current.byteCount + size > maximumByteCount, !current.tensors.isEmpty {
                shards.append(current)
                current = ([], 0)
            }
            current.tensors.append(tensor)
            current.byteCount += size
        }
        if !current.tensors.isEmpty { shards.append(current) }
        return shards
    }

    /// As Python's `json.dumps(index, indent=2, sort_keys=True)` and a line end.
    private static func indexText(_ map: [(tensor: String, file: String)], totalSize: Int) -> String {
        let lines = map.sorted { TensorName.precedes($0.tensor, $1.tensor) }
            .map { "    \(JSONText.quoted($0.tensor)): \(JSONText.quoted($0.file))" }
        return """
            {
              "metadata": {
                "total_size": \(totalSize)
              },
              "weight_map": {
            \(lines.joined(separator: ",\n"))
              }
            }

            """
    }

    /// Removes the weights of an earlier save. A left `model.safetensors` would be loaded before the index.
    private static func removeStale(_ directory: String, keeping names: [String]) throws(FileError) {
        guard let listing = opendir(directory) else {
            throw FileError(errno: errno, path: directory, while: "list")
        }
        defer { closedir(listing) }
        var stale: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if isWeights(name), !names.contains(name) { stale.append(name) }
        }
        for name in stale where unlink("\(directory)/\(name)") != 0 && errno != ENOENT {
            throw FileError(errno: errno, path: "\(directory)/\(name)", while: "remove")
        }
    }

    /// Whether a name is one that this writer gives: the file, the index, or `model-ddddd-of-ddddd.safetensors`.
    private static func isWeights(_ name: String) -> Bool {
        if name == SafetensorsModel.singleFileName || name == SafetensorsModel.indexFileName { return true }
        let parts = name.dropLast(".safetensors".count).split(
            separator: "-", omittingEmptySubsequences: false)
        return name.hasSuffix(".safetensors") && parts.count == 4 && parts[0] == "model" && parts[2] == "of"
            && [parts[1], parts[3]].allSatisfy { $0.count >= 5 && $0.allSatisfy(\.isNumber) }
    }
}
