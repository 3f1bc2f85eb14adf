// The tasks that come with Martlet, over small data sets in their own layouts. The prompts are those that
// lm-evaluation-harness makes of the same rows.

import Evaluation
import Testing
import Text

@Suite("Tasks by name")
struct NamedTaskTests {
    private func plan(
        _ task: String, _ folder: DataFolder, _ path: String = "",
        change: (inout TaskRequest) -> Void = { _ in }
    ) throws -> EvaluationPlan {
        var request = TaskRequest()
        change(&request)
        return try EvaluationPlan(
            .named(task), path: path.isEmpty ? folder.path : "\(folder.path)/\(path)", request)
    }

    private static func mmlu() throws -> DataFolder {
        try DataFolder([
            "dev/high_school_biology_dev.csv": "Dev 1?,a,b,c,d,A\n Dev 2?,e,f,g,h,C\n",
            "test/high_school_biology_test.csv":
                "\"First,\n line?\",one,two,three,four,B\nSecond?,1,2,3,4,D\n",
            "val/high_school_biology_val.csv": "Val?,1,2,3,4,D\n",
            "dev/law_dev.csv": "Dev law?,a,b,c,d,B\nDev law 2?,a,b,c,d,B\n",
            "test/law_test.csv": "Law?,w,x,y,z,A\n",
        ])
    }

    @Test("MMLU's archive: the preamble with the subject, the first examples of dev, letters to compare")
    func mmluArchive() throws {
        let plan = try plan("mmlu", try Self.mmlu()) { $0.shots = 2 }
        #expect(plan.samples.map(\.id) == ["high_school_biology/0", "high_school_biology/1", "law/0"])
        #expect(
            plan.samples[0].context == """
                The following are multiple choice questions (with answers) about high school biology.

                Dev 1?
                A. a
                B. b
                C. c
                D. d
                Answer: A

                Dev 2?
                A. e
                B. f
                C. g
                D. h
                Answer: C

                First,
                 line?
                A. one
                B. two
                C. three
                D. four
                Answer:
                """)
        #expect(plan.samples[0].continuations == [" A", " B", " C", " D"])
        #expect(plan.samples.map(\.target) == [.choice(1), .choice(3), .choice(0)])
        #expect(plan.shots == 2)
        #expect(plan.metrics.map(\.name) == ["acc", "acc_norm", "acc_norm_bytes"])
    }

    @Test(
        "Default examples are as many as there are, and the report says so; more than there are is an error")
    func fewExamples() throws {
        let folder = try Self.mmlu()
        let plan = try plan("mmlu", folder)
        #expect(plan.shots == 2)
        #expect(plan.notes.contains { $0.contains("only 2 rows") })
        #expect(throws: EvaluationError.self) { try self.plan("mmlu", folder) { $0.shots = 3 } }
    }

    @Test("One file is asked without examples, and with those beside it where they are asked for")
    func oneFile() throws {
        let folder = try Self.mmlu()
        let alone = try plan("mmlu", folder, "test/high_school_biology_test.csv")
        #expect(alone.shots == 0)
        #expect(
            alone.samples[1].context.hasPrefix(
                "The following are multiple choice questions (with answers) about "
                    + "high school biology.\n\nSecond?"
            ))
        let with = try plan("mmlu", folder, "test/high_school_biology_test.csv") { $0.shots = 1 }
        #expect(with.samples[0].context.contains("Dev 1?"))
        #expect(with.samples[0].id == alone.samples[0].id)
    }

    @Test("Subsets and limits choose samples; identifiers stay the same")
    func subsets() throws {
        let folder = try Self.mmlu()
        let law = try plan("mmlu", folder) { $0.subsets = ["Law"] }
        #expect(law.samples.map(\.id) == ["law/0"])
        let limited = try plan("mmlu", folder) { $0.limit = 1 }
        #expect(limited.samples.map(\.id) == ["high_school_biology/0", "law/0"])
        let error = #expect(throws: EvaluationError.self) {
            try self.plan("mmlu", folder) { $0.subsets = ["low"] }
        }
        #expect(error?.description.contains("did you mean \"law\"?") == true)
    }

    @Test("Of a file that names subjects in its rows, each is a subset; all is not read beside the subjects")
    func subjectColumn() throws {
        let folder = try DataFolder([
            "all/test.jsonl": #"{"question":"Q","subject":"anatomy","choices":["a","b","c","d"],"answer":3}"#
                + "\n",
            "all/dev.jsonl": #"{"question":"E","subject":"anatomy","choices":["a","b","c","d"],"answer":0}"#
                + "\n",
        ])
        let all = try plan("mmlu", folder)
        #expect(all.samples.map(\.id) == ["anatomy/0"])
        #expect(all.samples[0].context.contains("about anatomy.\n\nE\n"))
        try folder.write(
            #"{"question":"P","choices":["a","b","c","d"],"answer":3}"# + "\n", to: "virology/test.jsonl")
        #expect(try plan("mmlu", folder).samples.map(\.id) == ["virology/0"])
    }

    @Test("As messages, the description is the system's and examples are turns")
    func chat() throws {
        let plan = try plan("mmlu", try Self.mmlu()) {
            $0.shots = 1
            $0.usesChatTemplate = true
            $0.systemPrompt = "Be brief."
            $0.subsets = ["law"]
        }
        guard case .multipleChoice(.messages(let turns), let continuations, _) = plan.samples[0].body else {
            Issue.record("no messages")
            return
        }
        #expect(turns.map(\.role) == ["system", "user", "assistant", "user"])
        #expect(turns[0].content.hasPrefix("Be brief.\n\nThe following are"))
        #expect(turns[2].content == "B")
        #expect(continuations == ["A", "B", "C", "D"])
    }

    @Test("C-Eval is evaluated on val, CMMLU on test, each with its Chinese words for the subject")
    func chinese() throws {
        let ceval = try DataFolder([
            "val/logic_val.csv": "id,question,A,B,C,D,answer\n0,问？,甲,乙,丙,丁,C\n",
            "test/logic_test.csv": "id,question,A,B,C,D\n0,问？,甲,乙,丙,丁\n",
        ])
        let first = try plan("ceval", ceval).samples
        #expect(first.count == 1)
        #expect(first[0].context == "以下是中国关于逻辑学的单项选择题，请选出其中的正确答案。\n\n问？\nA. 甲\nB. 乙\nC. 丙\nD. 丁\n答案：")
        #expect(first[0].target == .choice(2))
        let cmmlu = try DataFolder(["test/agronomy.csv": ",Question,A,B,C,D,Answer\n0,问？,甲,乙,丙,丁,D\n"])
        let second = try plan("cmmlu", cmmlu).samples
        #expect(second[0].context.hasPrefix("以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n问？"))
        #expect(second[0].continuations == [" A", " B", " C", " D"])
    }

    @Test("ARC compares the choices' texts, three to five of them")
    func arc() throws {
        let folder = try DataFolder([
            "ARC-Easy/ARC-Easy-Test.jsonl": #"""
            {"id":"M_1","question":{"stem":"Why?","choices":[{"text":"x y","label":"1"},\#
                {"text":"z","label":"2"},{"text":"w","label":"3"}]},"answerKey":"3"}

            """#,
            "ARC-Challenge/ARC-Challenge-Test.jsonl":
                #"{"id":"M_2","question":"How?","choices":{"text":["a","b","c","d","e"],"#
                + #""label":["A","B","C","D","E"]},"answerKey":"E"}"#,
        ])
        let easy = try plan("arc_easy", folder).samples
        #expect(easy.map(\.id) == ["ARC-Easy/M_1"])
        #expect(easy[0].context == "Question: Why?\nAnswer:")
        #expect(easy[0].continuations == [" x y", " z", " w"])
        #expect(easy[0].target == .choice(2))
        #expect(try plan("arc", folder).samples.count == 2)
        #expect(try plan("arc-challenge", folder).samples[0].target == .choice(4))
    }

    @Test("HellaSwag's texts are cleaned as the harness does it")
    func hellaSwag() throws {
        let line = #"""
            {"ind":1,"activity_label":"Baking","ctx_a":"A man stirs. [substeps] He  waits.",\#
            "ctx_b":"then HE","ctx":"?","endings":["eats [title] all","[step] runs  off","c","d"],"label":"1"}

            """#
        let folder = try DataFolder(["hellaswag_val.jsonl": line])
        let sample = try plan("hellaswag", folder).samples[0]
        #expect(sample.context == "Baking: A man stirs. He waits. Then he")
        #expect(sample.continuations == [" eats. all", "  runs off", " c", " d"])
        #expect(sample.target == .choice(1))
    }

    @Test("GSM8K draws its examples by the seed, the same for all questions")
    func gsm8k() throws {
        let train = (0..<20).map { #"{"question":"T\#($0)?","answer":"Because.\n#### \#($0)"}"# }.joined(
            separator: "\n")
        let test =
            #"{"question":"Q1?","answer":"So.\n#### 1,000"}"# + "\n"
            + #"{"question":"Q2?","answer":"So.\n#### 2"}"#
        let folder = try DataFolder(["train.jsonl": train, "test.jsonl": test])
        func prompts(_ seed: UInt64) throws -> [String] {
            let plan = try plan("gsm8k", folder) {
                $0.shots = 3
                $0.seed = seed
            }
            return plan.samples.compactMap { if case .raw(let text)? = $0.prompt { text } else { nil } }
        }
        let first = try prompts(1)
        #expect(first.count == 2)
        #expect(first[0].hasSuffix("\n\nQuestion: Q1?\nAnswer:"))
        #expect(first[0].dropLast("Q1?\nAnswer:".count) == first[1].dropLast("Q2?\nAnswer:".count))
        #expect(first[0].components(of: "Because.\n####") == 3)
        #expect(try prompts(1) == first)
        let others = try (2...6).map { try prompts($0) }
        #expect(Set(others).count > 1)
    }

    @Test("general_qa takes conversations, general_mcq several right choices")
    func general() throws {
        let folder = try DataFolder([
            "qa/talk.jsonl": #"""
            {"messages":[{"role":"system","content":"S"},{"role":"user","content":"1?"},\#
                {"role":"assistant","content":"one"}]}
            {"system":"Be short.","query":"2?","response":"two"}

            """#,
            "mcq/mine_val.jsonl":
                #"{"id":"x","question":"Which?","A":"1","B":"2","C":"3","answer":["A","C"]}"#,
        ])
        let talk = try plan("general_qa", folder, "qa").samples
        #expect(
            talk[0].prompt
                == .messages([ChatTurn(role: "system", content: "S"), ChatTurn(role: "user", content: "1?")]))
        #expect(talk[0].target == .texts(["one"]))
        #expect(talk[1].prompt == .raw("Be short.\n\n2?"))
        let choices = try plan("general_mcq", folder, "mcq").samples
        #expect(choices[0].id == "mine/x")
        #expect(choices[0].target == .choices([0, 2]))
        #expect(choices[0].context == "Which?\nA. 1\nB. 2\nC. 3\nAnswer:")
        let written = try plan("general_mcq", folder, "mcq") { $0.scoring = .generation }.samples
        guard case .raw(let text)? = written[0].prompt else {
            Issue.record("no prompt")
            return
        }
        #expect(text.contains("\"ANSWER: [LETTERS]\"") && text.hasSuffix("Which?\n\nA) 1\nB) 2\nC) 3"))
    }

    @Test("HumanEval keeps its stub raw, and asks for a block where a chat template is used")
    func humanEval() throws {
        let line =
            #"{"task_id":"H/0","prompt":"def f(x):\n","canonical_solution":"","#
            + #""test":"def check(c): pass","entry_point":"f"}"#
        let folder = try DataFolder(["HumanEval.jsonl": line])
        let raw = try plan("humaneval", folder).samples[0]
        guard case .code(let request, let problem) = raw.body else {
            Issue.record("no code")
            return
        }
        #expect(raw.id == "HumanEval/H/0")
        #expect(request.prompt == .raw("def f(x):\n"))
        #expect(request.stop == ["\nclass", "\ndef", "\n#", "\nif", "\nprint"])
        #expect(
            problem.program(completion: "    return x\n")
                == "def f(x):\n    return x\n\ndef check(c): pass\ncheck(f)\n")
        #expect(
            problem.program(completion: "Sure:\n```python\ndef f(x):\n    return 1\n```\nDone.")
                == "def f(x):\n\ndef f(x):\n    return 1\ndef check(c): pass\ncheck(f)\n")
        let chat = try plan("humaneval", folder) { $0.usesChatTemplate = true }.samples[0]
        guard case .code(let asked, _) = chat.body, case .messages(let turns) = asked.prompt else {
            Issue.record("no messages")
            return
        }
        #expect(turns.last?.content.contains("```python\ndef f(x):\n```") == true)
    }

    @Test("Texts are read from text files, one each, and from rows")
    func texts() throws {
        let folder = try DataFolder([
            "a.txt": "One.\n\nTwo.\n", "b.jsonl": "{\"text\":\"x\"}\n{\"text\":\"y\"}\n",
        ])
        let samples = try plan("perplexity", folder).samples
        #expect(samples.map(\.body) == [.text("One.\n\nTwo.\n"), .text("x"), .text("y")])
        #expect(samples.map(\.id) == ["a/0", "b/0", "b/1"])
    }

    @Test("The digest of one file is its own")
    func digest() throws {
        let folder = try DataFolder(["a.txt": "abc"])
        let plan = try plan("perplexity", folder, "a.txt")
        #expect(plan.dataSHA256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("Settings that change samples change the fingerprint, and nothing else does")
    func fingerprints() throws {
        let folder = try Self.mmlu()
        let model = OrderedJSON.string("m")
        let first = try plan("mmlu", folder).fingerprint(model: model)
        #expect(try plan("mmlu", folder).fingerprint(model: model) == first)
        #expect(try plan("mmlu", folder).fingerprint(model: .string("n")) != first)
        #expect(try plan("mmlu", folder) { $0.shots = 1 }.fingerprint(model: model) != first)
        #expect(try plan("mmlu", folder) { $0.limit = 1 }.fingerprint(model: model) != first)
        #expect(try plan("mmlu", folder) { $0.scoring = .generation }.fingerprint(model: model) != first)
        try folder.write("Law?,w,x,y,z,B\n", to: "test/law_test.csv")
        #expect(try plan("mmlu", folder).fingerprint(model: model) != first)
    }

    @Test("What is missing is said with what there is")
    func errors() throws {
        let folder = try DataFolder(["train.jsonl": "{}\n", "empty/README.md": ""])
        func message(_ task: String, _ path: String = "", _ change: (inout TaskRequest) -> Void = { _ in })
            -> String
        {
            do {
                _ = try plan(task, folder, path, change: change)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message("gsm8k").contains("there are files of: train"))
        #expect(message("gsm8k", "empty").contains("has no csv"))
        #expect(message("gsm8k", "none").contains("no such file"))
        #expect(message("mmmlu").contains("did you mean \"mmlu\"?"))
        #expect(message("gsm8k", "train.jsonl").contains("train.jsonl, row 1"))
        #expect(message("mmlu", "") { $0.scoring = .code }.contains("choose loglikelihood or generation"))
        #expect(message("mmlu", "") { $0.limit = 0 }.contains("limit: 0 is out of range"))
    }
}

extension String {
    /// How often a text stands in this one.
    fileprivate func components(of part: String) -> Int {
        utf8.indices.filter { utf8[$0...].starts(with: part.utf8) }.count
    }
}
