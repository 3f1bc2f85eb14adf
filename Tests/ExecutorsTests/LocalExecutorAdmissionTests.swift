// Who may start, and what is said to those who wait.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Executors

private func key(_ name: String) -> AttemptKey { AttemptKey(workflowUID: "u", nodeID: name, attempt: 0) }

@Suite("Local executor: admission")
struct LocalExecutorAdmissionTests {
    private let machine = MachineCapacity(cpuMillis: 4000, memoryBytes: 8 << 30, gpus: 2)

    private func isGranted(_ decision: Admission.Decision) -> Bool {
        if case .granted = decision { return true }
        return false
    }

    @Test("Steps that ask for nothing take a slot each, and the next waits for one")
    func slots() {
        var admission = Admission(capacity: machine, slots: 2)
        #expect(isGranted(admission.ask(key("a"), ResourceRequest(), priority: 0)))
        #expect(isGranted(admission.ask(key("b"), ResourceRequest(), priority: 0)))
        let decision = admission.ask(key("c"), ResourceRequest(), priority: 0)
        #expect(decision == .waiting("waiting for a slot: 2 steps run, the limit is 2 (--max-parallel)"))
        #expect(admission.release(key("a")) == [.init(key: key("c"), gpus: [])])
        #expect(admission.runningCount == 2 && admission.waitingCount == 0)
    }

    @Test("Higher priority goes first, equal priority in the order of asking")
    func order() {
        var admission = Admission(capacity: machine, slots: 1)
        _ = admission.ask(key("first"), ResourceRequest(), priority: 0)
        for (name, priority) in [("low", -1), ("a", 0), ("b", 0), ("high", 5)] {
            _ = admission.ask(key(name), ResourceRequest(), priority: priority)
        }
        var order: [String] = []
        var running = key("first")
        while let next = admission.release(running).first {
            order.append(next.key.nodeID)
            running = next.key
        }
        #expect(order == ["high", "a", "b", "low"])
    }

    @Test("A large request is not starved by small ones, but others pass that ask for none of it")
    func noStarvation() {
        var admission = Admission(capacity: machine, slots: 10)
        #expect(isGranted(admission.ask(key("half"), ResourceRequest(cpuMillis: 2000), priority: 0)))
        let large = admission.ask(key("large"), ResourceRequest(cpuMillis: 4000), priority: 0)
        #expect(large == .waiting("waiting for 4 cpu: 2 of 4 free"))
        #expect(!isGranted(admission.ask(key("small"), ResourceRequest(cpuMillis: 100), priority: 0)))
        #expect(isGranted(admission.ask(key("memory"), ResourceRequest(memoryBytes: 1 << 30), priority: 0)))
        #expect(isGranted(admission.ask(key("none"), ResourceRequest(), priority: 0)))
        #expect(admission.release(key("half")).map(\.key) == [key("large")])
        #expect(admission.release(key("large")).map(\.key) == [key("small")])
    }

    @Test("GPUs are handed out by index and come back")
    func gpus() {
        var admission = Admission(capacity: machine, slots: 10)
        #expect(admission.ask(key("a"), ResourceRequest(gpus: 1), priority: 0) == .granted(gpus: [0]))
        #expect(admission.ask(key("b"), ResourceRequest(gpus: 1), priority: 0) == .granted(gpus: [1]))
        #expect(
            admission.ask(key("c"), ResourceRequest(gpus: 2), priority: 0)
                == .waiting("waiting for 2 GPU: 0 of 2 free"))
        #expect(admission.release(key("a")) == [])
        #expect(admission.release(key("b")) == [.init(key: key("c"), gpus: [0, 1])])
    }

    @Test("Work that was found running counts, even beyond the machine")
    func adopted() {
        var admission = Admission(capacity: machine, slots: 10)
        admission.occupy(key("old"), ResourceRequest(cpuMillis: 6000, gpus: 1), gpus: [1])
        #expect(!isGranted(admission.ask(key("new"), ResourceRequest(cpuMillis: 100), priority: 0)))
        #expect(admission.ask(key("gpu"), ResourceRequest(gpus: 1), priority: 0) == .granted(gpus: [0]))
        #expect(admission.release(key("old")).map(\.key) == [key("new")])
    }

    @Test(
        "What the machine will never have is refused with the numbers",
        arguments: [
            (ResourceRequest(cpuMillis: 4500), "asks for 4.5 cpu, the machine has 4"),
            (ResourceRequest(memoryBytes: 9 << 30), "asks for 9 GiB memory, the machine has 8 GiB"),
            (ResourceRequest(gpus: 3), "asks for 3 GPU, the machine has 2"),
        ])
    func impossible(request: ResourceRequest, words: String) {
        var admission = Admission(capacity: machine, slots: 10)
        guard case .impossible(let message) = admission.ask(key("a"), request, priority: 0) else {
            Issue.record("the request was taken")
            return
        }
        #expect(message.contains(words))
        #expect(admission.waitingCount == 0)
    }

    @Test("Leaving the queue leaves no trace, and asking twice takes one place")
    func leaving() {
        var admission = Admission(capacity: machine, slots: 1)
        _ = admission.ask(key("a"), ResourceRequest(), priority: 0)
        #expect(isGranted(admission.ask(key("a"), ResourceRequest(), priority: 0)))
        _ = admission.ask(key("b"), ResourceRequest(), priority: 0)
        #expect(admission.release(key("b")) == [])
        #expect(admission.release(key("a")) == [])
        #expect(admission.runningCount == 0 && admission.waitingCount == 0)
    }

    @Test(
        "Quantities are Kubernetes' own",
        arguments: [
            ("500m", 500), ("2", 2000), ("1.5", 1500), ("0.1", 100), ("1e2", 100_000), ("0", 0),
            ("1k", 1_000_000),
        ])
    func quantities(text: String, milli: Int) {
        #expect(ResourceQuantity.milli(text) == milli)
    }

    @Test(
        "Bytes have binary and decimal units",
        arguments: [
            ("1Gi", 1 << 30), ("100M", 100_000_000), ("1.5Ki", 1536), ("128974848", 128_974_848),
            ("1E", 1_000_000_000_000_000_000),
        ])
    func bytes(text: String, bytes: Int) {
        #expect(ResourceQuantity.count(text) == bytes)
    }

    @Test("What is no quantity is none", arguments: ["", "x", "-1", "1X", "1 Gi", "infE"])
    func noQuantity(text: String) {
        #expect(ResourceQuantity.parse(text) == nil)
    }

    @Test("A pod's containers add up, its init containers only if they ask for more")
    func podRequest() {
        func container(_ cpu: String) -> JSONValue {
            [
                "name": "c", "command": ["x"],
                "resources": ["requests": ["cpu": .string(cpu)], "limits": ["nvidia.com/gpu": 1]],
            ]
        }
        let template = Template([
            "container": container("500m"), "sidecars": [container("1")],
            "initContainers": [container("1200m")],
        ])
        #expect(ResourceRequest(template) == ResourceRequest(cpuMillis: 1500, gpus: 2))
        #expect(
            ResourceRequest(cpuMillis: 2000, memoryBytes: 200 << 20).duration(seconds: 3) == [
                "cpu": 6, "memory": 6,
            ])
        #expect(ResourceRequest().duration(seconds: 20) == ["cpu": 2, "memory": 20])
    }
}
