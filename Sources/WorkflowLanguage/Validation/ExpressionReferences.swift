// The dotted names that an expression mentions: steps['a-b'].outputs.result as
// ["steps", "a-b", "outputs", "result"].

/// Finds chains of member accesses that begin with a plain name.
enum ExpressionReferences {
    /// All chains, in the order of the text; texts in quotes are not looked into.
    static func chains(in source: String) -> [[String]] {
        var scanner = Scanner(bytes: Array(source.utf8))
        return scanner.chains()
    }

    private struct Scanner {
        var bytes: [UInt8]
        var index = 0

        mutating func chains() -> [[String]] {
            var chains: [[String]] = []
            // A name after a dot belongs to something that is not a plain name, such as a call's result.
            var follows = false
            while index < bytes.count {
                let byte = bytes[index]
                if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") {
                    _ = text()
                    follows = false
                } else if ASCII.isLetter(byte) || byte == ASCII.underscore {
                    let chain = chain()
                    if !follows { chains.append(chain) }
                    follows = false
                } else if ASCII.isDigit(byte) {
                    while index < bytes.count, ASCII.isAlphanumeric(bytes[index]) { index += 1 }
                    follows = false
                } else {
                    follows = byte == UInt8(ascii: ".")
                    index += 1
                }
            }
            return chains
        }

        private mutating func chain() -> [String] {
            var parts = [identifier()]
            while let part = member() { parts.append(part) }
            return parts
        }

        private mutating func identifier() -> String {
            let start = index
            while index < bytes.count, ASCII.isAlphanumeric(bytes[index]) || bytes[index] == ASCII.underscore
            {
                index += 1
            }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        /// `.name`, `?.name` or `['name']` at the index; nil, the index unmoved, for anything else.
        private mutating func member() -> String? {
            let start = index
            if peek == UInt8(ascii: "?"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: ".") {
                index += 1
            }
            if peek == UInt8(ascii: ".") {
                index += 1
                if let byte = peek, ASCII.isLetter(byte) || byte == ASCII.underscore { return identifier() }
            } else if peek == UInt8(ascii: "[") {
                index += 1
                if let byte = peek, byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\""), let key = text(),
                    peek == UInt8(ascii: "]")
                {
                    index += 1
                    return key
                }
            }
            index = start
            return nil
        }

        private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

        /// The text in quotes at the index; nil if it does not end.
        private mutating func text() -> String? {
            let quote = bytes[index]
            index += 1
            let start = index
            while index < bytes.count, bytes[index] != quote {
                index += bytes[index] == UInt8(ascii: "\\") && quote != UInt8(ascii: "`") ? 2 : 1
            }
            guard index < bytes.count else {
                index = bytes.count
                return nil
            }
            defer { index += 1 }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }
    }
}
