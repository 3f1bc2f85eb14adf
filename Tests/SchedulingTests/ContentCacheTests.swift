// The content cache as the scheduler uses it: what is asked, what is taken over, and what runs again.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Content cache")
struct ContentCacheTests {
    /// data -> sft -> dpo -> evaluate, all of them cached.
    private static func pipeline(beta: String = "0.1", rank: Int = 8) -> String {
        """
        entrypoint: main
        templates:
        - name: main
          steps:
          - - {name: data, template: data}
          - - name: tune
              template: tune
              arguments: {artifacts: [{name: dataset, from: "{{steps.data.outputs.artifacts.rows}}"}]}
          - - name: prefer
              template: prefer
              arguments: {artifacts: [{name: adapter, from: "{{steps.tune.outputs.artifacts.adapter}}"}]}
          - - name: rate
              template: rate
              arguments: {artifacts: [{name: adapter, from: "{{steps.prefer.outputs.artifacts.adapter}}"}]}
        - name: data
          metadata: {annotations: {martlet.dev/cache: "true"}}
          container: {image: i, command: [make-data]}
          outputs: {artifacts: [{name: rows, path: /rows}]}
        - name: tune
          metadata: {annotations: {martlet.dev/cache: "true"}}
          retryStrategy: {limit: 1}
          inputs: {artifacts: [{name: dataset}]}
          sft: {lora_rank: \(rank)}
          outputs: {artifacts: [{name: adapter}]}
        - name: prefer
          metadata: {annotations: {martlet.dev/cache: "true"}}
          inputs: {artifacts: [{name: adapter}]}
          dpo: {beta: "\(beta)"}
          outputs: {artifacts: [{name: adapter}]}
        - name: rate
          metadata: {annotations: {martlet.dev/cache: "true"}}
          inputs: {artifacts: [{name: adapter}]}
          evaluate: {eval_dataset: gsm8k}
        """
    }

    private static func run(
        _ spec: String, after earlier: World? = nil, metadata: String = "",
        change: (inout FakeContent) -> Void = { _ in }
    ) throws -> World {
        var world = InMemoryRun.world(try InMemoryRun.definition(spec, metadata: metadata))
        if let earlier { world.content = earlier.content }
        change(&world.content)
        try world.run()
        return world
    }

    @Test("The second run of an unchanged pipeline runs nothing, and gives the same")
    func unchanged() throws {
        let first = try Self.run(Self.pipeline())
        #expect(first.launched == ["[0].data", "[1].tune(0)", "[2].prefer", "[3].rate"])
        let second = try Self.run(Self.pipeline(), after: first)
        #expect(second.launched == [])
        #expect(second.phase == .succeeded)
        for name in ["[0].data", "[1].tune", "[2].prefer", "[3].rate"] {
            let (old, new) = (try first.node(name), try second.node(name))
            #expect(new.phase == .succeeded && new.memoization?.hit == true && new.type == .pod)
            #expect(new.outputs == old.outputs)
            #expect(new.message.hasPrefix("not run: ") && new.message.contains(" of w had the same content"))
        }
    }

    @Test("Another beta runs DPO and what follows; another rank what follows from that")
    func changed() throws {
        let first = try Self.run(Self.pipeline())
        let beta = try Self.run(Self.pipeline(beta: "0.2"), after: first)
        #expect(beta.launched == ["[2].prefer", "[3].rate"])
        let back = try Self.run(Self.pipeline(), after: beta)
        #expect(back.launched == [])
        let rank = try Self.run(Self.pipeline(rank: 4), after: beta)
        #expect(rank.launched == ["[1].tune(0)", "[2].prefer", "[3].rate"])
    }

    @Test("A step whose artifact was deleted runs again, and what follows is still there")
    func deleted() throws {
        let first = try Self.run(Self.pipeline())
        let second = try Self.run(Self.pipeline(), after: first) {
            $0.deleted = [
                first.nodes.first { $0.name == "w[1].tune" }?.outputs.artifacts.first?.location?
                    .settings["key"]?.stringValue ?? ""
            ]
        }
        #expect(second.launched == ["[1].tune(0)"])
    }

    @Test("A run that turned the cache off runs everything, and later runs take that over")
    func off() throws {
        let first = try Self.run(Self.pipeline())
        let second = try Self.run(
            Self.pipeline(), after: first, metadata: ", annotations: {martlet.dev/cache: \"false\"}")
        #expect(second.launched.count == 4)
        #expect(try Self.run(Self.pipeline(), after: second).launched == [])
    }

    @Test("Without the annotation nothing is asked; failures are not kept")
    func notAsked() throws {
        let plain = Self.pipeline().replacing("martlet.dev/cache", with: "other")
        let first = try Self.run(plain)
        #expect(!first.effects.contains { if case .lookUpContent = $0 { true } else { false } })
        var failing = InMemoryRun.world(
            try InMemoryRun.definition(Self.pipeline()), ["[2].prefer": .fails()])
        try failing.run()
        #expect(failing.phase == .failed)
        let second = try Self.run(Self.pipeline(), after: failing)
        #expect(second.launched == ["[2].prefer", "[3].rate"])
    }

    @Test(
        "How a step is run, and how its parameters are spelled, does not change its content",
        arguments: [
            ("lora_rank: 8", "lora-rank: 8", true), ("lora_rank: 8", "lora_rank: 8, threads: 3", true),
            ("lora_rank: 8", "lora_rank: 9", false), ("lora_rank: 8", "lora_rank: 8, seed: 1", false),
            ("learning_rate: 1e-4", "lr: 1e-4", true),
        ])
    func fields(_ one: String, _ other: String, _ isSame: Bool) throws {
        func spec(_ parameters: String, _ more: String, plugin: Bool) -> String {
            let step = plugin ? "plugin: {martlet: {sft: {\(parameters)}}}" : "sft: {\(parameters)}"
            return """
                entrypoint: main
                templates:
                - name: main
                  metadata: {annotations: {martlet.dev/cache: "true"}}
                  \(more)
                  \(step)
                """
        }
        let first = try Self.run(spec(one, "timeout: 1h", plugin: false))
        let second = try Self.run(spec(other, "retryStrategy: {limit: 2}", plugin: true), after: first)
        #expect((second.launched == []) == isSame)
    }
}
