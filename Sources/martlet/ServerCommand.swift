// `martlet server`: drives all runs of a data directory and serves them by HTTP.

import ArgumentParser
import Controller
import Dispatch
import Glibc
import Persistence
import Text
import WebServer

extension ServiceSettings.Authentication: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}

struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server", abstract: "Drive all runs of a data directory; serve the API and the page.",
        discussion: """
            Speaks Argo Server's REST API, so that Argo's and Hera's clients work with it, and shows a page at its
            address. On a loopback address no token is needed; on any other one it starts only when there is a
            token (`martlet token create`), or with `--auth none`. Steps go on running when the server stops or
            is killed; the next one finds them again. Prints its address when it is ready.
            Examples:
              martlet server
              martlet server --listen 127.0.0.1:0 --data-dir /tmp/trial
              martlet token create me --role admin && martlet server --listen 0.0.0.0:2746
              martlet server --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem
              martlet server --executor kubernetes --lease-duration 30s --lease-renew-deadline 20s
            """)

    @Option(
        help: ArgumentHelp("Address and port to listen on; port 0 takes a free one.", valueName: "HOST:PORT"))
    var listen = "127.0.0.1:2746"

    @OptionGroup var data: DataOptions
    @OptionGroup var execution: ExecutionOptions
    @OptionGroup(title: "With --executor kubernetes: who drives") var leaseOptions: LeaseOptions
    @OptionGroup(title: "Access") var access: ServerAccessOptions
    @OptionGroup(title: "Notifications") var notify: NotificationOptions
    @OptionGroup(title: "Operation") var operation: ServerOperationOptions

    func run() async throws {
        var settings = try access.settings(listen: listen)
        settings.pageDirectory = try operation.pageDirectory()
        settings.drainTimeout = .seconds(operation.drainTimeout)
        settings.maxConnections = operation.maxConnections
        settings.version = BuildInfo.version
        let observability = ServiceObservability()
        let log = ServiceLog(
            level: operation.logLevel, format: operation.logFormat, metrics: observability.service,
            now: Environment.now)
        guard let log else {
            throw CommandError(
                "--log-level: \"\(operation.logLevel)\" is none of trace, debug, info, notice, warning, error",
                status: 64)
        }
        let lease = try await ServerLease.take(leaseOptions, execution.settings, settings)
        try await ServerLease.whileHeld(lease) {
            try await begin(settings, lease, log, observability)
        }
    }

    /// Opens the database, which nobody else may be writing to.
    private func begin(
        _ settings: ServiceSettings, _ lease: ServerLease?, _ log: ServiceLog,
        _ observability: ServiceObservability
    ) async throws {
        let store = try data.openStore()
        let lock = try await ServerLease.lock(data.path, isPatient: lease != nil)
        try await access.admitToken(to: store)
        if settings.needsTokens, try await !store.hasUsableToken(at: Environment.now()) {
            throw CommandError(
                "\(settings.host) can be reached by others, and there is no token yet that opens anything: make one "
                    + "by `martlet token create NAME --role admin --data-dir \(data.path)` or bring one by "
                    + "--admin-token-file, or say --auth none outright",
                status: 64)
        }
        try await serve(settings, store, (lock, lease), log, observability)
    }

    private func serve(
        _ settings: ServiceSettings, _ store: Store, _ held: (lock: ServerLock, lease: ServerLease?),
        _ log: ServiceLog, _ observability: ServiceObservability
    ) async throws {
        var observability = observability
        let feed = RunFeed(store: store)
        let notifications = try notify.settings()
        let observers = observability.observers(notifications: notifications)
        let controller = try controller(store, feed, observers, held.lease)
        let operations = WorkflowOperations(
            store: store, artifacts: try ExecutorFactory.artifactStore(data.location),
            dataDirectory: data.path,
            controller: controller, now: Environment.now)
        observability.isOpen = operation.openMetrics
        observability.executor = {
            (controller.executorUsage?.families ?? [])
                + (controller.settings.deployments?.table.families ?? [])
        }
        observability.storageProblem = { await controller.storageProblem }
        let service: ServiceServer
        do {
            service = try ServiceServer(
                settings: settings, operations: operations, feed: feed,
                checks: ReadinessCheck.all(store, controller, directory: data.path), log: log,
                observability: observability)
        } catch let error as CertificateError {
            throw CommandError(error.description, status: 2)
        }
        let rules = try operation.retentionRules()
        var parts: [ServerPart] = [
            ServerPart(name: "feed") { try await feed.run() },
            .registry(operations, log),
            .retention(operations, rules, observability.controller, log),
            .cron(operations, observability.controller, log),
            .notifications(operations, notifications, observability.controller, log),
            .memory(store, log),
        ]
        if execution.settings.executor == .kubernetes { parts.append(.forgottenRuns(controller, log)) }
        try await run(
            ServerParts(service: service, controller: controller, parts: parts, log: log), settings,
            held.lock,
            log
        )
    }

    private func controller(
        _ store: Store, _ feed: RunFeed, _ observers: ControllerObservers, _ lease: ServerLease?
    ) throws -> WorkflowController {
        var settings = ControllerSettings()
        settings.servesAll = true
        settings.limits = RunLimits(
            parallelism: operation.parallelism, namespaceParallelism: operation.namespaceParallelism)
        settings.onSaved = { feed.signal() }
        settings.observers = observers
        var execution = execution.settings
        execution.kubernetes.fence = lease?.fence
        return try ExecutorFactory.controller(store, execution, data.location, settings: settings)
    }

    private func run(
        _ parts: ServerParts, _ settings: ServiceSettings, _ lock: ServerLock, _ log: ServiceLog
    ) async throws {
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let signals = SignalWatch { _ in
            Output.note("stopping: running steps go on; a second signal leaves at once")
            stop.yield()
        }
        defer { signals.cancel() }
        let hangup = settings.tls.map { _ in Self.reloadOnHangup(parts.service, log) }
        defer { hangup?.cancel() }
        let directory = data.path
        defer { lock.withdraw() }
        do {
            try await parts.run(until: stops) { address in
                do {
                    try lock.announce(address: Self.reachable(address), startedAt: Environment.now())
                } catch {
                    log.error("address not noted", ["cause": "\(error)"])
                }
                Output.line("server: ready at \(address) with \(directory)")
            }
        } catch let error as ServiceStartError {
            throw CommandError(error.description, status: 2)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    /// The address for clients on this machine: a server that listens everywhere is reached by loopback.
    static func reachable(_ address: String) -> String {
        for (all, loopback) in [("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")] {
            guard let range = address.firstRange(of: all) else { continue }
            return address[..<range.lowerBound] + loopback + address[range.upperBound...]
        }
        return address
    }

    /// Reads renewed certificates on SIGHUP.
    private static func reloadOnHangup(_ service: ServiceServer, _ log: ServiceLog)
        -> any DispatchSourceSignal
    {
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(
            signal: SIGHUP, queue: DispatchQueue(label: "martlet.hangup"))
        source.setEventHandler {
            do {
                try service.reloadCertificates()
                log.notice("certificates read again")
            } catch {
                log.error("certificates not read, the old ones stay", ["cause": "\(error)"])
            }
        }
        source.activate()
        return source
    }
}

/// Who may use the server.
struct ServerAccessOptions: ParsableArguments {
    @Option(help: "auto asks for tokens on other addresses than loopback, token on all, none nowhere.")
    var auth = ServiceSettings.Authentication.automatic

    @Option(
        help: ArgumentHelp(
            "A file with a token that is to be an admin's: mrt_ and 40 letters or digits. What the file had before is "
                + "revoked.", valueName: "FILE"))
    var adminTokenFile: String?

    @Option(
        name: .customLong("allow-host"),
        help: ArgumentHelp(
            "Name of a proxy before a loopback server without tokens; may be given again.", valueName: "NAME")
    )
    var allowHosts: [String] = []

    @Option(
        help: ArgumentHelp("PEM certificates: the server's, then those that signed it.", valueName: "FILE"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("PEM key of the certificate. SIGHUP reads both again.", valueName: "FILE"))
    var tlsKey: String?

    func validate() throws {
        if (tlsCert == nil) != (tlsKey == nil) {
            throw ValidationError("--tls-cert and --tls-key are given together")
        }
    }

    /// Lets the token of the file in.
    func admitToken(to store: Store) async throws {
        guard let adminTokenFile else { return }
        let path = Environment.absolute(adminTokenFile)
        let contents = try Environment.read(path, limit: BroughtToken.limitBytes)
        do {
            try await BroughtToken.admit(contents, from: path, in: store, now: Environment.now())
        } catch let error as TokenOrderError {
            throw CommandError("--admin-token-file: \(error)", status: 2)
        }
    }

    func settings(listen: String) throws -> ServiceSettings {
        var settings = ServiceSettings()
        guard let address = ListenAddress(listen) else {
            throw CommandError(
                "--listen: \"\(listen)\" is not HOST:PORT; write 127.0.0.1:2746 or [::1]:2746", status: 64)
        }
        (settings.host, settings.port) = (address.host, address.port)
        settings.authentication = auth
        settings.allowedHosts = allowHosts
        if let tlsCert, let tlsKey {
            settings.tls = TLSFiles(
                certificate: Environment.absolute(tlsCert), key: Environment.absolute(tlsKey))
        }
        return settings
    }
}

/// How the server works, beside what it does with steps.
struct ServerOperationOptions: ParsableArguments {
    @Option(
        name: .customLong("web"),
        help: ArgumentHelp("Serve the page from this folder, while working on it.", valueName: "DIR"))
    var webDirectory: String?

    @Option(help: ArgumentHelp("Runs at work at a time; more wait. Without: no limit.", valueName: "N"))
    var parallelism: Int?

    @Option(help: ArgumentHelp("The same for each namespace.", valueName: "N"))
    var namespaceParallelism: Int?

    @Option(
        help: ArgumentHelp(
            "Delete ended runs with their files and artifacts; may be given again.",
            discussion: "For instance age=90d, or namespace=ml,phase=Failed,age=30d,count=1000.",
            valueName: "RULE"))
    var retention: [String] = []

    @Flag(help: "Give /metrics to those without a token, too.")
    var openMetrics = false

    @Option(help: ArgumentHelp("Connections at a time.", valueName: "N"))
    var maxConnections = 16_384

    @Option(help: ArgumentHelp("Seconds that running requests get to finish after TERM.", valueName: "S"))
    var drainTimeout = 5

    @Option(help: "text, or json: one object a line.")
    var logFormat = LogFormat.text

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "notice"

    func validate() throws {
        if !(1...1_000_000).contains(maxConnections) {
            throw ValidationError("--max-connections must be from 1 to 1000000")
        }
        if let parallelism, parallelism < 1 { throw ValidationError("--parallelism must be at least 1") }
        if let namespaceParallelism, namespaceParallelism < 1 {
            throw ValidationError("--namespace-parallelism must be at least 1")
        }
        if !(0...3_600).contains(drainTimeout) {
            throw ValidationError("--drain-timeout must be from 0 to 3600")
        }
    }

    func retentionRules() throws -> [RetentionRule] {
        do {
            return try retention.map { text throws(ControllerError) in try RetentionRule(parsing: text) }
        } catch {
            throw CommandError("--retention: \(error.message)", status: 64)
        }
    }

    func pageDirectory() throws -> String? {
        guard let webDirectory else { return nil }
        let path = Environment.absolute(webDirectory)
        guard Environment.exists(path + "/index.html") else {
            throw CommandError("--web: there is no index.html in \(path)", status: 2)
        }
        return path
    }
}

/// `HOST:PORT`, with brackets around an IPv6 address.
struct ListenAddress: Sendable, Hashable {
    var host: String
    var port: Int

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = port
    }
}
