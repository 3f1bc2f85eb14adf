// How long ended runs are kept: by age and by number, of each namespace and phase.

/// One rule. Of the rules that fit a namespace and phase the most exact one counts, for age and number apart.
package struct RetentionRule: Sendable, Hashable {
    /// nil for all.
    package var namespace: String?
    /// Succeeded, Failed or Error; nil for all three.
    package var phase: String?
    /// Since the run's end.
    package var age: Duration?
    /// Of each namespace and phase; 0 keeps none.
    package var count: Int?

    package init(namespace: String? = nil, phase: String? = nil, age: Duration? = nil, count: Int? = nil) {
        self.namespace = namespace
        self.phase = phase
        self.age = age
        self.count = count
    }

    /// Reads a rule as it is written on a command line: `age=30d`, `namespace=ml,phase=Failed,age=90d,count=1000`.
    /// - Throws: what is wrong and how a rule is written.
    package init(parsing text: String) throws(ControllerError) {
        self.init()
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { throw Self.malformed(text, "\"\(part)\" is not NAME=VALUE") }
            switch pair[0] {
            case "namespace": namespace = pair[1]
            case "phase":
                guard RetentionPolicy.endedPhases.contains(pair[1]) else {
                    throw Self.malformed(text, "a phase is Succeeded, Failed or Error, not \"\(pair[1])\"")
                }
                phase = pair[1]
            case "age":
                guard let duration = Self.duration(pair[1]) else {
                    throw Self.malformed(text, "\"\(pair[1])\" is not an age such as 12h, 30d or 8w")
                }
                age = duration
            case "count":
                guard let number = Int(pair[1]), number >= 0 else {
                    throw Self.malformed(text, "\"\(pair[1])\" is not a number of runs")
                }
                count = number
            default: throw Self.malformed(text, "\"\(pair[0])\" is none of namespace, phase, age, count")
            }
        }
        if age == nil && count == nil { throw Self.malformed(text, "it has neither age nor count") }
    }

    /// A whole number of minutes, hours, days or weeks.
    private static func duration(_ text: String) -> Duration? {
        let seconds: [Character: Int] = ["m": 60, "h": 3_600, "d": 86_400, "w": 604_800]
        // Ten thousand weeks are more than the clock covers.
        guard let unit = text.last.flatMap({ seconds[$0] }), let number = Int(text.dropLast()), number > 0,
            number <= 10_000 * 604_800 / unit
        else { return nil }
        return .seconds(number * unit)
    }

    private static func malformed(_ text: String, _ problem: String) -> ControllerError {
        ControllerError(
            "the retention rule \"\(text)\" cannot be read: \(problem); write for instance "
                + "namespace=ml,phase=Failed,age=30d,count=1000")
    }

    /// Higher is more exact; nil if the rule is about others.
    fileprivate func exactness(namespace: String, phase: String) -> Int? {
        if let wanted = self.namespace, wanted != namespace { return nil }
        if let wanted = self.phase, wanted != phase { return nil }
        return (self.namespace == nil ? 0 : 2) + (self.phase == nil ? 0 : 1)
    }
}

/// All rules, and how often they are looked at.
package struct RetentionPolicy: Sendable, Hashable {
    package static let endedPhases = ["Succeeded", "Failed", "Error"]

    package var rules: [RetentionRule]
    /// Between two passes.
    package var interval: Duration
    /// Between two searches for artifact bytes that no key names any more, which read the whole store.
    package var garbageInterval: Duration
    /// Whether artifacts that the store named by itself stay when their run goes.
    package var keepsArtifacts: Bool

    package init(
        rules: [RetentionRule] = [], interval: Duration = .seconds(60),
        garbageInterval: Duration = .seconds(86_400), keepsArtifacts: Bool = false
    ) {
        self.rules = rules
        self.interval = interval
        self.garbageInterval = garbageInterval
        self.keepsArtifacts = keepsArtifacts
    }

    /// What holds for the runs of a namespace and phase; of equally exact rules the later one counts.
    package func limits(namespace: String, phase: String) -> (age: Duration?, count: Int?) {
        var age: (exactness: Int, value: Duration)?
        var count: (exactness: Int, value: Int)?
        for rule in rules {
            guard let exactness = rule.exactness(namespace: namespace, phase: phase) else { continue }
            if let value = rule.age, exactness >= age?.exactness ?? 0 { age = (exactness, value) }
            if let value = rule.count, exactness >= count?.exactness ?? 0 { count = (exactness, value) }
        }
        return (age?.value, count?.value)
    }
}
