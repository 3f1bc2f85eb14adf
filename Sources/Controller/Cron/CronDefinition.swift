// From a stored cron workflow to the machine that lives its life, with the zones of this computer.

import Artifacts
import Glibc
package import Persistence
package import Scheduling
package import Text
package import WorkflowLanguage

extension TimeZones {
    /// The zone of this computer: `$TZ` where it names one, else /etc/localtime, else UTC. Read again at each call.
    package static var local: TimeZoneRules {
        if let name = getenv("TZ").map({ String(cString: $0) }), !name.isEmpty {
            if name == "UTC" { return .utc }
            if let named = rules(name.hasPrefix(":") ? String(name.dropFirst()) : name) { return named }
        }
        guard let bytes = try? Disk.read("/etc/localtime", limitBytes: 1 << 20) else { return .utc }
        return TimeZoneRules(name: "Local", tzif: bytes) ?? .utc
    }

    /// The rules of a zone as cron workflows name them: `Local` is the computer's own, and so is none.
    package static func cronRules(_ name: String?, local: TimeZoneRules) -> TimeZoneRules? {
        guard let name, !name.isEmpty, name != "Local" else { return local }
        return name == "UTC" ? .utc : rules(name)
    }
}

extension CronMachine {
    /// The machine of a stored cron workflow.
    /// - Parameter local: the zone where the manifest names none.
    /// - Throws: `CronScheduleError` when a schedule or zone cannot be used here.
    package init(row: DefinitionRow, local: TimeZoneRules) throws(CronScheduleError) {
        var cron = CronWorkflow(row.body)
        cron.metadata.name = row.name
        guard let zone = TimeZones.cronRules(cron.timezone, local: local) else {
            throw CronScheduleError(unknownZone: cron.timezone ?? "")
        }
        guard !cron.schedules.isEmpty else {
            throw CronScheduleError("cron workflow must have at least one schedule")
        }
        let timetable = try CronTimetable(
            schedules: cron.schedules, zone: zone, anchor: row.createdAt,
            zoneNamed: { TimeZones.cronRules($0, local: local) })
        self.init(
            namespace: row.namespace, name: row.name, cron: cron, timetable: timetable,
            status: CronStatus(row.status), zones: TimeZones.mentioned(in: row.body))
    }
}
