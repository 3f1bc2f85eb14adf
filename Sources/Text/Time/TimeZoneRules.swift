// Time zones as values: the caller reads the zone's file, pure code computes with its rules.

/// When clocks somewhere were and will be set to which offset from UTC.
package struct TimeZoneRules: Sendable, Hashable {
    /// Immutable and shared, so that copies of a zone cost nothing.
    private final class Storage: Sendable {
        let table: TransitionTable
        init(_ table: TransitionTable) { self.table = table }
    }

    /// As the IANA database names it, such as `Europe/Berlin`.
    package let name: String
    private let storage: Storage

    package static let utc = TimeZoneRules(name: "UTC", fixedOffsetSeconds: 0)

    private init(name: String, table: TransitionTable) {
        self.name = name
        storage = Storage(table)
    }

    /// A zone whose clocks are never changed. Its abbreviation is its name if that looks like one, else
    /// `+0200`-like.
    package init(name: String, fixedOffsetSeconds: Int) {
        let isAbbreviation =
            (3...6).contains(name.utf8.count)
            && name.utf8.allSatisfy { $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A }
        let abbreviation = isAbbreviation ? name : GoTime.offsetText(fixedOffsetSeconds, style: .compact)
        let kind = LocalTimeKind(
            offsetSeconds: fixedOffsetSeconds, isDaylight: false, abbreviation: abbreviation)
        self.init(name: name, table: TransitionTable(initial: kind))
    }

    /// Reads a compiled zone file (TZif, RFC 8536, versions 1 to 4). Nil if it is damaged.
    package init?(name: String, tzif bytes: [UInt8]) {
        guard let table = TransitionTable(tzif: bytes) else { return nil }
        self.init(name: name, table: table)
    }

    /// How far clocks are ahead of UTC at a moment, and what the time is then called, such as `CEST`.
    package func offset(at moment: Timestamp) -> (seconds: Int, abbreviation: String) {
        let kind = storage.table.kind(at: moment.seconds)
        return (kind.offsetSeconds, kind.abbreviation)
    }

    /// The offset that goes with an abbreviation such as `CEST`, the latest if there were several; nil if the
    /// zone never used it.
    func offset(named abbreviation: String) -> Int? {
        let table = storage.table
        let ruled = [table.rule?.standard, table.rule?.daylight?.kind].compactMap { $0 }
        let kinds = [table.initial] + table.kinds + ruled
        return kinds.last { $0.abbreviation == abbreviation }?.offsetSeconds
    }

    /// Whether daylight saving is in force at a moment.
    package func isDaylight(at moment: Timestamp) -> Bool {
        storage.table.kind(at: moment.seconds).isDaylight
    }

    /// The span around a moment in which clocks are not set: from its first moment up to, not including, its end.
    /// Neighboring spans may have the same offset. nil where there is no such end.
    package func steadySpan(at moment: Timestamp) -> (start: Timestamp?, end: Timestamp?, offsetSeconds: Int)
    {
        let (start, end) = storage.table.span(at: moment.seconds)
        return (
            start.map(Timestamp.init(seconds:)), end.map(Timestamp.init(seconds:)), offset(at: moment).seconds
        )
    }

    /// What a wall in the zone shows at a moment.
    package func civilTime(at moment: Timestamp) -> CivilTime {
        CivilTime(moment, offsetSeconds: offset(at: moment).seconds)
    }

    /// All moments at which a wall in the zone shows the given time, earliest first: none where clocks skip
    /// it, two where they are set back over it. The weekday and parts out of range are handled as by
    /// `CivilTime`.
    package func instants(ofLocal local: CivilTime) -> [Timestamp] {
        // No zone was ever further from UTC than 16 hours; samples four hours apart see every offset in force
        // around the moment, since no zone changed twice within four hours.
        var offsets: Set<Int> = []
        for hours in stride(from: -16, through: 16, by: 4) {
            guard let sample = local.timestamp(offsetSeconds: hours * 3_600) else { continue }
            offsets.insert(offset(at: sample).seconds)
        }
        return offsets.compactMap { offset -> Timestamp? in
            guard let moment = local.timestamp(offsetSeconds: offset),
                self.offset(at: moment).seconds == offset
            else { return nil }
            return moment
        }.sorted()
    }

    package static func == (left: TimeZoneRules, right: TimeZoneRules) -> Bool {
        left.storage === right.storage
            || (left.name == right.name && left.storage.table == right.storage.table)
    }

    /// Only the name: equal zones have equal names, and hashing hundreds of transitions would be slow.
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// One way of setting clocks.
struct LocalTimeKind: Sendable, Hashable {
    var offsetSeconds: Int
    var isDaylight: Bool
    var abbreviation: String
}

/// The transitions of a zone in order, and the rule for the time after the last of them.
struct TransitionTable: Sendable, Hashable {
    /// In force before the first transition.
    var initial: LocalTimeKind
    /// Seconds since the epoch, ascending.
    var times: [Int] = []
    /// In force from the transition of the same index.
    var kinds: [LocalTimeKind] = []
    var rule: PosixTimeZone?

    init(initial: LocalTimeKind) { self.initial = initial }

    func kind(at seconds: Int) -> LocalTimeKind {
        let passed = transitionsPassed(at: seconds)
        if passed == times.count, let rule { return rule.kind(at: seconds) }
        return passed == 0 ? initial : kinds[passed - 1]
    }

    /// The transition before a moment, or at it, and the one after it.
    func span(at seconds: Int) -> (start: Int?, end: Int?) {
        let passed = transitionsPassed(at: seconds)
        let start = passed == 0 ? nil : times[passed - 1]
        guard passed == times.count else { return (start, times[passed]) }
        guard let rule = rule?.span(at: seconds) else { return (start, nil) }
        return (max(rule.start, start ?? rule.start), rule.end)
    }

    private func transitionsPassed(at seconds: Int) -> Int {
        var low = 0
        var high = times.count
        while low < high {
            let middle = (low + high) / 2
            if times[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
