// "Did you mean": the nearest name, or none.

import Testing
import Text

@Suite("Edit distance")
struct EditDistanceTests {
    @Test(
        "The nearest candidate is found",
        arguments: [
            ("tokenise", ["train", "tokenize", "evaluate"], "tokenize"),
            ("Tokenize", ["tokenise", "tokenize"], "tokenize"), ("mian", ["main", "mean"], "main"),
            ("x", ["y", "z"], nil),
            ("entrypont", ["entrypoint"], "entrypoint"), ("zzzzzz", ["train"], nil), ("", ["a"], nil),
            ("name", [], nil), ("NAME", ["name", "Name", "NAMES"], "Name"),
            ("limt", ["limit", "list"], "limit"),
        ] as [(String, [String], String?)])
    func nearest(word: String, candidates: [String], found: String?) {
        #expect(EditDistance.nearest(to: word, in: candidates) == found)
    }

    @Test("Long words and long lists are cut")
    func limits() {
        let long = String(repeating: "a", count: 65)
        #expect(EditDistance.nearest(to: long, in: [long]) == nil)
        #expect(EditDistance.nearest(to: "name", in: [long]) == nil)
        #expect(EditDistance.nearest(to: "name", in: sequence(first: "other", next: { _ in "other" })) == nil)
        let far = Array(repeating: "other", count: 2_000) + ["name"]
        #expect(EditDistance.nearest(to: "name", in: far) == nil)
    }
}
