// Whom `martlet server` tells of runs that end.

import ArgumentParser
import Controller

struct ServerNotifyOptions: ParsableArguments {
    @Option(
        name: .customLong("notify-webhook"),
        help: ArgumentHelp(
            "Post JSON there when a run ends; $MARTLET_NOTIFY_SECRET signs it.", valueName: "URL"))
    var webhook: String?

    @Option(
        name: .customLong("notify-command"),
        help: ArgumentHelp("Run this when a run ends, with JSON on its standard input.", valueName: "COMMAND")
    )
    var command: String?

    @Option(
        name: .customLong("notify-on"),
        help: ArgumentHelp("Of runs that end so.", valueName: "PHASE,..."))
    var phases = "Succeeded,Failed,Error"

    @Option(
        name: .customLong("notify-allow-host"),
        help: ArgumentHelp(
            "Host that the webhooks of manifests may name, such as *.example.com; may be given again.",
            valueName: "HOST"))
    var allowedHosts: [String] = []

    func settings() throws -> NotificationSettings {
        var settings = NotificationSettings()
        guard let phases = NotificationSettings.phases(phases) else {
            throw CommandError(
                "--notify-on: \"\(phases)\" is no list of Succeeded, Failed, Error", status: 64)
        }
        settings.phases = phases
        if let webhook {
            guard WebhookAddress(webhook) != nil else {
                throw CommandError("--notify-webhook: \"\(webhook)\" is no http or https address", status: 64)
            }
            settings.webhook = webhook
        }
        if let command {
            guard let words = NotificationSettings.words(of: command), !words.isEmpty else {
                throw CommandError("--notify-command: a quote is not closed, or nothing is there", status: 64)
            }
            settings.command = words
        }
        settings.allowedHosts = allowedHosts
        if let secret = Environment.value("MARTLET_NOTIFY_SECRET"), !secret.isEmpty {
            settings.secret = Array(secret.utf8)
        }
        return settings
    }
}
