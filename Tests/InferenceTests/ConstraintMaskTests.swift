// Masks against trying every token, and what vocabularies may be like.

import Inference
import TestSupport
import Testing
import Text

@Suite("Constraint: masks")
struct ConstraintMaskTests {
    private static let specifications: [ConstraintSpecification] =
        [SchemaCases.objects, SchemaCases.combinations, SchemaCases.recursion, SchemaCases.arrays].flatMap {
            $0
        }
        .map { .jsonSchema($0.schema) } + [
            .jsonObject, .regex("[a-z]{2,5}(é|日本)?\\d*"), .choice(["true", "tru", "null", "日"]),
            .jsonSchema(#"{"type": "string", "minLength": 3, "maxLength": 9}"#),
            .jsonSchema(#"{"type": "array", "items": {"type": "string", "maxLength": 4}}"#),
        ]

    @Test("A mask has exactly the tokens that can be taken", arguments: specifications)
    func masksAgreeWithSteps(_ specification: ConstraintSpecification) throws {
        let drawn = DrawnVocabulary(seed: 3)
        let constraint = try CompiledConstraint(specification, vocabulary: drawn.vocabulary)
        var generator = SeededGenerator(seed: 4)
        var state = constraint.start()
        for _ in 0..<12 {
            let allowed = allowedTokens(constraint, state, size: drawn.tokens.count)
            let taken = (-2..<Int32(drawn.tokens.count + 40)).filter { token in
                var trial = state
                let isTaken = constraint.advance(&trial, token)
                #expect(isTaken || trial == state)
                return isTaken
            }
            #expect(allowed == taken)
            #expect(!allowed.isEmpty)
            // Texts that end tell nothing more.
            guard
                let token = allowed.filter({ !drawn.endOfSequence.contains($0) }).randomElement(
                    using: &generator)
            else { return }
            _ = constraint.advance(&state, token)
        }
    }

    @Test("The end is allowed exactly where the text may end, and nothing but the end after it")
    func endOfSequence() throws {
        let drawn = DrawnVocabulary(seed: 5)
        let constraint = try CompiledConstraint(.regex("ab?"), vocabulary: drawn.vocabulary)
        var state = constraint.start()
        #expect(!constraint.mayEnd(state))
        var ended = state
        #expect(!constraint.advance(&ended, 0))
        #expect(constraint.advance(&state, Int32(UInt8(ascii: "a")) + 4))
        #expect(constraint.mayEnd(state))
        let allowed = allowedTokens(constraint, state, size: drawn.tokens.count)
        #expect(allowed.contains(0) && allowed.contains(3) && allowed.contains(Int32(UInt8(ascii: "b")) + 4))
        #expect(constraint.advance(&state, 3))
        #expect(allowedTokens(constraint, state, size: drawn.tokens.count) == [0, 3])
        #expect(!constraint.advance(&state, Int32(UInt8(ascii: "b")) + 4))
        #expect(constraint.advance(&state, 0))
    }

    @Test("Words for fewer tokens than the vocabulary has are filled as far as they go")
    func shortMasks() throws {
        let drawn = DrawnVocabulary(seed: 5)
        let constraint = try CompiledConstraint(.regex(".*"), vocabulary: drawn.vocabulary)
        var words: [UInt32] = [.max, .max]
        words.withUnsafeMutableBufferPointer { constraint.mask(constraint.start(), into: $0) }
        #expect(words[0] & 0b1001 == 0b1001)
        #expect(words[0] & 0b0110 == 0)
        [UInt32]().withUnsafeBufferPointer { _ in
            constraint.mask(constraint.start(), into: UnsafeMutableBufferPointer(start: nil, count: 0))
        }
    }

    @Test("Parts of characters are allowed where a character can follow from them")
    func partsOfCharacters() throws {
        let tokens: [[UInt8]] = [
            [], [0xE6], [0x97, 0xA5], [0x97], [0xA5], [0xE6, 0x97, 0xA5], [0xE7], [0x80],
        ]
        let vocabulary = ConstraintVocabulary(tokenBytes: tokens, endOfSequence: [0])
        let constraint = try CompiledConstraint(.choice(["日", "日日"]), vocabulary: vocabulary)
        var state = constraint.start()
        #expect(allowedTokens(constraint, state, size: 8) == [1, 5])
        #expect(constraint.advance(&state, 1))
        #expect(allowedTokens(constraint, state, size: 8) == [2, 3])
        #expect(constraint.advance(&state, 2))
        #expect(allowedTokens(constraint, state, size: 8) == [0, 1, 5])
    }

    @Test("A vocabulary that cannot write the text is refused, and otherwise never leads into a dead end")
    func missingBytes() throws {
        // Characters are tokens here, not bytes: 日 can be written though none of its bytes can.
        let words = ["", "a", "b", "日", "cd", "\"", "c"]
        let vocabulary = ConstraintVocabulary(tokenBytes: words.map { Array($0.utf8) }, endOfSequence: [0])
        let error = #expect(throws: ConstraintError.self) {
            try CompiledConstraint(.choice(["x", "y"]), vocabulary: vocabulary)
        }
        #expect(error?.problem.contains("0x78") == true)
        let constraint = try CompiledConstraint(.regex("(a|日|cx|cda|é)*"), vocabulary: vocabulary)
        // c alone leads nowhere, since there is no x.
        #expect(allowedTokens(constraint, constraint.start(), size: words.count) == [0, 1, 3, 4])
        var state = constraint.start()
        #expect(!constraint.advance(&state, 6))
        #expect(constraint.advance(&state, 4))
        #expect(allowedTokens(constraint, state, size: words.count) == [1])
        #expect(throws: ConstraintError.self) { try CompiledConstraint(.jsonObject, vocabulary: vocabulary) }
        let string = try CompiledConstraint(.jsonSchema(#"{"type": "string"}"#), vocabulary: vocabulary)
        #expect(allowedTokens(string, string.start(), size: words.count) == [5])
    }

    @Test("Tokens with the same bytes are allowed together")
    func equalTokens() throws {
        let vocabulary = ConstraintVocabulary(
            tokenBytes: [Array("a".utf8), Array("ab".utf8), Array("a".utf8), [], Array("b".utf8)],
            endOfSequence: [3])
        let constraint = try CompiledConstraint(.choice(["ab"]), vocabulary: vocabulary)
        #expect(allowedTokens(constraint, constraint.start(), size: 5) == [0, 1, 2])
    }

    @Test("An empty vocabulary is refused")
    func emptyVocabulary() {
        let vocabulary = ConstraintVocabulary(tokenBytes: [], endOfSequence: [7])
        #expect(throws: ConstraintError.self) { try CompiledConstraint(.jsonObject, vocabulary: vocabulary) }
    }
}
