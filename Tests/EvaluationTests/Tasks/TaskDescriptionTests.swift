// Tasks that users describe.

import Evaluation
import Testing
import Text

@Suite("Described tasks")
struct TaskDescriptionTests {
    private func task(_ json: String) throws -> EvaluationTask {
        try EvaluationTask(description: try JSONValue(parsing: json), place: "traffic.yaml", folder: "/tasks")
    }

    @Test("A description gives columns, templates and examples")
    func choice() throws {
        let folder = try DataFolder([
            "data.csv": "frage,a1,a2,a3,richtig\nRot?,halt,fahr,,A\n",
            "few.jsonl": #"{"frage":"Grün?","a1":"halt","a2":"fahr","a3":"x","richtig":"B"}"#,
        ])
        var task = try task(
            #"""
            {"name": "traffic", "dataset": "data.csv", "scoring": "loglikelihood", "continuation": "texts",
             "columns": {"question": "frage", "choices": ["a1", "a2", "a3"], "answer": "richtig"},
             "description": "Verkehr.\n", "doc_to_text": "F: {{ frage }}\nA:", "target": "{{ answer_text }}",
             "example_delimiter": "\n", "shots": 1, "examples": "few.jsonl", "primary_metric": "acc_norm"}
            """#)
        #expect(task.dataset == "/tasks/data.csv")
        #expect(task.layout.examplesPath == "/tasks/few.jsonl")
        task.layout.examplesPath = folder.path + "/few.jsonl"
        let plan = try EvaluationPlan(task, path: folder.path + "/data.csv")
        #expect(plan.samples[0].context == "Verkehr.\nF: Grün?\nA: fahr\nF: Rot?\nA:")
        #expect(plan.samples[0].continuations == [" halt", " fahr"])
        #expect(plan.metrics.first?.name == "acc_norm")
    }

    @Test("Answers in words are judged by the description's metrics")
    func question() throws {
        let folder = try DataFolder(["d.jsonl": #"{"question":"2+2?","answer":"4"}"#])
        let task = try task(
            #"""
            {"scoring": "generation", "prompt": "{{ question }} =", "stop": "\n",
             "max_new_tokens": 8, "metrics": [
             {"name": "number", "match": "number", "filters": [{"regex": "[0-9.]+", "select": -1}]},
             {"name": "text", "match": "exact", "filters": ["first_line"],
              "ignore": ["\\s"], "ignore_case": true}]}
            """#)
        #expect(task.name == "traffic")
        let plan = try EvaluationPlan(task, path: folder.path + "/d.jsonl")
        let sample = plan.samples[0]
        #expect(
            sample.body
                == .generation(GenerationRequest(prompt: .raw("2+2? ="), stop: ["\n"], maxNewTokens: 8)))
        let review = try plan.review(
            sample,
            .completions([Completion(text: "<think>5</think>3 or 4.0", tokens: 3, finishReason: "stop")]))
        #expect(review.values == ["number": 1, "text": 0])
        #expect(review.prediction == "4.0")
    }

    @Test(
        "Wrong descriptions say where",
        arguments: [
            (#"{"promt": "x"}"#, "field \"promt\": there is no such field; did you mean \"prompt\"?"),
            (#"{"prompt": "{{ x"}"#, "template prompt"),
            (#"{"scoring": "guess"}"#, "loglikelihood, generation"),
            (#"[]"#, "not a mapping"), (#"{"shots": -1}"#, "field \"shots\": -1 is out of range"),
            (#"{"columns": {"q": "x"}}"#, "field \"columns.q\""),
            (#"{"metrics": [{"match": "exact", "filters": ["trim"]}]}"#, "field \"metrics[0].filters[0]\""),
            (#"{"metrics": [{"ignore": ["(?=x)"]}]}"#, "lookaround"),
            (#"{"scoring": "generation", "primary_metric": "f1"}"#, "name one of acc"),
        ])
    func errors(json: String, part: String) throws {
        let error = #expect(throws: EvaluationError.self) { _ = try self.task(json) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }
}
