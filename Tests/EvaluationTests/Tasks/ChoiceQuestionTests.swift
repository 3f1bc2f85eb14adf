// Rows with choices, in the layouts that users' files have.

import Evaluation
import Testing
import Text

@Suite("Rows with choices")
struct ChoiceQuestionTests {
    @Test(
        "Every layout in use gives the same question",
        arguments: [
            #"{"question": "Q?", "choices": ["red", "blue", "green"], "answer": 1}"#,
            #"{"question": "Q?", "options": ["red", "blue", "green"], "gold": "B"}"#,
            #"{"query": "Q?", "endings": ["red", "blue", "green"], "label": "1"}"#,
            #"{"question": "Q?", "A": "red", "B": "blue", "C": "green", "D": "", "answer": "B"}"#,
            #"{"": 7, "Question": "Q?", "A": "red", "B": "blue", "C": "green", "Answer": "b"}"#,
            #"""
            {"question": "Q?", "answerKey": "2",
             "choices": {"text": ["red", "blue", "green"], "label": ["1", "2", "3"]}}
            """#,
            #"""
            {"question": {"stem": "Q?", "choices": [{"text": "red", "label": "A"},
             {"text": "blue", "label": "B"},
             {"text": "green", "label": "C"}]}, "answerKey": "B"}
            """#,
            #"{"question": "Q?", "choices": "[\"red\", \"blue\", \"green\"]", "target": "blue"}"#,
            #"{"question": "Q?", "choices": ["(A) red", "(B) blue", "(C) green"], "answer": "(B)"}"#,
            #"{"question": "Q?", "choices": {"A": "red", "B": "blue", "C": "green"}, "answer": ["B"]}"#,
            #"{"question": "Q?", "choice0": "red", "choice1": "blue", "choice2": "green", "correct": 1.0}"#,
        ])
    func layouts(json: String) throws {
        let question = try ChoiceQuestion(try row(json))
        #expect(question.question == "Q?")
        #expect(question.choices == ["red", "blue", "green"])
        #expect(question.answers == [1])
    }

    @Test(
        "An answer is a label first, then a letter, an index, a text",
        arguments: [
            ("\"1\"", ["1", "2", "3", "4"], [0]), ("1", ["1", "2", "3", "4"], [0]),
            ("\"4\"", ["1", "2", "3", "4"], [3]),
            ("\"D\"", [], [3]), ("\"(C).\"", [], [2]), ("3", [], [3]), ("\"0\"", [], [0]),
            ("\"two\"", [], [2]),
            ("\"ACD\"", [], [0, 2, 3]), ("\"A, B\"", [], [0, 1]), ("[\"B\", 3]", [], [1, 3]),
            ("[2, 0]", [], [0, 2]),
        ])
    func answers(json: String, labels: [String], expected: [Int]) throws {
        let key = AnswerKey(choices: ["zero", "one", "two", "three"], labels: labels)
        #expect(key.indexes(of: try OrderedJSON(parsing: json)) == expected)
    }

    @Test(
        "An answer that names no choice is none",
        arguments: ["4", "-1", "\"E\"", "\"\"", "null", "[]", "\"AA\"", "{}", "\"five\""])
    func noAnswers(json: String) throws {
        let key = AnswerKey(choices: ["zero", "one", "two", "three"], labels: [])
        #expect(key.indexes(of: try OrderedJSON(parsing: json)) == nil)
    }

    @Test("A row with a context and continuations is asked as it is")
    func verbatim() throws {
        let question = try ChoiceQuestion(
            try row(#"{"context": "Sky: ", "continuations": [" blue", " red"], "gold": 0}"#))
        #expect(question.question == "Sky: ")
        #expect(question.continuations == [" blue", " red"])
        #expect(question.choices == ["blue", "red"])
    }

    @Test(
        "Errors name file, row and field, and what to do",
        arguments: [
            (#"{"question": "Q", "choices": ["a", "b"]}"#, "rows.jsonl, row 3, field \"answer\""),
            (#"{"question": "Q", "choices": ["a", "b"], "answer": 2}"#, "write an index from 0 to 1"),
            (#"{"question": "Q", "choices": ["a", "b"], "answer": ""}"#, "the answer is empty"),
            (#"{"question": "Q", "choices": ["a"], "answer": 0}"#, "the row has 1 choices"),
            (
                #"{"frage": "Q", "choices": ["a", "b"], "answer": 0}"#,
                "it has \"frage\", \"choices\", \"answer\""
            ),
            (#"{"question": "Q", "choices": 7, "answer": 0}"#, "neither a list of texts"),
        ])
    func errors(json: String, part: String) throws {
        let row = try row(json)
        let error = #expect(throws: EvaluationError.self) { _ = try ChoiceQuestion(row) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test("Columns may be named by the task")
    func columns() throws {
        let columns = ColumnNames(question: "a.q", choices: ["x", "y"], answer: "best")
        let question = try ChoiceQuestion(
            try row(#"{"a": {"q": "Q?"}, "x": "red", "y": "blue", "answer": "?", "best": "B"}"#), columns)
        #expect(question.question == "Q?")
        #expect(question.answers == [1])
    }

    @Test(
        "A first row with names of columns is a header, one that ends in an answer's letter is not",
        arguments: [
            (["id", "question", "A", "B", "C", "D", "answer"], true),
            (["", "Question", "A", "B", "Answer"], true),
            (["What is an answer?", "question", "text", "id", "label", "B"], false),
            (["question", "answer"], true), (["2 + 2?", "4"], false),
            (["question", "A", "B", "C", "D"], true),
        ])
    func headers(cells: [String], isHeader: Bool) {
        #expect(CSVHeader.isHeader(cells) == isHeader)
    }
}
