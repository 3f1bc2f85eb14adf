// Decides which container of a step starts when. It knows no process and no clock: ends and times come in,
// starts and the step's outcome go out.

/// Initial containers run one after another, then sidecars start, then main and the set's members as their
/// dependencies have ended with 0.
struct ContainerPlan {
    enum State: Equatable {
        case waiting
        case running
        case delayed(until: Int)  // milliseconds of the caller's clock
        case succeeded
        case failed
        case omitted
    }

    struct Item {
        var role: StepSpec.Container.Role
        var dependencies: [Int]
        var retriesLeft: Int
        var retryDelayMilliseconds: Int
        var state = State.waiting
    }

    private(set) var items: [Item]
    /// Set by a cancel or the deadline: nothing is started any more.
    private(set) var isStopping = false
    /// The container that made the step fail, the first one.
    private(set) var failure: Int?

    init(spec: StepSpec) throws(SpecError) {
        let names = spec.containers.map { String(cString: $0.name) }
        items = []
        for container in spec.containers {
            var dependencies: [Int] = []
            for dependency in container.dependsOn {
                let name = String(cString: dependency)
                guard let index = names.firstIndex(of: name) else {
                    throw SpecError(text: "spec: no container is named \(name)")
                }
                dependencies.append(index)
            }
            items.append(
                Item(
                    role: container.role, dependencies: dependencies, retriesLeft: container.retries,
                    retryDelayMilliseconds: container.retryDelayMilliseconds))
        }
    }

    /// The one container of the usual step, which may take the whole tree with it when it ends.
    var isSingle: Bool { items.count == 1 && items[0].role == .main && items[0].retriesLeft == 0 }

    /// Whether main is one of several nodes, which end with the first that fails.
    var isGroup: Bool { items.contains { $0.role == .rank } }

    /// Marks as running what may start now, and returns it.
    mutating func takeStarts(at now: Int) -> [Int] {
        if isStopping { return [] }
        var starts: [Int] = []
        // Sidecars go first, so that they are there when main looks for them.
        let sidecars = items.indices.filter { items[$0].role == .sidecar }
        let order = sidecars + items.indices.filter { items[$0].role != .sidecar }
        for index in order where mayStart(index, at: now) {
            items[index].state = .running
            starts.append(index)
            if items[index].role == .initial { break }
        }
        if starts.isEmpty { omitUnreachable() }
        return starts
    }

    private func mayStart(_ index: Int, at now: Int) -> Bool {
        let item = items[index]
        switch item.state {
        case .waiting: break
        case .delayed(let moment): return moment <= now
        default: return false
        }
        if item.role == .initial {
            return items[..<index].allSatisfy { $0.role != .initial || $0.state == .succeeded }
        }
        guard items.allSatisfy({ $0.role != .initial || $0.state == .succeeded }) else { return false }
        return item.dependencies.allSatisfy { items[$0].state == .succeeded }
    }

    /// What depends on a failure never starts; so the rest of a set can run on and the step still ends.
    private mutating func omitUnreachable() {
        var changed = true
        while changed {
            changed = false
            for index in items.indices where items[index].state == .waiting {
                let isBlocked = items[index].dependencies.contains { items[$0].state.isDeadEnd }
                if isBlocked {
                    items[index].state = .omitted
                    changed = true
                }
            }
        }
        // Members that wait for each other would wait for ever.
        let isAlive = items.contains { $0.role != .sidecar && ($0.state == .running || $0.state.isDelayed) }
        if !isAlive {
            for index in items.indices where items[index].state == .waiting { items[index].state = .omitted }
        }
    }

    /// A container ended, or never came to be: `didStart` is false when its command could not be run.
    mutating func ended(_ index: Int, succeeded: Bool, didStart: Bool = true, at now: Int) {
        guard items[index].state == .running else { return }
        if succeeded {
            items[index].state = .succeeded
            return
        }
        if items[index].retriesLeft > 0 && !isStopping {
            items[index].retriesLeft -= 1
            items[index].state = .delayed(until: now + items[index].retryDelayMilliseconds)
            return
        }
        items[index].state = .failed
        // A sidecar's own end decides nothing: it may well finish early, or die of the signal that ends it.
        if items[index].role == .sidecar && didStart { return }
        if failure == nil { failure = index }
        if items[index].role == .initial || items[index].role == .sidecar || isGroup { stop() }
    }

    mutating func stop() {
        isStopping = true
        for index in items.indices where items[index].state == .waiting || items[index].state.isDelayed {
            items[index].state = .omitted
        }
    }

    /// All but sidecars have ended.
    var isWorkDone: Bool {
        items.allSatisfy { $0.role == .sidecar || !($0.state == .running || $0.state.isPending) }
    }

    var isAnyRunning: Bool { items.contains { $0.state == .running } }

    /// The container whose record is the step's: what failed first, else main, else the last one.
    var deciding: Int {
        if let failure { return failure }
        return items.firstIndex { $0.role == .main } ?? items.lastIndex { $0.role != .sidecar } ?? 0
    }

    /// When the next delayed container is due.
    var nextRetry: Int? {
        var earliest: Int?
        for item in items {
            if case .delayed(let moment) = item.state { earliest = min(earliest ?? moment, moment) }
        }
        return earliest
    }
}

extension ContainerPlan.State {
    fileprivate var isDelayed: Bool {
        if case .delayed = self { return true }
        return false
    }

    fileprivate var isPending: Bool { self == .waiting || isDelayed }

    fileprivate var isDeadEnd: Bool { self == .failed || self == .omitted }
}
