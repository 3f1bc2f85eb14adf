// Steps on several nodes where there is one machine: what the members are told, that they live and end
// together, and the one log that they have.

import Artifacts
import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

@Suite(
    "Local executor: groups of nodes", .enabled(if: LocalWorkshop.hasSupervisor, LocalWorkshop.skipReason),
    .timeLimit(.minutes(10)))
struct GroupStepTests {
    private let workshop: LocalWorkshop

    init() throws { workshop = try LocalWorkshop() }

    private static func group(
        _ script: String, nodes: Int, processes: Int? = nil, resources: JSONValue = [:]
    ) -> JSONValue {
        var annotations: [String: JSONValue] = ["martlet.dev/nodes": .string(String(nodes))]
        annotations["martlet.dev/procs-per-node"] = processes.map { .string(String($0)) }
        return [
            "name": "t", "metadata": ["annotations": .object(annotations)],
            "container": ["command": ["sh", "-c", .string(script)], "resources": resources],
        ]
    }

    private func run(
        _ template: JSONValue, _ change: (inout LocalExecutorSettings) -> Void = { _ in }
    ) async throws -> AttemptOutcome {
        let executor = try workshop.executor(change)
        let outcome = try await ExecutorConformance.outcome(
            executor, ExecutorConformance.launch("a", template: template))
        await executor.shutDown()
        return outcome
    }

    private var log: [StepLog.Line] { StepLog(path: workshop.directory + "/runs/uid/a/0/log").lines() }

    /// Each member waits for all others, so that the step ends only if they run side by side.
    private static let meet = """
        met=$MARTLET_CHECKPOINT_DIR/met; touch $met-$NODE_RANK
        i=0; while [ $i -lt $NNODES ]; do while [ ! -e $met-$i ]; do sleep 0.01; done; i=$((i+1)); done
        """

    @Test(
        "All nodes run at once, each with its rank and the same address, and their lines show who wrote them")
    func members() async throws {
        let script =
            Self.meet
            + "\necho $NODE_RANK/$NNODES $NPROC_PER_NODE $MASTER_ADDR:$MASTER_PORT;"
            + " echo $PET_NODE_RANK/$PET_NNODES $PET_NPROC_PER_NODE $PET_MASTER_ADDR:$PET_MASTER_PORT >&2"
        let outcome = try await run(Self.group(script, nodes: 3, processes: 2))
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        let lines = log
        let port = try #require(lines.first?.text.split(separator: ":").last.flatMap { Int($0) })
        #expect(port > 0)
        let expected = (0..<3).map { "[rank \($0)] \($0)/3 2 127.0.0.1:\(port)" }
        #expect(lines.filter { $0.stream == .standardOutput }.map(\.text).sorted() == expected)
        #expect(lines.filter { $0.stream == .standardError }.map(\.text).sorted() == expected)
        // A client asks for main's log, and that is the whole group's.
        #expect(Set(lines.map(\.container)) == ["main"])
        #expect(outcome.outputs.result == "0/3 2 127.0.0.1:\(port)")
    }

    @Test("A long line of a member is one line with one mark, whatever others write meanwhile")
    func longLines() async throws {
        let script =
            Self.meet + "\nhead -c 40000 /dev/zero | tr '\\0' $NODE_RANK; sleep 0.2; echo; printf end"
        let outcome = try await run(Self.group(script, nodes: 2))
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        let texts = log.map(\.text).sorted()
        #expect(texts.map(\.count) == [40_009, 12, 40_009, 12])
        #expect(texts.filter { $0.hasSuffix("end") } == ["[rank 0] end", "[rank 1] end"])
    }

    @Test("The first member that fails ends the others and the attempt")
    func failure() async throws {
        let script = Self.meet + "\nif [ $NODE_RANK = 1 ]; then exit 3; fi; exec sleep 100000"
        let outcome = try await run(Self.group(script, nodes: 3))
        #expect(outcome.phase == .failed)
        #expect(outcome.message == "rank 1: Error (exit code 3)")
        #expect(outcome.exitCode == 3 && outcome.failureClass == .user)
    }

    @Test("The attempt fails also when the others end well after one has failed")
    func lateSuccess() async throws {
        let script =
            "trap 'exit 0' TERM\nif [ $NODE_RANK = 0 ]; then exit 4; fi\nwhile :; do sleep 0.01; done"
        let outcome = try await run(Self.group(script, nodes: 2))
        #expect(outcome.phase == .failed && outcome.message == "rank 0: Error (exit code 4)")
    }

    @Test("A command that cannot be run is no group at all")
    func startsWholeOrNot() async throws {
        let outcome = try await run([
            "name": "t", "metadata": ["annotations": ["martlet.dev/nodes": "2"]],
            "container": ["command": ["no-such-program"]],
        ])
        #expect(outcome.phase == .failed && outcome.message.contains("no-such-program: not found"))
    }

    @Test("A group outlives the executor, is found again as a whole, and runs once")
    func adopted() async throws {
        let gate = workshop.directory + "/gate"
        try Disk.makeDirectories(gate)
        let script = """
            echo run >> /gate/runs-$NODE_RANK
            while [ ! -e /gate/go ]; do sleep 0.01; done
            grep -c . /gate/runs-$NODE_RANK | tr -d '\\n'; echo ' run'
            """
        var template = Self.group(script, nodes: 2).objectValue ?? [:]
        template["volumes"] = [["name": "gate", "hostPath": ["path": .string(gate)]]]
        template["container"] = [
            "command": ["sh", "-c", .string(script)],
            "volumeMounts": [["name": "gate", "mountPath": "/gate"]],
        ]
        let conformance = ExecutorConformance { [workshop] in try workshop.executor() }
        try await conformance.findsWorkOfTheFormerProcess(
            template: .object(template), release: { try Disk.write([], to: gate + "/go") })
        #expect(log.map(\.text).sorted() == ["[rank 0] 1 run", "[rank 1] 1 run"])
    }

    @Test("Each member has its own share of the group's GPUs")
    func devices() async throws {
        let template = Self.group(
            "echo $CUDA_VISIBLE_DEVICES $NPROC_PER_NODE", nodes: 2,
            resources: ["limits": ["nvidia.com/gpu": 2]])
        let outcome = try await run(template) { $0.gpuCount = 4 }
        #expect(outcome.phase == .succeeded, "\(outcome.message)")
        #expect(log.map(\.text).sorted() == ["[rank 0] 0,1 2", "[rank 1] 2,3 2"])
    }

    @Test("A group asks for as much as its nodes together, and waits whole where that is not there")
    func admission() async throws {
        let template = Self.group(
            "true", nodes: 3,
            resources: ["requests": ["cpu": "500m", "memory": "1Ki", "nvidia.com/gpu": "1"]])
        let request = ResourceRequest(Template(template))
        #expect(request == ResourceRequest(cpuMillis: 1500, memoryBytes: 3072, gpus: 3))
        let outcome = try await run(template) { $0.gpuCount = 2 }
        #expect(outcome.phase == .error && outcome.message.contains("asks for 3 GPU, the machine has 2"))
    }

    @Test(
        "What cannot be a group is refused in words",
        arguments: [
            ("0", "\"0\" is no number from 1 to 1000"), ("two", "\"two\" is no number"),
            ("101", "more than the 100 processes"),
        ])
    func refused(nodes: String, words: String) async throws {
        let outcome = try await run([
            "name": "t", "metadata": ["annotations": ["martlet.dev/nodes": .string(nodes)]],
            "container": ["command": ["true"]],
        ])
        #expect(outcome.phase == .error && outcome.failureClass == .user)
        #expect(outcome.message.contains(words), "\(outcome.message)")
    }

    @Test("One node is a step as always, which is told that it is alone")
    func single() async throws {
        let outcome = try await run(Self.group("echo $NNODES $NODE_RANK; exit 2", nodes: 1))
        #expect(outcome.message == "main: Error (exit code 2)")
        #expect(log.map(\.text) == ["1 0"])
    }
}
