// Words without quotes, as Kubernetes' reader of YAML resolves them.

import Testing
import Text
import WorkflowLanguage

/// The JSON of a text's only document.
private func json(_ text: String) -> JSONValue? {
    let (documents, diagnostics) = ManifestReader.read(Array(text.utf8), file: "m.yaml")
    return diagnostics.isEmpty && documents.count == 1 ? documents[0].json : nil
}

@Suite("Scalars of manifests")
struct ManifestScalarTests {
    @Test(
        "A word without quotes is what Kubernetes takes it for",
        arguments: [
            ("yes", "bool(true)"), ("Yes", "bool(true)"), ("YES", "bool(true)"), ("on", "bool(true)"),
            ("On", "bool(true)"), ("true", "bool(true)"), ("TRUE", "bool(true)"), ("no", "bool(false)"),
            ("No", "bool(false)"), ("off", "bool(false)"), ("OFF", "bool(false)"), ("False", "bool(false)"),
            ("~", "null"), ("null", "null"), ("Null", "null"), ("NULL", "null"), ("", "null"),
            ("0", "int(0)"), ("-0", "int(0)"), ("+12", "int(12)"), ("007", "int(7)"), ("0777", "int(511)"),
            ("-017", "int(-15)"), ("0o17", "int(15)"), ("0O17", "int(15)"), ("0x1F", "int(31)"),
            ("-0xff", "int(-255)"), ("0b101", "int(5)"), ("-0b11", "int(-3)"), ("1_000", "int(1000)"),
            ("0x_ff", "int(255)"), ("9223372036854775807", "int(9223372036854775807)"),
            ("-9223372036854775808", "int(-9223372036854775808)"), ("!!int \"3\"", "int(3)"),
            ("08", "double(8.0)"), ("1e3", "double(1000.0)"), ("1E-2", "double(0.01)"),
            ("1.5", "double(1.5)"),
            ("1.", "double(1.0)"), (".5", "double(0.5)"), ("-.5e1", "double(-5.0)"), ("+1.0", "double(1.0)"),
            ("1_0.5", "double(10.5)"), ("!!float 3", "double(3.0)"),
            ("9223372036854775808", "double(9.223372036854776e+18)"),
        ])
    func words(text: String, value: String) {
        let member = json("a: \(text)\n")?["a"]
        #expect(member.map { String(describing: $0) } == value)
    }

    @Test(
        "Whatever is not a number, a truth value or null is text",
        arguments: [
            "y", "N", "yEs", "tRUE", "nULL", "0x", "0b2", "0o8", "+", "--1", ".5_0", ".", "1.2.3", "1e",
            "e3",
            "1e999", "2001-12-14", "2001-12-14T21:59:43Z", "12:30:45", "=", "infinity", "1 2", "0x1.8p3",
            "_1",
        ])
    func text(text: String) {
        #expect(json("a: \(text)\n")?["a"] == .string(text))
    }

    @Test(
        "Quotes and tags make text",
        arguments: [
            ("\"yes\"", "yes"), ("'0777'", "0777"), ("\"\"", ""), ("!!str 1", "1"), ("!!binary aGk=", "hi"),
            ("!own 1", "1"), ("!!timestamp 2001-12-14", "2001-12-14"),
        ])
    func quotedText(text: String, value: String) {
        #expect(json("a: \(text)\n")?["a"] == .string(value))
    }

    @Test("Blocks are always text", arguments: [("|", "5\n"), ("|-", "5"), (">-", "5"), ("|+", "5\n\n")])
    func blocks(header: String, text: String) {
        #expect(json("a: \(header)\n  5\n\n")?["a"] == .string(text))
    }

    @Test(
        "What JSON cannot hold is refused with its place",
        arguments: [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "!!int x", "!!binary '***'"])
    func notJSON(text: String) {
        let result = ManifestReader.read(Array("a:\n  - \(text)\n".utf8), file: "m.yaml")
        #expect(result.documents.isEmpty)
        #expect(result.diagnostics.map(\.path) == ["a[0]"])
        #expect(result.diagnostics.map(\.line) == [2])
        #expect(result.diagnostics.map(\.column) == [5])
    }

    @Test(
        "Keys are text, whatever they look like",
        arguments: [
            ("1", "1"), ("0x10", "16"), ("yes", "true"), ("~", "null"), ("1.5", "1.5"), ("\"yes\"", "yes"),
            ("2001-12-14", "2001-12-14"), ("a b", "a b"), ("y", "y"), ("? a\n", "a"),
        ])
    func keys(text: String, key: String) {
        #expect(json("\(text): v\n") == .object([key: "v"]))
    }

    @Test("Numbers and truth values become text in fields that take text, as Argo's command line does it")
    func textFields() {
        let text = """
            apiVersion: argoproj.io/v1alpha1
            kind: Workflow
            metadata: {labels: {cache: true, size: 1e7}}
            spec:
              arguments: {parameters: [{name: 7, value: 7}]}
              parallelism: 2
              templates: [{name: a, container: {image: b, args: [8080, 0777, 1.50, off, "1", x]}}]
            """
        let value = json(text)
        #expect(value?["metadata"]?["labels"] == ["cache": "true", "size": "1e+07"])
        #expect(value?["spec"]?["parallelism"] == 2)
        #expect(value?["spec"]?["arguments"] == ["parameters": [["name": "7", "value": 7]]])
        let template = value?["spec"]?["templates"]?.arrayValue?.first
        #expect(template?["container"]?["args"] == ["8080", "511", "1.5", "false", "1", "x"])
    }
}
