// What the rules look for in one source: functions with their length, forced unwrapping, documentation.

/// A function with its body.
struct SourceFunction: Sendable {
    var name: String
    var line: Int
    /// From the line of its name to that of its last brace.
    var lineCount: Int
}

extension SourceFile {
    /// Functions and initializers that have bodies; what a protocol requires has none.
    var functions: [SourceFunction] {
        tokens.indices.compactMap { index in
            guard tokens[index].isDeclaration(after: index > 0 ? tokens[index - 1] : nil) else { return nil }
            let isFunction = tokens[index].text == "func"
            guard index + 1 < tokens.count, isFunction || "(<?".contains(tokens[index + 1].text),
                let open = bodyStart(from: index + (isFunction ? 2 : 1)), let close = closing(open)
            else { return nil }
            let (first, last) = (tokens[index].line, tokens[close].line)
            return SourceFunction(
                name: isFunction ? tokens[index + 1].text : "init", line: first, lineCount: last - first + 1)
        }
    }

    /// The brace that opens the body of a function whose parameters begin at `index`; nil if the declaration ends
    /// before.
    private func bodyStart(from index: Int) -> Int? {
        let others: Set = [
            "func", "var", "let", "init", "static", "associatedtype", "import", "case", "subscript",
        ]
        var depth = 0
        for position in tokens.indices.dropFirst(index) {
            switch tokens[position].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return position
            case "}" where depth == 0: return nil
            case let text where depth == 0 && others.contains(text): return nil
            default: break
            }
        }
        return nil
    }

    private func closing(_ open: Int) -> Int? {
        var depth = 0
        for position in open..<tokens.count {
            if tokens[position].text == "{" { depth += 1 }
            if tokens[position].text == "}" { depth -= 1 }
            if depth == 0 { return position }
        }
        return nil
    }

    /// Whether the token is a `!` that unwraps, casts or tries by force. A `!` that negates has a blank or a sign
    /// before it; one of `!=` has its `=` right behind.
    func isForced(at index: Int) -> Bool {
        let token = tokens[index]
        guard token.text == "!", !token.followsSpace else { return false }
        if index + 1 < tokens.count, tokens[index + 1].text == "=", !tokens[index + 1].followsSpace {
            return false
        }
        let previous = tokens[index - 1]
        return previous.isWord || [")", "]", "}", "?", ">"].contains(previous.text)
    }

    /// Whether a documentation comment stands above the declaration on this line, attributes in between or not.
    func isDocumented(line: Int) -> Bool {
        for text in lines[..<(line - 1)].reversed() {
            let trimmed = text.drop { $0 == " " }
            if trimmed.hasPrefix("@") { continue }
            return trimmed.hasPrefix("///")
        }
        return false
    }
}

extension SourceToken {
    /// `func` and `init` declare something, except where they are called as members.
    func isDeclaration(after previous: SourceToken?) -> Bool {
        (text == "func" || text == "init") && previous?.text != "."
    }
}
