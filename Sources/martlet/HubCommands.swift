// `martlet hub serve`: a directory of models and data sets behind the read protocols of Hugging Face and
// ModelScope.

import ArgumentParser
import Glibc
import Text
import WebServer

struct HubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hub", abstract: "Be a hub of models and data sets for others.",
        subcommands: [HubServe.self])
}

struct HubServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a directory of models and data sets to download from.",
        discussion: """
            DIR/OWNER/NAME/ or DIR/NAME/ is a model, DIR/datasets/OWNER/NAME/ a data set; folders of a
            Hugging Face cache (models--OWNER--NAME) are understood, too. The revision `main` (for
            ModelScope `master`) is what lies there now; its commit changes when a file does. Prints the
            address when it is ready.
            Examples:
              martlet hub serve ./mirror --listen 127.0.0.1:9000 --state_dir /var/lib/martlet-hub
              HF_ENDPOINT=http://127.0.0.1:9000 hf download Qwen/Qwen2.5-0.5B
              martlet hub serve ~/.cache/huggingface/hub --listen 0.0.0.0:9000 --token SECRET
            """)

    @Argument(help: "The directory.")
    var directory: String

    @Option(
        help: ArgumentHelp("Address and port to listen on; port 0 takes a free one.", valueName: "HOST:PORT"))
    var listen = "127.0.0.1:0"

    @Option(help: "Token that clients must send; may be given again. $MARTLET_HUB_TOKEN adds one.")
    var token: [String] = []

    @Flag(help: "On an address that others reach: serve without tokens.")
    var noAuth = false

    @Option(
        help: ArgumentHelp("Remember digests there, so that a restart reads nothing again.", valueName: "DIR")
    )
    var stateDir: String?

    @Flag(help: "Tell at /-/stats what was asked for and sent, path by path.")
    var stats = false

    @Option(help: ArgumentHelp("JSON of what shall go wrong, for tests of downloaders.", valueName: "FILE"))
    var faultPlan: String?

    @Option(help: "Entries of a page of the Hugging Face protocol's lists.")
    var pageSize = 1_000

    @Option(help: "Seconds that running downloads get to finish after TERM.")
    var drainTimeout = 5

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "notice"

    func validate() throws {
        guard (1...1_000_000).contains(pageSize) else {
            throw ValidationError("--page_size must be from 1 to 1000000")
        }
        guard (0...86_400).contains(drainTimeout) else {
            throw ValidationError("--drain_timeout must be from 0 to 86400")
        }
    }

    func run() async throws {
        let settings = try settings()
        let isLoopback = ["127.0.0.1", "::1", "localhost"].contains(settings.host)
        guard isLoopback || !settings.tokens.isEmpty || noAuth else {
            throw CommandError(
                "\(settings.host) can be reached by others: give --token TOKEN, or say --no_auth outright",
                status: 64)
        }
        let server: HubServer
        do {
            server = try HubServer(settings: settings)
        } catch let error as HubSettingsError {
            throw CommandError(error.description, status: 2)
        }
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let signals = SignalWatch { _ in
            Output.note("finishing running downloads; press Ctrl-C again to leave at once")
            stop.yield()
        }
        defer { signals.cancel() }
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        try await withThrowingTaskGroup(of: Void.self) { [directory] group in
            group.addTask {
                try await server.run { Output.line("hub: serving \(directory) at http://\(host):\($0)") }
            }
            group.addTask { for await _ in stops { return } }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func settings() throws -> HubServingSettings {
        var settings = HubServingSettings(directory: directory)
        guard let address = Self.address(listen) else {
            throw CommandError(
                "--listen: \"\(listen)\" is not HOST:PORT; write 127.0.0.1:9000 or [::1]:9000", status: 64)
        }
        (settings.host, settings.port) = address
        settings.tokens = token
        if let word = getenv("MARTLET_HUB_TOKEN").map({ String(cString: $0) }), !word.isEmpty {
            settings.tokens.append(word)
        }
        settings.stateDirectory = stateDir
        settings.pageSize = pageSize
        settings.showsStatistics = stats
        settings.drainTimeout = .seconds(drainTimeout)
        guard let level = ServingSettings.LogLevel(rawValue: logLevel) else {
            throw CommandError(
                "--log_level: \"\(logLevel)\" is none of trace, debug, info, notice, warning, error",
                status: 64)
        }
        settings.logLevel = level
        if let faultPlan { settings.faults = try Self.faults(faultPlan) }
        return settings
    }

    private static func address(_ text: String) -> (String, Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        return host.isEmpty ? nil : (String(host), port)
    }

    private static func faults(_ path: String) throws -> FaultPlan {
        let json: OrderedJSON
        do {
            json = try OrderedJSON(parsingUTF8: try Environment.read(path))
        } catch let error as JSONParseError {
            throw CommandError("\(path): \(error)", status: 2)
        }
        do {
            return try FaultPlan(json, file: path)
        } catch {
            throw CommandError(error.description, status: 2)
        }
    }
}
