// Windows over long texts, and the tokens of contexts and continuations.

import Models
import Testing

@testable import Evaluation

@Suite("Rows to rate")
struct RatedTokensTests {
    @Test(
        "Rolling windows rate each token once; a short last one reads as many as the others",
        arguments: [
            (count: 0, windows: [] as [(ids: [Int32], rated: Int)]),
            (1, [([99, 0], 1)]),
            (4, [([99, 0, 1, 2, 3], 4)]),
            (10, [([99, 0, 1, 2, 3], 4), ([3, 4, 5, 6, 7], 4), ([5, 6, 7, 8, 9], 2)]),
        ])
    func rolling(count: Int, windows: [(ids: [Int32], rated: Int)]) {
        let rows = PerplexityWindows.rolling(length: 4, prefix: 99).rows(of: (0..<Int32(count)).map { $0 })
        #expect(rows == windows.map { RatedTokens(ids: $0.ids, ratedCount: $0.rated) })
    }

    @Test(
        "Windows with a stride rate what those before did not, and never the first token",
        arguments: [
            (length: 64, stride: 64, count: 5, rated: [4]),
            (4, 2, 9, [3, 2, 2, 1]),
            (4, 4, 9, [3, 3]),
            (4, 2, 1, []),
            (2, 1, 4, [1, 1, 1]),
        ])
    func strided(length: Int, stride: Int, count: Int, rated: [Int]) {
        let ids = (0..<Int32(count)).map { $0 }
        let rows = PerplexityWindows.strided(length: length, stride: stride).rows(of: ids)
        #expect(rows.map(\.ratedCount) == rated)
        #expect(rows.allSatisfy { $0.ids.count <= length })
    }

    private static func encoder(maxLength: Int = 64) throws -> LikelihoodTokenizer {
        LikelihoodTokenizer(
            tokenizer: try RandomModel().loadTokenizer(), prefixID: RandomModel.end, maxLength: maxLength)
    }

    @Test(
        "A continuation begins where its context ends, blanks of the context included",
        arguments: [
            (context: "ab", continuation: " c", ids: "ab c", rated: 2),
            ("ab  ", "c", "ab  c", 3),
            ("ab \n\t", "c", "ab \n\tc", 4),
            ("ab\u{1F}\u{3000}", "c", "ab\u{1F}\u{3000}c", 5),
        ])
    func pairs(context: String, continuation: String, ids: String, rated: Int) throws {
        let row = try Self.encoder().row(context: context, continuation: continuation)
        #expect(row.ids == ids.utf8.map { Int32($0) })
        #expect(row.ratedCount == rated)
    }

    @Test("Without a context the prefix token stands before the text, once")
    func emptyContext() throws {
        let encoder = try Self.encoder()
        #expect(try encoder.row(context: "", continuation: "ab").ids == [256, 97, 98])
        let written = try encoder.row(context: "", continuation: "<end>ab")
        #expect(written.ids == [256, 97, 98])
        #expect(written.ratedCount == 2)
    }

    @Test("What is too long loses tokens from the left, but never rated ones")
    func truncation() throws {
        let encoder = try Self.encoder(maxLength: 4)
        let row = try encoder.row(context: "0123456789", continuation: "ab")
        #expect(row.ids == Array("789ab".utf8).map { Int32($0) } && row.ratedCount == 2)
        let full = try encoder.row(context: "0123456789", continuation: "abcd")
        #expect(full.ids == Array("9abcd".utf8).map { Int32($0) } && full.ratedCount == 4)
        #expect(throws: ScoringError.self) { try encoder.row(context: "x", continuation: "abcde") }
    }

    @Test("A continuation without a token is refused by name")
    func noTokens() throws {
        let error = #expect(throws: ScoringError.self) {
            try Self.encoder().row(context: "x", continuation: "")
        }
        #expect(error?.description.contains("no token of its own") == true)
    }

    @Test("The context's tokens are remembered, not mistaken")
    func cache() throws {
        let encoder = try Self.encoder()
        var cache = LikelihoodTokenizer.ContextCache()
        for (context, continuation) in [("ab", " c"), ("ab", " d"), ("abc", " e"), ("", "f"), ("ab", " g")] {
            let row = try encoder.row(context: context, continuation: continuation, &cache)
            #expect(try row == encoder.row(context: context, continuation: continuation))
        }
    }
}
