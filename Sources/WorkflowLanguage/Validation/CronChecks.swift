// CronWorkflows: schedules, time zone, policies; the workflow inside is checked like any other.

import Text

/// Checks the fields of a CronWorkflow beside its workflow.
struct CronChecker {
    var catalog: TemplateCatalog

    func check(_ cron: CronWorkflow, at path: FieldPath, into findings: inout Findings) {
        if cron.schedules.isEmpty {
            findings.error(
                "cron workflow must have at least one schedule",
                at: cron.raw["spec"]?["schedules"] == nil ? path : path["schedules"],
                remedy: "write schedules: [\"0 6 * * *\"]")
        }
        for (index, schedule) in cron.schedules.enumerated() {
            checkSchedule(schedule, at: path["schedules"][index], into: &findings)
        }
        if let zone = cron.timezone, !zone.isEmpty {
            checkZone(zone, at: path["timezone"], into: &findings)
        }
        let policies = ["Allow", "Forbid", "Replace"]
        if let policy = cron.concurrencyPolicy, !policy.isEmpty, !policies.contains(policy) {
            findings.error(
                "'\(policy)' is not a valid concurrencyPolicy", at: path["concurrencyPolicy"],
                remedy: remedy(for: policy, among: policies, called: "policies"))
        }
        if let seconds = cron.startingDeadlineSeconds, seconds < 0 {
            findings.error(
                "startingDeadlineSeconds must be positive", at: path["startingDeadlineSeconds"],
                remedy: "write how late a missed run may still begin, or remove it")
        }
        for (key, limit) in [
            ("successfulJobsHistoryLimit", cron.successfulJobsHistoryLimit),
            ("failedJobsHistoryLimit", cron.failedJobsHistoryLimit),
        ] where (limit ?? 0) < 0 {
            findings.error("\(key) must not be negative", at: path[key], remedy: "0 keeps none")
        }
        checkConditions(of: cron, at: path, into: &findings)
    }

    private func checkSchedule(_ text: String, at path: FieldPath, into findings: inout Findings) {
        do {
            let schedule = try CronSchedule(text)
            if let zone = schedule.timeZone { checkZone(zone, at: path, into: &findings) }
        } catch {
            findings.error(
                "cron schedule \(text) is malformed: \(error.message)", at: path,
                remedy:
                    "write minute, hour, day of month, month and day of week, such as \"30 6 * * MON-FRI\"")
        }
    }

    private func checkZone(_ zone: String, at path: FieldPath, into findings: inout Findings) {
        let isWellFormed = zone.utf8.allSatisfy {
            ASCII.isAlphanumeric($0)
                || [UInt8(ascii: "/"), ASCII.hyphen, ASCII.underscore, UInt8(ascii: "+")].contains($0)
        }
        if isWellFormed, catalog.timeZones.isEmpty || catalog.timeZones.contains(zone) { return }
        if ["UTC", "Local"].contains(zone) { return }
        findings.error(
            "invalid timezone \"\(zone)\"", at: path,
            remedy: EditDistanceRemedy.text(for: zone, among: catalog.timeZones)
                ?? "write a name of the IANA database, such as Europe/Paris")
    }

    private func checkConditions(of cron: CronWorkflow, at path: FieldPath, into findings: inout Findings) {
        let scope = Scope(prefixes: ["cronworkflow."])
        if let when = cron.when {
            checkWhen(when, at: path["when"], bareWordsAreStrings: false, into: &findings)
            TagChecker(scope).check(.string(when), at: path["when"], into: &findings)
        }
        if let expression = cron.stopExpression {
            checkExpression(
                expression, at: path["stopStrategy"]["expression"], scope: scope,
                names: ["failed", "succeeded"],
                into: &findings)
        }
    }
}

/// Help where a listing of all names would be hundreds long.
enum EditDistanceRemedy {
    static func text(for wrong: String, among names: Set<String>) -> String? {
        EditDistance.nearest(to: wrong, in: names.sorted()).map { "did you mean \"\($0)\"?" }
    }
}
