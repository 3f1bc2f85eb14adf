// What is known of a cron workflow's past: its status as Argo's API has it, with what a restart needs to know.

package import Text
import WorkflowLanguage

/// The status of a cron workflow.
package struct CronStatus: Sendable, Hashable {
    package enum Phase: String, Sendable, Hashable {
        case active = "Active"
        /// The stop strategy's condition held once; it stays so until a person resets it.
        case stopped = "Stopped"
    }

    /// A run that has not ended as far as is known.
    package struct Child: Sendable, Hashable {
        package var uid: String
        package var namespace: String
        package var name: String

        package init(uid: String, namespace: String, name: String) {
            self.uid = uid
            self.namespace = namespace
            self.name = name
        }
    }

    /// A problem that people should see; `type` is Argo's word.
    package struct Condition: Sendable, Hashable {
        package static let submissionError = "SubmissionError"
        package static let specError = "SpecError"

        package var type: String
        package var message: String

        package init(type: String, message: String) {
            self.type = type
            self.message = message
        }
    }

    package var active: [Child] = []
    package var lastScheduledTime: Timestamp?
    package var succeeded = 0
    package var failed = 0
    package var phase = Phase.active
    package var conditions: [Condition] = []
    /// The schedules and zone in force when they were last looked at. A schedule that was changed since then has
    /// missed nothing.
    package var scheduleText: String?
    /// Since when they are in force, as far as is known: nothing before it counts as missed.
    package var scheduleSince: Timestamp?
    /// The last moment that was looked at and made no run; a restart does not look at it again.
    package var lastSkippedTime: Timestamp?

    package init() {}

    /// A stored status; what is not there, or not of the right kind, is as in a new one.
    package init(_ json: JSONValue) {
        let fields = Fields(json)
        active = fields.list("active").map { entry in
            let child = Fields(entry)
            return Child(
                uid: child.string("uid") ?? "", namespace: child.string("namespace") ?? "",
                name: child.string("name") ?? "")
        }
        lastScheduledTime = fields.string("lastScheduledTime").flatMap(Timestamp.init(rfc3339:))
        succeeded = fields.int("succeeded") ?? 0
        failed = fields.int("failed") ?? 0
        phase = fields.string("phase").flatMap(Phase.init) ?? .active
        conditions = fields.list("conditions").compactMap { entry in
            let condition = Fields(entry)
            guard let type = condition.string("type") else { return nil }
            return Condition(type: type, message: condition.string("message") ?? "")
        }
        scheduleText = fields.string("lastUsedSchedule")
        scheduleSince = fields.string("lastUsedScheduleSince").flatMap(Timestamp.init(rfc3339:))
        lastSkippedTime = fields.string("lastSkippedTime").flatMap(Timestamp.init(rfc3339:))
    }

    /// As Argo's API shows it, and members more: `lastUsedSchedule`, `lastUsedScheduleSince`, `lastSkippedTime`.
    package var json: JSONValue {
        var object = ObjectBuilder()
        let children = active.map { child -> JSONValue in
            .object([
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": .string(child.name),
                "namespace": .string(child.namespace), "uid": .string(child.uid),
            ])
        }
        object.set("active", JSONValue.array(children))
        object.set("lastScheduledTime", lastScheduledTime?.rfc3339)
        object.set("succeeded", .int(succeeded))
        object.set("failed", .int(failed))
        object.set("phase", phase.rawValue)
        object.set(
            "conditions",
            conditions.map { condition -> JSONValue in
                .object([
                    "type": .string(condition.type), "status": "True", "message": .string(condition.message),
                ])
            })
        object.set("lastUsedSchedule", scheduleText)
        object.set("lastUsedScheduleSince", scheduleSince?.rfc3339)
        object.set("lastSkippedTime", lastSkippedTime?.rfc3339)
        return object.json
    }

    mutating func setCondition(_ type: String, _ message: String?) {
        conditions.removeAll { $0.type == type }
        if let message { conditions.append(Condition(type: type, message: message)) }
    }
}
