// Who may act, of several servers on one data directory: a pure state machine over one Lease object. Clocks of
// other machines are never compared with ours: a Lease that has not changed for its duration, seen by our own
// clock, has lost its holder. Why it is so: docs/decisions/0025-failover.md

import Text

/// The Lease that is held, and how long what takes.
package struct LeaseSettings: Sendable, Hashable {
    package var namespace: String
    package var name: String
    /// This process; no other may have the same.
    package var identity: String
    /// So long nobody else takes a Lease that is not renewed.
    package var duration = Duration.seconds(15)
    /// A holder that could not renew for so long stops; well before `duration`, so that it has stopped when
    /// another begins.
    package var renewDeadline = Duration.seconds(10)
    /// Between two tries.
    package var retry = Duration.seconds(2)

    package init(namespace: String, name: String, identity: String) {
        self.namespace = namespace
        self.name = name
        self.identity = identity
    }

    /// What is wrong with the times, for whoever gave them; nil when all is well.
    package var problem: String? {
        if retry <= .zero { return "the time between tries must be longer than nothing" }
        if renewDeadline <= retry { return "the renew deadline must be longer than the time between tries" }
        if duration <= renewDeadline { return "the Lease's duration must be longer than the renew deadline" }
        return nil
    }

    /// Whole seconds, as a Lease has them, rounded up.
    var durationSeconds: Int { Int((duration.inSeconds).rounded(.up)) }
}

/// What stands in a Lease.
package struct LeaseRecord: Sendable, Hashable {
    /// Empty: it was given back.
    package var holder: String
    package var durationSeconds: Int
    /// How often it changed hands.
    package var transitions: Int
    /// When it came into these hands; only for people to read.
    package var acquiredAt: String
    /// Empty for one that is not there yet.
    package var resourceVersion: String

    package init(
        holder: String, durationSeconds: Int, transitions: Int = 0, acquiredAt: String = "",
        resourceVersion: String = ""
    ) {
        self.holder = holder
        self.durationSeconds = durationSeconds
        self.transitions = transitions
        self.acquiredAt = acquiredAt
        self.resourceVersion = resourceVersion
    }
}

package struct LeaseElection: Sendable {
    package enum Event: Sendable, Hashable {
        /// It begins, or a wait is over.
        case woke
        /// Nil: there is no such Lease.
        case read(LeaseRecord?)
        /// As the API has it now.
        case written(LeaseRecord)
        /// Somebody else wrote in between.
        case refused
        /// No answer: it may have been done or not.
        case failed
    }

    /// What is to be done next; its outcome is the next event.
    package enum Step: Sendable, Hashable {
        case read
        /// Creates it where the version is empty, else replaces just that version.
        case write(LeaseRecord)
        case wait(Duration)
        /// The end: this process must not act any more.
        case stop(String)
    }

    package enum Standing: Sendable, Hashable {
        case standby(holder: String)
        case leading
        case over
    }

    package private(set) var standing = Standing.standby(holder: "")
    /// As long as the clock is before this, nobody else has the Lease; nil while we do not have it.
    package private(set) var validUntil: Duration?
    private let settings: LeaseSettings
    private var observed: LeaseRecord?
    private var observedAt = Duration.zero
    /// When the write began whose outcome is not known yet.
    private var writeBegan = Duration.zero

    package init(_ settings: LeaseSettings) { self.settings = settings }

    /// - Parameter now: of a clock that only goes forward, also while the machine sleeps.
    package mutating func handle(_ event: Event, at now: Duration) -> Step {
        switch standing {
        case .over: return .stop("it is over already")
        case .standby: return waiting(event, at: now)
        case .leading:
            guard let validUntil, now < validUntil else {
                return stop("it could not be renewed for \(Self.text(settings.renewDeadline))")
            }
            return holding(event, at: now, until: validUntil)
        }
    }

    // MARK: Waiting

    private mutating func waiting(_ event: Event, at now: Duration) -> Step {
        switch event {
        case .woke: return .read
        case .refused, .failed: return .wait(settings.retry)
        case .written(let record):
            observed = record
            validUntil = writeBegan + settings.renewDeadline
            // An answer that took too long says nothing about now.
            guard now < writeBegan + settings.renewDeadline else {
                validUntil = nil
                return .wait(settings.retry)
            }
            standing = .leading
            return .wait(settings.retry)
        case .read(nil):
            observed = nil
            return write(LeaseRecord(holder: settings.identity, durationSeconds: 0), at: now)
        case .read(let record?):
            if record != observed {
                observed = record
                observedAt = now
            }
            standing = .standby(holder: record.holder)
            let patience = record.durationSeconds > 0 ? .seconds(record.durationSeconds) : settings.duration
            let isFree = record.holder.isEmpty || record.holder == settings.identity
            guard isFree || now >= observedAt + patience else { return .wait(settings.retry) }
            return write(record, at: now)
        }
    }

    private mutating func write(_ record: LeaseRecord, at now: Duration) -> Step {
        var mine = record
        if mine.holder != settings.identity { mine.transitions += 1 }
        mine.holder = settings.identity
        mine.durationSeconds = settings.durationSeconds
        writeBegan = now
        return .write(mine)
    }

    // MARK: Holding

    private mutating func holding(_ event: Event, at now: Duration, until end: Duration) -> Step {
        switch event {
        case .woke:
            return write(observed ?? LeaseRecord(holder: settings.identity, durationSeconds: 0), at: now)
        case .written(let record):
            observed = record
            // Others count from when they see it, which is later than when we began to write it.
            validUntil = max(end, writeBegan + settings.renewDeadline)
            return .wait(settings.retry)
        case .refused: return .read
        case .failed: return .wait(min(settings.retry, end - now))
        case .read(nil): return stop("somebody deleted it")
        case .read(let record?):
            // Our own write whose answer was lost, or somebody's label.
            guard record.holder == settings.identity else {
                return stop(record.holder.isEmpty ? "somebody emptied it" : "\(record.holder) has it now")
            }
            return write(record, at: now)
        }
    }

    private mutating func stop(_ why: String) -> Step {
        standing = .over
        validUntil = nil
        return .stop(why)
    }

    /// What gives the Lease back; nil when it is not ours to give. From now on nobody may act here.
    package mutating func release() -> LeaseRecord? {
        guard standing == .leading, var record = observed else { return nil }
        _ = stop("")
        record.holder = ""
        record.durationSeconds = 1
        return record
    }

    private static func text(_ span: Duration) -> String { "\(span.inSeconds) s" }
}
