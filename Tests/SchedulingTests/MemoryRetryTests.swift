// Retries that know why an attempt failed: smaller batches after a lack of memory, and what a limit counts.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@Suite("Retries by class of failure")
struct MemoryRetryTests {
    private static func spec(
        _ work: String, _ strategy: String = "{limit: 1}", annotation: String = "adapt"
    ) -> String {
        """
        entrypoint: main
        templates:
        - name: main
          metadata: {annotations: {martlet.dev/oom: \(annotation)}}
          retryStrategy: \(strategy)
          \(work)
        """
    }

    private static func ends(_ code: Int, _ kind: FailureClass) -> Behavior {
        Behavior(
            end: .outcome(
                AttemptOutcome(
                    phase: .failed, message: "main: Error (exit code \(code))", exitCode: code,
                    outputs: Outputs(exitCode: String(code)), failureClass: kind)))
    }

    /// Runs out of memory with more rows at once than fit.
    private static func run(_ spec: String, fitting rows: Int) throws -> World {
        var world = World(try InMemoryRun.definition(spec)) { launch in
            let size = BatchSize(of: launch.template)?.perDevice ?? 1
            return size > rows ? Self.ends(86, .memory) : .succeeds()
        }
        world.resumes = false
        try world.run()
        return world
    }

    private static func sizes(_ world: World) -> [[Int]] {
        world.executor.launches.compactMap { BatchSize(of: $0.template) }.map {
            [$0.perDevice, $0.accumulation]
        }
    }

    @Test("Out of memory halves the batch and doubles the steps until it fits, whatever the limit")
    func halves() throws {
        let world = try Self.run(
            Self.spec("sft: {per_device_train_batch_size: 8, gradient_accumulation_steps: 1}"), fitting: 2)
        #expect(world.phase == .succeeded)
        #expect(Self.sizes(world) == [[8, 1], [4, 2], [2, 4]])
        #expect(try world.node("(1)").batchSize == BatchSize(perDevice: 4, accumulation: 2))
        #expect(try world.node("(0)").failureClass == .memory)
        #expect(
            try world.node("(0)").message
                == "main: Error (exit code 86); the next attempt has per_device_train_batch_size 4 and "
                + "gradient_accumulation_steps 2")
        #expect(world.executor.launches.allSatisfy { $0.checkpointNodeID == "w" })
    }

    @Test(
        "The product is kept, also through odd numbers",
        arguments: [
            ([8, 1], [4, 2]), ([2, 3], [1, 6]), ([3, 5], [1, 15]), ([6, 4], [3, 8]), ([5, 2], [2, 5]),
            ([7, 2], [2, 7]), ([12, 5], [6, 10]), ([9, 1], [3, 3]), ([65_536, 1], [32_768, 2]),
        ])
    func odd(_ before: [Int], _ after: [Int]) {
        let size = BatchSize(perDevice: before[0], accumulation: before[1]).halved
        #expect(size == BatchSize(perDevice: after[0], accumulation: after[1]))
        #expect(after[0] * after[1] == before[0] * before[1])
    }

    @Test("A single row cannot be halved: the retries end and say what would help")
    func single() throws {
        #expect(BatchSize(perDevice: 1, accumulation: 16).halved == nil)
        let world = try Self.run(
            Self.spec("sft: {per_device_train_batch_size: 2}", "{limit: 9}"), fitting: 0)
        #expect(world.phase == .failed)
        #expect(Self.sizes(world) == [[2, 8], [1, 16]])
        let message = try world.node("").message
        #expect(message.contains("per_device_train_batch_size 1") && message.contains("cannot be halved"))
    }

    @Test(
        "The numbers are found where the step has them",
        arguments: [
            ("plugin: {martlet: {sft: {per-device-train-batch-size: 4}}}", [[4, 4], [2, 8]]),
            (
                "container: {image: i, command: [t, --per_device_train_batch_size, \"4\", -x]}",
                [[4, 1], [2, 2]]
            ),
            (
                "container: {image: i, command: [t], args: [--gradient-accumulation-steps=3, "
                    + "--per-device-train-batch-size=4]}", [[4, 3], [2, 6]]
            ),
            (
                "script: {image: i, command: [sh], source: \"t --per_device_train_batch_size 4 --lr 1\"}",
                [[4, 1], [2, 2]]
            ),
        ] as [(String, [[Int]])])
    func places(_ work: String, _ sizes: [[Int]]) throws {
        let world = try Self.run(Self.spec(work), fitting: 2)
        #expect(world.phase == .succeeded)
        #expect(Self.sizes(world) == sizes)
    }

    @Test("Words beside the numbers stay as they are")
    func words() throws {
        let world = try Self.run(
            Self.spec("container: {image: i, command: [t, --per_device_train_batch_size, \"4\", -x]}"),
            fitting: 2)
        let words = world.executor.launches.last?.template.raw["container"]?["command"]
        #expect(
            words == [
                "t", "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2", "-x",
            ])
    }

    @Test("Without the annotation memory is a failure like any other")
    func unasked() throws {
        let world = try Self.run(
            Self.spec("sft: {per_device_train_batch_size: 8}", annotation: "fail"), fitting: 2)
        #expect(world.phase == .failed)
        #expect(Self.sizes(world) == [[8, 2], [8, 2]])
        #expect(try world.node("").message == "No more retries left")
    }

    @Test(
        "What the limit counts",
        arguments: [
            // Failures of the machine do not use up attempts of our own steps, and those of the command do.
            ("sft: {}", [FailureClass.infrastructure, .infrastructure, .user], 4, Phase.succeeded),
            ("sft: {}", [.user, .user], 2, .failed),
            ("sft: {}", [.user, .infrastructure, .user], 3, .failed),
            ("container: {image: i, command: [c]}", [.infrastructure, .user], 2, .failed),
        ] as [(String, [FailureClass], Int, Phase)])
    func limit(_ work: String, _ classes: [FailureClass], _ count: Int, _ phase: Phase) throws {
        let annotation = work.hasPrefix("container") ? "fail" : "adapt"
        var world = World(try InMemoryRun.definition(Self.spec(work, annotation: annotation))) { launch in
            launch.retryOrdinal < classes.count ? Self.ends(1, classes[launch.retryOrdinal]) : .succeeds()
        }
        world.resumes = false
        try world.run()
        #expect(world.launched.count == count)
        #expect(world.phase == phase)
    }

    @Test("Machines that fail for ever end the retries, too")
    func forEver() throws {
        var world = World(try InMemoryRun.definition(Self.spec("sft: {}"))) { _ in
            Self.ends(137, .infrastructure)
        }
        world.resumes = false
        try world.run()
        #expect(world.phase == .failed)
        #expect(world.launched.count == 22)
    }

    @Test("Bad parameters and bad data are not tried again", arguments: [2, 65])
    func sameAgain(code: Int) throws {
        var world = World(try InMemoryRun.definition(Self.spec("sft: {}", "{limit: 5}"))) { _ in
            Self.ends(code, .user)
        }
        world.resumes = false
        try world.run()
        #expect(world.launched.count == 1)
        #expect(try world.node("").message.hasSuffix("another attempt would end in the same way"))
    }

    @Test("A smaller batch stays when the next attempt fails for another reason")
    func stays() throws {
        var world = World(
            try InMemoryRun.definition(
                Self.spec(
                    "sft: {per_device_train_batch_size: 4, gradient_accumulation_steps: 4}", "{limit: 2}"))
        ) { launch in
            switch launch.retryOrdinal {
            case 0: Self.ends(86, .memory)
            case 1: Self.ends(75, .infrastructure)
            case 2: Self.ends(1, .user)
            default: .succeeds()
            }
        }
        world.resumes = false
        try world.run()
        #expect(world.phase == .succeeded)
        #expect(Self.sizes(world) == [[4, 4], [2, 8], [2, 8], [2, 8]])
    }
}
