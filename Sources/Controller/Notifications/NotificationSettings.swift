// Who is told when a run ends: the server's settings, and what a run's own annotations may ask for.

package import Scheduling
import Text
import WorkflowLanguage

/// The server's settings of notifications.
package struct NotificationSettings: Sendable {
    /// Gets each run that ends in one of `phases`; nil for none.
    package var webhook: String?
    /// A program with its arguments, run for each of them; empty for none.
    package var command: [String] = []
    package var phases: Set<Phase> = [.succeeded, .failed, .error]
    /// Hosts that the webhooks of runs' annotations may name: `hooks.example.com`, `*.example.com`, `127.0.0.1`.
    package var allowedHosts: [String] = []
    /// Signs what is sent; nil sends unsigned.
    package var secret: [UInt8]?
    package var commandTimeout = Duration.seconds(60)

    package init() {}

    package var isEmpty: Bool { webhook == nil && command.isEmpty && allowedHosts.isEmpty }

    /// The phases of a list such as `Failed,Error`; nil when a word is no phase that a run ends in.
    package static func phases(_ text: String) -> Set<Phase>? {
        var phases: Set<Phase> = []
        for word in text.split(separator: ",") {
            guard
                let phase = [Phase.succeeded, .failed, .error].first(where: {
                    $0.rawValue.lowercased() == String(word).trimmed.lowercased()
                })
            else { return nil }
            phases.insert(phase)
        }
        return phases.isEmpty ? nil : phases
    }

    /// Words of a command line: blanks part them, quotes and backslashes keep blanks. Nothing is expanded; who wants a
    /// shell writes `sh -c '...'`.
    /// - Returns: nil for a quote that is never closed.
    package static func words(of text: String) -> [String]? {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" || character == "\n" {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { return nil }
        if let word { words.append(word) }
        return words
    }
}

/// An address that is told of runs.
package struct WebhookAddress: Sendable, Hashable {
    package let url: String
    /// Lower case, without port; an IPv6 address with its brackets.
    package let host: String

    /// nil for what is no plain http or https address. User names and anything that two readers might take for
    /// different hosts are refused.
    package init?(_ text: String) {
        let scheme = ["https://", "http://"].first { text.lowercased().hasPrefix($0) }
        guard let scheme, text.utf8.count <= 2_000,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") })
        else { return nil }
        let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var host = authority
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = authority[...close]
            guard host.dropFirst().dropLast().allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
                return nil
            }
        } else {
            host = authority.prefix { $0 != ":" }
            guard !host.isEmpty, host.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." })
            else { return nil }
        }
        let port = authority[host.endIndex...]
        if !port.isEmpty {
            guard port.first == ":", UInt16(port.dropFirst()) != nil else { return nil }
        }
        url = text
        self.host = host.lowercased()
    }

    /// Whether a list of hosts, some with `*.` in front, names this one.
    package func isAllowed(by hosts: [String]) -> Bool {
        hosts.contains { entry in
            let entry = entry.lowercased()
            if entry.hasPrefix("*.") {
                return host.hasSuffix(entry.dropFirst()) && host != entry.dropFirst(2)
            }
            return entry == host
        }
    }
}
