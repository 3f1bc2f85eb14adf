// Directories of weights: one file, shards with an index, adapters, and what may be wrong with them.

import Tensors
import Testing

@Suite("Directories of weights")
struct SafetensorsModelTests {
    private static func source(_ name: String, _ value: Float) -> TensorSource {
        TensorSource(name: name, shape: [1], floats: [value])
    }

    private static func index(_ pairs: String) -> [UInt8] {
        Array("{\"metadata\":{\"total_size\":8},\"weight_map\":{\(pairs)}}".utf8)
    }

    @Test("The single file goes before the index, and the index before an adapter")
    func findsWeights() throws {
        let folder = try TemporaryFolder()
        try SafetensorsWriter().write(
            [Self.source("lora", 3)], to: "\(folder.path)/adapter_model.safetensors")
        #expect(try SafetensorsModel(directory: folder.path).names == ["lora"])
        try SafetensorsWriter().write([Self.source("b", 1)], to: "\(folder.path)/x-1.safetensors")
        try SafetensorsWriter().write([Self.source("a", 2)], to: "\(folder.path)/x-2.safetensors")
        try folder.write(
            Self.index(#""b":"x-1.safetensors","a":"x-2.safetensors""#), to: SafetensorsModel.indexFileName)
        let sharded = try SafetensorsModel(directory: folder.path + "/")
        #expect(sharded.names == ["a", "b"] && sharded.tensorByteCount == 8 && sharded.files.count == 2)
        sharded.prefetch()
        sharded.release()
        #expect(sharded.tensor("a")?.floats() == [2] && sharded.tensor("b")?.floats() == [1])
        #expect(sharded.tensor("lora") == nil)
        try SafetensorsWriter().write([Self.source("one", 4)], to: "\(folder.path)/model.safetensors")
        #expect(try SafetensorsModel(directory: folder.path).names == ["one"])
    }

    @Test(
        "An index that names what is not there, or not its own, is refused",
        arguments: [
            (#""a":"x-1.safetensors","c":"x-3.safetensors""#, "finish the download"),
            (#""a":"x-1.safetensors","c":"x-1.safetensors""#, "and it is not"),
            (#""a":"../x-1.safetensors""#, "not the name of a safetensors file"),
            (#""a":"/etc/x-1.safetensors""#, "not the name of a safetensors file"),
            (#""a":"sub/x-1.safetensors""#, "not the name of a safetensors file"),
            (#""a":".safetensors""#, "not the name of a safetensors file"),
            (#""a":"x-1.safetensors\u0000""#, "not the name of a safetensors file"),
            (#""a":"config.json""#, "not the name of a safetensors file"), (#""a":"""#, "not the name of a"),
            (#""a":1"#, "not a string"), ("", "weight_map is missing"), (#""a":"#, "invalid JSON"),
        ])
    func refusesBadIndex(pairs: String, expected: String) throws {
        let folder = try TemporaryFolder()
        try SafetensorsWriter().write([Self.source("a", 1)], to: "\(folder.path)/x-1.safetensors")
        try folder.write(Self.index(pairs), to: SafetensorsModel.indexFileName)
        let error = #expect(throws: SafetensorsError.self) { try SafetensorsModel(directory: folder.path) }
        let text = error?.description ?? ""
        #expect(text.contains(expected) && text.hasPrefix(folder.path), "\(text)")
    }

    @Test(
        "A directory without weights says what it has and what to do",
        arguments: [
            ("pytorch_model.bin", "safe_serialization"), ("adapter_model.bin", "PEFT"),
            ("consolidated.safetensors", "other names"), ("README.md", "download the model's weights"),
        ])
    func saysWhatIsMissing(name: String, expected: String) throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: name)
        let error = #expect(throws: SafetensorsError.self) { try SafetensorsModel(directory: folder.path) }
        #expect(error?.remedy.contains(expected) == true, "\(error?.description ?? "")")
        let absent = #expect(throws: SafetensorsError.self) {
            try SafetensorsModel(directory: folder.path + "/absent")
        }
        #expect(absent?.problem == "there is no such directory")
    }
}
