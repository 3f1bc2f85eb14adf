// What runs inside `martlet server`, and in which order it stops: first nobody may ask any more, then the controller
// saves and lets go, then the rest. Steps that run go on without it.

import Controller
import Glibc
import Persistence
import Text
import WebServer

/// Something that runs beside the rest of the server until it is cancelled.
struct ServerPart: Sendable {
    /// For the log and errors: `cron`, `retention`.
    var name: String
    var run: @Sendable () async throws -> Void
}

/// The parts of one server around its controller.
struct ServerParts: Sendable {
    let service: ServiceServer
    let controller: WorkflowController
    let parts: [ServerPart]
    let log: ServiceLog

    private enum Ended: Sendable {
        case service, controller, stopRequest
        case part(String, (any Error)?)
    }

    /// Runs everything until `stops` gives an element, or until a part fails.
    /// - Throws: why the server could not go on.
    func run(
        until stops: AsyncStream<Void>, onReady: @escaping @Sendable (String) -> Void
    ) async throws {
        let (serviceStops, serviceStop) = AsyncStream<Void>.makeStream()
        var failure: (any Error)?
        await withTaskGroup(of: Ended.self) { group in
            addAll(to: &group, stops, serviceStops, onReady)
            var isStopping = false
            while let ended = await group.next() {
                switch ended {
                case .stopRequest: log.notice("server stops")
                case .service: controller.stop()
                case .controller: group.cancelAll()
                case .part(let name, let error):
                    if isStopping && (error == nil || error is CancellationError) { continue }
                    log.error(
                        "part of the server failed",
                        ["part": name, "cause": error.map { "\($0)" } ?? "it ended"])
                    failure = failure ?? error ?? CommandError("\(name) ended though nobody stopped it")
                }
                // Whatever ended first, everything does now, and in this order.
                if !isStopping { serviceStop.finish() }
                isStopping = true
            }
        }
        if let failure { throw failure }
    }

    private func addAll(
        to group: inout TaskGroup<Ended>, _ stops: AsyncStream<Void>, _ serviceStops: AsyncStream<Void>,
        _ onReady: @escaping @Sendable (String) -> Void
    ) {
        let (service, controller) = (service, controller)
        group.addTask {
            let error = await Self.failure { try await Self.serve(service, until: serviceStops, onReady) }
            // The controller is told to stop whether the service ended well or not.
            if let error { controller.stop(); return .part("service", error) }
            return .service
        }
        group.addTask {
            let error = await Self.failure { try await controller.run() }
            return error.map { .part("controller", $0) } ?? .controller
        }
        group.addTask {
            for await _ in stops { break }
            return .stopRequest
        }
        for part in parts {
            group.addTask { .part(part.name, await Self.failure { try await part.run() }) }
        }
    }

    private static func failure(_ body: @Sendable () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    /// Serves until the stream ends.
    private static func serve(
        _ service: ServiceServer, until stops: AsyncStream<Void>,
        _ onReady: @escaping @Sendable (String) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run(onReady: onReady) }
            group.addTask { for await _ in stops {} }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}

extension ReadinessCheck {
    /// Less free space than this is too little to go on working.
    private static let leastFreeBytes = 64 << 20

    /// What must work for the server to do its work.
    static func all(_ store: Store, _ controller: WorkflowController, directory: String) -> [ReadinessCheck] {
        [
            ReadinessCheck("database") {
                do {
                    _ = try await store.dataVersion()
                    return nil
                } catch {
                    return "\(error)"
                }
            },
            ReadinessCheck("controller") { await controller.storageProblem },
            ReadinessCheck("storage") {
                guard access(directory, W_OK | X_OK) == 0 else {
                    return "\(directory) cannot be written: \(String(cString: strerror(errno)))"
                }
                var status = statvfs()
                guard statvfs(directory, &status) == 0 else {
                    return "\(directory): \(String(cString: strerror(errno)))"
                }
                let free = Int(status.f_bavail) * Int(status.f_frsize)
                return free < leastFreeBytes
                    ? "only \(free >> 20) MiB are free on the disk of \(directory)" : nil
            },
        ]
    }
}
