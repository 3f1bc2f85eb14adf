// Files on disk: what their tensors hold, and files that are no such files.

import Glibc
import Tensors
import Testing

@Suite("Safetensors files")
struct SafetensorsFileTests {
    @Test(
        "Elements of every type become floats",
        arguments: [
            (ElementType.f32, [0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0], [1, -2.5]),
            (.bf16, [0x80, 0x3F, 0x20, 0xC0], [1, -2.5]),
            (.f16, [0, 0x3C, 0x00, 0xC1], [1, -2.5]),
            (.f64, [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0x04, 0xC0], [1, -2.5]),
            (.f8E4M3, [0x38, 0xC2], [1, -2.5]), (.f8E5M2, [0x3C, 0xC1], [1, -2.5]),
            (.i8, [1, 0xFE], [1, -2]), (.u8, [1, 0xFE], [1, 254]), (.bool, [0, 1], [0, 1]),
            (.i16, [1, 0, 0xFE, 0xFF], [1, -2]), (.u16, [1, 0, 0xFE, 0xFF], [1, 65534]),
            (.i32, [1, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF], [1, -2]),
            (.u32, [1, 0, 0, 0, 0, 0, 0, 0x80], [1, 2_147_483_648]),
            (.i64, [1, 0, 0, 0, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [1, -2]),
            (.u64, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80], [1, 9.223372036854775808e18]),
        ] as [(ElementType, [UInt8], [Float])])
    func convertsTypes(type: ElementType, bytes: [UInt8], expected: [Float]) throws {
        // The odd byte before the tensor makes sure that no alignment is taken for granted.
        let header =
            #"{"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"\#(type.rawValue)","#
            + #""shape":[2],"data_offsets":[1,\#(1 + bytes.count)]}}"#
        for padding in ["", " "] {
            let folder = try TemporaryFolder()
            let path = try folder.write(
                safetensorsBytes(Array((header + padding).utf8), data: [9] + bytes), to: "t.safetensors")
            let file = try SafetensorsFile(path: path)
            let tensor = try #require(file.tensor("t"))
            #expect(tensor.floats() == expected)
            #expect(Array(tensor.bytes) == bytes)
            #expect(tensor.elementCount == 2 && tensor.shape == [2])
            var second: [Float] = [0]
            second.withUnsafeMutableBufferPointer { tensor.copyFloats(from: 1, into: $0) }
            #expect(second == [expected[1]])
        }
    }

    @Test("A tensor can be read after its file is released, replaced, and let go of")
    func outlivesItsName() throws {
        let folder = try TemporaryFolder()
        let floats = (0..<100_000).map { Float($0) }
        let path = "\(folder.path)/model.safetensors"
        try SafetensorsWriter().write(
            [TensorSource(name: "w", shape: [100, 1000], floats: floats)], to: path)
        var file: SafetensorsFile? = try SafetensorsFile(path: path)
        let tensor = try #require(file?.tensor("w"))
        file?.prefetch()
        #expect(tensor.floats() == floats)
        file?.release()
        tensor.release()
        tensor.prefetch()
        file = nil
        try SafetensorsWriter().write([TensorSource(name: "w", shape: [1], floats: [7])], to: path)
        #expect(tensor.floats() == floats)
        #expect(try SafetensorsFile(path: path).tensor("w")?.floats() == [7])
    }

    @Test("What is no file of tensors is refused with its path and a remedy")
    func refusesOtherThings() throws {
        let folder = try TemporaryFolder()
        let cut = try folder.write(
            Array(
                safetensorsBytes(#"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#, dataByteCount: 9)
                    .dropLast()), to: "cut.safetensors")
        let empty = try folder.write([], to: "empty.safetensors")
        let pipe = "\(folder.path)/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let cases = [
            (cut, "cut off"), (empty, "0 bytes"), (pipe, "not a regular file"),
            (folder.path, "not a regular file"), ("\(folder.path)/absent", "no such file"),
            ("\(folder.path)/a\0b", "zero byte"),
        ]
        for (path, expected) in cases {
            let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
            #expect(error?.description.hasPrefix(path) == true && error?.remedy.isEmpty == false)
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        }
    }

    @Test("Ten thousand tensors are found by name, and no others")
    func manyTensors() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/m.safetensors"
        let sources = (0..<10_000).map { number in
            TensorSource(
                name: "layers.\(number).w", elementType: .u8, shape: [1], bytes: [UInt8(number % 251)])
        }
        try SafetensorsWriter().write(sources, to: path)
        let file = try SafetensorsFile(path: path)
        #expect(file.names.count == 10_000 && file.tensorByteCount == 10_000)
        #expect(file.tensor("layers.7777.w")?.floats() == [Float(7777 % 251)])
        #expect(file.tensor("layers.10000.w") == nil && file.tensor("") == nil)
    }

    @Test("Names of types lead back to the types", arguments: ElementType.allCases)
    func typeNames(type: ElementType) {
        #expect(ElementType(rawValue: type.rawValue) == type)
        #expect(type.size(of: [3, 5])?.bytes == 15 * type.byteCount)
        #expect(type.size(of: [.max, 2]) == nil && type.size(of: [-1]) == nil)
        if let known = ElementType(torchName: "torch.\(type.torchName)") { #expect(known == type) }
    }
}
