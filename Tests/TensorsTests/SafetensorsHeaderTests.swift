// Headers as they should be, and the many that must be refused.

import Tensors
import TestSupport
import Testing

@Suite("Safetensors headers")
struct SafetensorsHeaderTests {
    private static func parse(_ bytes: [UInt8]) throws(SafetensorsError) -> SafetensorsHeader {
        let result = bytes.withUnsafeBytes { raw -> Result<SafetensorsHeader, SafetensorsError> in
            do throws(SafetensorsError) {
                return .success(
                    try SafetensorsHeader(parsing: raw, fileByteCount: raw.count, file: "m.safetensors"))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @Test("Tensors come in the order of their bytes, with escapes, blanks and unknown fields understood")
    func readsHeader() throws {
        let text = #"""
            { "__metadata__" : {"format":"pt", "a\n\u00e9\ud83d\ude00":"\/"},
              "b" : {"dtype":"F32","shape":[2,1],"data_offsets":[2,10], "extra":{"x":[1,-2.5e3,null,"\""]}},
              "a" : {"data_offsets":[0,2],"shape":[],"dtype":"BF16"},
              "none":{"dtype":"I64","shape":[0,7],"data_offsets":[2,2]} }
            """#
        let header = try Self.parse(safetensorsBytes(text, dataByteCount: 10))
        let start = 8 + text.utf8.count
        #expect(header.metadata == ["format": "pt", "a\né😀": "/"])
        #expect(header.entries.map(\.name) == ["a", "none", "b"])
        #expect(header.entries.map(\.elementType) == [.bf16, .i64, .f32])
        #expect(header.entries.map(\.shape) == [[], [0, 7], [2, 1]])
        #expect(
            header.entries.map(\.byteRange) == [
                start..<(start + 2), (start + 2)..<(start + 2), (start + 2)..<(start + 10),
            ])
    }

    @Test("Names that only look alike are two tensors")
    func namesAreBytes() throws {
        let text =
            "{\"\u{E9}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            + "\"e\u{301}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}"
        let header = try Self.parse(safetensorsBytes(text, dataByteCount: 2))
        #expect(header.entries.count == 2)
    }

    private static let one = #""dtype":"F32","shape":[2],"data_offsets":[0,8]"#

    @Test(
        "A header that lies is refused, and the error says in what",
        arguments: [
            (#"[]"#, 0, "does not begin"), (#" {}"#, 0, "does not begin"), (#"{ "#, 0, "missing"),
            (#"{} x"#, 0, "text follows"), (#"{"a":1}"#, 0, "not an object"),
            (#"{"a":{\#(one)}"#, 8, "missing"), (#"{"a" {\#(one)}}"#, 8, #"":" is missing"#),
            (#"{"a":{\#(one)},}"#, 8, "name in double quotes"),
            (#"{"a":{\#(one)},"a":{\#(one)}}"#, 8, "given twice"),
            (#"{"a":{\#(one)},"\u0061":{\#(one)}}"#, 8, "given twice"),
            (#"{"a":{\#(one)}}"#, 7, "cut off"), (#"{"a":{\#(one)}}"#, 9, "1 bytes after its last tensor"),
            (#"{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#, 8, #""F33" is unknown"#),
            (#"{"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}"#, 8, "dtype is not one string"),
            (#"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, 8, "gives no dtype"),
            (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, 8, "gives no shape"),
            (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8, "gives no data_offsets"),
            (
                #"{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}"#, 8,
                "shape is given twice"
            ),
            (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}"#, 8, "whole numbers"),
            (
                #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, 8,
                "whole numbers"
            ),
            (#"{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}"#, 8, "shape is not a list"),
            (
                #"{"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}"#, 8,
                "too large"
            ),
            (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}"#, 8, "too large"),
            (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "takes 12 bytes"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "not a beginning and an end"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8, "not a beginning and an end"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}"#, 8, "more than 2 numbers"),
            (
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]}}"#,
                8, "only 8 are there"
            ),
            (
                #"{"a":{\#(one)},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8,
                "overlaps another tensor"
            ),
            (
                #"{"a":{\#(one)},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 8,
                "overlaps another tensor"
            ),
            (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3, "leaves a gap"),
            (#"{"a":{\#(one)},"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}"#, 10, "leaves a gap"),
            (#"{"__metadata__":1}"#, 0, "not an object"), (#"{"__metadata__":{"a":1}}"#, 0, "not a string"),
            (#"{"__metadata__":{},"__metadata__":{}}"#, 0, "given twice"),
            (#"{"a\ud800":{\#(one)}}"#, 8, "half a character"), (#"{"a\x":{\#(one)}}"#, 8, "unknown escape"),
            ("{\"a\n\":{\(one)}}", 8, "control character"), (#"{"a\u00zz":{\#(one)}}"#, 8, "four digits"),
            (#"{"a":{\#(one),"x":}}"#, 8, "a value is missing"),
        ])
    func refusesLies(header: String, dataByteCount: Int, expected: String) {
        let error = #expect(throws: SafetensorsError.self) {
            try Self.parse(safetensorsBytes(header, dataByteCount: dataByteCount))
        }
        let text = error?.description ?? ""
        #expect(text.contains(expected), "\(text)")
        #expect(text.hasPrefix("m.safetensors: ") && error?.remedy.isEmpty == false, "\(text)")
    }

    @Test("Lengths, bytes and nesting that no writer makes are refused")
    func refusesExtremes() {
        let entry = Self.one
        let nested = String(repeating: "[", count: 100_000)
        let dimensions = Array(repeating: "1", count: 65).joined(separator: ",")
        let hostile: [([UInt8], String)] = [
            ([], "0 bytes"), ([1, 2, 3], "3 bytes"), (Array(repeating: 0, count: 8), "0 bytes"),
            (Array(repeating: 0xFF, count: 16), "more than 100000000"),
            ([0, 0, 0, 0, 0, 0, 0, 0x80] + Array("{}".utf8), "more than 100000000"),
            ([200, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8), "cut off"),
            (
                safetensorsBytes(
                    Array("{\"".utf8) + [0xFF] + Array("\":{\(entry)}}".utf8),
                    data: Array(repeating: 0, count: 8)), "not UTF-8"
            ),
            (safetensorsBytes("{\"a\":{\(entry),\"x\":\(nested)", dataByteCount: 8), "deeper than 64"),
            (
                safetensorsBytes(
                    "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(dimensions)],\"data_offsets\":[0,1]}}",
                    dataByteCount: 1),
                "more than 64 numbers"
            ),
        ]
        for (bytes, expected) in hostile {
            let error = #expect(throws: SafetensorsError.self) { try Self.parse(bytes) }
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        }
    }

    @Test("A name of a megabyte does not make an error of a megabyte")
    func errorsStayShort() {
        let name = String(repeating: "n", count: 1 << 20)
        let error = #expect(throws: SafetensorsError.self) {
            try Self.parse(safetensorsBytes("{\"\(name)\":{\"dtype\":\"\(name)\"}}", dataByteCount: 0))
        }
        #expect((error?.description.utf8.count ?? .max) < 1000)
    }

    @Test(
        "Damaged headers give a header or an error, and a header's tensors lie in the file", arguments: 0..<8)
    func survivesDamage(seed: UInt64) {
        let text =
            #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#
            + #""b\u0020":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},"c":{"dtype":"BOOL","shape":[],"data_offsets":[24,25]}}"#
        let valid = safetensorsBytes(text, dataByteCount: 25)
        var random = SeededGenerator(seed: seed)
        var (read, refused) = (0, 0)
        for _ in 0..<1500 {
            var bytes = valid
            for _ in 0...Int.random(in: 0..<3, using: &random) { Self.damage(&bytes, using: &random) }
            guard let header = try? Self.parse(bytes) else {
                refused += 1
                continue
            }
            read += 1
            let inside = header.entries.allSatisfy { entry in
                entry.byteRange.lowerBound >= 8 && entry.byteRange.upperBound <= bytes.count
                    && entry.elementType.size(of: entry.shape)?.bytes == entry.byteRange.count
            }
            #expect(inside, "seed \(seed)")
        }
        #expect(read > 0 && refused > 0)
    }

    private static func damage(_ bytes: inout [UInt8], using random: inout SeededGenerator) {
        guard let place = bytes.indices.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(Array("0919[]{}\",:\\-e. ".utf8).randomElement(using: &random) ?? 0, at: place)
        case 3: bytes.removeLast(min(bytes.count, Int.random(in: 1...9, using: &random)))
        case 4:
            let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
            bytes.insert(contentsOf: bytes[place..<end], at: bytes.indices.randomElement(using: &random) ?? 0)
        default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
    }
}
