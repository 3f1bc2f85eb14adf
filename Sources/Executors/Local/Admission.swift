// Decides who may start: a pure queue over processors, memory, GPUs and slots.

import Scheduling

/// Steps that run or wait. Higher priority goes first, then who came first. What the first in the queue waits
/// for is kept for it: a later one may pass only if it asks for none of that, so a large request is never
/// starved by small ones. The queue holds each launch once, so it is as long as the work handed to the
/// executor.
struct Admission: Sendable {
    struct Grant: Sendable, Equatable {
        var key: AttemptKey
        /// Indices of the GPUs that are its own now.
        var gpus: [Int]
    }

    enum Decision: Sendable, Equatable {
        case granted(gpus: [Int])
        /// The text says for what.
        case waiting(String)
        /// The machine will never have it.
        case impossible(String)
    }

    private struct Waiting {
        var key: AttemptKey
        var request: ResourceRequest
        var priority: Int
        var order: Int
    }

    private struct Running {
        var request: ResourceRequest
        var gpus: [Int]
    }

    let capacity: MachineCapacity
    let slots: Int
    private var running: [AttemptKey: Running] = [:]
    private var waiting: [Waiting] = []
    private var usedCPUMillis = 0
    private var usedMemoryBytes = 0
    private var freeGPUs: [Int]
    private var nextOrder = 0

    init(capacity: MachineCapacity, slots: Int) {
        self.capacity = capacity
        self.slots = max(1, slots)
        freeGPUs = Array(0..<max(0, capacity.gpus))
    }

    var runningCount: Int { running.count }
    var waitingCount: Int { waiting.count }

    /// What is given out now.
    var usage: ExecutorUsage {
        ExecutorUsage(
            running: running.count, slots: slots, waiting: waiting.count, cpuMillisUsed: usedCPUMillis,
            cpuMillis: capacity.cpuMillis, memoryBytesUsed: usedMemoryBytes,
            memoryBytes: capacity.memoryBytes, gpusUsed: capacity.gpus - freeGPUs.count, gpus: capacity.gpus)
    }

    /// Asks for a place. A key that has one keeps it.
    mutating func ask(_ key: AttemptKey, _ request: ResourceRequest, priority: Int) -> Decision {
        if let running = running[key] { return .granted(gpus: running.gpus) }
        if let problem = impossibility(of: request) { return .impossible(problem) }
        let entry = Waiting(key: key, request: request, priority: priority, order: nextOrder)
        nextOrder += 1
        insert(entry)
        for grant in grantWaiting(only: key) where grant.key == key { return .granted(gpus: grant.gpus) }
        return .waiting(reason(request))
    }

    /// The GPUs that an admitted attempt holds.
    func gpus(of key: AttemptKey) -> [Int] { running[key]?.gpus ?? [] }

    /// Counts work that was found running, even beyond what the machine has.
    mutating func occupy(_ key: AttemptKey, _ request: ResourceRequest, gpus: [Int]) {
        guard running[key] == nil else { return }
        waiting.removeAll { $0.key == key }
        take(request, gpus: gpus, by: key)
    }

    /// Gives the place back, or leaves the queue, and returns who may start now.
    mutating func release(_ key: AttemptKey) -> [Grant] {
        if let ended = running.removeValue(forKey: key) {
            usedCPUMillis -= ended.request.cpuMillis
            usedMemoryBytes -= ended.request.memoryBytes
            for gpu in ended.gpus where gpu < capacity.gpus && !freeGPUs.contains(gpu) {
                freeGPUs.append(gpu)
            }
            freeGPUs.sort()
        } else if let index = waiting.firstIndex(where: { $0.key == key }) {
            waiting.remove(at: index)
        }
        return grantWaiting(only: nil)
    }

    // MARK: The queue

    private mutating func insert(_ entry: Waiting) {
        var low = 0
        var high = waiting.count
        while low < high {
            let middle = (low + high) / 2
            if waiting[middle].priority >= entry.priority { low = middle + 1 } else { high = middle }
        }
        waiting.insert(entry, at: low)
    }

    /// - Parameter only: a newcomer; everybody else was looked at before and nothing has become free since.
    private mutating func grantWaiting(only newcomer: AttemptKey?) -> [Grant] {
        var grants: [Grant] = []
        var blocksCPU = false
        var blocksMemory = false
        var blocksGPUs = false
        var index = 0
        while index < waiting.count && running.count < slots {
            let entry = waiting[index]
            let request = entry.request
            let lacksCPU =
                request.cpuMillis > 0
                && (blocksCPU || usedCPUMillis + request.cpuMillis > capacity.cpuMillis)
            let lacksMemory =
                request.memoryBytes > 0
                && (blocksMemory || usedMemoryBytes + request.memoryBytes > capacity.memoryBytes)
            let lacksGPUs = request.gpus > 0 && (blocksGPUs || request.gpus > freeGPUs.count)
            if lacksCPU || lacksMemory || lacksGPUs {
                blocksCPU = blocksCPU || request.cpuMillis > 0
                blocksMemory = blocksMemory || request.memoryBytes > 0
                blocksGPUs = blocksGPUs || request.gpus > 0
                index += 1
                continue
            }
            if let newcomer, newcomer != entry.key {
                index += 1
                continue
            }
            waiting.remove(at: index)
            let gpus = Array(freeGPUs.prefix(request.gpus))
            take(request, gpus: gpus, by: entry.key)
            grants.append(Grant(key: entry.key, gpus: gpus))
        }
        return grants
    }

    private mutating func take(_ request: ResourceRequest, gpus: [Int], by key: AttemptKey) {
        running[key] = Running(request: request, gpus: gpus)
        usedCPUMillis += request.cpuMillis
        usedMemoryBytes += request.memoryBytes
        freeGPUs.removeAll { gpus.contains($0) }
    }

    // MARK: Words

    private func reason(_ request: ResourceRequest) -> String {
        if running.count >= slots {
            return "waiting for a slot: \(running.count) steps run, the limit is \(slots) (--max-parallel)"
        }
        if request.gpus > freeGPUs.count {
            return "waiting for \(request.gpus) GPU: \(freeGPUs.count) of \(capacity.gpus) free"
        }
        if usedCPUMillis + request.cpuMillis > capacity.cpuMillis, request.cpuMillis > 0 {
            let free = ResourceQuantity.text(milli: max(0, capacity.cpuMillis - usedCPUMillis))
            let whole = ResourceQuantity.text(milli: capacity.cpuMillis)
            return
                "waiting for \(ResourceQuantity.text(milli: request.cpuMillis)) cpu: \(free) of \(whole) free"
        }
        if usedMemoryBytes + request.memoryBytes > capacity.memoryBytes, request.memoryBytes > 0 {
            let free = ResourceQuantity.text(bytes: max(0, capacity.memoryBytes - usedMemoryBytes))
            let whole = ResourceQuantity.text(bytes: capacity.memoryBytes)
            let wanted = ResourceQuantity.text(bytes: request.memoryBytes)
            return "waiting for \(wanted) memory: \(free) of \(whole) free"
        }
        return "waiting for steps that came before"
    }

    private func impossibility(of request: ResourceRequest) -> String? {
        let remedy = "lower the request in the template, or run the step on a larger machine"
        if request.gpus > capacity.gpus {
            return "the step asks for \(request.gpus) GPU, the machine has \(capacity.gpus); \(remedy)"
                + " (MARTLET_GPUS sets what it has)"
        }
        if request.cpuMillis > capacity.cpuMillis {
            return
                "the step asks for \(ResourceQuantity.text(milli: request.cpuMillis)) cpu, the machine has "
                + "\(ResourceQuantity.text(milli: capacity.cpuMillis)); \(remedy)"
        }
        if request.memoryBytes > capacity.memoryBytes {
            let wanted = ResourceQuantity.text(bytes: request.memoryBytes)
            let whole = ResourceQuantity.text(bytes: capacity.memoryBytes)
            return "the step asks for \(wanted) memory, the machine has \(whole); \(remedy)"
        }
        return nil
    }
}
