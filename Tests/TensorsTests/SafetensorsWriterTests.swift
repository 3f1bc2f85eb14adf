// Written files: their bytes, their shards, and that a failure leaves what was there.

import Tensors
import TestSupport
import Testing

@Suite("Writing safetensors")
struct SafetensorsWriterTests {
    @Test("Bytes are those of the reference library: wide types first, then names, padded to 8")
    func writesReferenceBytes() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/m.safetensors"
        try SafetensorsWriter().write(
            [
                TensorSource(name: "b", elementType: .u8, shape: [3], bytes: [1, 2, 3]),
                TensorSource(name: "z", shape: [1], floats: [1]),
                TensorSource(name: "A\"\n\u{1}é", elementType: .bf16, shape: [], bytes: [0x80, 0x3F]),
                TensorSource(name: "none", shape: [0, 2], floats: []),
            ], to: path)
        var header =
            #"{"__metadata__":{"format":"pt"},"none":{"dtype":"F32","shape":[0,2],"data_offsets":[0,0]},"#
            + #""z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
            + #""A\"\n\u0001é":{"dtype":"BF16","shape":[],"data_offsets":[4,6]},"#
            + #""b":{"dtype":"U8","shape":[3],"data_offsets":[6,9]}}"#
        while header.utf8.count % 8 != 0 { header += " " }
        let expected = safetensorsBytes(
            Array(header.utf8), data: [0, 0, 0x80, 0x3F, 0x80, 0x3F, 1, 2, 3])
        #expect(try folder.read("m.safetensors") == expected)
        #expect(try SafetensorsFile(path: path).metadata == ["format": "pt"])
    }

    @Test("What is written is read again, whatever the names and shapes", arguments: 0..<6)
    func readsItsOwn(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let folder = try TemporaryFolder()
        var expected: [String: (ElementType, [Int], [UInt8])] = [:]
        var sources: [TensorSource] = []
        for number in 0..<Int.random(in: 1...40, using: &random) {
            let type = ElementType.allCases.randomElement(using: &random) ?? .f32
            let shape = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                Int.random(in: 0...5, using: &random)
            }
            let count = shape.reduce(type.byteCount, *)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let name =
                ["", "\"", "\\", "\u{1F}", "é", "😀", "."].randomElement(using: &random).map {
                    "\($0)\(number)"
                } ?? ""
            expected[name] = (type, shape, bytes)
            sources.append(
                TensorSource(name: name, elementType: type, shape: shape) { sink in
                    // In pieces, as a producer that never has the whole tensor in memory gives them.
                    for start in stride(from: 0, to: bytes.count, by: 7) {
                        try bytes[start..<min(start + 7, bytes.count)].withUnsafeBytes { try sink($0) }
                    }
                })
        }
        try SafetensorsWriter(metadata: [:]).write(sources, to: "\(folder.path)/m.safetensors")
        let file = try SafetensorsFile(path: "\(folder.path)/m.safetensors")
        #expect(file.names.count == expected.count)
        for (name, tensor) in expected {
            let view = try #require(file.tensor(name))
            #expect(view.elementType == tensor.0 && view.shape == tensor.1 && Array(view.bytes) == tensor.2)
        }
    }

    @Test("Shards are cut and named as save_pretrained does, and earlier files go")
    func writesShards() throws {
        let folder = try TemporaryFolder()
        let sources = [("c", 4), ("a", 3), ("big", 20), ("b", 5), ("d", 1)].map { name, count in
            TensorSource(
                name: name, elementType: .u8, shape: [count], bytes: [UInt8](repeating: 7, count: count))
        }
        try folder.write([1], to: "model.safetensors")
        try folder.write([1], to: "model-00001-of-00009.safetensors")
        try folder.write([1], to: "other-00001-of-00009.safetensors")
        let writer = SafetensorsWriter()
        let names = try writer.write(sources, toDirectory: folder.path, maximumShardByteCount: 8)
        #expect(names == (1...3).map { "model-0000\($0)-of-00003.safetensors" })
        #expect(
            folder.names() == names + ["model.safetensors.index.json", "other-00001-of-00009.safetensors"])
        let index = String(decoding: try folder.read("model.safetensors.index.json"), as: UTF8.self)
        #expect(
            index == """
                {
                  "metadata": {
                    "total_size": 33
                  },
                  "weight_map": {
                    "a": "model-00002-of-00003.safetensors",
                    "b": "model-00003-of-00003.safetensors",
                    "big": "model-00001-of-00003.safetensors",
                    "c": "model-00002-of-00003.safetensors",
                    "d": "model-00003-of-00003.safetensors"
                  }
                }

                """)
        #expect(try SafetensorsModel(directory: folder.path).names == ["a", "b", "big", "c", "d"])
        #expect(try writer.write(sources, toDirectory: folder.path) == ["model.safetensors"])
        #expect(folder.names() == ["model.safetensors", "other-00001-of-00009.safetensors"])
    }

    private struct Interruption: Error {}

    @Test("A write that fails leaves the old file and nothing else")
    func failureLeavesOldFile() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/m.safetensors"
        let writer = SafetensorsWriter()
        try writer.write([TensorSource(name: "a", shape: [1], floats: [1])], to: path)
        let old = try folder.read("m.safetensors")
        let a = TensorSource(name: "a", shape: [2], floats: [1, 2])
        let failing: [[TensorSource]] = [
            [a, TensorSource(name: "b", elementType: .u8, shape: [1]) { _ in throw Interruption() }],
            [a, TensorSource(name: "b", elementType: .u8, shape: [2], bytes: [1])],
            [a, TensorSource(name: "b", elementType: .u8, shape: [2], bytes: [1, 2, 3])],
            [a, a], [TensorSource(name: "__metadata__", shape: [1], floats: [1])],
            [TensorSource(name: "x", shape: [.max, 8], floats: [])],
            [TensorSource(name: "x", shape: [-1], floats: [])],
        ]
        for sources in failing {
            #expect(throws: (any Error).self) { try writer.write(sources, to: path) }
            #expect(try folder.read("m.safetensors") == old)
            #expect(folder.names() == ["m.safetensors"])
        }
        let error = #expect(throws: FileError.self) {
            try writer.write([a], to: "\(folder.path)/no/m.safetensors")
        }
        #expect(error?.isMissing == true && error?.path == "\(folder.path)/no/")
        #expect(throws: FileError.self) { try writer.write([a], to: "\(folder.path)/") }
    }
}
