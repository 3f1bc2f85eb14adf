// Text as it comes out of a model, token by token.

/// Decodes one token after another. What is appended is whole characters, and all of it together is what
/// `Tokenizer.decode` makes of all ids: a piece of text that later ids could still change is held back.
package struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var decoder: TextDecoder

    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        decoder = tokenizer.makeDecoder()
    }

    /// - Returns: the text that is certain now, which may be empty.
    package mutating func append(_ id: Int32) -> String {
        var text: [UInt8] = []
        append(id, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// To be called once, after the last id.
    /// - Returns: what was held back.
    package mutating func finish() -> String {
        var text: [UInt8] = []
        finish(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    mutating func append(_ id: Int32, to text: inout [UInt8]) {
        tokenizer.feed(id, to: &decoder, skipSpecialTokens: skipSpecialTokens, output: &text)
    }

    mutating func finish(to text: inout [UInt8]) { decoder.finish(to: &text) }
}
