// What a step asks of the machine, and what the machine has.

import Glibc
import Scheduling
import Text
import WorkflowLanguage

/// Processor time, memory and GPUs that a step asks for. Zero means that it asks for none.
struct ResourceRequest: Sendable, Hashable {
    var cpuMillis = 0
    var memoryBytes = 0
    var gpus = 0

    var isEmpty: Bool { self == ResourceRequest() }

    init(cpuMillis: Int = 0, memoryBytes: Int = 0, gpus: Int = 0) {
        self.cpuMillis = cpuMillis
        self.memoryBytes = memoryBytes
        self.gpus = gpus
    }

    init(_ container: Container) {
        for (name, amount) in container.requests {
            switch name {
            case "cpu": cpuMillis = ResourceQuantity.milli(amount) ?? 0
            case "memory": memoryBytes = ResourceQuantity.count(amount) ?? 0
            default: if name.hasSuffix("/gpu") { gpus += ResourceQuantity.count(amount) ?? 0 }
            }
        }
    }

    /// As for a pod: containers beside each other add up, init containers run alone before them.
    init(_ template: Template) {
        var beside = template.sidecars
        switch template.kind {
        // Each node of a group asks for as much.
        case .container(let container), .script(let container, _):
            beside += Array(repeating: container, count: NodeGroup.nodes(of: template))
        case .containerSet(let set): beside += set.containers
        case .martlet:
            let container = Container(["resources": template.raw["podResources"] ?? .null])
            beside += Array(repeating: container, count: NodeGroup.nodes(of: template))
        default: break
        }
        var sum = ResourceRequest()
        for container in beside {
            let one = ResourceRequest(container)
            sum.cpuMillis += one.cpuMillis
            sum.memoryBytes += one.memoryBytes
            sum.gpus += one.gpus
        }
        for container in template.initContainers {
            let one = ResourceRequest(container)
            sum.cpuMillis = max(sum.cpuMillis, one.cpuMillis)
            sum.memoryBytes = max(sum.memoryBytes, one.memoryBytes)
            sum.gpus = max(sum.gpus, one.gpus)
        }
        self = sum
    }

    /// Argo's measure: seconds times what was asked for, in units of 1 processor and 100 MiB; a tenth of a
    /// processor and one unit of memory where nothing was asked for.
    func duration(seconds: Double) -> [String: Int] {
        let unit = 100 << 20
        let cpu = seconds * Double(cpuMillis == 0 ? 100 : cpuMillis) / 1000
        let memory = seconds * Double(memoryBytes == 0 ? unit : memoryBytes) / Double(unit)
        var amounts = ["cpu": Int(cpu), "memory": Int(memory)]
        if gpus > 0 { amounts["nvidia.com/gpu"] = Int(seconds * Double(gpus)) }
        return amounts
    }
}

/// What this machine has for steps.
struct MachineCapacity: Sendable, Hashable {
    var cpuMillis: Int
    var memoryBytes: Int
    var gpus: Int

    init(cpuMillis: Int, memoryBytes: Int, gpus: Int) {
        self.cpuMillis = cpuMillis
        self.memoryBytes = memoryBytes
        self.gpus = gpus
    }
}
