// Martlet's step templates as plain containers.

import Testing
import Text
import WorkflowLanguage

@Suite("Lowering of step templates")
struct LoweringTests {
    private func lowered(_ template: JSONValue, parameters: Set<String> = []) -> JSONValue {
        MartletStep.lowering(template: template, image: "image", parameters: parameters)
    }

    @Test("A step becomes a container that reads its parameters from a file")
    func container() {
        let result = lowered(["name": "t", "retryStrategy": ["limit": 3], "sft": ["lora_rank": 8]])
        #expect(result["sft"] == nil)
        #expect(result["name"] == "t")
        #expect(result["retryStrategy"] == ["limit": 3])
        #expect(
            result["container"] == [
                "image": "image", "command": ["martlet", "sft", "--config", "/.martlet/step.json"],
                "env": [["name": "MARTLET_OUTPUT_DIR", "value": "/.martlet/outputs"]],
            ])
        #expect(
            result["inputs"]?["artifacts"] == [
                ["name": "martlet-step", "path": "/.martlet/step.json", "raw": ["data": #"{"lora_rank":8}"#]]
            ])
    }

    @Test("Every kind can be lowered, directly and as a plugin", arguments: MartletStep.Kind.allCases)
    func kinds(kind: MartletStep.Kind) {
        let direct = lowered(["name": "t", .init(kind.rawValue): ["a": 1]])
        let plugin = lowered(["name": "t", "plugin": ["martlet": [.init(kind.rawValue): ["a": 1]]]])
        #expect(direct == plugin)
        #expect(MartletStep(Fields(direct)) == nil)
        let contract = MartletStepContract(kind)
        let names = direct["outputs"]?["artifacts"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
        #expect(names == contract.outputArtifacts)
    }

    @Test("Artifacts without a path get one; what the manifest says stays")
    func declared() {
        let result = lowered([
            "name": "t", "sft": nil,
            "inputs": ["artifacts": [["name": "model"], ["name": "dataset", "path": "/data"]]],
            "outputs": [
                "artifacts": [["name": "adapter", "archive": ["none": [:]]]],
                "parameters": [["name": "steps", "globalName": "s"]],
            ],
        ])
        #expect(
            result == [
                "name": "t", "sft": nil,
                "inputs": ["artifacts": [["name": "model"], ["name": "dataset", "path": "/data"]]],
                "outputs": [
                    "artifacts": [["name": "adapter", "archive": ["none": [:]]]],
                    "parameters": [["name": "steps", "globalName": "s"]],
                ],
            ])
        let full = lowered([
            "name": "t", "sft": [:],
            "inputs": ["artifacts": [["name": "model"], ["name": "dataset", "path": "/data"]]],
            "outputs": [
                "artifacts": [["name": "adapter", "archive": ["none": [:]]]],
                "parameters": [["name": "steps", "globalName": "s"]],
            ],
        ])
        let inputs = full["inputs"]?["artifacts"]?.arrayValue ?? []
        #expect(inputs.map { $0["path"] } == ["/.martlet/inputs/model", "/data", "/.martlet/step.json"])
        let outputs = full["outputs"]?["artifacts"]?.arrayValue ?? []
        #expect(
            outputs == [
                ["name": "adapter", "archive": ["none": [:]], "path": "/.martlet/outputs/adapter"],
                ["name": "model", "path": "/.martlet/outputs/model", "optional": true],
                ["name": "logs", "path": "/.martlet/outputs/logs", "optional": true],
            ])
        let parameters = full["outputs"]?["parameters"]?.arrayValue ?? []
        #expect(
            parameters.first == [
                "name": "steps", "globalName": "s",
                "valueFrom": ["path": "/.martlet/outputs/parameters/steps", "default": ""],
            ])
        #expect(parameters.count == 4)
    }

    @Test("Another engine is told of all inputs, and the step where they lie")
    func allInputs() throws {
        let document: JSONValue = [
            "spec": [
                "templates": [["name": "m", "inputs": ["artifacts": [["name": "model"]]], "merge": [:]]]
            ]
        ]
        let template = MartletStep.loweringAll(in: document, image: "i")["spec"]?["templates"]?.arrayValue?[0]
        let inputs = template?["inputs"]?["artifacts"]?.arrayValue ?? []
        #expect(inputs.map { $0["name"] } == ["model", "adapter", "martlet-step"])
        #expect(inputs.map { $0["optional"] } == [nil, true, nil])
        let data = try #require(inputs.last?["raw"]?["data"]?.stringValue)
        #expect(
            try JSONValue(parsing: data) == [
                "model": "/.martlet/inputs/model", "adapter": "/.martlet/inputs/adapter",
            ])
    }

    @Test("Parameters that only the data name are those that the document asks for")
    func asked() {
        let document: JSONValue = [
            "spec": [
                "templates": [
                    ["name": "e", "evaluate": [:]], ["name": "t", "sft": [:]],
                    [
                        "name": "m",
                        "steps": [[["name": "s", "arguments": "{{steps.e.outputs.parameters.bleu-4}}"]]],
                    ],
                ]
            ]
        ]
        let templates =
            MartletStep.loweringAll(in: document, image: "i")["spec"]?["templates"]?.arrayValue ?? []
        func names(_ index: Int) -> [String] {
            templates[index]["outputs"]?["parameters"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
                ?? []
        }
        #expect(names(0) == ["score", "bleu-4"])
        #expect(!names(1).contains("bleu-4"))
        #expect(templates[2] == document["spec"]?["templates"]?.arrayValue?[2])
    }

    @Test("Inline templates and those of cron workflows are lowered; other keys of the same name are not")
    func places() {
        let document: JSONValue = [
            "spec": [
                "workflowSpec": [
                    "arguments": ["merge": ["x": 1]],
                    "templates": [["dag": ["tasks": [["name": "a", "inline": ["merge": ["x": 1]]]]]]],
                ]
            ]
        ]
        let spec = MartletStep.loweringAll(in: document, image: "i")["spec"]?["workflowSpec"]
        #expect(spec?["arguments"] == ["merge": ["x": 1]])
        let task = spec?["templates"]?.arrayValue?[0]["dag"]?["tasks"]?.arrayValue?[0]
        #expect(task?["inline"]?["merge"] == nil)
        #expect(task?["inline"]?["container"]?["command"]?.arrayValue?[1] == "merge")
    }
}
