// Conditions, filters and path templates of `resource` templates, on objects as clusters have them.

import Testing
import Text
import WorkflowLanguage

@testable import Kubernetes

@Suite("What resource templates ask of objects")
struct ResourceConditionTests {
    static let job: JSONValue = [
        "metadata": ["name": "train", "labels": ["app.kubernetes.io/name": "x"]],
        "status": [
            "succeeded": 2, "phase": "Running", "ready": true,
            "conditions": [
                ["type": "Created", "status": "True"], ["type": "Complete", "status": "False"],
            ],
        ],
    ]

    @Test(
        "A success condition holds when all its requirements do",
        arguments: [
            ("status.succeeded == 2", true), ("status.succeeded = 2", true), ("status.succeeded > 1", true),
            ("status.succeeded > 2", false), ("status.succeeded < 3, status.phase == Running", true),
            ("status.succeeded < 3, status.phase == Failed", false), ("status.phase in (Running, Done)", true),
            ("status.phase notin (Running)", false), ("status.none notin (Running)", true),
            ("status.none != 1", true), ("status.phase != Running", false), ("status.ready == true", true),
            ("status.succeeded", true), ("!status.succeeded", false), ("!status.failed", true),
            ("status.failed", false), ("status.failed > 0", false), ("status.phase > 0", false),
            ("status.conditions.1.status == False", true), ("status.conditions.# == 2", true),
            (#"status.conditions.#(type=="Complete").status == False"#, true),
            (#"status.conditions.#(type=="Missing").status == True"#, false),
            (#"status.phase == "Running""#, true), (#"metadata.labels.app\.kubernetes\.io/name == x"#, true),
        ])
    func success(text: String, holds: Bool) throws {
        #expect(try ResourceCondition(text, named: "successCondition").holds(for: Self.job) == holds)
    }

    @Test("Of a failure condition one requirement is enough, and it is named")
    func failure() throws {
        let condition = try ResourceCondition("status.failed > 0, status.succeeded > 1", named: "failureCondition")
        #expect(condition.first(in: Self.job)?.text == "status.succeeded > 1")
        #expect(!condition.holds(for: Self.job))
    }

    @Test(
        "What is no condition is refused with its text",
        arguments: ["status.a ==== b > ", "status.a > x", "status.a in b", "== 3", "status.a like b"])
    func refused(text: String) {
        // What begins like a comparison with a text is one: `= === b` compares with an odd value.
        let condition = try? ResourceCondition(text, named: "successCondition")
        #expect(condition == nil || text.contains("===="))
    }

    @Test(
        "A jq filter gives what jq gives",
        arguments: [
            (".status.phase", "Running"), (".status.succeeded", "2"), (".status.succeeded + 1", "3"),
            (".status.conditions[0].type", "Created"), (".status.conditions[-1].type", "Complete"),
            (".status.conditions[] | .type", "Created\nComplete"),
            (#".status.conditions[] | select(.type == "Complete") | .status"#, "False"),
            (#"[.status.conditions[].type] | join(",")"#, "Created,Complete"),
            (".status.conditions | length", "2"), (".status.none // \"none\"", "none"),
            (".status.none", "null"), (".metadata | keys", #"["labels","name"]"#),
            (#".metadata.labels["app.kubernetes.io/name"]"#, "x"), ("{name: .metadata.name}", #"{"name":"train"}"#),
            (".status.conditions | map(.status) | .[0:1]", #"["True"]"#),
            (".status.succeeded >= 2 and .status.ready", "true"), ("(.a, .b) // 5", "5"),
            (".status.phase | ascii_downcase", "running"), (".status.phase[]?", ""),
            (#".status.phase + "-" + (.status.succeeded | tostring)"#, "Running-2"),
            (".status.conditions | map(.type) | sort | last", "Created"),
        ])
    func filters(filter: String, text: String) throws {
        #expect(try JQFilter(filter).text(of: Self.job) == text)
    }

    @Test("A filter that is not understood says what is wrong", arguments: [
        (".a |", "ends too early"), ("foo", "no function foo"), (".a..b", "not expected"), ("select()", "expected"),
        (#""\(.a)""#, "not understood"), ("..", "not expected"), ("[.a", "expected"),
    ])
    func wrongFilters(filter: String, why: String) {
        do throws(JQError) {
            _ = try JQFilter(filter)
            Issue.record("\(filter) was taken")
        } catch {
            #expect(error.description.contains(why), "\(error.description)")
        }
    }

    @Test(
        "A kubectl path template gives texts, and nothing for what is not there",
        arguments: [
            ("{.metadata.name}", "train"), ("name={.metadata.name} n={.status.succeeded}", "name=train n=2"),
            ("{.status.none}", ""), ("{.status.conditions[0].type}", "Created"),
            ("{.status.conditions[*].type}", "Created Complete"),
            (#"{.status.conditions[?(@.type=="Complete")].status}"#, "False"), (".metadata.name", "train"),
            (#"{.metadata.labels.app\.kubernetes\.io/name}"#, "x"),
            ("{.metadata.labels}", #"{"app.kubernetes.io/name":"x"}"#),
        ])
    func templates(template: String, text: String) throws {
        #expect(try ObjectTemplate(template).text(of: Self.job) == text)
    }

    @Test("An output without a find takes its default, and a filter that fails names the parameter")
    func outputs() throws {
        func template(_ source: JSONValue) -> Template {
            Template(["name": "t", "outputs": ["parameters": [["name": "p", "valueFrom": source]]]])
        }
        func value(_ source: JSONValue) throws -> String? {
            try ResourceOutput.parameters(of: template(source), from: Self.job).first?.value
        }
        #expect(try value(["jsonPath": "{.status.none}", "default": "d"]) == "d")
        #expect(try value(["jqFilter": ".status.none", "default": "d"]) == "d")
        #expect(try value(["jqFilter": ".status.phase"]) == "Running")
        #expect(throws: PodProblem.self) { try value(["jqFilter": ".status | fromjson"]) }
        #expect(throws: PodProblem.self) { try value(["jsonPath": "{range .items[*]}{.x}{end}"]) }
    }

    @Test("Kinds are guessed as their makers name them, and flags are done or refused by name")
    func kindsAndFlags() throws {
        #expect(ResourceKinds.guess("JobSet", "jobset.x-k8s.io/v1alpha2").plural == "jobsets")
        #expect(ResourceKinds.guess("NetworkPolicy", "networking.k8s.io/v1").plural == "networkpolicies")
        #expect(ResourceKinds.guess("Ingress", "networking.k8s.io/v1").plural == "ingresses")
        let kind = ResourceKinds.guess("ConfigMap", "v1")
        #expect(kind.path(namespace: "ml", name: "a") == "/api/v1/namespaces/ml/configmaps/a")
        #expect(ResourceKinds.guess("Namespace", "v1").path(namespace: "ml") == "/api/v1/namespaces")
        let flags = try ResourceFlags(["-n", "other", "--cascade=orphan", "configmap", "a"])
        #expect(flags.namespace == "other" && flags.propagation == "Orphan" && flags.words == ["configmap", "a"])
        #expect(throws: PodProblem.self) { try ResourceFlags(["--kubeconfig=x"]) }
    }
}
