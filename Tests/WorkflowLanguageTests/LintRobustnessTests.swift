// No document may trap the linter, however wrong it is.

import TestSupport
import Testing
import Text

@testable import WorkflowLanguage

@Suite struct LintRobustnessTests {
    static let seed = Linting.workflow(
        """
        entrypoint: main
        onExit: leaf
        arguments: {parameters: [{name: p, value: x, enum: [x, y]}]}
        podGC: {labelSelector: {matchExpressions: [{key: k, operator: In, values: [v]}]}}
        synchronization: {semaphores: [{configMapKeyRef: {name: c, key: k}}]}
        hooks: {late: {template: leaf, expression: "workflow.status == 'Failed'"}}
        templates:
        - name: main
          dag:
            target: b
            tasks:
            - {name: a, template: leaf, withItems: [1, {k: v}, [1]]}
            - {name: b, template: steps, depends: "a.AnySucceeded && (!a)", when: "{{tasks.a.status}} == x"}
          outputs: {parameters: [{name: o, valueFrom: {expression: "tasks['a'].outputs.result"}}]}
        - name: steps
          steps:
          - - {name: c, template: leaf, withSequence: {count: 2, format: "%d"}}
          - - {name: d, inline: {container: {image: i, command: [c]}}, hooks: {exit: {template: leaf}}}
        - name: leaf
          metrics: {prometheus: [{name: m, help: h, gauge: {realtime: true, value: "{{duration}}"}}]}
          retryStrategy: {limit: 1, backoff: {duration: 1s}}
          memoize: {key: "{{workflow.name}}", cache: {configMap: {name: c}}}
          containerSet: {containers: [{name: main, image: i, command: [c], dependencies: []}]}
          outputs: {artifacts: [{name: f, path: /f, archive: {tar: {compressionLevel: 1}}, raw: {data: x}}]}
        """)

    @Test("Manifests with fields replaced at random never trap the checks", arguments: 1...200)
    func mutations(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let original = try #require(Linting.documents(Self.seed).first).json
        var spec = original["spec"] ?? .null
        for _ in 0..<Int.random(in: 1...6, using: &generator) { spec = Self.mutated(spec, &generator) }
        let json: JSONValue = ["kind": original["kind"] ?? .null, "metadata": ["name": "w"], "spec": spec]
        let document = try #require(Linting.documents(json.compactText).first)
        let checker = DocumentChecker(
            catalog: TemplateCatalog(), options: ValidationOptions(), documents: [])
        var findings = Findings()
        checker.check(document, into: &findings)
        #expect(findings.all.allSatisfy { !$0.message.isEmpty })
    }

    /// The value with one value inside it replaced, removed or copied over another.
    static func mutated(_ value: JSONValue, _ generator: inout SeededGenerator) -> JSONValue {
        switch value {
        case .array(var elements) where !elements.isEmpty && Int.random(in: 0..<5, using: &generator) > 0:
            let index = Int.random(in: 0..<elements.count, using: &generator)
            if Int.random(in: 0..<8, using: &generator) == 0 {
                elements.append(elements[index])
            } else {
                elements[index] = mutated(elements[index], &generator)
            }
            return .array(elements)
        case .object(var members) where !members.isEmpty && Int.random(in: 0..<8, using: &generator) > 0:
            let key = members.keys.sorted()[Int.random(in: 0..<members.count, using: &generator)]
            if Int.random(in: 0..<8, using: &generator) == 0 {
                members[key] = nil
            } else {
                members[key] = mutated(members[key] ?? .null, &generator)
            }
            return .object(members)
        default:
            let others: [JSONValue] = [
                .null, "", "a.b", -1, 1.5, true, [], [[]], [nil], .object([:]), "{{", "{{=}}", "{{=(}}",
                "}}{{a",
                "{{tasks.}}", "{{tasks..}}", "{{inputs.parameters.}}", "a &&", "....", "((((", "{{item.}}",
                "{{workflow.parameters.{{x}}", ["name": "main"], [["name": ""]], "-", "0", "tasks['a",
            ]
            return others[Int.random(in: 0..<others.count, using: &generator)]
        }
    }

    @Test("Random texts never trap the cron parser", arguments: 1...50)
    func schedules(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let alphabet = Array("0159*/-,? @TZ=every1hMONjan\u{e9}")
        for _ in 0..<200 {
            let length = Int.random(in: 0...20, using: &generator)
            let text = String(
                (0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
            let schedule = try? CronSchedule(text)
            #expect(schedule.map { $0.every != nil || $0.minutes != 0 } ?? true)
        }
    }
}
