// The Lease of a server on Kubernetes: it is taken before the database is opened, and with it ends the process.

import ArgumentParser
import Glibc
import Kubernetes
import Synchronization
import Text
import WebServer

/// Which Lease a server must hold.
struct LeaseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Lease that a server must hold before it opens the database; none goes without.",
            discussion:
                "Default: the --instance. Of several servers on one data directory the others stand by.",
            valueName: "NAME"))
    var lease: String?

    @Option(help: ArgumentHelp("After so long without renewal another server takes it.", valueName: "SPAN"))
    var leaseDuration = "15s"

    @Option(help: ArgumentHelp("A server that cannot renew it for so long stops.", valueName: "SPAN"))
    var leaseRenewDeadline = "10s"

    @Option(help: ArgumentHelp("Between two tries to take or renew it.", valueName: "SPAN"))
    var leaseRetry = "2s"

    func validate() throws {
        for (name, text) in [
            ("--lease-duration", leaseDuration), ("--lease-renew-deadline", leaseRenewDeadline),
            ("--lease-retry", leaseRetry),
        ] where GoDuration.parse(text) == nil {
            throw ValidationError("\(name): \"\(text)\" is no time; write 15s or 500ms")
        }
        if let problem = settings(namespace: "", instance: "x").problem { throw ValidationError(problem) }
    }

    func settings(namespace: String, instance: String) -> LeaseSettings {
        var settings = LeaseSettings(
            namespace: namespace, name: lease ?? instance, identity: Self.identity)
        settings.duration = GoDuration.parse(leaseDuration) ?? settings.duration
        settings.renewDeadline = GoDuration.parse(leaseRenewDeadline) ?? settings.renewDeadline
        settings.retry = GoDuration.parse(leaseRetry) ?? settings.retry
        return settings
    }

    /// The pod or machine for people, and what makes this process the only one of the name.
    private static let identity: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return "\(host)_\(getpid())_\(String(UInt32.random(in: .min ... .max), radix: 16))"
    }()
}

/// A Lease that this server holds.
struct ServerLease: Sendable {
    /// How long the lock on the data directory is waited for: whoever had the Lease before may still be ending.
    private static let lockPatience = Duration.seconds(60)

    private let keeper: LeaseKeeper
    private let client: KubernetesClient

    var fence: LeaseFence { keeper.fence }

    /// Waits until the Lease is held; meanwhile the server's address says that it stands by. Nil where none is
    /// asked for.
    static func take(
        _ options: LeaseOptions, _ execution: ExecutionSettings, _ service: ServiceSettings
    ) async throws -> ServerLease? {
        guard execution.executor == .kubernetes, options.lease != "none" else { return nil }
        let client: KubernetesClient
        let settings: LeaseSettings
        do {
            let access = try Kubeconfig.access(
                path: execution.kubernetes.kubeconfig, context: execution.kubernetes.context,
                environment: Environment.all)
            client = try KubernetesClient(access, now: Environment.now)
            settings = options.settings(
                namespace: access.namespace, instance: execution.kubernetes.pods.instance)
        } catch {
            throw CommandError("\(error)", status: 2)
        }
        let keeper = LeaseKeeper(client: client, settings: settings, now: Environment.now)
        let lease = ServerLease(keeper: keeper, client: client)
        do {
            try await lease.acquire(service)
        } catch let error as KubernetesError where error.status == 403 {
            throw CommandError(
                "the Lease \(settings.name) cannot be taken: \(error.message); put the Role of "
                    + "deploy/kubernetes/lease.yaml into namespace \(settings.namespace), or say --lease none and "
                    + "run one server only", status: 2)
        } catch let error as KubernetesError {
            throw CommandError("the Lease \(settings.name) cannot be taken: \(error)", status: 2)
        } catch let error as CertificateError {
            throw CommandError(error.description, status: 2)
        }
        keeper.fence.watch { leave(settings, "it was not renewed in time") }
        return lease
    }

    private func acquire(_ service: ServiceSettings) async throws {
        let (keeper, settings) = (keeper, keeper.settings)
        let standby = try StandbyServer(service)
        // It opens only when there is somebody to wait for, and closes before the service takes the address.
        try await withThrowingTaskGroup(of: Bool.self) { group in
            let (waits, wait) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                try await keeper.acquire { holder, trouble in
                    standby.set(holder: holder)
                    let who = holder.isEmpty ? "nobody has it" : "\(holder) has it"
                    Output.note("standby: waits for Lease \(settings.name): \(trouble ?? who)")
                    wait.yield()
                }
                return true
            }
            group.addTask {
                for await _ in waits { break }
                if Task.isCancelled { return false }
                do {
                    try await standby.run { Output.line("server: standby at \($0)") }
                } catch {
                    Output.warning(
                        "cannot say at \(service.host):\(service.port) that this server stands by: \(error)")
                }
                return false
            }
            defer { group.cancelAll() }
            while let isHeld = try await group.next() { if isHeld { return } }
        }
    }

    /// The lock on the data directory, which the server before may hold until it has noticed that it must end.
    static func lock(_ directory: String, isPatient: Bool) async throws -> ServerLock {
        let end = ContinuousClock.now + (isPatient ? lockPatience : .zero)
        while true {
            do {
                return try ServerLock.take(directory)
            } catch {
                guard ContinuousClock.now < end else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Renews the Lease while `body` runs, then gives it back, so that another server can begin at once. When it
    /// is lost, the process ends at once: what it would still do, another may be doing already. Pods go on, and
    /// the other finds them.
    static func whileHeld(_ lease: ServerLease?, _ body: () async throws -> Void) async throws {
        guard let lease else { return try await body() }
        let outcome: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                if let why = await lease.keeper.keep() { leave(lease.keeper.settings, why) }
            }
            defer { group.cancelAll() }
            do {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        await lease.keeper.release()
        await lease.client.shutDown()
        try outcome.get()
    }

    private static func leave(_ settings: LeaseSettings, _ why: String) {
        let text =
            "error: the Lease \(settings.name) is lost: \(why); this server ends, and another takes over\n"
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
        _exit(3)
    }
}
