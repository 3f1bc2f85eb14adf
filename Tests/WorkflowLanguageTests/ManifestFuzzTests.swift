// Text of chance: the reader and the schema check must answer, whatever they are given.

import TestSupport
import Testing
import Text
import WorkflowLanguage

@Suite("Manifests of chance")
struct ManifestFuzzTests {
    private static let seed = """
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {generateName: a-, labels: &l {b: "c", d: 'e'}}
        spec:
          entrypoint: main
          arguments:
            parameters: [{name: p, value: 0x1F}, {name: q, value: "{{x}}"}]
          templates:
          - name: main
            metadata: {labels: *l}
            <<: {retryStrategy: {limit: 3}}
            steps:
            - - name: one   # a comment
                template: t
          - name: t
            script:
              image: python
              source: |
                print("*")
          - ? name
            : sft
            sft: {learning_rate: 1e-4, dataset: [a, b]}
        ---
        {"kind": "List", "items": [{"kind": "ConfigMap", "data": {"a": "\\u00e9"}}]}
        """

    private static let tokens: [String] = [
        "\n", " ", "  ", "\t", ":", ": ", "- ", "?", ",", "[", "]", "{", "}", "&a ", "*a", "*l", "!!str ",
        "!x ", "|", ">-", "|2+",
        "\"", "'", "\\", "#", "%YAML 1.1\n", "---\n", "...", "<<: ", "~", "0x", "1e9", ".inf", "\u{FEFF}",
        "\u{85}", "\u{E000}",
        "spec:", "\r", "kind: List\n", "*",
    ]

    /// Reads, checks and prints. Every diagnostic must name a place.
    private func exercise(_ bytes: [UInt8]) -> Bool {
        let limits = ReadLimits(nodes: 5_000, depth: 50, aliases: 100, documents: 50)
        let (documents, diagnostics) = ManifestReader.read(bytes, file: "f", limits: limits)
        var placed = diagnostics.allSatisfy { $0.line > 0 && $0.column > 0 && !$0.message.isEmpty }
        for document in documents {
            placed =
                placed
                && ManifestSchema.check(document, strict: true).allSatisfy { $0.line > 0 && $0.column > 0 }
            placed = placed && !ManifestPrinter.yaml(document.json).isEmpty
        }
        return placed && !(documents.isEmpty && diagnostics.isEmpty)
    }

    @Test("Random bytes are answered", arguments: 0..<20)
    func randomBytes(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let count = Int.random(in: 0...200, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(exercise(bytes), "seed \(seed)")
        }
    }

    @Test("Random tokens are answered", arguments: 0..<20)
    func randomTokens(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var text = ""
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                text += Self.tokens.randomElement(using: &generator) ?? ""
                if Bool.random(using: &generator) {
                    text += ["a", "b", "name", "l"].randomElement(using: &generator) ?? ""
                }
            }
            #expect(exercise(Array(text.utf8)), "seed \(seed): \(text)")
        }
    }

    @Test("Manifests with random changes are answered", arguments: 0..<20)
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            var bytes = Array(Self.seed.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.remove(at: at)
                case 1: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 2:
                    bytes.insert(
                        contentsOf: (Self.tokens.randomElement(using: &generator) ?? "").utf8, at: at)
                default:
                    let end = min(bytes.count, at + Int.random(in: 1...30, using: &generator))
                    bytes.insert(
                        contentsOf: Array(bytes[at..<end]),
                        at: Int.random(in: 0..<bytes.count, using: &generator))
                }
            }
            #expect(exercise(bytes), "seed \(seed)")
        }
    }

    @Test("The unchanged manifest is right")
    func unchanged() {
        let (documents, diagnostics) = ManifestReader.read(Array(Self.seed.utf8), file: "f")
        #expect(diagnostics.isEmpty)
        #expect(documents.map(\.kind) == ["Workflow", "ConfigMap"])
        #expect(ManifestSchema.check(documents[0], strict: true).isEmpty)
    }
}
