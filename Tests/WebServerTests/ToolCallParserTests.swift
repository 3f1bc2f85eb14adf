// Calls of tools and thoughts in a model's text, whole and in pieces of every length.

import TestSupport
import Testing

@testable import WebServer

@Suite("Tool calls")
struct ToolCallParserTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var format = ToolCallFormat.hermes
        var text: String
        var content: String?
        var calls: [ToolCall] = []
        var testDescription: String { text }
    }

    private static let cases: [Case] = [
        Case(text: "Just text.", content: "Just text."),
        Case(text: "Text with < and <tool and blanks  \n", content: "Text with < and <tool and blanks  \n"),
        Case(
            text: "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\"}]}}\n</tool_call>",
            calls: [ToolCall(name: "f", arguments: "{\"a\": [1, {\"b\": \"}\"}]}")]),
        Case(
            text: "I look. \n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n"
                + "<tool_call>{\"arguments\": {\"é\": \"\\\"<\"}, \"name\": \"g\"}</tool_call>\n",
            content: "I look.",
            calls: [
                ToolCall(name: "f", arguments: "{}"), ToolCall(name: "g", arguments: "{\"é\": \"\\\"<\"}"),
            ]),
        // The arguments as text, or none at all.
        Case(
            text: #"<tool_call>{"name": "f", "arguments": "{\"a\": 1}"}</tool_call>"#,
            calls: [ToolCall(name: "f", arguments: #"{"a": 1}"#)]),
        Case(text: #"<tool_call>{"name": "f"}</tool_call>"#, calls: [ToolCall(name: "f", arguments: "{}")]),
        Case(
            text: #"<tool_call>{"name": "f", "arguments": null, "id": 3}</tool_call>"#,
            calls: [ToolCall(name: "f", arguments: "{}")]),
        // The end of the text in place of the closing tag.
        Case(
            text: #"<tool_call>{"name": "f", "arguments": {}}"#, calls: [ToolCall(name: "f", arguments: "{}")]
        ),
        // What is no call stays text.
        Case(text: "<tool_call>no JSON</tool_call>", content: "<tool_call>no JSON</tool_call>"),
        Case(text: #"<tool_call>{"name": "f", "arg"#, content: #"<tool_call>{"name": "f", "arg"#),
        Case(
            text: #"<tool_call>{"name": "f", "arguments": {"a": tru}}</tool_call>"#,
            content: #"<tool_call>{"name": "f", "arguments": {"a": tru}}</tool_call>"#),
        Case(text: #"<tool_call>{"name": 3}</tool_call>"#, content: #"<tool_call>{"name": 3}</tool_call>"#),
        // Llama's format.
        Case(
            format: .llama3JSON, text: #" {"name": "f", "parameters": {"a": 1}}"#,
            calls: [ToolCall(name: "f", arguments: #"{"a": 1}"#)]),
        Case(
            format: .llama3JSON,
            text: #"<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {"x": "y"}}"#,
            calls: [ToolCall(name: "f", arguments: "{}"), ToolCall(name: "g", arguments: #"{"x": "y"}"#)]),
        Case(
            format: .llama3JSON, text: #"{"type": "function", "name": "f", "parameters": {}}"#,
            calls: [ToolCall(name: "f", arguments: "{}")]),
        Case(format: .llama3JSON, text: #"{"answer": 42}"#, content: #"{"answer": 42}"#),
        Case(
            format: .llama3JSON, text: #"{"name": "Ada", "parameters": {}}"#,
            content: #"{"name": "Ada", "parameters": {}}"#),
        Case(
            format: .llama3JSON, text: #"Call {"name": "f", "parameters": {}}"#,
            content: #"Call {"name": "f", "parameters": {}}"#),
    ]

    @Test("A whole answer is taken apart into content and calls", arguments: cases)
    func whole(_ test: Case) {
        let result = ToolCallParser.parse(test.text, format: test.format, names: ["f", "g"])
        #expect(result.content == test.content)
        #expect(result.calls == test.calls)
    }

    @Test("Pieces of any length add up to the same, and nothing of a tag is told", arguments: cases)
    func pieces(_ test: Case) {
        let names: Set = ["f", "g"]
        for length in 1...(test.text.count + 1) {
            var parser = ToolCallParser(format: test.format, names: names)
            var events: [ToolCallParser.Event] = []
            var rest = Substring(test.text)
            while !rest.isEmpty {
                events += parser.feed(String(rest.prefix(length)))
                rest = rest.dropFirst(length)
            }
            events += parser.finish()
            let (content, calls) = Self.collect(events)
            if test.calls.isEmpty && calls.isEmpty {
                #expect(content == test.content ?? "")
            } else if !test.calls.isEmpty {
                #expect(calls == test.calls)
                #expect(content == test.content ?? "")
                #expect(!content.contains("<"))
            }
        }
    }

    private static func collect(_ events: [ToolCallParser.Event]) -> (content: String, calls: [ToolCall]) {
        var content = ""
        var calls: [ToolCall] = []
        for event in events {
            switch event {
            case .content(let text): content += text
            case .callStarted(let index, let name):
                #expect(index == calls.count)
                calls.append(ToolCall(name: name, arguments: ""))
            case .arguments(let index, let piece): calls[index].arguments += piece
            }
        }
        return (content, calls)
    }

    @Test("Arguments are passed on while they come")
    func argumentsStream() {
        var parser = ToolCallParser(format: .hermes)
        #expect(parser.feed(#"<tool_call>{"name": "f", "argu"#) == [.callStarted(index: 0, name: "f")])
        #expect(parser.feed(#"ments": {"city": "Pa"#) == [.arguments(index: 0, #"{"city": "Pa"#)])
        #expect(parser.feed(#"ris"}}"#) == [.arguments(index: 0, #"ris"}"#)])
        #expect(parser.feed("</tool_call>") == [])
        #expect(parser.finish() == [])
    }

    @Test("A forced call begins with its object, because its tag is in the prompt")
    func forced() {
        let result = ToolCallParser.parse(
            #"{"name": "f", "arguments": {"a": 1}}"#, format: .hermes, names: ["f"], isForced: true)
        #expect(result.content == nil)
        #expect(result.calls == [ToolCall(name: "f", arguments: #"{"a": 1}"#)])
    }

    @Test("Any text is read without a trap, and text without tags comes out as it is", arguments: 0..<40)
    func anyText(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let words = [
            "<tool_call>", "</tool_call>", "{", "}", "\"name\"", ":", "\"f\"", "\"arguments\"", ",", "[", "]",
            " ",
            "\\", "\"", "é", "<", "<|python_tag|>", ";", "1", "null", "<think>", "</think>", "\n",
        ]
        for _ in 0..<50 {
            let text = (0..<Int.random(in: 0..<30, using: &generator)).map { _ in
                words.randomElement(using: &generator) ?? ""
            }.joined()
            for format in ToolCallFormat.allCases {
                let (content, calls) = ToolCallParser.parse(text, format: format, names: [])
                #expect(content != nil || !calls.isEmpty)
                if format == .hermes && !text.contains("<tool_call>") { #expect(content == text) }
            }
        }
    }

    @Test(
        "The format is told by the template",
        arguments: [
            ("...<tool_call>...", ToolCallFormat.hermes), ("...<|python_tag|>...", .llama3JSON),
            ("no tools", nil),
        ] as [(String, ToolCallFormat?)])
    func detection(template: String, format: ToolCallFormat?) {
        #expect(ToolCallFormat.detect(inTemplate: template) == format)
    }
}

@Suite("Reasoning")
struct ReasoningParserTests {
    @Test(
        "Thoughts and answer are told apart, in pieces of any length",
        arguments: [
            ("", "<think>\nWhy? é\n</think>\n\nBecause.", "Why? é", "Because."),
            ("", "No thoughts. <think>", "", "No thoughts. <think>"),
            ("", "\n<think>never ends </thin", "never ends </thin", ""),
            ("assistant\n<think>\n", "Begun\n\nalready</think>Yes", "Begun\n\nalready", "Yes"),
            ("<think>\n\n</think>\n\n", "Only the answer", "", "Only the answer"),
            ("", "<think></think>  kept", "", "  kept"),
            ("", "", "", ""),
        ])
    func split(prompt: String, text: String, thoughts: String, answer: String) {
        for length in 1...(text.count + 1) {
            var parser = ReasoningParser(prompt: prompt)
            var pieces: [ReasoningParser.Piece] = []
            var rest = Substring(text)
            while !rest.isEmpty {
                pieces += parser.feed(String(rest.prefix(length)))
                rest = rest.dropFirst(length)
            }
            pieces += parser.finish()
            var (told, said) = ("", "")
            for piece in pieces {
                switch piece {
                case .reasoning(let text): told += text
                case .answer(let text): said += text
                }
            }
            #expect(told == thoughts)
            #expect(said == answer)
        }
    }
}
