// Sprig's functions on text.

import Testing
import Text

@testable import WorkflowLanguage

@Suite struct SprigTextTests {
    static let strings: [SprigRow] = [
        SprigRow("hello", [], "Hello!"),
        SprigRow("trim", ["   5.00 \n"], "5.00"),
        SprigRow("trimAll", ["$", "$5.00$"], "5.00"),
        SprigRow("trimall", ["$", "$$"], ""),
        SprigRow("trimSuffix", ["-", "hello-"], "hello"),
        SprigRow("trimSuffix", ["-", "hello"], "hello"),
        SprigRow("trimPrefix", ["-", "-hello-"], "hello-"),
        SprigRow("upper", ["straße é"], "STRAßE É"),
        SprigRow("lower", ["HELLO İ"], "hello i"),
        SprigRow("repeat", [3, "ab"], "ababab"),
        SprigRow("repeat", [0, "ab"], ""),
        SprigRow("substr", [0, 3, "fooo"], "foo"),
        SprigRow("substr", [0, 10, "foo"], "foo"),
        SprigRow("substr", [1, -1, "fooo"], "ooo"),
        SprigRow("substr", [-1, 2, "fooo"], "fo"),
        SprigRow("nospace", ["h e\tl l o "], "hello"),
        SprigRow("trunc", [3, "foooooo"], "foo"),
        SprigRow("trunc", [-3, "baaaaaar"], "aar"),
        SprigRow("trunc", [-999, "baaaaaar"], "baaaaaar"),
        SprigRow("trunc", [0, "baaaaaz"], ""),
        SprigRow("trunc", [1, "é"], "\u{FFFD}"),
        SprigRow("contains", ["cat", "fair catch"], true),
        SprigRow("contains", ["\n", "a\r\nb"], true),
        SprigRow("contains", ["aab", "aaab"], true),
        SprigRow("contains", ["x", "abc"], false),
        SprigRow("contains", ["", ""], true),
        SprigRow("hasPrefix", ["cat", "catch"], true),
        SprigRow("hasSuffix", ["cat", "ducat"], true),
        SprigRow("hasSuffix", ["ducat", "cat"], false),
        SprigRow("quote", ["a", 1, nil, true], #""a" "1" "true""#),
        SprigRow("quote", ["\"a\"\n"], #""\"a\"\n""#),
        SprigRow("squote", ["a", 1.5], "'a' '1.5'"),
        SprigRow("cat", ["a", nil, 3, [1, "b"]], "a 3 [1 b]"),
        SprigRow("replace", [" ", "-", "I Am Henry VIII"], "I-Am-Henry-VIII"),
        SprigRow("replace", ["", "-", "ab"], "-a-b-"),
        SprigRow("plural", ["one anchovy", "many anchovies", 1], "one anchovy"),
        SprigRow("plural", ["one anchovy", "many anchovies", 3], "many anchovies"),
    ]

    @Test("Strings are cut, tested and quoted as Go does", arguments: strings)
    func string(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let casing: [SprigRow] = [
        SprigRow("title", ["hello wOrld x-ray a_b"], "Hello WOrld X-Ray A_b"),
        SprigRow("untitle", ["First Try"], "first try"),
        SprigRow("initials", ["First  Try"], "FT"),
        SprigRow("swapcase", ["This Is A.Test"], "tHIS iS a.tEST"),
        SprigRow("snakecase", ["FirstName"], "first_name"),
        SprigRow("snakecase", ["HTTPServer"], "http_server"),
        SprigRow("snakecase", ["NoHTTPS"], "no_https"),
        SprigRow("snakecase", ["GO_PATH"], "go_path"),
        SprigRow("snakecase", ["GO PATH"], "go_path"),
        SprigRow("snakecase", ["GO-PATH"], "go_path"),
        SprigRow("snakecase", ["http2xx"], "http_2xx"),
        SprigRow("snakecase", ["HTTP20xOK"], "http_20x_ok"),
        SprigRow("snakecase", ["Duration2m3s"], "duration_2m3s"),
        SprigRow("snakecase", ["Bld4Floor3rd"], "bld4_floor_3rd"),
        SprigRow("snakecase", ["a.B2"], "a.b2"),
        SprigRow("snakecase", [""], ""),
        SprigRow("kebabcase", ["FirstName"], "first-name"),
        SprigRow("kebabcase", ["_no_HTTPS "], "-no-https-"),
        SprigRow("camelcase", ["http_server"], "HttpServer"),
        SprigRow("camelcase", ["some words"], "SomeWords"),
        SprigRow("camelcase", ["no_https"], "NoHttps"),
        SprigRow("camelcase", ["_complex__case_"], "_Complex_Case_"),
        SprigRow("camelcase", ["GOLANG_IS_GREAT"], "GolangIsGreat"),
        SprigRow("camelcase", ["__"], "__"),
    ]

    @Test("Case and the joints of words change by xstrings' rules", arguments: casing)
    func letterCase(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let layout: [SprigRow] = [
        SprigRow("abbrev", [5, "hello world"], "he..."),
        SprigRow("abbrev", [3, "hello world"], "hello world"),
        SprigRow("abbrev", [11, "hello world"], "hello world"),
        SprigRow("abbrevboth", [5, 10, "1234 5678 9123"], "...5678..."),
        SprigRow("abbrevboth", [10, 10, "1234 5678 9123"], "...78 9123"),
        SprigRow("abbrevboth", [0, 10, "1234 5678 9123"], "1234 56..."),
        SprigRow("abbrevboth", [5, 6, "1234 5678 9123"], "1234 5678 9123"),
        SprigRow("wrap", [5, "Hello World"], "Hello\nWorld"),
        SprigRow("wrap", [3, "Hello   my World"], "Hello\nmy\nWorld"),
        SprigRow("wrapWith", [5, "\t", "Hello World"], "Hello\tWorld"),
        SprigRow("wrapWith", [3, "", "HelloWorld"], "Hel\nloW\norl\nd"),
        SprigRow("indent", [4, "a\nb\nc"], "    a\n    b\n    c"),
        SprigRow("nindent", [2, "a\r\nb"], "\n  a\r\n  b"),
    ]

    @Test("Text is fitted into a width", arguments: layout)
    func width(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let lists: [SprigRow] = [
        SprigRow("join", ["-", ["a", "b", "c"]], "a-b-c"),
        SprigRow("join", ["-", [1, nil, 2.5, true]], "1-2.5-true"),
        SprigRow("join", ["-", "abc"], "abc"),
        SprigRow("join", ["-", nil], ""),
        SprigRow("split", ["$", "foo$bar$baz"], ["_0": "foo", "_1": "bar", "_2": "baz"]),
        SprigRow("splitn", ["$", 2, "foo$bar$baz"], ["_0": "foo", "_1": "bar$baz"]),
        SprigRow("splitn", ["$", 0, "foo"], [:]),
        SprigRow("splitList", ["$", "foo$$baz"], ["foo", "", "baz"]),
        SprigRow("splitList", ["$", ""], [""]),
        SprigRow("splitList", ["", "añb"], ["a", "ñ", "b"]),
        SprigRow("splitList", ["\n", "a\r\nb"], ["a\r", "b"]),
        SprigRow("sortAlpha", [["c", "a", "B"]], ["B", "a", "c"]),
        SprigRow("sortAlpha", [[2, 10, 1]], ["1", "10", "2"]),
        SprigRow("sortAlpha", ["x"], ["x"]),
        SprigRow("toStrings", [[1, nil, "a"]], ["1", "a"]),
    ]

    @Test("Text is split into lists and joined from them", arguments: lists)
    func list(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let others: [SprigRow] = [
        SprigRow("b64enc", ["coffee"], "Y29mZmVl"),
        SprigRow("b64enc", ["a"], "YQ=="),
        SprigRow("b64dec", ["Y29m\nZmVl"], "coffee"),
        SprigRow("b64dec", ["YQ=="], "a"),
        SprigRow("b64dec", [""], ""),
        SprigRow("b32enc", ["coffee"], "MNXWMZTFMU======"),
        SprigRow("b32dec", ["MNXWMZTFMU======"], "coffee"),
        SprigRow("adler32sum", ["Wikipedia"], "300286872"),
        SprigRow("base", ["foo/bar/baz.txt/"], "baz.txt"),
        SprigRow("base", [""], "."),
        SprigRow("base", ["//"], "/"),
        SprigRow("dir", ["foo/bar/baz"], "foo/bar"),
        SprigRow("dir", ["foo"], "."),
        SprigRow("osDir", ["/foo"], "/"),
        SprigRow("clean", ["foo/../../bar//./x/"], "../bar/x"),
        SprigRow("clean", ["/../a"], "/a"),
        SprigRow("clean", [""], "."),
        SprigRow("ext", ["foo.tar.gz"], ".gz"),
        SprigRow("ext", ["a.b/c"], ""),
        SprigRow("isAbs", ["/a"], true),
        SprigRow("osIsAbs", ["a"], false),
        SprigRow("regexQuoteMeta", ["1.2.3"], #"1\.2\.3"#),
    ]

    @Test("Text is encoded, and paths are taken apart", arguments: others)
    func other(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    static let emptySHA512 =
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"

    @Test(
        "Digests are in hexadecimal",
        arguments: [
            SprigRow("sha1sum", ["abc"], "a9993e364706816aba3e25717850c26c9cd0d89d"),
            SprigRow(
                "sha256sum", ["abc"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            SprigRow(
                "sha512sum", [""],
                .string(emptySHA512)
            ),
        ])
    func digest(row: SprigRow) throws { #expect(try sprig(row) == ExpressionValue(row.result)) }

    @Test(
        "Text that does not decode is an error",
        arguments: [
            ("b64dec", "abc"), ("b64dec", "ab=c"), ("b64dec", "a==="), ("b64dec", "a?b="), ("b32dec", "mnxw"),
            ("b32dec", "M======="),
        ])
    func undecodable(name: String, text: String) throws {
        let error = try #require(throws: ExpressionError.self) { try sprig(name, [.string(text)]) }
        #expect(error.message.contains("the text is not base"))
    }
}
