// Bad rows and bad files: what is said of them.
import Models
import Testing
import Text

@testable import Training

@Suite("Bad rows of data sets")
struct DatasetErrorTests {
    private static let good = #"{"query":"q","response":"a"}"#

    private static let badRowsCases = DataFixture.cases(
        #"""
        @ sft
        {"messages":
        = no JSON, at byte 13 of the row: the text ends where a value should be

        @ sft
        [1]
        = the row is not an object

        @ sft
        {"a":1}
        = messages: is missing, and so are query and response, and text

        @ sft
        {"query":"q"}
        = response: is missing

        @ sft
        {"messages":[]}
        = messages: the list is empty

        @ sft
        {"messages":7}
        = messages: not a list of messages

        @ sft
        {"messages":[7]}
        = messages[0]: not an object

        @ sft
        {"messages":[{"content":"q"}]}
        = messages[0].role: is missing

        @ sft
        {"messages":[{"role":"user","content":"q"},{"role":"wizard","content":"a"}]}
        = messages[1].role: "wizard" is none of system, user, assistant, tool, tool_call, tool_respo
        + nse

        @ sft
        {"messages":[{"role":"user"}]}
        = messages[0].content: is missing

        @ sft
        {"messages":[{"role":"user","content":5}]}
        = messages[0].content: not a text

        @ sft
        {"messages":[{"role":"user","content":[{"type":"image_url"}]}]}
        = messages[0].content[0]: "image_url" is no text, and only texts are trained on

        @ sft
        {"messages":[{"role":"assistant","content":"a","loss":"yes"}]}
        = messages[0].loss: neither true nor false

        @ sft
        {"messages":[{"role":"tool_call","content":"f()"}]}
        = messages[0].content: a text that is no JSON: expected false

        @ sft
        {"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}
        = messages[0].tool_calls[0].function: a tool call has "name" and "arguments"

        @ sft
        {"messages":[{"role":"user","content":"q"}]}
        = nothing of the row is learned: it has no answer, or that was cut off

        @ sft
        {"query":"q","response":"a","images":["x.png"]}
        = images: the row has images, and only texts are trained on

        @ sft
        {"query":"q","response":"a","history":[["x"]]}
        = history[0]: not a question with its answer

        @ sft
        {"query":"q","response":{}}
        = response: not a text

        @ sft
        {"query":"q","response":"a","tools":"x"}
        = tools: a text that is no JSON: "x" cannot begin a value

        @ sft
        {"input_ids":[1,9999]}
        = input_ids[1]: not a token's id, which is from 0 to 258

        @ sft
        {"input_ids":[1,2],"labels":[2,3]}
        = labels[0]: neither -100 nor the id 1 of its place

        @ sft
        {"input_ids":[1,2],"labels":[1]}
        = labels: not a list as long as input_ids

        @ dpo
        {"query":"q","response":"a"}
        = rejected_response: is missing

        @ dpo
        {"prompt":"q","chosen":"a"}
        = rejected: is missing

        @ dpo
        {"messages":[{"role":"user","content":"q"}],"rejected_response":"b"}
        = messages: the last message is not the assistant's

        @ dpo
        {"prompt":"q","chosen":[{"role":"user","content":"a"}],"rejected":"b"}
        = rejected: a text that is no JSON: "b" cannot begin a value

        @ dpo
        {"prompt_ids":[1],"chosen_ids":[2]}
        = rejected_ids: is missing

        @ dpo
        {"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[]}
        = rejected: is empty

        @ kto
        {"query":"q","response":"a"}
        = label: is missing

        @ kto
        {"query":"q","response":"a","label":"good"}
        = label: neither true nor false
        """#)

    @Test("A bad row is named with its field", arguments: badRowsCases)
    func badRows(example: RowExample) throws {
        let (stage, row, problem) = (example.kind, example.row, example.expected[0])
        func change(_ parameters: inout TrainingParameters) {
            if stage != "sft" { parameters.stage = .rlhf }
            parameters.rlhfType = .init(rawValue: stage) ?? .dpo
        }
        let good =
            #"{"query":"q","response":"a","rejected_response":"b","label":1}"#
        let (rows, statistics) = try DataFixture.rows(of: "\(good)\n\n\(row)\n\(good)\n", change)
        #expect(rows.count == 2 && statistics.skipped == 1)
        #expect(statistics.reasons == ["data.jsonl:3: \(problem)"])
        let error = #expect(throws: TrainingError.self) {
            try DataFixture.rows(of: "\(good)\n\n\(row)\n\(row)\n") {
                change(&$0)
                $0.strict = true
            }
        }
        #expect(error?.kind == .badData)
        #expect(error?.problem.hasSuffix("/data.jsonl:3: \(problem)") == true)
        #expect(error?.remedy == "correct the row, or leave bad rows out without --strict")
    }

    @Test("All bad rows are counted, the first five are shown")
    func firstReasons() throws {
        let text = ([String](repeating: "{}", count: 200) + [Self.good]).joined(separator: "\n")
        let (rows, statistics) = try DataFixture.rows(of: text) { $0.datasetNumProc = 3 }
        #expect(rows.count == 1 && statistics.skipped == 200)
        #expect(statistics.reasons.map { $0.prefix(13) } == (1...5).map { "data.jsonl:\($0):" })
    }

    @Test("A data set without a usable row is an error that names the first reason")
    func noRows() throws {
        let error = #expect(throws: TrainingError.self) { try DataFixture.rows(of: "{}\n{}") }
        #expect(error?.kind == .badData)
        #expect(
            error?.problem.hasPrefix("none of the 2 rows of the data set can be used, the first because of: ")
                == true)
        #expect(
            error?.problem.hasSuffix(
                "data.jsonl:1: messages: is missing, and so are query and response, and text") == true)
    }

    @Test("Too long a row is left out even where others would stop the run")
    func tooLong() throws {
        let text = #"{"text":"0123456789"}"# + "\n" + #"{"text":"01"}"#
        let (rows, statistics) = try DataFixture.rows(of: text) {
            $0.maxLength = 5
            $0.strict = true
        }
        #expect(rows == ["[01$]"] && statistics.skipped == 1 && statistics.tooLong == 1)
        #expect(statistics.reasons == ["data.jsonl:1: 11 tokens, more than max_length 5"])
    }

    @Test("Without a template and without ChatML's tokens, conversations are refused and texts are not")
    func noTemplate() throws {
        #expect(try DataFixture.rows(of: Self.good, template: nil).rows == ["<user~q>~<assistant~[a>]~"])
        try DataFixture.withFiles(["d.jsonl": Self.good + "\n" + #"{"text":"t"}"#]) { directory in
            let data = try TrainingDataset.open(
                DataFixture.request(in: directory, ["d.jsonl"]),
                tokenizer: DataFixture.tokenizer(specialTokens: ["</s>"]), chatTemplate: nil
            ).train
            #expect(data.count == 1 && data.skipped == 1)
            #expect(
                data.statistics.reasons[0].hasSuffix(
                    "d.jsonl:1: messages: the model has no chat template, and its tokenizer lacks ChatML's "
                        + "<|im_start|>; put a chat_template.jinja into the model's folder, or train on "
                        + "plain texts"
                ))
        }
    }

    @Test("ChatML alone refuses tools, which it cannot show")
    func plainTools() throws {
        let row = #"{"tools":[{"name":"f"}],"query":"q","response":"a"}"#
        let statistics = try DataFixture.rows(of: row + "\n" + Self.good, template: nil).statistics
        #expect(statistics.reasons.count == 1)
        #expect(
            statistics.reasons[0].contains("the model has no chat template, and ChatML says nothing of tools")
        )
    }

    @Test(
        "What is no data set is refused with a remedy",
        arguments: [
            ("absent.jsonl", "there is no such file or folder"), ("d.parquet", "parquet is not read"),
            ("d.xml", "the name ends in none of .jsonl, .json, .csv and .txt"),
            ("d.jsonl#many", "no number of rows is behind the #"),
            ("d.jsonl#0", "no number of rows is behind the #"),
            ("empty", "the folder has no jsonl, json, csv or txt file"), ("blank.jsonl", "has no rows"),
            ("torn.json", "torn.json:2: the file ends inside a row"),
            ("object.json", "object.json:1: the object has no list under \"data\""),
            ("word.json", "word.json:1: neither a list of rows nor an object with one under \"data\""),
            ("lines.json", "lines.json:2: text after the end of the list"),
            ("open.csv", "open.csv:2: a quoted field has no end"),
        ])
    func badFiles(entry: String, problem: String) throws {
        let files = [
            "d.jsonl": Self.good, "d.parquet": "PAR1", "d.xml": "<a/>", "empty/readme.md": "x",
            "blank.jsonl": "\n \n", "torn.json": "[\n{\"a\": [1, {}", "object.json": #"{"rows": []}"#,
            "word.json": "true", "lines.json": "{\"data\": []}\n{}", "open.csv": "query,response\nq,\"a\nb",
        ]
        try DataFixture.withFiles(files) { directory in
            let error = #expect(throws: TrainingError.self) {
                try TrainingDataset.open(
                    DataFixture.request(in: directory, [entry]), tokenizer: nil, chatTemplate: nil)
            }
            #expect(error?.problem.contains(problem) == true, "\(String(describing: error))")
            #expect(error?.remedy.isEmpty == false)
        }
    }

    @Test("Settings that do not go together are refused by their names")
    func badSettings() throws {
        let changes: [(String, (inout DatasetRequest) -> Void)] = [
            ("dataset: there is none", { $0.dataset = [] }),
            ("truncation_strategy: split cuts texts", { $0.truncation = .split }),
            (
                "truncation_strategy: split needs a length",
                {
                    $0.truncation = .split
                    $0.stage = .pretrain
                }
            ), ("split_dataset_ratio: 1.5 is not within", { $0.splitDatasetRatio = 1.5 }),
            ("max_length: 0 is below 1", { $0.maxLength = 0 }),
            ("dataset_num_proc: -1 is below 1", { $0.threads = -1 }),
        ]
        for (problem, change) in changes {
            var request = DataFixture.request(in: "/nowhere", ["d.jsonl"])
            change(&request)
            let error = #expect(throws: TrainingError.self) {
                try TrainingDataset.open(request, tokenizer: nil, chatTemplate: nil)
            }
            #expect(error?.kind == .badParameters)
            #expect(error?.problem.hasPrefix(problem) == true)
        }
    }
}
