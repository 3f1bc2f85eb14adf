// Answers taken out of what models write.

import Evaluation
import Testing

@Suite("Answers")
struct AnswerTests {
    @Test(
        "GSM8K's extractions agree with the harness",
        arguments: [
            // completion, strict, flexible after normalization, right by strict, flexible, number
            ("6 * 7 = 42\n#### 42", "42", "42", 1, 1, 1), ("It is 42.", "[invalid]", "42", 0, 1, 1),
            ("#### 42.00", "42.00", "42.00", 0, 0, 1), ("#### $42", "[invalid]", "42", 0, 1, 1),
            ("#### 42\nQuestion: 7", "42", "7", 1, 0, 0), ("no number", "[invalid]", "[invalid]", 0, 0, 0),
            ("#### 4,2.", "42", "42", 1, 1, 1), ("\\boxed{42}", "[invalid]", "42", 0, 1, 1),
            ("#### ٤٢ or 42", "[invalid]", "42", 0, 1, 1), ("#### -42", "-42", "-42", 0, 0, 0),
            ("", "[invalid]", "[invalid]", 0, 0, 0),
        ])
    func gsm8k(text: String, strict: String, flexible: String, right1: Double, right2: Double, right3: Double)
        throws
    {
        let reference = ["Some work.\n#### 42"]
        let (first, second) = (try GSM8K.strict(), try GSM8K.flexible())
        #expect(first.normalized(first.extract(text)) == strict)
        #expect(second.normalized(second.extract(text)) == flexible)
        #expect(first.score(first.extract(text), reference) == right1)
        #expect(second.score(second.extract(text), reference) == right2)
        let number = try GSM8K.checks()[0]
        #expect(number.score(number.extract(text), reference) == right3)
    }

    @Test(
        "The letter that a model settles on is found",
        arguments: [
            ("Let me think. A is wrong.\nANSWER: C", [2]), ("ANSWER: [B]", [1]), ("The answer is (D).", [3]),
            ("**Answer:** **B**", [1]), ("答案：C", [2]), ("所以正确答案是 A。", [0]), ("\\boxed{\\text{D}}", [3]),
            ("B", [1]), ("B. blue, since", [1]), ("(C)", [2]), ("ANSWER: A, C", [0, 2]),
            ("ANSWER: ACD", [0, 2, 3]),
            ("Answer: A\nNo wait.\nAnswer: B", [1]), ("The answer is Apple.", []), ("Apple pie", []),
            ("", []),
            ("I would say blue.", []), ("answer: D Because", [3]),
        ])
    func letters(text: String, expected: [Int]) {
        #expect(LetterAnswer.extract(text, choiceCount: 4) == Set(expected))
    }

    @Test(
        "Numbers are read as people write them",
        arguments: [
            ("1,234.50", 1234.5), ("$12", 12), ("-7.", -7), ("50%", 50), ("3/4", 0.75), ("1e3", 1000),
            (".5", 0.5),
            ("−3", -3), ("0x10", nil), ("inf", nil), ("nan", nil), ("", nil), ("1/0", nil), ("1.2.3", nil),
            ("e", nil),
            ("1e999", nil), ("-", nil), ("12 000", 12000),
        ] as [(String, Double?)])
    func numbers(text: String, expected: Double?) {
        #expect(NumericAnswer.parse(text) == expected)
    }

    @Test(
        "Python's patterns mean what they mean in Python",
        arguments: [
            ("\\d+", "٣ 12", ["٣", "12"]), ("a$", "a\n", ["a"]), ("a\\Z", "a\n", []),
            ("(a)|(b)", "ab", ["a", "b"]),
            ("[\\w-]+", "é-b c", ["é-b", "c"]), ("(?m)^x$", "x\nx\n", ["x", "x"]),
            ("x(y)?", "x xy", ["", "y"]),
            ("[]a]+", "]a", ["]a"]), ("[^\\]]+", "a]b", ["a", "b"]),
            ("\\S+\\s\\S+", "a\u{A0}b", ["a\u{A0}b"]),
            ("\\$[0-9]+", "$5", ["$5"]),
        ])
    func patterns(pattern: String, text: String, expected: [String]) throws {
        #expect(try PythonPattern(pattern).findAll(text) == expected)
    }

    @Test("A pattern that ends at the end deletes before a last line end")
    func softEnd() throws {
        #expect(try PythonPattern("\\.$").deletingAll(in: "4.\n") == "4\n")
        #expect(try PythonPattern("\\.$").deletingAll(in: "4.5.") == "4.5")
        #expect(try PythonPattern("(?s).*#### ").deletingAll(in: "a\nb #### 7") == "7")
    }

    @Test("Answers are compared in the way that is asked for")
    func matches() {
        func score(_ match: AnswerMatch, _ answer: String, _ references: [String]) -> Double {
            AnswerCheck(metric: "m", filters: [], match: match).score(answer, references)
        }
        #expect(score(.exact, "a", ["b", "a"]) == 1)
        #expect(score(.exact, "é", ["e\u{301}"]) == 0)
        #expect(score(.contains, "the answer is Rome", ["Rome"]) == 1)
        #expect(score(.contains, "x", [""]) == 0)
        #expect(score(.regex, "12 km", ["^\\d+ km$"]) == 1)
        #expect(score(.regex, "12 km", ["("]) == 0)
        #expect(score(.letter, "Answer: (B)", ["B"]) == 1)
        #expect(score(.letter, "Answer: (B)", ["A"]) == 0)
        #expect(abs(score(.rougeL, "the cat sat", ["the cat lay down"]) - 4.0 / 7) < 1e-12)
        #expect(score(.rougeL, "我爱你", ["我爱你"]) == 1)
        #expect(score(.number, "1,000", ["1000.0"]) == 1)
    }
}
