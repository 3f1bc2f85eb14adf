// Stop strings in text that comes in pieces.

import Inference
import TestSupport
import Testing

@Suite("Stop strings")
struct StopStringsTests {
    typealias Output = StopStrings.Output

    /// All pieces' text, what is held back at the end, and the stop string.
    private static func run(
        _ stops: [String], _ pieces: [String], included: Bool = false
    ) -> (shown: [String], rest: String, stop: String?) {
        var stopStrings = StopStrings(stops, includeInOutput: included)
        var shown: [String] = []
        for piece in pieces {
            let output = stopStrings.append(piece)
            shown.append(output.text)
            if let stop = output.stoppedBy { return (shown, stopStrings.finish(), stop) }
        }
        return (shown, stopStrings.finish(), nil)
    }

    @Test(
        "Text is shown as soon as it cannot begin a stop string",
        arguments: [
            ([], ["ab", "c"], ["ab", "c"], "", nil),
            (["\n\n"], ["a\n", "b", "\n"], ["a", "\nb", ""], "\n", nil),
            (["\n\n"], ["a\n", "\nb"], ["a", ""], "", "\n\n"),
            (["abab"], ["xaba", "cab", "ab!"], ["x", "abac", ""], "", "abab"),
            (["aab"], ["aaaa", "b"], ["aa", ""], "", "aab"),
            (["</s>", "<end>"], ["a<", "e", "nd", "x"], ["a", "", "", "<endx"], "", nil),
            (["stop"], ["sto", "sto", "p"], ["", "sto", ""], "", "stop"),
            // The one that is complete first counts, of two the longer.
            (["abc", "b"], ["xabc"], ["xa"], "", "b"),
            (["bc", "abc"], ["xabc"], ["x"], "", "abc"),
            ([""], ["ab"], ["ab"], "", nil),
        ] as [([String], [String], [String], String, String?)])
    func table(stops: [String], pieces: [String], shown: [String], rest: String, stop: String?) {
        let result = Self.run(stops, pieces)
        #expect(result.shown == shown)
        #expect(result.rest == rest)
        #expect(result.stop == stop)
    }

    @Test("The stop string can be part of the output; nothing comes after it")
    func inclusion() {
        var stopStrings = StopStrings(["END"], includeInOutput: true)
        #expect(stopStrings.append("abE") == Output(text: "ab"))
        #expect(stopStrings.append("NDcd") == Output(text: "END", stoppedBy: "END"))
        #expect(stopStrings.append("ef") == Output(text: ""))
        #expect(stopStrings.finish() == "")
    }

    @Test("Other spellings of a letter do not stop, and no character is cut")
    func bytes() {
        let composed = "caf\u{e9}"
        let decomposed = "cafe\u{301}"
        #expect(Self.run([composed], [decomposed]).stop == nil)
        let result = Self.run(["é!"], ["aé", "é!"])
        #expect(result.shown == ["a", "é"])
        #expect(result.stop == "é!")
        let family = Self.run(["👩‍👩"], ["👩", "\u{200d}", "x"])
        #expect(family.shown.joined() == "👩\u{200d}x")
    }

    @Test(
        "How the text is cut does not matter, and the first stop is found", arguments: 0..<40 as Range<UInt64>
    )
    func cuts(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let letters = ["a", "b", "ä", "\n"]
        func word(_ lengths: ClosedRange<Int>) -> [String] {
            (0..<Int.random(in: lengths, using: &generator)).map { _ in
                letters[Int.random(in: 0..<letters.count, using: &generator)]
            }
        }
        let stops = (0..<3).map { _ in word(2...4).joined() }
        let text = word(0...30)
        // The plain way: the shortest beginning that ends in a stop string.
        let end = (0...text.count).first { end in
            stops.contains { stop in
                Array(text[..<end].joined().utf8).suffix(stop.utf8.count) == Array(stop.utf8)[...]
            }
        }
        var pieces: [String] = []
        for letter in text {
            if Bool.random(using: &generator) || pieces.isEmpty {
                pieces.append(letter)
            } else {
                pieces[pieces.count - 1] += letter
            }
        }
        let result = Self.run(stops, pieces, included: true)
        #expect(result.shown.joined() + result.rest == text[..<(end ?? text.count)].joined(), "seed \(seed)")
        #expect((result.stop != nil) == (end != nil), "seed \(seed)")
    }
}
