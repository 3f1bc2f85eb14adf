// The log of `martlet server`, for the parts of it that are outside of this module.

import Logging
package import Text

/// How lines are written.
package enum LogFormat: String, Sendable, Hashable, CaseIterable {
    case text, json
}

/// Writes log lines to standard error.
package struct ServiceLog: Sendable {
    let logger: Logger
    /// Counts the lines, and what the service with this log counts beside them.
    let metrics: ServiceMetrics

    /// - Parameter level: trace, debug, info, notice, warning, error or critical; nil comes of other words.
    package init?(level: String, format: LogFormat, now: @escaping @Sendable () -> Timestamp) {
        guard let level = Logger.Level(rawValue: level) else { return nil }
        let metrics = ServiceMetrics()
        var logger = Logger(label: "martlet.server") { label in
            switch format {
            case .text: StreamLogHandler.standardError(label: label)
            case .json:
                JSONLogHandler(label: label, now: now, counted: { metrics.countLogLine($0.rawValue) })
            }
        }
        logger.logLevel = level
        self.logger = logger
        self.metrics = metrics
    }

    /// - Parameters:
    ///   - message: a fixed lowercase sentence; what varies goes into the metadata.
    ///   - metadata: never holds secrets.
    package func notice(_ message: String, _ metadata: [String: String] = [:]) {
        logger.notice("\(message)", metadata: metadata.mapValues { .string($0) })
    }

    package func warning(_ message: String, _ metadata: [String: String] = [:]) {
        logger.warning("\(message)", metadata: metadata.mapValues { .string($0) })
    }

    package func error(_ message: String, _ metadata: [String: String] = [:]) {
        logger.error("\(message)", metadata: metadata.mapValues { .string($0) })
    }
}
