// Normalization forms and the other changes before splitting.

import Foundation
import TestSupport
import Testing
import Text

@testable import Models

@Suite("Normalizing")
struct TokenizerNormalizationTests {
    private static func normalized(_ text: String, _ normalizer: Normalizer) -> String {
        var text = text
        var isAtStart = true
        let changed = text.withUTF8 { normalizer.normalized($0, isAtStart: &isAtStart) }
        return changed.map { String(decoding: $0, as: UTF8.self) } ?? text
    }

    /// Swift's `==` would take different forms for the same text.
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(
        "Characters are composed and decomposed",
        arguments: [
            (UnicodeNormalization.nfc, "e\u{301}", "é"), (.nfd, "é", "e\u{301}"),
            (.nfc, "a\u{315}\u{301}", "á\u{315}"),
            (.nfc, "\u{1100}\u{1161}\u{11A8}", "각"), (.nfd, "각", "\u{1100}\u{1161}\u{11A8}"),
            (.nfc, "\u{212B}", "Å"),
            (.nfc, "\u{958}", "\u{915}\u{93C}"), (.nfkc, "ﬁ①Ａ", "fi1A"), (.nfkd, "Å①", "A\u{30A}1"),
            (.nfc, "ﬁ①", "ﬁ①"),
            (.nfc, "s\u{323}\u{307}x", "ṩx"), (.nfd, "ṩ", "s\u{323}\u{307}"), (.nfc, "中文 abc", "中文 abc"),
            (.nfkc, "\u{FDFA}", "صلى الله عليه وسلم"), (.nfc, "\u{301}\u{301}", "\u{301}\u{301}"),
        ])
    func forms(form: UnicodeNormalization, text: String, result: String) {
        #expect(Self.bytes(Self.normalized(text, .unicode(form))) == Self.bytes(result))
    }

    @Test("The forms agree with Foundation's on random text", arguments: 0..<4)
    func agreesWithFoundation(form: Int) {
        var random = SeededGenerator(seed: UInt64(form))
        let ranges: [ClosedRange<UInt32>] = [
            0x41...0x5A, 0xC0...0x24F, 0x300...0x345, 0x900...0xD7F, 0xAC00...0xAD00,
        ]
        for _ in 0..<300 {
            var view = String.UnicodeScalarView()
            for _ in 0..<12 {
                let range = ranges[Int.random(in: 0..<ranges.count, using: &random)]
                if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)), scalar.isInUnicode9
                {
                    view.append(scalar)
                }
            }
            let text = String(view)
            let forms = [UnicodeNormalization.nfc, .nfd, .nfkc, .nfkd]
            let expected = [
                text.precomposedStringWithCanonicalMapping, text.decomposedStringWithCanonicalMapping,
                text.precomposedStringWithCompatibilityMapping, text.decomposedStringWithCompatibilityMapping,
            ]
            let found = Self.normalized(text, .unicode(forms[form]))
            #expect(Self.bytes(found) == Self.bytes(expected[form]), "\(text.unicodeScalars.map { $0 })")
        }
    }

    @Test("Ten thousand marks on one letter take no quadratic time")
    func manyMarks() {
        let text = "a" + String(repeating: "\u{301}\u{325}", count: 10_000)
        #expect(Self.normalized(text, .unicode(.nfc)).unicodeScalars.count == 20_000)
    }

    @Test(
        "Other changes",
        arguments: [
            (#"{"type": "Lowercase"}"#, "ÀBΣİ", "àbσi\u{307}"),
            (#"{"type": "Strip", "strip_left": true, "strip_right": false}"#, " a ", "a "),
            (#"{"type": "Strip"}"#, " \u{3000}a\n", "a"),
            (#"{"type": "StripAccents"}"#, "e\u{301}é", "eé"),
            (#"{"type": "Prepend", "prepend": "▁"}"#, "a", "▁a"),
            (#"{"type": "Prepend", "prepend": "▁"}"#, "", ""),
            (#"{"type": "Replace", "pattern": {"String": "aa"}, "content": "b"}"#, "aaa", "ba"),
            (#"{"type": "Replace", "pattern": {"Regex": " +"}, "content": "$0"}"#, "a  b", "a$0b"),
            (#"{"type": "ByteLevel"}"#, "é ", "Ã©Ġ"),
            (
                #"{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}"#, "Éa",
                "Ea"
            ),
        ] as [(String, String, String)])
    func others(json: String, text: String, result: String) throws {
        let normalizer = try ComponentReader(file: "t").normalizer(JSONValue(parsing: json))
        #expect(try Self.bytes(Self.normalized(text, #require(normalizer))) == Self.bytes(result))
    }
}
