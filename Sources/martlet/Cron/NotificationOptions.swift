// Options of `martlet server` that say who is told when a run ends.

import ArgumentParser
import Controller
import Text

struct NotificationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "POST a JSON object there when a run ends; signed when $MARTLET_NOTIFY_SECRET is set.",
            valueName: "URL"))
    var notifyWebhook: String?

    @Option(
        help: ArgumentHelp(
            "Run a program when a run ends, with the same JSON on standard input and MARTLET_* in its environment. "
                + "Not through a shell: write sh -c '...' for one.", valueName: "COMMAND"))
    var notifyCommand: String?

    @Option(help: "The phases that are told of, such as Failed,Error.")
    var notifyOn = "Succeeded,Failed,Error"

    @Option(
        name: .customLong("notify-allow-host"),
        help: ArgumentHelp(
            "A host that runs may name in their annotation martlet.dev/notify-webhook, such as hooks.example.com or "
                + "*.example.com; may be given again. None without it.", valueName: "HOST"))
    var notifyAllowHosts: [String] = []

    @Option(help: ArgumentHelp("Seconds that the command may take.", valueName: "S"))
    var notifyTimeout = 60

    func validate() throws {
        _ = try settings()
    }

    /// - Throws: `ValidationError` for what cannot be used.
    func settings() throws -> NotificationSettings {
        var settings = NotificationSettings()
        if let notifyWebhook {
            guard WebhookAddress(notifyWebhook) != nil else {
                throw ValidationError(
                    "--notify-webhook: write an address such as https://hooks.example.com/runs")
            }
            settings.webhook = notifyWebhook
        }
        if let notifyCommand {
            guard let words = NotificationSettings.words(of: notifyCommand), !words.isEmpty else {
                throw ValidationError("--notify-command: it is empty, or a quote is not closed")
            }
            settings.command = words
        }
        guard let phases = NotificationSettings.phases(notifyOn) else {
            throw ValidationError("--notify-on: write Succeeded, Failed and Error, with commas between")
        }
        guard (1...3_600).contains(notifyTimeout) else {
            throw ValidationError("--notify-timeout must be from 1 to 3600")
        }
        settings.phases = phases
        settings.allowedHosts = notifyAllowHosts
        settings.commandTimeout = .seconds(notifyTimeout)
        if let secret = Environment.value("MARTLET_NOTIFY_SECRET"), !secret.isEmpty {
            settings.secret = Array(secret.utf8)
        }
        return settings
    }
}
