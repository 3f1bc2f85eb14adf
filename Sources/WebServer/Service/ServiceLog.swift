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

    /// - Parameter level: trace, debug, info, notice, warning, error or critical.
    package init?(
        level: String, format: LogFormat, metrics: ServiceMetrics? = nil,
        now: @escaping @Sendable () -> Timestamp
    ) {
        guard let level = Logger.Level(rawValue: level) else { return nil }
        let counted: @Sendable (Logger.Level) -> Void = { metrics?.countLogLine($0.rawValue) }
        var logger = Logger(label: "martlet.server") { label in
            switch format {
            case .text: CountingLogHandler(StreamLogHandler.standardError(label: label), counted: counted)
            case .json: JSONLogHandler(label: label, now: now, counted: counted)
            }
        }
        logger.logLevel = level
        self.logger = logger
    }

    init(_ logger: Logger) { self.logger = logger }

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
