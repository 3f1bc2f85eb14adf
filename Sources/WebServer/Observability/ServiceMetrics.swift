// What the service counts of its requests and streams.

package import Controller
import Synchronization

/// The counts of one server; they begin at 0 with it.
package final class ServiceMetrics: Sendable {
    /// Operations that are told apart; there are as many as routes, and a word for what no route took.
    static let operationLimit = 1_000
    /// What is counted for requests that no route answers.
    package static let unknownOperation = "none"

    struct Counts: Sendable {
        var requests = BoundedSeries(
            limit: ServiceMetrics.operationLimit,
            other: [.init("method", ""), .init("operation", "other"), .init("status", "")]
        ) { 0 }
        var seconds = BoundedSeries(
            limit: ServiceMetrics.operationLimit, other: [.init("operation", "other")]
        ) {
            Distribution(bounds: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
        }
        var inFlight = 0
        var streams: [String: Int] = [:]
        var refused: [String: Int] = [:]
        var sentBytes = 0
        var logLines: [String: Int] = [:]
    }

    private let counts = Mutex(Counts())

    package init() {}

    private func update(_ body: (inout Counts) -> Void) { counts.withLock { body(&$0) } }

    /// A request was answered, or its stream began.
    /// - Parameters:
    ///   - operation: of the route; `unknownOperation` where there is none.
    ///   - method: as sent; what is no method of HTTP is counted as `other`.
    ///   - seconds: until the answer's head was ready; for streams that is when they begin.
    package func observe(operation: String, method: String, status: Int, seconds: Double) {
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        let method = known.contains(method) ? method : "other"
        let labels: [MetricFamily.Label] = [
            .init("method", method), .init("operation", operation), .init("status", String(status)),
        ]
        update {
            $0.requests.update(labels) { $0 += 1 }
            $0.seconds.update([.init("operation", operation)]) { $0.observe(seconds) }
        }
    }

    package func requestBegan() { update { $0.inFlight += 1 } }
    package func requestEnded() { update { $0.inFlight -= 1 } }

    /// - Parameter kind: a fixed word of the code: `events`, `log`.
    package func streamBegan(_ kind: String) { update { $0.streams[kind, default: 0] += 1 } }
    package func streamEnded(_ kind: String) { update { $0.streams[kind, default: 0] -= 1 } }

    /// - Parameter reason: a fixed word of the code: `too_many`, `unauthenticated`, `forbidden`, `origin`.
    package func countRefused(_ reason: String) { update { $0.refused[reason, default: 0] += 1 } }

    /// - Parameter level: swift-log's word.
    package func countLogLine(_ level: String) { update { $0.logLines[level, default: 0] += 1 } }

    package func families() -> [MetricFamily] {
        let counts = counts.withLock { $0 }
        return [
            MetricFamily(
                .counter, "martlet_http_requests_total", "Requests by operation, method and status.",
                counts.requests.series { MetricFamily.Series($0, Double($1)) }),
            MetricFamily(
                .histogram, "martlet_http_request_duration_seconds",
                "Time from a request's head to its answer's head.",
                counts.seconds.series { MetricFamily.Series($0, $1) }),
            MetricFamily(
                .gauge, "martlet_http_requests_in_flight", "Requests that are being answered.",
                Double(counts.inFlight)),
            MetricFamily(
                .gauge, "martlet_http_streams", "Event streams that are open, by kind.",
                Self.series(counts.streams, "kind", always: ["events", "log"])),
            MetricFamily(
                .counter, "martlet_http_refused_total", "Requests that were refused before a route saw them.",
                Self.series(counts.refused, "reason")),
            MetricFamily(
                .counter, "argo_workflows_log_messages", "Lines that the server logged, by level.",
                Self.series(counts.logLines, "level", always: ["error", "info", "warning"])),
        ]
    }

    private static func series(
        _ counts: [String: Int], _ label: String, always: [String] = []
    ) -> [MetricFamily.Series] {
        Set(counts.keys).union(always).sorted().map {
            MetricFamily.Series([.init(label, $0)], Double(counts[$0] ?? 0))
        }
    }
}
