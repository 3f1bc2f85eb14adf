// One try to deliver a notification: a signed POST, or a command with the JSON on its standard input. Blocks the
// calling thread for as long as the other side takes, at most a minute or so.

import Artifacts
import Crypto
import Glibc
package import Persistence
package import Text

/// How a try ended.
package enum NotificationOutcome: Sendable, Hashable {
    case delivered
    /// Worth another try, but not sooner than the other side asks for.
    case failed(String, wait: Duration = .zero)
    /// The other side wants no more.
    case rejected(String)
}

/// Delivers notifications; tests put another one in its place.
package protocol NotificationDelivery: Sendable {
    /// Blocks; never called on a thread of the cooperative pool.
    func deliver(_ row: NotificationRow, at now: Timestamp) -> NotificationOutcome
}

package struct NotificationSender: NotificationDelivery {
    /// The longest exchange with a webhook.
    static let exchangeLimit = Duration.seconds(30)
    private static let answerLimitBytes = 64 << 10

    private let settings: NotificationSettings
    private let dataDirectory: String
    private let downloader: Downloader

    package init(settings: NotificationSettings, dataDirectory: String) {
        self.settings = settings
        self.dataDirectory = dataDirectory
        var exchange = DownloadSettings()
        exchange.maxConnections = NotificationRunner.parallelLimit
        exchange.connectTimeout = .seconds(10)
        exchange.stallTimeout = .seconds(15)
        exchange.usesNetrc = false
        exchange.userAgent = "martlet-notify"
        downloader = Downloader(exchange)
    }

    package func deliver(_ row: NotificationRow, at now: Timestamp) -> NotificationOutcome {
        guard let target = NotificationTarget(row.target["to"]), let body = row.target["body"] else {
            return .rejected("the notification was written by another version of martlet")
        }
        let text = body.compactText
        switch target {
        case .globalWebhook:
            guard let url = settings.webhook else {
                return .rejected("the server has no --notify-webhook any more")
            }
            return post(text, to: url, id: body["id"]?.stringValue ?? "", at: now)
        case .webhook(let url):
            guard let address = WebhookAddress(url), address.isAllowed(by: settings.allowedHosts) else {
                return .rejected("the server does not allow this host any more (--notify-allow-host)")
            }
            return post(text, to: url, id: body["id"]?.stringValue ?? "", at: now)
        case .globalCommand:
            guard !settings.command.isEmpty else {
                return .rejected("the server has no --notify-command any more")
            }
            return run(text, body)
        }
    }

    // MARK: Webhook

    /// The header that proves who sent a body and when: `sha256=` and the HMAC of `timestamp.body` in hexadecimal.
    package static func signature(of body: String, timestamp: Int, secret: [UInt8]) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("\(timestamp).\(body)".utf8), using: SymmetricKey(data: secret))
        let digits = Array("0123456789abcdef")
        return "sha256="
            + code.reduce(into: "") { text, byte in
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
    }

    private func post(_ body: String, to url: String, id: String, at now: Timestamp) -> NotificationOutcome {
        var headers = [
            "Content-Type: application/json", "X-Martlet-Event: workflow.finished",
            "X-Martlet-Delivery: \(id)", "X-Martlet-Timestamp: \(now.seconds)",
        ]
        if let secret = settings.secret {
            headers.append(
                "X-Martlet-Signature: " + Self.signature(of: body, timestamp: now.seconds, secret: secret))
        }
        let request = HubRequest(
            "POST", url: url, headers: headers, body: .bytes(Array(body.utf8)), redirects: .none,
            outputLimitBytes: Self.answerLimitBytes, retries: 0)
        let end = ContinuousClock.now + Self.exchangeLimit
        do {
            let reply = try downloader.exchange(request, isCancelled: { ContinuousClock.now > end })
            switch reply.status {
            case 200..<300: return .delivered
            case 300..<400: return .failed("the webhook answered \(reply.status); redirects are not followed")
            case 410: return .rejected("the webhook answered 410: it is gone")
            default:
                let seconds = reply.headers["retry-after"].flatMap { Int($0) } ?? 0
                return .failed(
                    "the webhook answered \(reply.status)", wait: .seconds(min(max(0, seconds), 3_600)))
            }
        } catch let error as DownloadError {
            // Without the address: many webhooks have their secret in it.
            return .failed(error.problem)
        } catch {
            return .failed("\(error)")
        }
    }

    // MARK: Command

    private func run(_ text: String, _ body: JSONValue) -> NotificationOutcome {
        let path = "\(dataDirectory)/notification-\(body["id"]?.stringValue ?? "").json"
        do {
            try Disk.write(Array(text.utf8), to: path, mode: 0o600)
        } catch {
            return .failed("\(error)")
        }
        defer { unlink(path) }
        var command = CommandRun(settings.command)
        command.standardInput = path
        command.timeout = settings.commandTimeout
        for (name, member) in [
            ("MARTLET_WORKFLOW", "name"), ("MARTLET_WORKFLOW_UID", "uid"), ("MARTLET_NAMESPACE", "namespace"),
            ("MARTLET_PHASE", "phase"), ("MARTLET_MESSAGE", "message"), ("MARTLET_DELIVERY", "id"),
            ("MARTLET_FINISHED_AT", "finishedAt"),
        ] {
            command.environment[name] = (body[member]?.stringValue ?? "").replacing("\0", with: "")
        }
        // What the server alone needs to know.
        for name in ["MARTLET_NOTIFY_SECRET", "MARTLET_SECRET_KEY", "MARTLET_TOKEN"] where getenv(name) != nil
        {
            command.environment[name] = ""
        }
        do {
            let outcome = try command.run()
            if outcome.exitCode == 0 { return .delivered }
            let words = outcome.output.split(separator: "\n").suffix(3).joined(separator: "; ")
            return .failed("the command ended with \(outcome.exitCode): \(words.prefix(500))")
        } catch {
            return .failed("\(error)")
        }
    }
}
