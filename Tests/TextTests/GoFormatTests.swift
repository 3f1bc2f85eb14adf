// Go's fmt and strconv, whose output the rows below repeat.

import TestSupport
import Testing
import Text

@Suite("Go's formatting")
struct GoFormatTests {
    @Test(
        "Sprintf shows values by their verbs",
        arguments: [
            ("%d %5d|%-5d|%05d|%+d|% d", [1, 2, 3, 4, 5, 6], "1     2|3    |00004|+5| 6"),
            ("%x %X %#x %o %#o %O %b", [255, 255, 255, 8, 8, 8, 5], "ff FF 0xff 10 010 0o10 101"),
            ("%c%c %q %U %#U", [72, 0x1F600, 65, 0x1F600, 0x1F600], "H😀 'A' U+1F600 U+1F600 '😀'"),
            (
                "%s|%10s|%-10s|%.2s|%q", ["a", "b", "c", "défg", "e\"\n"],
                "a|         b|c         |dé|\"e\\\"\\n\""
            ),
            ("%v %v %v %v", [1, 1.5, "x", true], "1 1.5 x true"),
            ("%+v", [["b": 2, "a": [1, nil]]], "map[a:[1 <nil>] b:2]"),
            ("%t %5t", [true, false], "true false"),
            (
                "%f %.2f %8.3f|%-8.1f|%08.2f|%+.1f", [1.5, 2.345, 3.14159, 2.5, -1.5, 2.0],
                "1.500000 2.35    3.142|2.5     |-0001.50|+2.0"
            ), ("%e %.1e %E", [1234.5, 1234.5, 0.00012], "1.234500e+03 1.2e+03 1.200000E-04"),
            ("%g %.3g %G", [100000.0, 1234.5678, 1e-7], "100000 1.23e+03 1E-07"),
            ("%v %v", [1_000_000.0, 123456789.0], "1e+06 1.23456789e+08"), ("100%%", [], "100%"),
            ("%d", ["hi"], "%!d(string=hi)"),
            ("%d", [1.5], "%!d(float64=1.5)"), ("%s", [5], "%!s(int=5)"),
            ("%s %d", [nil, nil], "%!s(<nil>) %!d(<nil>)"), ("%v", [nil], "<nil>"),
            ("%d %d", [1], "1 %!d(MISSING)"), ("%d", [1, 2, "x"], "1%!(EXTRA int=2, string=x)"),
            ("%", [], "%!(NOVERB)"), ("%z", [1], "%!z(int=1)"), ("%[2]d %[1]d", [1, 2], "2 1"),
            ("%[3]d", [1], "%!d(BADINDEX)"), ("%*d|%-*d|", [4, 7, 4, 7], "   7|7   |"),
            ("%.*f", [1, 2.25], "2.2"), ("%x", ["hi"], "6869"), ("% X", ["hi"], "68 69"),
            ("%d", [[1, 2]], "[1 2]"), ("%3v", [[1, nil, "a"]], "[  1 <nil>   a]"),
            ("%s", [["a", 1]], "[a %!s(int=1)]"),
            ("%T %T", [1, "x"], "int string"), ("%.3d|%6.3d|%-6.3d|", [5, 5, 5], "005|   005|005   |"),
            ("%d", [.int(.min)], "-9223372036854775808"), ("%x", [-255], "-ff"),
            ("%08.3f", [-3.14159], "-003.142"),
            ("%q", [0x110000], "'\u{FFFD}'"), ("%5s|%-5s|%05d", ["é", "é", -42], "    é|é    |-0042"),
        ] as [(String, [JSONValue], String)])
    func sprintf(format: String, arguments: [JSONValue], text: String) {
        #expect(GoFormat.sprintf(format, arguments) == text)
    }

    @Test("Widths and precisions are limited")
    func widthIsLimited() {
        #expect(GoFormat.sprintf("%999999999999999999d", [1]).utf8.count == GoFormat.maximumWidth)
        #expect(GoFormat.sprintf("%.999999999f", [1.5]).utf8.count == GoFormat.maximumWidth + 2)
        #expect(GoFormat.sprintf("%*d", [.int(.min), 1]).utf8.count == GoFormat.maximumWidth)
    }

    @Test(
        "Quoting escapes what is not printable",
        arguments: [
            ("", "\"\""), ("a'b\"c\\", #""a'b\"c\\""#), ("\u{7}\u{8}\u{C}\n\r\t\u{B}", #""\a\b\f\n\r\t\v""#),
            ("\u{0}\u{7F}", #""\x00\x7f""#), ("é☺😀", "\"é☺😀\""),
            ("\u{A0}\u{FEFF}\u{E000}\u{10FFFF}", #""\u00a0\ufeff\ue000\U0010ffff""#),
        ])
    func quote(text: String, quoted: String) {
        #expect(GoFormat.quote(text) == quoted)
    }

    @Test(
        "Doubles are shown as %v shows them",
        arguments: [
            (0, "0"), (-0.0, "-0"), (1, "1"), (0.1, "0.1"), (100000, "100000"), (999999, "999999"),
            (1e6, "1e+06"), (1234567.5, "1.2345675e+06"), (0.0001, "0.0001"), (0.00001, "1e-05"),
            (1e100, "1e+100"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        ] as [(Double, String)])
    func doubles(number: Double, text: String) {
        #expect(GoFormat.double(number) == text)
    }

    @Test("Random formats never trap", arguments: 0..<30 as Range<UInt64>)
    func randomFormats(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("%%%%dsvqxXobcUefgGtT0123456789+-# .*[]é")
        for _ in 0..<300 {
            let count = Int.random(in: 0..<12, using: &generator)
            let format = String((0..<count).map { _ in alphabet.randomElement(using: &generator) ?? "%" })
            let values = (0..<3).map { _ in JSONTests.randomValue(depth: 2, using: &generator) }
            let hasPercent = format.contains("%")
            #expect(hasPercent || GoFormat.sprintf(format, []) == format)
            #expect(GoFormat.sprintf(format, values).utf8.count < 500_000)
        }
    }

    @Test(
        "FNV-1a gives the published values",
        arguments: [("", 0x811C_9DC5), ("a", 0xE40C_292C), ("foobar", 0xBF9C_F968)] as [(String, UInt32)])
    func fnv(text: String, hash: UInt32) {
        #expect(FNV1a.hash32(text) == hash)
    }
}
