// The weights of a model directory, whether they are one file, several with an index, or an adapter.

import Text

/// All tensors of a directory in the layout of the Hugging Face hub.
package final class SafetensorsModel: Sendable {
    package static let singleFileName = "model.safetensors"
    package static let indexFileName = "model.safetensors.index.json"
    package static let adapterFileName = "adapter_model.safetensors"
    /// A longer index is refused.
    package static let maximumIndexByteCount = 100_000_000
    /// An index that names more files is refused.
    package static let maximumShards = 10_000

    package let directory: String
    /// The names of the tensors, sorted by their bytes.
    package let names: [String]
    /// The open files, in the order of their names.
    package let files: [SafetensorsFile]
    /// Which of the files has the tensor.
    private let places: [TensorName: Int]

    /// Opens `model.safetensors`, else the files that `model.safetensors.index.json` names, else
    /// `adapter_model.safetensors`.
    /// - Throws: when none of them is there, a file is missing or damaged, or index and files disagree.
    package init(directory: String) throws(SafetensorsError) {
        self.directory = directory
        for name in [Self.singleFileName, Self.indexFileName, Self.adapterFileName] {
            let path = Self.join(directory, name)
            guard SmallFile.exists(path) else { continue }
            if name == Self.indexFileName {
                (files, places) = try Self.openShards(directory, indexPath: path)
            } else {
                let file = try SafetensorsFile(path: path)
                files = [file]
                places = Dictionary(uniqueKeysWithValues: file.names.map { (TensorName($0), 0) })
            }
            names = places.keys.map(\.text).sorted(by: TensorName.precedes)
            return
        }
        throw Self.nothingFound(directory)
    }

    /// The tensor of that name, nil if the model has none.
    package func tensor(_ name: String) -> TensorView? {
        places[TensorName(name)].flatMap { files[$0].tensor(name) }
    }

    /// Bytes of all tensors together.
    package var tensorByteCount: Int { files.reduce(0) { $0 + $1.tensorByteCount } }

    /// Gives the memory of all files' pages back; what is touched again is read again.
    package func release() {
        for file in files { file.release() }
    }

    /// Asks the system to read all files ahead.
    package func prefetch() {
        for file in files { file.prefetch() }
    }

    private static func join(_ directory: String, _ name: String) -> String {
        directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }

    private static func nothingFound(_ directory: String) -> SafetensorsError {
        let others: [(name: String, remedy: String)] = [
            (
                "pytorch_model.bin",
                "pickled weights are not read: convert them with save_pretrained(..., safe_serialization=True)"
            ),
            (
                "pytorch_model.bin.index.json",
                "pickled weights are not read: convert them with save_pretrained(..., safe_serialization=True)"
            ),
            (
                "adapter_model.bin",
                "pickled adapters are not read: load and save the adapter again with PEFT"
            ),
            (
                "consolidated.safetensors",
                "its tensors have other names: download the files that transformers uses"
            ),
        ]
        let missing = "there is no \(singleFileName), \(indexFileName) or \(adapterFileName)"
        guard SmallFile.exists(directory) else {
            return SafetensorsError(
                file: directory, problem: "there is no such directory", remedy: "check the path")
        }
        for other in others where SmallFile.exists(join(directory, other.name)) {
            return SafetensorsError(
                file: directory, problem: "\(missing), only \(other.name)", remedy: other.remedy)
        }
        return SafetensorsError(
            file: directory, problem: missing,
            remedy: "download the model's weights, or give the directory that has them")
    }
}

// MARK: Shards

extension SafetensorsModel {
    private static func openShards(
        _ directory: String, indexPath: String
    ) throws(SafetensorsError) -> ([SafetensorsFile], [TensorName: Int]) {
        let map = try weightMap(indexPath)
        let fileNames = Set(map.map(\.file)).sorted(by: TensorName.precedes)
        guard fileNames.count <= maximumShards else {
            throw SafetensorsError(
                file: indexPath, problem: "the index names \(fileNames.count) files",
                remedy: "save the model again in at most \(maximumShards) files")
        }
        var files: [SafetensorsFile] = []
        for name in fileNames {
            let path = join(directory, name)
            guard SmallFile.exists(path) else {
                let count = fileNames.filter { !SmallFile.exists(join(directory, $0)) }.count
                throw SafetensorsError(
                    file: path,
                    problem: "\(indexFileName) names this file, and it is not there "
                        + "(\(count) of \(fileNames.count) are missing)",
                    remedy: "finish the download, or copy the missing files into the directory")
            }
            files.append(try SafetensorsFile(path: path))
        }
        let numbers = Dictionary(uniqueKeysWithValues: fileNames.enumerated().map { ($1, $0) })
        var places: [TensorName: Int] = [:]
        places.reserveCapacity(map.count)
        for (tensor, file) in map {
            guard let number = numbers[file], files[number].tensor(tensor) != nil else {
                throw SafetensorsError(
                    file: join(directory, file), tensor: tensor,
                    problem: "\(indexFileName) says that the tensor is in this file, and it is not",
                    remedy: "index and files are of different saves: download or copy all of them again")
            }
            places[TensorName(tensor)] = number
        }
        return (files, places)
    }

    /// The pairs of `weight_map`, whose files are plain names: an index must not reach outside of its directory.
    private static func weightMap(_ path: String) throws(SafetensorsError) -> [(tensor: String, file: String)]
    {
        func failure(_ tensor: String? = nil, _ problem: String) -> SafetensorsError {
            SafetensorsError(
                file: path, tensor: tensor, problem: problem,
                remedy: "download the index again, or save the model again with save_pretrained")
        }
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SmallFile.read(path, limitBytes: maximumIndexByteCount)
        } catch {
            throw SafetensorsError(error)
        }
        let index: OrderedJSON
        do throws(JSONParseError) {
            index = try OrderedJSON(parsingUTF8: bytes)
        } catch {
            throw failure(nil, error.description)
        }
        guard let members = index["weight_map"]?.objectValue, !members.isEmpty else {
            throw failure(nil, "weight_map is missing, empty, or not an object")
        }
        var map: [(tensor: String, file: String)] = []
        map.reserveCapacity(members.count)
        for member in members {
            guard let file = member.value.stringValue else {
                throw failure(member.key, "its value in weight_map is not a string")
            }
            let isPlain =
                !file.isEmpty && file.utf8.first != UInt8(ascii: ".") && file.utf8.count <= 255
                && !file.utf8.contains { $0 == UInt8(ascii: "/") || $0 < 0x20 }
            guard isPlain, file.hasSuffix(".safetensors") else {
                throw failure(
                    member.key,
                    "weight_map gives \"\(SafetensorsError.shortened(file))\", which is not the name of a "
                        + "safetensors file in this directory")
            }
            map.append((member.key, file))
        }
        return map
    }
}
