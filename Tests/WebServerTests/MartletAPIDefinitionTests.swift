// Several documents in one text: stored together or not at all.

import Persistence
import Testing
import Text

@testable import WebServer

@Suite("Definitions of one text")
struct MartletAPIDefinitionTests {
    private static func template(_ name: String, word: String = "hello") -> String {
        """
        apiVersion: argoproj.io/v1alpha1
        kind: WorkflowTemplate
        metadata: {name: \(name)}
        spec:
          entrypoint: main
          templates:
          - name: main
            container: {image: busybox, command: [echo, \(word)]}

        """
    }

    private static let cron = """
        apiVersion: argoproj.io/v1alpha1
        kind: CronWorkflow
        metadata: {name: nightly}
        spec:
          schedules: ["0 3 * * *"]
          workflowSpec: {workflowTemplateRef: {name: greet}}

        """

    private static func put(_ fixture: MartletAPIFixture, _ texts: [String], replace: Bool = false)
        async throws
        -> HarnessAnswer
    {
        try await fixture.post(
            "/definitions", ["text": .string(texts.joined(separator: "---\n")), "replace": .bool(replace)])
    }

    private static func names(_ fixture: MartletAPIFixture) async throws -> [String] {
        var names: [String] = []
        for kind in [DefinitionKind.workflowTemplate, .cronWorkflow] {
            names += try await fixture.store.definitions(kind).map { "\($0.name) \($0.generation)" }
        }
        return names
    }

    @Test("What refers to what stands behind it in the same text is stored with it")
    func together() async throws {
        let fixture = try MartletAPIFixture()
        let answer = try await Self.put(fixture, [Self.cron, Self.template("greet")])
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.json["items"]?.arrayValue?.map { $0["kind"] } == ["CronWorkflow", "WorkflowTemplate"])
        #expect(try await Self.names(fixture) == ["greet 1", "nightly 1"])
    }

    @Test("Of a text that cannot be stored whole nothing is stored")
    func noneAtAll() async throws {
        let fixture = try MartletAPIFixture()
        let twice = [Self.template("a"), Self.template("b"), Self.template("b", word: "other")]
        #expect(try await Self.put(fixture, twice).status >= 400)
        #expect(try await Self.names(fixture).isEmpty)
        #expect(try await Self.put(fixture, [Self.template("a")]).status == 200)
        let changed = [Self.template("c"), Self.template("a", word: "changed")]
        #expect(try await Self.put(fixture, changed).status == 409)
        #expect(try await Self.names(fixture) == ["a 1"])
        #expect(try await Self.put(fixture, changed, replace: true).status == 200)
        #expect(try await Self.names(fixture) == ["a 2", "c 1"])
    }
}
