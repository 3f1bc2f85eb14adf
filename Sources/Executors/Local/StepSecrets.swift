// The Secrets that a step is given: which they are, and what of them must be seen nowhere.

import Scheduling
import Text
import WorkflowLanguage

struct StepSecrets: Sendable {
    /// Shorter values are not looked for: covering every "on" in a log would hide nothing and spoil everything.
    static let shortestWord = 4
    /// A line of a longer value, such as a key in PEM, is covered by itself from this length on.
    static let shortestLine = 8
    /// What a log shows instead.
    static let cover = "***"

    /// Whether any Secret is mentioned, present or not.
    let isEmpty: Bool
    /// What is covered in logs and outputs, longest first; none has a NUL in it.
    let words: [String]

    init(_ launch: Launch, values: LaunchValues) {
        var names: Set<String> = []
        Self.collect(launch.template.raw, &names)
        for volume in launch.volumes { Self.collect(volume, &names) }
        isEmpty = names.isEmpty
        var words: Set<String> = []
        for name in names {
            for (_, bytes) in (try? values.all(name, isSecret: true, optional: true)) ?? [] {
                Self.add(bytes, to: &words)
            }
        }
        self.words = words.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
    }

    private static func add(_ bytes: [UInt8], to words: inout Set<String>) {
        guard !bytes.contains(0) else { return }
        let text = String(decoding: bytes, as: UTF8.self).trimmed
        if text.utf8.count >= shortestWord { words.insert(text) }
        let lines = text.split(whereSeparator: \.isNewline)
        guard lines.count > 1 else { return }
        for line in lines where line.utf8.count >= shortestLine { words.insert(String(line)) }
    }

    /// The names under `secretKeyRef`, `secretRef` and `secret`.
    private static func collect(_ json: JSONValue, _ names: inout Set<String>) {
        switch json {
        case .array(let elements): for element in elements { collect(element, &names) }
        case .object(let members):
            for (key, value) in members {
                if ["secretKeyRef", "secretRef", "secret"].contains(key),
                    let name = (value["name"] ?? value["secretName"])?.scalarText
                {
                    names.insert(name)
                }
                collect(value, &names)
            }
        default: break
        }
    }

    /// The text with every word covered.
    func covering(_ text: String) -> String {
        var text = text
        for word in words where text.contains(word) { text.replace(word, with: Self.cover) }
        return text
    }

    /// The outcome as it may be kept: a step may have printed what it was given.
    func covering(_ outcome: AttemptOutcome) -> AttemptOutcome {
        guard !words.isEmpty else { return outcome }
        var outcome = outcome
        outcome.message = covering(outcome.message)
        outcome.outputs.result = outcome.outputs.result.map(covering)
        for index in outcome.outputs.parameters.indices {
            outcome.outputs.parameters[index].value = outcome.outputs.parameters[index].value.map(covering)
        }
        return outcome
    }
}
