// A whole world around one run: controller, store, executor, locks, cache, clock and people. Without faults
// it is the plainest way to run a workflow in memory; with faults it is what the simulation tests.

import Scheduling
import Text
import WorkflowLanguage

/// What may go wrong, decided by the number of the decision: replaying with fewer faults changes no other
/// decision.
struct Faults: Sendable {
    var chance: Chance
    /// The decisions that may go wrong; nil for all.
    var enabled: Set<Int>?
    /// How many percent of the decisions go wrong.
    var percent = 4
}

struct World {
    enum Happening {
        case act(ExecutorAction)
        /// An event in the memory of a controller; lost with it.
        case deliver(Event, generation: Int)
        case command(Command)
        case restart
    }

    static let stepLimit = 30_000

    var definition: RunDefinition
    /// nil while no controller lives.
    private(set) var state: WorkflowState?
    private(set) var clock: Timestamp
    var executor: FakeExecutor
    var locks = FakeLocks()
    var cache: [String: Outputs] = [:]
    var content = FakeContent()
    private(set) var store = FakeStore()
    var faults: Faults?
    /// Whether a person resumes whatever waits for one.
    var resumes = true
    private(set) var faultsHit: [Int] = []
    private(set) var log: [String] = []
    var isLogging = false
    /// All effects in order, for tests without faults.
    private(set) var effects: [Effect] = []
    private(set) var handled = 0

    private var agenda = Agenda<Happening>()
    private var generation = 0
    private var decisions = 0
    private var unsavedEffects: [Effect] = []
    private var unsavedCommands: [Command] = []
    private var resumed = 0
    private var dueTimers = 0

    init(_ definition: RunDefinition, behavior: @escaping @Sendable (Launch) -> Behavior) {
        // As a database gives it back, so that a definition that is stored badly does not work at all.
        let text = definition.json.compactText
        self.definition = (try? JSONValue(parsing: text)).flatMap(RunDefinition.init(stored:)) ?? definition
        clock = definition.createdAt
        executor = FakeExecutor(behavior: behavior)
        agenda.add(.restart, at: clock)
    }

    /// A run that goes on from a state, as after a manual retry.
    init(_ state: WorkflowState, after world: World, behavior: (@Sendable (Launch) -> Behavior)? = nil) throws
    {
        self = world
        definition = state.definition
        if let behavior { executor = executor.with(behavior: behavior) }
        var state = state
        store.forgetPhases()
        _ = try store.save(&state, [])
        self.state = nil
        effects = []
        agenda.add(.restart, at: clock)
    }

    /// Something that a person will ask for.
    mutating func schedule(_ command: Command, after span: Duration) {
        agenda.add(.command(command), at: definition.createdAt + span)
    }

    /// Runs until nothing happens any more.
    mutating func run() throws {
        for _ in 0..<Self.stepLimit {
            guard try step() else { return }
        }
        throw SimulationFailure("the run does not end: \(state?.phase?.rawValue ?? "no controller")")
    }

    /// One thing that happens; false when nothing is left.
    mutating func step() throws -> Bool {
        let timer = state?.nextTimer
        if let timer, agenda.next.map({ timer <= $0 }) ?? true {
            // A timer may set another one that is due at once, but not for ever.
            dueTimers = timer <= clock ? dueTimers + 1 : 0
            guard dueTimers < 100 else { throw SimulationFailure("timers fire at \(clock) for ever") }
            clock = max(clock, timer)
            try deliver(.timer)
            return true
        }
        guard let (moment, happening) = agenda.popFirst() else { return try idle() }
        clock = max(clock, moment)
        switch happening {
        case .act(let action):
            if let report = executor.perform(action, at: clock) { post(report) }
        case .deliver(let event, let generation):
            if generation == self.generation { try deliver(event) }
        case .command(let command):
            if state == nil {
                agenda.add(happening, at: clock + .seconds(1))
            } else {
                unsavedCommands.append(command)
                try deliver(.command(command))
            }
        case .restart: try restart()
        }
        return true
    }

    /// Nothing is under way: what was held back is saved, and people do their part.
    private mutating func idle() throws -> Bool {
        if !unsavedEffects.isEmpty || !unsavedCommands.isEmpty {
            try saveAndPerform()
            return true
        }
        guard let state else { throw SimulationFailure("the controller did not come back") }
        if state.isFinished {
            try checkEnd(state)
            return false
        }
        guard state.waitsForPerson else {
            throw SimulationFailure("the run is stuck\n" + describe(state))
        }
        guard resumes else { return false }
        resumed += 1
        guard resumed < 200 else { throw SimulationFailure("resuming does not help\n" + describe(state)) }
        agenda.add(.command(.resume(selector: nil)), at: clock + .seconds(60))
        return true
    }

    // MARK: The controller

    private mutating func restart() throws {
        var loaded = try store.load(definition, at: clock)
        if state == nil, store.rows.isEmpty, store.header == .object([:]) {
            loaded = WorkflowState(definition: definition, at: clock)
        }
        note("controller starts")
        state = loaded
        for (number, effect) in store.effects.sorted(by: { $0.key < $1.key }) {
            try perform(effect)
            store.doneEffects.append(number)
        }
        try deliver(.attached)
    }

    private mutating func die(_ place: String) throws {
        note("controller dies \(place)")
        state = nil
        generation += 1
        locks.forgetQueues()
        unsavedEffects = []
        for command in unsavedCommands { agenda.add(.command(command), at: clock + .seconds(1)) }
        unsavedCommands = []
        agenda.add(.restart, at: clock + .milliseconds(10 + faultDraw(below: 20_000)))
    }

    private mutating func deliver(_ event: Event) throws {
        guard state != nil else { return }
        note("\(event)")
        handled += 1
        unsavedEffects += state?.handle(event, at: clock) ?? []
        if goesWrong() {
            if faultDraw(below: 2) == 0 { return try die("before it saved") }
            // Several events are saved together when they come fast.
            return
        }
        try saveAndPerform()
    }

    private mutating func saveAndPerform() throws {
        guard var current = state else { return }
        state = nil
        let due = unsavedEffects
        let numbers = try store.save(&current, due)
        try checkNodes(current)
        state = current
        unsavedEffects = []
        unsavedCommands = []
        effects += due
        for (effect, number) in zip(due, numbers) {
            if goesWrong() { return try die("before \(effect.label)") }
            try perform(effect)
            if let number { store.doneEffects.append(number) }
        }
    }

    private mutating func perform(_ effect: Effect) throws {
        note("  effect \(effect.label)")
        switch effect {
        case .launch(let launch):
            let (reports, plan) = try executor.launch(launch, at: clock)
            for report in reports { post(report) }
            for (moment, action) in plan { agenda.add(.act(action), at: moment) }
        case .cancel(let key, _):
            for (moment, action) in executor.cancel(key, at: clock) { agenda.add(.act(action), at: moment) }
        case .acquireLocks(let id, let keys, let priority):
            if let missing = keys.first(where: { $0.name.hasSuffix("missing") }) {
                post(.refused(id, message: "no key \(missing.name)"))
                return
            }
            let sequence = store.rows[id]?.node.sequence ?? 0
            ask(.init(node: id, keys: keys, priority: priority, sequence: sequence))
        case .releaseLocks(let id):
            locks.release(id)
            for request in locks.queue { ask(request) }
        case .lookUpCache(let id, let name, let key, _):
            post(.cacheAnswered(id, cache["\(name)/\(key)"]))
        case .lookUpContent(let id, let request, let reads):
            post(.contentAnswered(id, content.answer(request, reads: reads)))
        case .saveContent(_, let record): content.keep(record)
        case .saveCache(_, let name, let key, let outputs): cache["\(name)/\(key)"] = outputs
        case .removeWorkingFiles, .deleteArtifacts, .emitMetrics: break
        case .finished: locks.releaseAll()
        }
    }

    private mutating func ask(_ request: FakeLocks.Request) {
        switch locks.ask(request) {
        case .acquired: post(.locksAcquired(request.node))
        case .waiting(let lock, let message):
            post(.locksWaiting(request.node, lock: lock, message: message))
        }
    }

    private mutating func post(_ event: Event) {
        agenda.add(.deliver(event, generation: generation), at: clock)
    }

    /// A report on its way: it may come late, twice, or be lost until the executor looks again.
    private mutating func post(_ report: ExecutorReport) {
        guard state != nil else { return }
        var delay = Duration.zero
        if goesWrong() {
            delay = .milliseconds(1 + faultDraw(below: 15_000))
            if faultDraw(below: 3) == 0 {
                agenda.add(.deliver(.report(report), generation: generation), at: clock + .seconds(20))
            }
            note("  report late: \(report)")
        }
        agenda.add(.deliver(.report(report), generation: generation), at: clock + delay)
    }

    // MARK: Faults

    private mutating func goesWrong() -> Bool {
        guard let faults else { return false }
        decisions += 1
        if let enabled = faults.enabled, !enabled.contains(decisions) { return false }
        guard faults.chance.happens("fault \(decisions)", percent: faults.percent) else { return false }
        faultsHit.append(decisions)
        return true
    }

    private func faultDraw(below bound: Int) -> Int {
        faults?.chance.draw("draw \(decisions)", below: bound) ?? 0
    }

    private mutating func note(_ line: @autoclosure () -> String) {
        if isLogging { log.append("\(clock.nanoseconds / 1_000_000 % 100_000_000) \(line())") }
    }
}

extension Effect {
    /// The effect in a few words.
    var label: String {
        switch self {
        case .launch(let launch): "launch \(launch.nodeName) \(launch.key.attempt)"
        default: "\(self)"
        }
    }
}

extension FakeExecutor {
    /// The same attempts, and from now on another behavior.
    func with(behavior: @escaping @Sendable (Launch) -> Behavior) -> FakeExecutor {
        FakeExecutor(attempts: attempts, launches: launches, open: open, behavior: behavior)
    }
}
