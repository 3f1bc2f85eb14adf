// Bits and ids of a token mask.

import Inference
import Testing

@Suite("Token masks")
struct TokenMaskTests {
    @Test("A mask contains the ids it was made of", arguments: [1, 31, 32, 33, 100])
    func contains(size: Int) {
        let ids = (0..<Int32(size)).filter { $0 % 3 == 0 }
        let mask = TokenMask(vocabularySize: size, ids: ids + [Int32(size), -1, .max])
        #expect((-2..<Int32(size) + 40).filter(mask.contains) == ids)
        #expect(mask.words.count == (size + 31) / 32)
    }

    @Test("A mask that allows all contains every id of the vocabulary")
    func allowsAll() {
        let mask = TokenMask(vocabularySize: 40, allowing: true)
        #expect((0..<40).allSatisfy(mask.contains))
        #expect(!(0..<40).contains(where: TokenMask(vocabularySize: 40).contains))
    }
}
