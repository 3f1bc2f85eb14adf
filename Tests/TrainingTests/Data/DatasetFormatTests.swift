// Every format of rows that ms-swift and TRL have, and what tokens it becomes.
import Testing
import Text

@testable import Training

@Suite("Formats of data sets")
struct DatasetFormatTests {
    private static let question = "<user~q>~<assistant~[a>]~"

    private static let supervisedCases = DataFixture.cases(
        #"""
        {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}
        = <user~q>~<assistant~[a>]~

        {"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},
        {"role":"assistant","content":"a"}]}
        = <system~s>~<user~q>~<assistant~[a>]~

        {"system":"s","conversation":[{"human":"q","assistant":"a"},{"human":"r","assistant":"b"}]}
        = <system~s>~<user~q>~<assistant~[a>]~<user~r>~<assistant~[b>]~

        {"conversations":[{"from":"system","value":"s"},{"from":"human","value":"q"},{"from":"gpt",
        "value":"a"}]}
        = <system~s>~<user~q>~<assistant~[a>]~

        {"query":"q","response":"a"}
        = <user~q>~<assistant~[a>]~

        {"Prompt":"q","Completion":"a"}
        = <user~q>~<assistant~[a>]~

        {"system":"s","query":"r","response":"b","history":[["q","a"]]}
        = <system~s>~<user~q>~<assistant~[a>]~<user~r>~<assistant~[b>]~

        {"query":"q","response":"a","history":null,"system":null}
        = <user~q>~<assistant~[a>]~

        {"instruction":"do","input":"q","output":"a","system":"s"}
        = <system~s>~<user~do~q>~<assistant~[a>]~

        {"instruction":"do","input":"","output":"a"}
        = <user~do>~<assistant~[a>]~

        {"instruction":"do","output":"a"}
        = <user~do>~<assistant~[a>]~

        {"question":"q","answers":["a","b"]}
        = <user~q>~<assistant~[a>]~

        {"problem":"q","solution":7}
        = <user~q>~<assistant~[7>]~

        {"text":"some text"}
        = [some text$]

        {"instruction":"","output":"a"}
        = [a$]

        {"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}]}
        = <user~q>~<assistant~[a>]~

        {"messages":[{"role":"user","content":[{"type":"text","text":"q"},{"text":"r"}]},
        {"role":"assistant","content":"a"}]}
        = <user~qr>~<assistant~[a>]~

        {"messages":[{"role":"assistant","content":"a"}]}
        = <assistant~[a>]~
        """#)

    @Test(
        "Conversations and questions with answers are learned where the assistant speaks",
        arguments: supervisedCases)
    func supervised(example: RowExample) throws {
        #expect(try DataFixture.rows(of: example.row).rows == example.expected)
    }

    @Test(
        "Messages say themselves whether they are learned",
        arguments: [
            ("default", "<user~q>~<assistant~a>~<user~r>~<assistant~[b>]~<user~s>~<assistant~[c>]~"),
            ("last_round", "<user~q>~<assistant~a>~<user~r>~<assistant~[b>]~<user~s>~<assistant~[c>]~"),
            ("all", "[<user~q>~<assistant~]a>[~<user~r>~<assistant~b>~<user~s>~<assistant~c>~]"),
        ])
    func lossFlags(scale: String, text: String) throws {
        let row = #"""
            {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","loss":false},
            {"role":"user","content":"r"},{"role":"assistant","content":"b","loss":1},
            {"role":"user","content":"s"},{"role":"assistant","content":"c"}]}
            """#.replacing("\n", with: "")
        let rows = try DataFixture.rows(of: row) { $0.lossScale = .init(rawValue: scale) }.rows
        #expect(rows == [text])
    }

    @Test("The last round alone, or everything, is learned if the run says so")
    func lossScales() throws {
        let row = #"{"query":"r","response":"b","history":[["q","a"]]}"#
        #expect(
            try DataFixture.rows(of: row) { $0.lossScale = .lastRound }.rows
                == ["<user~q>~<assistant~a>~<user~r>~<assistant~[b>]~"])
        #expect(
            try DataFixture.rows(of: row) { $0.lossScale = .all }.rows
                == ["[<user~q>~<assistant~a>~<user~r>~<assistant~b>~]"])
    }

    private static let toolsCases = DataFixture.cases(
        #"""
        {"tools":"[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
        "messages":[{"role":"user","content":"q"},{"role":"tool_call","content":"{\"name\":\"f\",
        \"arguments\":{\"x\":1}}"},{"role":"tool_response","content":"{}"},{"role":"assistant",
        "content":"a"}]}
        = tools [{"type": "function", "function": {"name": "f"}}]~<user~q>~<assistant~[<call>{"name"
        + : "f", "arguments": {"x": 1}}</call>>]~<tool~{}>~<assistant~[a>]~

        {"tools":[{"name":"f"}],"messages":[{"role":"user","content":"q"},{"role":"assistant",
        "content":null,"tool_calls":[{"type":"function","function":{"name":"f",
        "arguments":"{\"city\":\"B\"}"}}]},{"role":"tool","content":"S"}]}
        = tools [{"type": "function", "function": {"name": "f"}}]~<user~q>~<assistant~[<call>{"name"
        + : "f", "arguments": {"city": "B"}}</call>>]~<tool~S>~

        {"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"hm"},
        {"from":"function_call","value":"{\"name\":\"f\",\"parameters\":{}}"},
        {"from":"function_call","value":"{\"name\":\"g\"}"},{"from":"observation","value":"o"}]}
        = <user~q>~<assistant~[hm<call>{"name": "f", "arguments": {}}</call><call>{"name": "g", "arg
        + uments": {}}</call>>]~<tool~o>~
        """#)

    @Test("Tools and their calls reach the template in OpenAI's form", arguments: toolsCases)
    func tools(example: RowExample) throws {
        #expect(try DataFixture.rows(of: example.row).rows == example.expected)
    }

    @Test("Columns are renamed, and the run's system message fills in")
    func columns() throws {
        let row = #"{"Frage":"q","text":"not this","Antwort":"a"}"#
        let rows = try DataFixture.rows(of: row) {
            $0.columns = ["Frage": "query", "Antwort": "response"]
            $0.system = "s"
        }.rows
        #expect(rows == ["<system~s>~" + Self.question])
        let own = #"{"query":"q","response":"a","system":"mine"}"#
        #expect(
            try DataFixture.rows(of: own) { $0.system = "s" }.rows == ["<system~mine>~" + Self.question])
    }

    private static let pretrainingCases = DataFixture.cases(
        #"""
        {"messages":[{"role":"assistant","content":"some text"}]}
        = [some text$]

        {"text":"some text"}
        = [some text$]

        {"content":"c"}
        = [c$]

        {"query":"","response":"c"}
        = [c$]

        {"prompt":"c"}
        = [c$]

        {"text":"ends itself<|endoftext|>"}
        = [ends itself$]

        {"query":"q","response":"a"}
        = [<user~q>~<assistant~a>~]
        """#)

    @Test(
        "Pretraining learns all of a text and its end; conversations are texts, too",
        arguments: pretrainingCases)
    func pretraining(example: RowExample) throws {
        #expect(try DataFixture.rows(of: example.row) { $0.stage = .pretrain }.rows == example.expected)
    }

    private static let pairsCases = DataFixture.cases(
        #"""
        {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
        "rejected_response":"b"}
        = <user~q>~<assistant~|a>|b>

        {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
        "rejected_messages":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}
        = <user~q>~<assistant~|a>|b>

        {"query":"q","response":"a","rejected_response":"b"}
        = <user~q>~<assistant~|a>|b>

        {"prompt":"q","chosen":"a","rejected":"b"}
        = <user~q>~<assistant~|a>|b>

        {"question":"q","chosen":"a","rejected":"b","system":"s"}
        = <system~s>~<user~q>~<assistant~|a>|b>

        {"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],
        "rejected":[{"role":"assistant","content":"b"}]}
        = <user~q>~<assistant~|a>|b>

        {"prompt":"q","chosen":[{"role":"assistant","content":"a"}],"rejected":[{"role":"assistant",
        "content":"b"}]}
        = <user~q>~<assistant~|a>|b>

        {"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
        "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}
        = <user~q>~<assistant~|a>|b>

        {"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
        "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}
        = <user~q>~<assistant~|a>|a>

        {"chosen":"Q: x A: good","rejected":"Q: x A: bad"}
        = Q: x A:| good$| bad$

        {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},
        {"role":"user","content":"r"},{"role":"assistant","content":"b"}],"rejected_response":"c"}
        = <user~q>~<assistant~a>~<user~r>~<assistant~|b>|c>
        """#)

    @Test(
        "A pair has one prompt, which asks for the answer, and two answers with their ends",
        arguments: pairsCases)
    func pairs(example: RowExample) throws {
        #expect(try DataFixture.rows(of: example.row) { $0.stage = .rlhf }.rows == example.expected)
    }

    private static let verdictsCases = DataFixture.cases(
        #"""
        {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],
        "label":false}
        = <user~q>~<assistant~|a>|-

        {"query":"q","response":"a","label":1}
        = <user~q>~<assistant~|a>|+

        {"prompt":"q","completion":"a","label":"True"}
        = <user~q>~<assistant~|a>|+

        {"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}],
        "label":0.0}
        = <user~q>~<assistant~|a>|-

        {"prompt":"q","chosen":"a","rejected":"b"}
        = <user~q>~<assistant~|a>|+
        = <user~q>~<assistant~|b>|-

        {"prompt":"q","chosen":"a","rejected":"b","label":false}
        = <user~q>~<assistant~|b>|-

        {"chosen":"x good","rejected":"x bad","label":true}
        = x| good$|+
        """#)

    @Test(
        "A verdict is shown with its answer; a pair is two, or the one that its label chooses",
        arguments: verdictsCases)
    func verdicts(example: RowExample) throws {
        let rows = try DataFixture.rows(of: example.row) {
            $0.stage = .rlhf
            $0.rlhfType = .kto
        }.rows
        #expect(rows == example.expected)
    }

    @Test("Rows of ids are taken as they are")
    func ids() throws {
        func rows(_ row: String, _ method: TrainingParameters.PreferenceMethod? = nil) throws -> [TrainingRow]
        {
            try DataFixture.withFiles(["d.jsonl": row]) { directory in
                let request = DataFixture.request(in: directory, ["d.jsonl"]) { parameters in
                    if let method { (parameters.stage, parameters.rlhfType) = (.rlhf, method) }
                }
                let data = try TrainingDataset.open(request, tokenizer: nil, chatTemplate: nil).train
                try data.wait()
                return try (0..<data.count).map { try data.row($0) }
            }
        }
        #expect(
            try rows(#"{"input_ids":[5,6,7],"labels":[-100,6,-100]}"#)
                == [.sequence(TokenSequence(ids: [5, 6, 7], labels: [-100, 6, -100]))])
        #expect(
            try rows(#"{"input_ids":[5,6]}"#) == [.sequence(TokenSequence(ids: [5, 6], labels: [5, 6]))])
        #expect(
            try rows(#"{"prompt_ids":[5],"completion_ids":[6]}"#)
                == [.sequence(TokenSequence(ids: [5, 6], labels: [-100, 6]))])
        let pair = TrainingRow.preference(PreferencePair(prompt: [1], chosen: [2, 3], rejected: [4]))
        #expect(
            try rows(#"{"prompt_ids":[1],"chosen_ids":[2,3],"rejected_ids":[4],"label":true}"#, .dpo) == [
                pair
            ])
        #expect(try rows(#"{"prompt":[1],"chosen":[2,3],"rejected":[4]}"#, .orpo) == [pair])
        let good = TrainingRow.unpaired(UnpairedAnswer(prompt: [1], completion: [2, 3], isDesirable: true))
        let bad = TrainingRow.unpaired(UnpairedAnswer(prompt: [1], completion: [4], isDesirable: false))
        #expect(try rows(#"{"prompt_ids":[1],"completion_ids":[4],"label":0}"#, .kto) == [bad])
        #expect(try rows(#"{"prompt":[1],"chosen":[2,3],"rejected":[4],"label":true}"#, .kto) == [good])
        #expect(try rows(#"{"prompt_ids":[1],"chosen_ids":[2,3],"rejected_ids":[4]}"#, .kto) == [good, bad])
    }
}
