// Tells what a model thinks from what it answers: the text between <think> and </think>.

/// The machine that reads a model's text. Feed it everything, then call `finish` once.
struct ReasoningParser {
    enum Piece: Equatable {
        case reasoning(String)
        case answer(String)
    }

    private enum State {
        /// Only blanks so far.
        case beginning
        case thinking
        /// Behind the closing tag; line breaks between it and the answer belong to neither.
        case betweenBoth
        case answering
    }

    private static let openTag = Array("<think>".utf8)
    private static let closeTag = Array("</think>".utf8)

    private var state: State
    private var pending: [UInt8] = []
    /// Whether the thoughts have begun; line breaks before them are dropped.
    private var hasThought = false

    /// - Parameter prompt: the rendered prompt, which may have opened the thoughts already, or closed them.
    init(prompt: String) {
        var bytes = Array(prompt.utf8.suffix(200))[...]
        bytes = ToolCallParser.withoutTrailingSpace(bytes)
        if bytes.suffix(Self.openTag.count).elementsEqual(Self.openTag) {
            state = .thinking
        } else if bytes.suffix(Self.closeTag.count).elementsEqual(Self.closeTag) {
            state = .answering
        } else {
            state = .beginning
        }
    }

    mutating func feed(_ text: String) -> [Piece] {
        if state == .answering && pending.isEmpty { return text.isEmpty ? [] : [.answer(text)] }
        pending.append(contentsOf: text.utf8)
        var pieces: [Piece] = []
        while step(&pieces) {}
        return pieces
    }

    /// Nothing comes any more: what was held back is told.
    mutating func finish() -> [Piece] {
        var pieces: [Piece] = []
        switch state {
        case .thinking: tell(&pieces, thought: ToolCallParser.withoutTrailingSpace(pending[...]))
        case .beginning, .betweenBoth, .answering: tell(&pieces, answer: pending[...])
        }
        pending = []
        return pieces
    }

    private mutating func step(_ pieces: inout [Piece]) -> Bool {
        switch state {
        case .beginning:
            let rest = pending.drop(while: ToolCallParser.isSpace)
            if rest.starts(with: Self.openTag) {
                pending = Array(rest.dropFirst(Self.openTag.count))
                state = .thinking
                return true
            }
            if Self.openTag.starts(with: rest) { return false }
            state = .answering
            return true
        case .thinking:
            return think(&pieces)
        case .betweenBoth:
            let rest = pending.drop { $0 == 0x0A || $0 == 0x0D }
            pending = Array(rest)
            if rest.isEmpty { return false }
            state = .answering
            return true
        case .answering:
            tell(&pieces, answer: pending[...])
            pending = []
            return false
        }
    }

    private mutating func think(_ pieces: inout [Piece]) -> Bool {
        if let end = ToolCallParser.index(of: Self.closeTag, in: pending) {
            tell(&pieces, thought: ToolCallParser.withoutTrailingSpace(pending[..<end]))
            pending.removeFirst(end + Self.closeTag.count)
            state = .betweenBoth
            return true
        }
        // Blanks at the end wait, because they are dropped if the thoughts end behind them.
        let safe = pending.count - ToolCallParser.overlap(of: pending, with: Self.closeTag)
        let told = ToolCallParser.withoutTrailingSpace(pending[..<safe])
        tell(&pieces, thought: told)
        pending.removeFirst(told.endIndex)
        return false
    }

    private mutating func tell(_ pieces: inout [Piece], thought bytes: ArraySlice<UInt8>) {
        let text = hasThought ? bytes : bytes.drop { $0 == 0x0A || $0 == 0x0D }
        if text.isEmpty { return }
        hasThought = true
        pieces.append(.reasoning(String(decoding: text, as: UTF8.self)))
    }

    private func tell(_ pieces: inout [Piece], answer bytes: ArraySlice<UInt8>) {
        if !bytes.isEmpty { pieces.append(.answer(String(decoding: bytes, as: UTF8.self))) }
    }
}
