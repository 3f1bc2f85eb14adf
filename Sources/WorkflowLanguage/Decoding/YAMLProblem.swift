// The YAML parser's complaints, each with what to do about it. The parser names what it missed; people need
// to hear what they probably wrote.

import Yams

enum YAMLProblem {
    /// - Parameter error: what the parser threw.
    static func failure(_ error: any Error, in source: SourceText) -> ReadFailure {
        switch error {
        case YamlError.scanner(let context, let problem, let mark, _),
            YamlError.parser(let context, let problem, let mark, _),
            YamlError.composer(let context, let problem, let mark, _):
            return failure(problem, context: context, at: (mark.line, mark.column), in: source)
        case YamlError.reader(let problem, _, _, _):
            return ReadFailure(
                line: 1, column: 1, message: "not valid YAML: \(problem)",
                remedy: "save the file as UTF-8 text")
        case YamlError.memory:
            return ReadFailure(
                line: 1, column: 1, message: "the file needs more memory than there is", remedy: "split it")
        default:
            return ReadFailure(line: 1, column: 1, message: "not valid YAML: \(error)")
        }
    }

    private static func failure(
        _ problem: String, context: YamlError.Context?, at place: (line: Int, column: Int),
        in source: SourceText
    ) -> ReadFailure {
        var message = "not valid YAML: \(problem)"
        if let context {
            message += " \(context.text)"
            let sameLine = context.mark.line == place.line
            message += sameLine ? " (column \(context.mark.column))" : " (from line \(context.mark.line))"
        }
        if problem.hasPrefix("Maximum nesting level") {
            message = "not valid YAML: nested more than 1000 deep"
        }
        return ReadFailure(
            line: place.line, column: place.column, message: message,
            remedy: remedy(problem, character: source.character(line: place.line, column: place.column)))
    }

    /// Looked up by a part of the parser's sentence. The first that fits counts.
    private static let remedies: [(part: String, remedy: String)] = [
        (
            "mapping values are not allowed",
            "a key cannot begin here: check the indentation, or put text that holds \": \" in quotes"
        ),
        (
            "could not find expected ':'",
            "this line has no \"key:\"; check its indentation, or use \"|\" for text of several lines"
        ),
        (
            "did not find expected key",
            "check the indentation of this line and the one above, and that every quote and bracket is closed"
        ),
        (
            "did not find expected '-' indicator",
            "items of one list begin in the same column with \"- \"; check the indentation"
        ),
        ("did not find expected ',' or ']'", "close the list with ], or put a text with brackets in quotes"),
        ("did not find expected ',' or '}'", "close the map with }, or put a text with braces in quotes"),
        (
            "did not find expected <document start>",
            "separate documents with a line \"---\", and give all top-level keys the same indentation"
        ),
        (
            "block sequence entries are not allowed",
            "a list item cannot begin here: put it on a line of its own"
        ),
        ("block mapping entries", "put the key on a line of its own"),
        ("found unexpected end of stream", "a quote or bracket that was opened is never closed"),
        (
            "found unknown escape character",
            "in double quotes write \\\\ for a backslash, or use single quotes"
        ),
        ("found undefined tag handle", "a value that begins with ! is a tag; put it in quotes"),
        ("while scanning a tag", "a value that begins with ! is a tag; put it in quotes"),
        ("did not find expected alphabetic", "a value that begins with & names an anchor; put it in quotes"),
        ("Maximum nesting level", "close the brackets, or flatten the value"),
        ("found duplicate %YAML", "keep one %YAML line"),
        ("found incompatible YAML", "remove the %YAML line"),
        ("tab character", "indent with spaces, not with tabs"),
    ]

    private static func remedy(_ problem: String, character: UInt8?) -> String? {
        if let match = remedies.first(where: { problem.contains($0.part) }) { return match.remedy }
        guard problem.contains("cannot start any token") else { return nil }
        switch character {
        case UInt8(ascii: "\t"): return "a tab stands here: indent with spaces"
        case UInt8(ascii: "%"), UInt8(ascii: "@"), UInt8(ascii: "`"):
            return "a value cannot begin with this character: put it in quotes"
        default: return "put the value in quotes"
        }
    }
}

extension SourceText {
    /// The first byte of a character, for lines that end in LF or CRLF.
    func character(line: Int, column: Int) -> UInt8? {
        var start = bytes.startIndex
        for _ in 1..<max(1, line) {
            guard let end = bytes[start...].firstIndex(of: 0x0A) else { return nil }
            start = end + 1
        }
        return bytes[start...].lazy.filter { $0 & 0xC0 != 0x80 }.dropFirst(column - 1).first
    }
}
