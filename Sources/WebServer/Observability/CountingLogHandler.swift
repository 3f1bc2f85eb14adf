// Counts log lines on their way to another handler.

import Logging

struct CountingLogHandler: LogHandler {
    private var inner: any LogHandler
    private let counted: @Sendable (Logger.Level) -> Void

    init(_ inner: any LogHandler, counted: @escaping @Sendable (Logger.Level) -> Void) {
        self.inner = inner
        self.counted = counted
    }

    var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { inner.metadataProvider }
        set { inner.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        counted(event.level)
        inner.log(event: event)
    }
}
