// The options of all verbs that look at runs and definitions: of a data directory, or of a server elsewhere.

import ArgumentParser
import Persistence
import Text
import WorkflowLanguage

/// Where the runs are that a verb is about.
struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Server whose runs are meant.",
            discussion: "Default: $MARTLET_SERVER, else the server of the data directory, else that itself.",
            valueName: "URL"))
    var server: String?

    @Option(
        help: ArgumentHelp(
            "Token for the server.",
            discussion:
                "Better given by $MARTLET_TOKEN or in ~/.config/martlet/token, where other users cannot see it.",
            valueName: "TOKEN"))
    var token: String?

    @OptionGroup var data: DataOptions

    var namespace: String { data.namespace }
    var path: String { data.path }
    var location: DataLocation { data.location }

    /// The server that was named, with its token; nil for the data directory.
    func endpoint() throws -> ServerEndpoint? {
        let named = [server, Environment.value("MARTLET_SERVER")].compactMap { $0 }.first { !$0.isEmpty }
        guard let named else { return nil }
        return try ServerEndpoint(address: named, token: token)
    }
}

/// A server and the token for it.
struct ServerEndpoint: Sendable, Hashable {
    /// `http://host:port`, without a slash at the end.
    var root: String
    var token: String?

    /// - Parameters:
    ///   - address: a URL, or `host:port` as Argo's tools write it.
    ///   - token: nil for that of the environment, or of the user's file.
    init(address: String, token: String?) throws {
        var text = address[...]
        while text.hasSuffix("/") { text = text.dropLast() }
        if !text.contains("://") { text = "http://" + text }
        guard text.hasPrefix("http://") || text.hasPrefix("https://"), !text.hasSuffix(":"), text.count > 8
        else {
            throw CommandError("--server \(address): write http://HOST:PORT or https://HOST", status: 64)
        }
        root = String(text)
        var found = [token, Environment.value("MARTLET_TOKEN")].compactMap { $0 }.first { !$0.isEmpty }
        if found == nil { found = try Self.tokenInFile() }
        if let word = found, word.hasPrefix("Bearer ") { found = String(word.dropFirst("Bearer ".count)) }
        self.token = found?.trimmed
    }

    private static func tokenInFile() throws -> String? {
        let given = Environment.value("XDG_CONFIG_HOME").flatMap { $0.isEmpty ? nil : $0 }
        let path = (given ?? (Environment.value("HOME") ?? "/root") + "/.config") + "/martlet/token"
        guard Environment.exists(path) else { return nil }
        let text = String(decoding: try Environment.read(path, limit: 4_096), as: UTF8.self).trimmed
        return text.isEmpty ? nil : text
    }
}
