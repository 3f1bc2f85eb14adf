// What is to be told when a run ends, decided without looking at a clock or a network.

package import Persistence
package import Scheduling
package import Text
import WorkflowLanguage

/// Where a notification goes. Addresses of the server's settings are looked up when it is sent, so that a mended
/// setting counts for what waits.
package enum NotificationTarget: Sendable, Hashable {
    case globalWebhook
    case globalCommand
    case webhook(String)

    var json: JSONValue {
        switch self {
        case .globalWebhook: .object(["kind": "global-webhook"])
        case .globalCommand: .object(["kind": "global-command"])
        case .webhook(let url): .object(["kind": "webhook", "url": .string(url)])
        }
    }

    /// For people. Of an address only the host is told: many have a secret in their path.
    package var words: String {
        switch self {
        case .globalWebhook: "the server's webhook"
        case .globalCommand: "the server's command"
        case .webhook(let url): "the webhook at \(WebhookAddress(url)?.host ?? "an address")"
        }
    }

    package init?(_ json: JSONValue?) {
        switch json?["kind"]?.stringValue {
        case "global-webhook": self = .globalWebhook
        case "global-command": self = .globalCommand
        case "webhook":
            guard let url = json?["url"]?.stringValue else { return nil }
            self = .webhook(url)
        default: return nil
        }
    }
}

package enum NotificationPlan {
    package static let webhookAnnotation = "martlet.dev/notify-webhook"
    package static let phasesAnnotation = "martlet.dev/notify-on"
    /// Webhooks that one run may name.
    static let webhookLimit = 5
    /// Failed nodes that are told of.
    private static let nodeLimit = 10
    private static let messageLimit = 2_000

    /// What follows from the end of a run: rows for the outbox, and events that say what was refused and why.
    package static func end(of state: WorkflowState, settings: NotificationSettings) -> (
        notifications: [NewNotification], events: [EventRow]
    ) {
        guard let finishedAt = state.finishedAt, let phase = state.phase else { return ([], []) }
        var targets: [NotificationTarget] = []
        var events: [EventRow] = []
        func refuse(_ message: String) {
            events.append(EventRow(at: finishedAt, kind: "NotificationRefused", message: message))
        }
        if settings.phases.contains(phase) {
            if settings.webhook != nil { targets.append(.globalWebhook) }
            if !settings.command.isEmpty { targets.append(.globalCommand) }
        }
        if let wanted = state.metadata.annotations[webhookAnnotation], !wanted.trimmed.isEmpty {
            var phases = settings.phases
            if let text = state.metadata.annotations[phasesAnnotation] {
                if let own = NotificationSettings.phases(text) {
                    phases = own
                } else {
                    refuse(
                        "\(phasesAnnotation): \"\(text.prefix(100))\" is not a list of Succeeded, Failed, Error"
                    )
                }
            }
            for text in wanted.split(separator: ",").prefix(webhookLimit) where phases.contains(phase) {
                let text = String(text).trimmed
                guard let address = WebhookAddress(text) else {
                    refuse("\(webhookAnnotation): the address is no plain http or https address")
                    continue
                }
                guard address.isAllowed(by: settings.allowedHosts) else {
                    refuse(
                        "\(webhookAnnotation): the server does not allow the host \"\(address.host)\"; "
                            + "its operator allows it by --notify-allow-host \(address.host)")
                    continue
                }
                targets.append(.webhook(address.url))
            }
        }
        let body = body(of: state, phase, finishedAt)
        let notifications = targets.enumerated().map { index, target in
            NewNotification(
                workflowUID: state.uid, key: "end/\(finishedAt.nanoseconds)/\(index)",
                target: .object(["to": target.json, "body": body]), at: finishedAt)
        }
        return (notifications, events)
    }

    /// What is sent. Parameters and outputs are not in it: they may hold what is not everybody's.
    private static func body(of state: WorkflowState, _ phase: Phase, _ finishedAt: Timestamp) -> JSONValue {
        let failed = state.nodes.values.filter { $0.phase.isUnsuccessful && $0.type.isExecutable }
            .sorted { $0.sequence < $1.sequence }
        let nodes = failed.prefix(nodeLimit).map { node -> JSONValue in
            .object([
                "id": .string(node.id), "name": .string(node.name), "phase": .string(node.phase.rawValue),
                "template": .string(node.templateName),
                "message": .string(String(node.message.prefix(messageLimit))),
            ])
        }
        let started = state.startedAt
        return .object([
            "event": "workflow.finished",
            // The same for each try, so that whoever gets it twice can tell.
            "id": .string("\(state.uid).\(finishedAt.nanoseconds)"),
            "uid": .string(state.uid), "namespace": .string(state.definition.namespace),
            "name": .string(state.name), "phase": .string(phase.rawValue),
            "message": .string(String(state.message.prefix(messageLimit))),
            "createdAt": .string(state.definition.createdAt.rfc3339),
            "startedAt": started.map { .string($0.rfc3339) } ?? .null,
            "finishedAt": .string(finishedAt.rfc3339),
            "durationSeconds": .double(started.map { (finishedAt - $0).inSeconds } ?? 0),
            "labels": .object(state.metadata.labels.mapValues(JSONValue.string)),
            "progress": .string(state.progress.text),
            "failedNodes": .array(nodes), "failedNodeCount": .int(failed.count),
        ])
    }

    /// When a failed notification is tried again: after 10 seconds, then twice as long each time up to an hour, for a
    /// day in all; nil gives it up.
    /// - Parameters:
    ///   - attempts: that failed, this one included.
    ///   - wait: at least so long.
    package static func nextTry(
        afterAttempts attempts: Int, createdAt: Timestamp, now: Timestamp, wait: Duration = .zero
    ) -> Timestamp? {
        let seconds = min(3_600, 10 << min(max(attempts - 1, 0), 20))
        let next = now + max(.seconds(seconds), wait)
        return next - createdAt <= .seconds(86_400) ? next : nil
    }
}
