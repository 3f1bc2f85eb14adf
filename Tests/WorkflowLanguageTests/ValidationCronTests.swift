// Cron schedules as sets, and the rules of CronWorkflows.

import Testing

@testable import WorkflowLanguage

@Suite struct ValidationCronTests {
    static func bits(_ numbers: some Sequence<Int>) -> UInt64 {
        numbers.reduce(0) { $0 | 1 << UInt64($1) }
    }

    @Test("Fields become sets")
    func fields() throws {
        let schedule = try CronSchedule("*/20 8-18/5,23 1,15 JAN-mar/2 MON-FRI")
        #expect(schedule.minutes == Self.bits([0, 20, 40]))
        #expect(schedule.hours == Self.bits([8, 13, 18, 23]))
        #expect(schedule.days == Self.bits([1, 15]))
        #expect(schedule.months == Self.bits([1, 3]))
        #expect(schedule.weekdays == Self.bits(1...5))
        #expect(!schedule.anyDay && !schedule.anyWeekday)
        #expect(schedule.every == nil && schedule.timeZone == nil)
        // A number with a step counts to the end of the range.
        #expect(try CronSchedule("50/3 ? ? * ?").minutes == Self.bits([50, 53, 56, 59]))
    }

    @Test(
        "Words stand for fields",
        arguments: [
            ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 ?"), ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"),
            ("@hourly", "0 * * * *"), ("  0 0 * * *  ", "@daily"),
        ])
    func words(word: String, fields: String) throws {
        #expect(try CronSchedule(word) == CronSchedule(fields))
    }

    @Test("Intervals are whole seconds, at least one; a time zone may stand in front")
    func intervals() throws {
        #expect(try CronSchedule("@every 1h30m").every == .seconds(5400))
        #expect(try CronSchedule("@every 1.9s").every == .seconds(1))
        #expect(try CronSchedule("@every 1ms").every == .seconds(1))
        #expect(try CronSchedule("CRON_TZ=Europe/Paris 0 6 * * *").timeZone == "Europe/Paris")
        #expect(try CronSchedule("TZ=UTC @daily").hours == 1)
    }

    @Test("Days and weekdays that are both restricted are alternatives")
    func days() throws {
        let either = try CronSchedule("0 0 13 * FRI")
        #expect(either.matches(month: 2, day: 13, weekday: 1))
        #expect(either.matches(month: 2, day: 14, weekday: 5))
        #expect(!either.matches(month: 2, day: 14, weekday: 1))
        let both = try CronSchedule("0 0 * * FRI")
        #expect(both.anyDay)
        #expect(!both.matches(month: 2, day: 13, weekday: 1))
        // A star with a step is a restriction, as in the library that Argo uses.
        #expect(try !CronSchedule("0 0 */2 * FRI").anyDay)
    }

    @Test(
        "Malformed schedules are refused with a reason",
        arguments: [
            ("", "empty"), ("* * * *", "found 4"), ("0 0 12 * * *", "found 6"), ("60 * * * *", "60"),
            ("* 24 * * *", "24"), ("* * 0 * *", "0"), ("* * * 13 *", "13"), ("* * * * 7", "7"),
            ("5-1 * * * *", "begins after its end"), ("*/0 * * * *", "step '0'"),
            ("1-2-3 * * * *", "hyphens"),
            ("1/2/3 * * * *", "slashes"), ("x * * * *", "'x' is not a minute"), ("* * * FOO *", "'FOO'"),
            ("-1 * * * *", "''"), ("@often", "unknown word"), ("@every soon", "soon"), ("@every -1s", "-1s"),
            ("TZ=", "no time zone"), ("TZ=UTC", "empty"), (", * * * *", "empty"),
        ])
    func malformed(text: String, reason: String) throws {
        let error = try #require(throws: CronScheduleError.self) { try CronSchedule(text) }
        #expect(error.message.contains(reason), "\(error.message)")
    }

    static func cron(_ fields: String) -> String {
        """
        apiVersion: argoproj.io/v1alpha1
        kind: CronWorkflow
        metadata: {name: c}
        spec:
        \(Linting.indented(fields, by: 2))
          workflowSpec: {entrypoint: a, templates: [{name: a, suspend: {}}]}
        """
    }

    @Test(
        "Rules of CronWorkflows",
        arguments: [
            RefusedManifest(cron("schedules: []"), "spec.schedules", "at least one schedule"),
            RefusedManifest(
                cron("schedules: ['@daily', '1 2 3']"), "spec.schedules[1]",
                "cron schedule 1 2 3 is malformed"),
            RefusedManifest(
                cron("schedules: ['@daily']\nstartingDeadlineSeconds: -1"), "spec.startingDeadlineSeconds",
                "must be positive"),
            RefusedManifest(
                cron("schedules: ['@daily']\nfailedJobsHistoryLimit: -1"), "spec.failedJobsHistoryLimit",
                "must not be negative"),
            RefusedManifest(
                cron("schedules: ['@daily']\nstopStrategy: {expression: 'cronworkflow.failed >= (3'}"),
                "spec.stopStrategy.expression", "cannot be parsed"),
        ])
    func rules(row: RefusedManifest) {
        row.check()
    }

    @Test("Policies and zones are known words")
    func words() {
        let policy = Linting.errors(Self.cron("schedules: ['@daily']\nconcurrencyPolicy: Wait"))
        #expect(policy.count == 1 && policy[0].contains("Wait"))
        let manifest = Self.cron("schedules: ['@daily']\ntimezone: Europe/Pariz")
        let zones: Set<String> = ["Europe/Paris", "Asia/Tokyo"]
        let wrong = Linting.lint(manifest, timeZones: zones)
        #expect(wrong.map(\.message) == ["invalid timezone \"Europe/Pariz\""])
        #expect(wrong.first?.remedy == "did you mean \"Europe/Paris\"?")
        #expect(Linting.lint(manifest.replacing("Pariz", with: "Paris"), timeZones: zones) == [])
        // Nobody looked which zones there are.
        #expect(Linting.lint(manifest) == [])
    }
}
