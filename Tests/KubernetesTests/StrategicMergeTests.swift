// Patches as podSpecPatch has them.

import Testing
import Text

@testable import Kubernetes

@Suite("Strategic merge")
struct StrategicMergeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var value: JSONValue
        var patch: JSONValue
        var result: JSONValue
    }

    @Test(
        "A patch changes what it names and nothing else",
        arguments: [
            Case(
                testDescription: "containers by name",
                value: ["containers": [["name": "main", "image": "a"], ["name": "side", "image": "b"]]],
                patch: ["containers": [["name": "main", "resources": ["limits": ["memory": "1Gi"]]]]],
                result: [
                    "containers": [
                        ["name": "main", "image": "a", "resources": ["limits": ["memory": "1Gi"]]],
                        ["name": "side", "image": "b"],
                    ]
                ]),
            Case(
                testDescription: "a null removes", value: ["a": 1, "b": 2], patch: ["a": nil],
                result: ["b": 2]),
            Case(
                testDescription: "tolerations are replaced", value: ["tolerations": [["key": "a"]]],
                patch: ["tolerations": [["key": "b"]]], result: ["tolerations": [["key": "b"]]]),
            Case(
                testDescription: "an element is deleted", value: ["volumes": [["name": "a"], ["name": "b"]]],
                patch: ["volumes": [["name": "a", "$patch": "delete"]]], result: ["volumes": [["name": "b"]]]),
            Case(
                testDescription: "a list is replaced", value: ["volumes": [["name": "a"], ["name": "b"]]],
                patch: ["volumes": [["$patch": "replace"], ["name": "c"]]],
                result: ["volumes": [["name": "c"]]]),
            Case(
                testDescription: "a map is replaced", value: ["nodeSelector": ["a": "1"]],
                patch: ["nodeSelector": ["$patch": "replace", "b": "2"]], result: ["nodeSelector": ["b": "2"]]
            ),
            Case(
                testDescription: "environment by name", value: ["env": [["name": "A", "value": "1"]]],
                patch: ["env": [["name": "A", "value": "2"], ["name": "B", "value": "3"]]],
                result: ["env": [["name": "A", "value": "2"], ["name": "B", "value": "3"]]]),
        ])
    func merges(_ row: Case) {
        #expect(StrategicMerge.apply(row.patch, to: row.value) == row.result)
    }
}
