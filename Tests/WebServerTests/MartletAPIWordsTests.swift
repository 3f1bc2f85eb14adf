// The pure parts behind the own API's routes: words for exit codes, causes of failures, previews, times.

import Scheduling
import Testing
import Text

@testable import WebServer

@Suite("Words and previews of Martlet's own API")
struct MartletAPIWordsTests {
    @Test(
        "Each exit code that people meet is explained",
        arguments: [
            (0, "ended well"), (1, "general error"), (2, "called wrongly"), (65, "data is bad"),
            (75, "checkpoint"),
            (86, "Memory ran out"), (87, "diverged"), (126, "could not be run"), (127, "not found"),
            (130, "SIGINT"),
            (134, "SIGABRT"), (137, "SIGKILL"), (139, "SIGSEGV"), (143, "SIGTERM"), (190, "signal 62"),
            (42, "code 42"),
        ])
    func codes(code: Int, part: String) {
        #expect(ExitExplanation.words(code)?.contains(part) == true)
    }

    @Test("Without an exit code there is nothing to explain")
    func noCode() { #expect(ExitExplanation.words(nil) == nil) }

    @Test(
        "The line of a log that most likely says why is found",
        arguments: [
            (
                ["a", "RuntimeError: CUDA out of memory. Tried"], "",
                "Memory ran out: RuntimeError: CUDA out of memory. Tried"
            ),
            (
                ["Traceback (most recent call last):", "  File \"x\"", "ValueError: bad", "at exit"], "",
                "ValueError: bad"
            ), (["sh: 1: foo: command not found"], "", "sh: 1: foo: command not found"),
            (["fine", "ERROR: it broke", "bye"], "", "ERROR: it broke"), (["fine"], "", nil), ([], "", nil),
            (
                ["x"], "OOMKilled (exit code 137)",
                "The system killed the step because it used more memory than it may."
            ),
        ] as [([String], String, String?)])
    func causes(lines: [String], message: String, cause: String?) {
        #expect(LikelyCause.line(message: message, lines: lines) == cause)
    }

    private static let place = ArtifactPlace(
        namespace: "default", run: "w", uid: "u", node: "n", name: "file", isInput: false, path: "")

    @Test(
        "A file is shown as what it is, whatever it is called",
        arguments: [
            ("hello", "text"), ("{\"a\": [1]}", "json"), ("{\"a\": ", "text"), ("\u{0}\u{1}", "binary"),
            ("GIF89a....", "image"), ("BMW is a car, not a picture", "text"), ("", "text"),
        ])
    func kinds(text: String, kind: String) {
        let bytes = Array(text.utf8)
        let shown = ArtifactPreview.file(bytes, size: bytes.count, Self.place)
        #expect(shown["kind"]?.stringValue == kind)
    }

    @Test(
        "Bytes that are no text are shown as such, unless the cut went through a character", arguments: 1...3)
    func cutCharacter(missing: Int) {
        let bytes = Array("caf\u{1F600}".utf8).dropLast(missing)
        #expect(ArtifactPreview.file(Array(bytes), size: 100, Self.place)["text"] == "caf")
        #expect(ArtifactPreview.file(Array(bytes), size: bytes.count, Self.place)["kind"] == "binary")
    }

    @Test(
        "Tables are read as spreadsheets write them",
        arguments: [
            ("a,b\n1,2", ",", [["a", "b"], ["1", "2"]]), ("\"a\"\"b\",\"c\nd\"\n", ",", [["a\"b", "c\nd"]]),
            ("a\tb\r\n1\t\r\n", "\t", [["a", "b"], ["1", ""]]), ("", ",", []), ("\n\na\n", ",", [["a"]]),
        ] as [(String, Character, [[String]])])
    func tables(text: String, separator: Character, rows: [[String]]) {
        #expect(DelimitedText.rows(text, separator: separator, limit: 100) == rows)
    }

    @Test(
        "Times have milliseconds, always",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_500_000_000, "1970-01-01T00:00:01.500Z"),
            (1_007_999_999, "1970-01-01T00:00:01.007Z"),
        ] as [(Int64, String)])
    func times(nanoseconds: Int64, text: String) {
        #expect(Timestamp(nanoseconds: nanoseconds).milliText == text)
    }

    @Test(
        "Words are quoted as a shell takes them",
        arguments: [
            ("plain-1.0/x", "plain-1.0/x"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
        ])
    func quoted(word: String, shell: String) { #expect(NodeTemplate.quoted(word) == shell) }

    @Test(
        "Known tags are replaced, others stay",
        arguments: [
            ("{{a}} {{ a }} {{b}} {{=a}} {a} {{a", "1 1 {{b}} {{=a}} {a} {{a"), ("", ""), ("{{{a}}}", "{1}"),
        ])
    func tags(text: String, replaced: String) {
        #expect(KnownTags.replaced(text, with: ["a": "1"]) == replaced)
    }

    @Test(
        "It is known of which curves the lowest point is the best",
        arguments: [
            ("loss", true), ("eval_loss", true), ("closs_up", false), ("score", false), ("step_time", true),
            ("perplexity", true),
        ])
    func lowerIsBetter(name: String, isLower: Bool) {
        #expect(ComparedMetric(node: "n", name: name).isLowerBetter == isLower)
    }
}
