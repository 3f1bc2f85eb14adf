// `/metrics`: everything that is counted, for Prometheus.

import Controller
import Persistence
import Synchronization
import Text

/// Where the numbers come from. What is nil is not told.
struct MetricsSources: Sendable {
    var service: ServiceMetrics
    var controller: ControllerMetrics?
    var custom: CustomMetrics?
    /// Numbers of the executor: slots, processors, memory.
    var executor: (@Sendable () async -> [MetricFamily])?
    /// Whether the database cannot be written at the moment.
    var storageProblem: (@Sendable () async -> String?)?
}

extension MetricsSources {
    init(_ observability: ServiceObservability) {
        self.init(
            service: observability.service, controller: observability.controller,
            custom: observability.custom, executor: observability.executor,
            storageProblem: observability.storageProblem)
    }
}

/// The route of Prometheus.
struct MetricsRoutes: RouteGroup {
    /// How long an answer serves for all who ask: a scrape costs some queries.
    static let cacheLifetime = Duration.seconds(1)

    private let context: ServiceContext
    private let sources: MetricsSources
    private let process: ProcessMetrics
    private let isOpen: Bool
    private let startedAt: Timestamp
    private let counts: RunCounts

    /// - Parameter isOpen: whether `/metrics` needs no token.
    init(context: ServiceContext, sources: MetricsSources, isOpen: Bool = false) {
        self.context = context
        self.sources = sources
        self.isOpen = isOpen
        startedAt = context.now()
        process = ProcessMetrics(startedAt: startedAt)
        counts = RunCounts(store: context.store)
    }

    var routes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", "/metrics", "Metrics_Get", isOpen ? .open : .signedIn,
                summary: "Metrics of the server and its runs, as Prometheus reads them."
            ) { _ in
                HTTPReply(
                    headers: [("Content-Type", MetricsText.contentType), ("Cache-Control", "no-store")],
                    body: .bytes(Array(try await text().utf8)))
            }
        ]
    }

    func text() async throws -> String {
        var text = MetricsText(labels: [])
        for family in try await families() { text.append(family) }
        return text.text
    }

    func families() async throws -> [MetricFamily] {
        let now = context.now()
        var families = [
            MetricFamily(
                .gauge, "martlet_build_info", "1; the version is in the label.",
                [MetricFamily.Series([.init("version", context.version)], 1)])
        ]
        families += try await counts.families(at: now)
        families += sources.controller?.families(at: now) ?? []
        if let executor = sources.executor { families += await executor() }
        families += sources.service.families()
        if let storageProblem = sources.storageProblem {
            families.append(
                MetricFamily(
                    .gauge, "martlet_storage_full", "1 while nothing can be saved because the disk is full.",
                    await storageProblem() == nil ? 0 : 1))
        }
        families += process.families(dataDirectory: context.dataDirectory)
        families += sources.custom?.families(at: now) ?? []
        return families
    }
}

/// Runs by phase and what the database says, asked for at most once a second however many scrape.
private final class RunCounts: Sendable {
    private struct Answer: Sendable {
        var at: Timestamp
        var families: [MetricFamily]
    }

    private let store: Store
    private let answer = Mutex<Answer?>(nil)

    init(store: Store) { self.store = store }

    func families(at now: Timestamp) async throws -> [MetricFamily] {
        let known = answer.withLock { $0 }
        if let known, now - known.at < MetricsRoutes.cacheLifetime, known.at <= now { return known.families }
        let families = try await count(at: now)
        answer.withLock { $0 = Answer(at: now, families: families) }
        return families
    }

    private func count(at now: Timestamp) async throws -> [MetricFamily] {
        var phases: [MetricFamily.Series] = []
        for phase in ["Pending", "Running", "Succeeded", "Failed", "Error"] {
            var query = WorkflowQuery(phases: [phase])
            if phase == "Pending" { query.phases.insert("") }
            phases.append(
                MetricFamily.Series([.init("phase", phase)], Double(try await store.workflowCount(query))))
        }
        let oldest = try await oldestRunning(at: now)
        let backlog = try await store.notificationBacklog()
        let overdue = backlog.nextAttemptAt.map { max(0, (now - $0).inSeconds) } ?? 0
        return [
            MetricFamily(.gauge, "argo_workflows_gauge", "Runs in the database by phase.", phases),
            MetricFamily(
                .gauge, "martlet_oldest_running_seconds",
                "Age of the run that has been going on for longest; 0 when none is.", oldest),
            MetricFamily(
                .gauge, "martlet_notifications_waiting", "Notifications that wait to be delivered.",
                Double(backlog.waiting)),
            MetricFamily(
                .gauge, "martlet_notifications_failing", "Of those, how many failed at least once.",
                Double(backlog.failing)),
            MetricFamily(
                .gauge, "martlet_notifications_overdue_seconds",
                "How long the next notification has been due.", overdue),
        ] + databaseFamilies()
    }

    private func oldestRunning(at now: Timestamp) async throws -> Double {
        // Lists are newest first, and there may be many runs: look for the largest power of two seconds that a run
        // is older than, by halving, then at those runs only.
        func older(than exponent: Int, limit: Int) async throws -> [WorkflowSummary] {
            let before = now + (.zero - .seconds(1 << exponent))
            return try await store.workflows(
                WorkflowQuery(phases: ["Running"], createdBefore: before, limit: limit)
            ).workflows
        }
        var (low, high) = (0, 30)
        guard try await !older(than: low, limit: 1).isEmpty else { return 0 }
        while high - low > 1 {
            let middle = (low + high) / 2
            if try await older(than: middle, limit: 1).isEmpty { high = middle } else { low = middle }
        }
        let oldest = try await older(than: low, limit: 1_000).compactMap(\.startedAt).min()
        return oldest.map { max(0, (now - $0).inSeconds) } ?? 0
    }

    private func databaseFamilies() -> [MetricFamily] {
        [
            ("martlet_database_size_bytes", "Size of the database file.", ""),
            ("martlet_database_wal_size_bytes", "Size of the database's journal.", "-wal"),
        ].compactMap { name, help, ending in
            FileSize.bytes(store.path + ending).map { MetricFamily(.gauge, name, help, Double($0)) }
        }
    }
}
