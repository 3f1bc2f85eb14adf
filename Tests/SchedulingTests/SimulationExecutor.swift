// A fake executor that enforces the rules of a real one: a key runs once, work outlives the controller, and
// reports are told again to whoever launches the key again.

import Scheduling
import Text
import WorkflowLanguage

/// How one attempt goes once it is launched.
struct Behavior: Sendable {
    enum End: Sendable {
        case outcome(AttemptOutcome)
        /// The supervisor vanishes.
        case lost
        /// It goes on until it is canceled.
        case never
    }

    var startDelay = Duration.milliseconds(100)
    var runTime = Duration.seconds(1)
    var end = End.outcome(AttemptOutcome(phase: .succeeded))
    /// Where a daemon is reached.
    var address: String?
    /// What it says when it is canceled.
    var canceled = AttemptOutcome(phase: .failed, message: "main: Error (exit code 143)", exitCode: 143)

    static func succeeds(_ outputs: Outputs = Outputs()) -> Behavior {
        var outputs = outputs
        outputs.exitCode = "0"
        return Behavior(end: .outcome(AttemptOutcome(phase: .succeeded, exitCode: 0, outputs: outputs)))
    }

    static func fails(_ code: Int = 1) -> Behavior {
        Behavior(
            end: .outcome(
                AttemptOutcome(
                    phase: .failed, message: "main: Error (exit code \(code))", exitCode: code,
                    outputs: Outputs(exitCode: String(code)), failureClass: .user)))
    }

    static func errs(_ message: String = "cannot load artifact") -> Behavior {
        Behavior(
            end: .outcome(AttemptOutcome(phase: .error, message: message, failureClass: .infrastructure)))
    }

    static func daemon(_ address: String = "10.0.0.1") -> Behavior {
        Behavior(end: .never, address: address)
    }

    func lasting(_ span: Duration) -> Behavior {
        var copy = self
        copy.runTime = span
        return copy
    }
}

/// What the executor does next with an attempt.
enum ExecutorAction: Sendable {
    case start(AttemptKey)
    case progress(AttemptKey)
    case ready(AttemptKey)
    case end(AttemptKey, AttemptOutcome)
}

/// All attempts that were ever launched.
struct FakeExecutor {
    struct Attempt {
        var launch: Launch
        var behavior: Behavior
        var isRunning = false
        var isReady = false
        var isCanceled = false
        var outcome: AttemptOutcome?
    }

    private(set) var attempts: [AttemptKey: Attempt] = [:]
    /// Launches in order, repeated ones left out.
    private(set) var launches: [Launch] = []
    private(set) var open: Set<AttemptKey> = []
    let behavior: @Sendable (Launch) -> Behavior

    init(
        attempts: [AttemptKey: Attempt] = [:], launches: [Launch] = [], open: Set<AttemptKey> = [],
        behavior: @escaping @Sendable (Launch) -> Behavior
    ) {
        self.attempts = attempts
        self.launches = launches
        self.open = open
        self.behavior = behavior
    }

    /// Takes work on; answers what is to be reported at once, and what will happen.
    mutating func launch(_ launch: Launch, at now: Timestamp) throws
        -> (reports: [ExecutorReport], plan: [(Timestamp, ExecutorAction)])
    {
        let key = launch.key
        if let known = attempts[key] {
            guard known.launch == launch else {
                let difference = known.launch.difference(from: launch)
                throw SimulationFailure("\(launch.nodeName) was launched with two specs:\n\(difference)")
            }
            return (reports(of: key, at: now), [])
        }
        if let other = open.first(where: { $0.nodeID == key.nodeID && attempts[$0]?.isCanceled != true }) {
            throw SimulationFailure("\(key) was launched while \(other) of the same node runs")
        }
        let behavior = behavior(launch)
        attempts[key] = Attempt(launch: launch, behavior: behavior)
        launches.append(launch)
        open.insert(key)
        var plan: [(Timestamp, ExecutorAction)] = [(now + behavior.startDelay, .start(key))]
        let end = now + behavior.startDelay + behavior.runTime
        if let seconds = launch.deadlineSeconds {
            let timedOut = AttemptOutcome(phase: .failed, message: launch.deadlineMessage, exitCode: 143)
            plan.append((now + behavior.startDelay + .seconds(seconds), .end(key, timedOut)))
        }
        if behavior.address != nil { plan.append((now + behavior.startDelay * 2, .ready(key))) }
        switch behavior.end {
        case .outcome(let outcome):
            plan.append((now + behavior.startDelay + behavior.runTime / 2, .progress(key)))
            plan.append((end, .end(key, outcome)))
        case .lost:
            plan.append((end, .end(key, AttemptOutcome(phase: .error, message: "lost", isLost: true))))
        case .never: break
        }
        return ([], plan)
    }

    /// Ends the work after a moment; work that is not known is left alone.
    mutating func cancel(_ key: AttemptKey, at now: Timestamp) -> [(Timestamp, ExecutorAction)] {
        guard let attempt = attempts[key], attempt.outcome == nil, !attempt.isCanceled else { return [] }
        attempts[key]?.isCanceled = true
        return [(now + .seconds(1), .end(key, attempt.behavior.canceled))]
    }

    /// Carries out what was planned; answers what is to be reported.
    mutating func perform(_ action: ExecutorAction, at now: Timestamp) -> ExecutorReport? {
        switch action {
        case .start(let key):
            guard let attempt = attempts[key], attempt.outcome == nil, !attempt.isRunning else { return nil }
            attempts[key]?.isRunning = true
            return .started(key, host: "host", at: now)
        case .progress(let key):
            guard attempts[key]?.outcome == nil else { return nil }
            return .progress(key, "0/1")
        case .ready(let key):
            guard let attempt = attempts[key], attempt.outcome == nil else { return nil }
            attempts[key]?.isRunning = true
            attempts[key]?.isReady = true
            return .ready(key, address: attempt.behavior.address ?? "")
        case .end(let key, let outcome):
            guard let attempt = attempts[key], attempt.outcome == nil else { return nil }
            attempts[key]?.outcome = outcome
            open.remove(key)
            return .finished(key, outcome)
        }
    }

    /// Everything that can be told of an attempt now.
    func reports(of key: AttemptKey, at now: Timestamp) -> [ExecutorReport] {
        guard let attempt = attempts[key] else { return [] }
        var reports: [ExecutorReport] = []
        if attempt.isRunning { reports.append(.started(key, host: "host", at: now)) }
        if let outcome = attempt.outcome { return reports + [.finished(key, outcome)] }
        if attempt.isReady { reports.append(.ready(key, address: attempt.behavior.address ?? "")) }
        return reports
    }
}

extension Launch {
    /// The fields in which two launches differ.
    func difference(from other: Launch) -> String {
        zip(Mirror(reflecting: self).children, Mirror(reflecting: other).children).compactMap { old, new in
            let (before, after) = ("\(old.value)", "\(new.value)")
            if let before = old.value as? Template, let after = new.value as? Template {
                return before == after ? nil : "\(before.raw.compactText)\nthen \(after.raw.compactText)"
            }
            return before == after ? nil : "\(old.label ?? ""): \(before)\nthen \(after)"
        }.joined(separator: "\n")
    }
}

/// A broken rule.
struct SimulationFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
