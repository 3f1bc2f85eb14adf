// Printing, and that what was printed reads back.

import Foundation
import TestSupport
import Testing
import Text
import WorkflowLanguage

/// The manifests of the conformance suite, if it is there: `$MARTLET_CONFORMANCE`, or `shared` beside the
/// repository.
private func conformanceFiles() -> [URL] {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    let root =
        ProcessInfo.processInfo.environment["MARTLET_CONFORMANCE"].map { URL(filePath: $0) }
        ?? repository.appending(path: "../shared").standardizedFileURL
    return ["argo-examples", "argo-semantics", "argo-invalid"].flatMap { folder in
        let found = FileManager.default.enumerator(
            at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return (found?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "yaml" }
    }.sorted { $0.path < $1.path }
}

private func reread(_ text: String) -> [JSONValue] {
    let result = ManifestReader.read(Array(text.utf8), file: "printed.yaml")
    return result.diagnostics.isEmpty ? result.documents.map(\.json) : []
}

@Suite("Printing manifests")
struct ManifestPrinterTests {
    @Test("A manifest is printed in the order people write it")
    func order() {
        let value: JSONValue = [
            "status": ["phase": "Running"], "kind": "Workflow", "apiVersion": "argoproj.io/v1alpha1",
            "metadata": ["name": "a", "labels": [:]],
            "spec": [
                "entrypoint": "main", "arguments": ["parameters": []],
                "templates": [
                    ["script": ["source": "import sys\nprint(1)\n", "command": ["python"]], "name": "main"],
                    ["steps": [[["template": "x", "name": "s"], ["name": "t"]]], "name": "list"],
                ],
            ],
        ]
        #expect(
            ManifestPrinter.yaml(value) == """
                apiVersion: argoproj.io/v1alpha1
                kind: Workflow
                metadata:
                  labels: {}
                  name: a
                spec:
                  arguments:
                    parameters: []
                  entrypoint: main
                  templates:
                  - name: main
                    script:
                      command:
                      - python
                      source: |
                        import sys
                        print(1)
                  - name: list
                    steps:
                    - - name: s
                        template: x
                      - name: t
                status:
                  phase: Running

                """)
    }

    @Test(
        "Text is quoted only where it would be read as something else",
        arguments: [
            ("plain text", "plain text"), ("/bin/sh", "/bin/sh"), ("a-b_c.d", "a-b_c.d"),
            ("./train.py", "./train.py"),
            ("3d-model", "3d-model"), ("größe", "größe"), ("$(x)", "$(x)"), ("a:b", "a:b"),
            ("a#b", "a#b"),
            ("yes", "\"yes\""), ("Y", "\"Y\""), ("null", "\"null\""), ("", "\"\""), ("0777", "\"0777\""),
            ("1e3", "\"1e3\""), ("0o17", "\"0o17\""), (".inf", "\".inf\""), ("2001-12-14", "\"2001-12-14\""),
            ("12:30", "\"12:30\""), ("a: b", "\"a: b\""), ("a #b", "\"a #b\""), ("a:", "\"a:\""),
            (" a", "\" a\""),
            ("a ", "\"a \""), ("*a", "\"*a\""), ("&a", "\"&a\""), ("- a", "\"- a\""), ("{{x}}", "\"{{x}}\""),
            ("~", "\"~\""), ("<<", "\"<<\""), ("=", "\"=\""), ("a\tb", "\"a\\tb\""), ("\u{1}", "\"\\u0001\""),
            ("\"q\" {", "'\"q\" {'"), ("\u{FEFF}a", "\"\u{FEFF}a\""), ("\n", "\"\\n\""),
            ("a\r\nb", "\"a\\r\\nb\""),
        ])
    func quoting(text: String, printed: String) {
        #expect(ManifestPrinter.yaml(["k": .string(text)]) == "k: \(printed)\n")
        #expect(reread("k: \(printed)\n") == [["k": .string(text)]])
    }

    @Test(
        "Text of several lines is a block with the right ending",
        arguments: [
            ("a\nb", "|-\n  a\n  b\n"), ("a\nb\n", "|\n  a\n  b\n"), ("a\n\n\n", "|+\n  a\n\n\n"),
            (" a\nb\n", "|2\n   a\n  b\n"), ("\n a\n", "|2\n\n   a\n"), ("\na\n", "|\n\n  a\n"),
            ("\ta\n", "|2\n  \ta\n"),
            ("a\n  ", "|-\n  a\n    \n"), ("#a\n---\n...\n", "|\n  #a\n  ---\n  ...\n"),
        ])
    func blocks(text: String, printed: String) {
        #expect(ManifestPrinter.yaml(["k": .string(text)]) == "k: \(printed)")
        #expect(reread("k: \(printed)") == [["k": .string(text)]])
    }

    @Test("Several documents are separated, and none are nothing")
    func documents() {
        #expect(ManifestPrinter.yaml(documents: [["a": 1], ["b": 2]]) == "a: 1\n---\nb: 2\n")
        #expect(ManifestPrinter.yaml(documents: []) == "")
        #expect(
            reread(ManifestPrinter.yaml(documents: [["a": 1], ["b": "---\nx"]])) == [
                ["a": 1], ["b": "---\nx"],
            ])
    }

    @Test(
        "Every manifest of the conformance suite reads back as it was",
        .enabled(if: !conformanceFiles().isEmpty))
    func conformance() throws {
        for file in conformanceFiles() {
            let documents = ManifestReader.read(
                Array(try Data(contentsOf: file)), file: file.lastPathComponent
            )
            .documents.map(\.json)
            #expect(
                reread(ManifestPrinter.yaml(documents: documents)) == documents, "\(file.lastPathComponent)")
        }
    }

    @Test("Random values read back as they were", arguments: 0..<40)
    func randomValues(seed: UInt64) {
        var random = RandomValues(seed: seed)
        for _ in 0..<100 {
            let value = random.value(depth: 4)
            if value == .null { continue }
            let printed = ManifestPrinter.yaml(value)
            #expect(reread(printed) == [value], "seed \(seed):\n\(printed)")
        }
    }
}

/// Values made of what is known to confuse readers of YAML.
private struct RandomValues {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private static let pieces: [String] = [
        "a", "b c", " ", "  ", "\n", "\n\n", "\t", "\r", ":", ": ", " #", "#", "-", "- ", "?", "? ", "*", "&",
        "!", "|", ">",
        "'", "\"", "\\", "%", "@", "`", "{", "}", "[", "]", ",", "{{x}}", "yes", "no", "y", "null", "~",
        "true", "0", "1", "_",
        "0x", "0o17", "0b1", "1e3", ".", ".inf", ".nan", "+", "<<", "=", "---", "...", "2001-01-01", "é",
        "e\u{301}", "\u{301}",
        "😀", "\u{85}", "\u{2028}", "\u{FEFF}", "\u{A0}", "\u{0}", "\u{7F}", "\u{E000}", "\u{FFFE}",
        "\u{1F}",
        "\u{9F}",
    ]

    private mutating func text() -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            text += Self.pieces.randomElement(using: &generator) ?? ""
        }
        return Int.random(in: 0..<200, using: &generator) == 0
            ? text + String(repeating: "k", count: 1500) : text
    }

    mutating func value(depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 12 : 8), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .int(Int.random(in: -1000...1000, using: &generator))
        case 3: return .int(Int(truncatingIfNeeded: generator.next()))
        case 4:
            let number = Double(bitPattern: generator.next())
            return .double(number.isFinite ? number : 0.1)
        case 5...7: return .string(text())
        case 8, 9:
            return .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in value(depth: depth - 1) })
        default:
            var members: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                members[text()] = value(depth: depth - 1)
            }
            return .object(members)
        }
    }
}
