// What `fields` leave of an answer, and how much of a run is read for it.

import Testing
import Text

@testable import WebServer

@Suite("Fields of answers")
struct WorkflowsFieldTests {
    private static let list: JSONValue = [
        "metadata": ["resourceVersion": "7"],
        "items": [
            [
                "metadata": ["name": "a", "uid": "1"], "spec": ["suspend": true],
                "status": ["phase": "Failed"],
            ]
        ],
    ]

    @Test(
        "A list of fields keeps those, and one with a minus the others",
        arguments: [
            ("", list),
            ("metadata", ["metadata": ["resourceVersion": "7"]]),
            (
                "metadata,items.metadata.name",
                ["metadata": ["resourceVersion": "7"], "items": [["metadata": ["name": "a"]]]]
            ),
            ("items.status.phase", ["items": [["status": ["phase": "Failed"]]]]),
            // A part of a name is not the name.
            ("items.meta", ["items": [[:]]]),
            (
                "-items.spec,items.metadata.uid",
                [
                    "metadata": ["resourceVersion": "7"],
                    "items": [["metadata": ["name": "a"], "status": ["phase": "Failed"]]],
                ]
            ),
            ("-items", ["metadata": ["resourceVersion": "7"]]),
            (",,", list),
        ] as [(String, JSONValue)])
    func cleaning(fields: String, expected: JSONValue) {
        #expect(FieldMask(fields).clean(Self.list) == expected)
    }

    @Test(
        "Only what is asked for is read of each run",
        arguments: [
            ("", "items", DocumentDetail.whole),
            (
                "metadata,items.metadata.uid,items.status.phase,items.status.estimatedDuration", "items",
                .summary
            ),
            ("items.metadata,items.spec.suspend", "items", .definition),
            ("items.status.nodes", "items", .whole), ("items.status", "items", .whole),
            ("-items.status.nodes", "items", .definition), ("-items.spec", "items", .whole),
            ("metadata.name,status.phase", "", .summary), ("spec", "", .definition),
        ])
    func detail(fields: String, prefix: String, expected: DocumentDetail) {
        let prefix = prefix.isEmpty ? [] : [prefix]
        #expect(DocumentDetail(FieldMask(fields), below: prefix) == expected)
    }

    @Test(
        "Watches take fields from the result on, and from the object on",
        arguments: [
            ("result.type,result.object.metadata.name", true), ("metadata.name", true),
            ("result.object", false), ("result", false), ("status.phase", false),
        ])
    func watches(fields: String, isNameOnly: Bool) {
        let event: JSONValue = [
            "object": ["metadata": ["name": "a", "uid": "1"], "status": ["phase": "Failed"]]
        ]
        let left = FieldMask(fields).ofWatch().clean(event)["object"]
        #expect((left == ["metadata": ["name": "a"]]) == isNameOnly)
        #expect(fields != "result" || left == event["object"])
    }
}
