// Learning a vocabulary from texts.

import TestSupport
import Testing
import Text

@testable import Models

@Suite("Learning a vocabulary")
struct TokenizerTrainingTests {
    private static func train(_ texts: [String], _ settings: BytePairTrainer.Settings) throws
        -> TrainedVocabulary
    {
        var trainer = try BytePairTrainer(settings)
        for text in texts { try trainer.add(text) }
        return trainer.train()
    }

    private static func learned(_ texts: [String], size: Int, frequency: Int = 0) throws -> [String] {
        var settings = BytePairTrainer.Settings(vocabularySize: size)
        settings.minimumFrequency = frequency
        let vocabulary = try train(texts, settings)
        let tokenizer = try Tokenizer(
            tokenizerJSON: vocabulary.tokenizerJSON, configurationJSON: vocabulary.configurationJSON(),
            file: "t")
        return (256..<Int32(vocabulary.count)).map { tokenizer.token($0) ?? "?" }
    }

    @Test("The most frequent pair comes first; of equals the one with lower ids")
    func order() throws {
        // "ab" is there 3 times, the others twice; d is before e, and the blank behind all letters.
        #expect(
            try Self.learned(["ab ab ab", "ce", "cd", "cd", "ce"], size: 260) == ["ab", "cd", "ce", "Ġab"])
        #expect(try Self.learned(["cd", "ce", "ab ab ab", "ce cd"], size: 258) == ["ab", "cd"])
    }

    @Test("A row of one letter is joined from the left")
    func rows() throws {
        #expect(try Self.learned(["aaaa"], size: 300) == ["aa", "aaaa"])
        #expect(try Self.learned(["aaaaa"], size: 300) == ["aa", "aaa", "aaaaa"])
    }

    @Test("Pairs rarer than the limit are not joined, and learning ends when there are no more")
    func limits() throws {
        #expect(try Self.learned(["ab ab cd"], size: 400, frequency: 2) == ["ab"])
        #expect(try Self.learned([], size: 400).isEmpty)
    }

    @Test("The order of texts does not matter")
    func orderOfTexts() throws {
        var random = SeededGenerator(seed: 1)
        let texts = (0..<200).map { _ in
            String((0..<30).map { _ in "abcde é中".randomElement(using: &random) ?? " " })
        }
        let settings = BytePairTrainer.Settings(vocabularySize: 400)
        let expected = try Self.train(texts, settings).tokenizerJSON
        #expect(try Self.train(texts.shuffled(using: &random), settings).tokenizerJSON == expected)
    }

    @Test("What was learned encodes and decodes any text", arguments: BytePairTrainer.Splitting.allCases)
    func roundTrip(splitting: BytePairTrainer.Splitting) throws {
        var settings = BytePairTrainer.Settings(vocabularySize: 285)
        settings.splitting = splitting
        settings.specialTokens = ["<|endoftext|>", "a"]
        let text = "The cat, the hat and 1234 don'ts.\n\n  Das Café 中文 😀"
        let vocabulary = try Self.train([text, text], settings)
        #expect(vocabulary.count == 285)
        let tokenizer = try Tokenizer(
            tokenizerJSON: vocabulary.tokenizerJSON,
            configurationJSON: vocabulary.configurationJSON(
                eosToken: "<|endoftext|>", chatTemplate: "{{ \"x\" }}\n"),
            file: "t")
        #expect(tokenizer.eosTokenID == 0 && tokenizer.chatTemplates == ["default": "{{ \"x\" }}\n"])
        let ids = tokenizer.encode(text + "<|endoftext|>", addSpecialTokens: false)
        #expect(ids.last == 0 && ids.count < text.utf8.count)
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text + "<|endoftext|>")
        #expect(tokenizer.vocabularySize == 285)
    }

    @Test("Learning can be stopped on the way")
    func stopping() throws {
        var trainer = try BytePairTrainer(.init(vocabularySize: 1000))
        for first in "abcdefghijklmnopqrstuvwxyz" {
            for second in "abcdefghijklmnopqrstuvwxyz" {
                try trainer.add("\(first)\(second) \(second)\(first)")
            }
        }
        #expect(trainer.train().count > 512)
        #expect(trainer.train { _ in false }.count == 512)
    }

    @Test("Settings that cannot be met are refused")
    func refusals() throws {
        #expect(throws: TokenizerError.self) { try BytePairTrainer(.init(vocabularySize: 255)) }
        #expect(throws: TokenizerError.self) { try BytePairTrainer(.init(vocabularySize: 1 << 30)) }
        var twice = BytePairTrainer.Settings(vocabularySize: 300)
        twice.specialTokens = ["<s>", "<s>"]
        #expect(throws: TokenizerError.self) { try BytePairTrainer(twice) }
        var few = BytePairTrainer.Settings(vocabularySize: 300)
        few.maximumDistinctWords = 2
        var trainer = try BytePairTrainer(few)
        try trainer.add("a b")
        #expect(throws: TokenizerError.self) { try trainer.add("c d") }
    }
}
