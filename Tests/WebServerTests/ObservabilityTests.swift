// What Prometheus and log readers get: text that parses, lines that are objects.

import Controller
import Logging
import Synchronization
import Testing
import Text

@testable import WebServer

/// Lines as they are written.
private final class WrittenLines: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

@Suite("Observability")
struct ObservabilityTests {
    private static let now = Timestamp(nanoseconds: 1_767_225_600_120_000_000)

    @Test("Families become text that Prometheus reads, whatever stands in labels and help")
    func familyText() {
        var text = MetricsText(labels: [])
        var distribution = Distribution(bounds: [0.5, 1])
        for value in [0.25, 0.75, 3] { distribution.observe(value) }
        text.append(
            MetricFamily(.counter, "a_total", "two\nlines \\ more", [.init([.init("l", "a\"b\\c\nd")], 2)]))
        text.append(MetricFamily(.histogram, "h", "help", [.init([.init("x", "y")], distribution)]))
        text.append(MetricFamily(.gauge, "g", "help", .infinity))
        #expect(
            text.text == """
                # HELP a_total two\\nlines \\\\ more
                # TYPE a_total counter
                a_total{l="a\\"b\\\\c\\nd"} 2.0
                # HELP h help
                # TYPE h histogram
                h_bucket{x="y",le="0.5"} 1.0
                h_bucket{x="y",le="1.0"} 2.0
                h_bucket{x="y",le="+Inf"} 3.0
                h_sum{x="y"} 4.0
                h_count{x="y"} 3.0
                # HELP g help
                # TYPE g gauge
                g +Inf

                """)
    }

    @Test("Requests are counted by operation, method and status, unknown methods as one")
    func requests() {
        let metrics = ServiceMetrics()
        metrics.observe(operation: "A", method: "GET", status: 200, seconds: 0.01)
        metrics.observe(operation: "A", method: "GET", status: 200, seconds: 0.02)
        metrics.observe(operation: "A", method: "BREW", status: 405, seconds: 0.001)
        let series = metrics.families().first { $0.name == "martlet_http_requests_total" }?.series
        #expect(
            series == [
                .init([.init("method", "GET"), .init("operation", "A"), .init("status", "200")], 2),
                .init([.init("method", "other"), .init("operation", "A"), .init("status", "405")], 1),
            ])
    }

    @Test("The process says how much it uses, and how much disk is left")
    func process() {
        let families = ProcessMetrics(startedAt: Self.now).families(dataDirectory: "/")
        func value(_ name: String) -> Double? {
            guard case .number(let number)? = families.first(where: { $0.name == name })?.series.first?.value
            else { return nil }
            return number
        }
        #expect(value("process_start_time_seconds") == 1_767_225_600.12)
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
            "process_open_fds", "process_max_fds", "martlet_disk_free_bytes", "martlet_disk_size_bytes",
        ] { #expect(value(name).map { $0 > 0 } == true, "\(name)") }
    }

    /// The lines that a logger writes.
    private func lines(_ level: Logger.Level = .info, _ body: (inout Logger) -> Void) throws -> [JSONValue] {
        let written = WrittenLines()
        var logger = Logger(label: "martlet.test") { label in
            JSONLogHandler(
                label: label, now: { Self.now }, write: { written.append($0) })
        }
        logger.logLevel = level
        body(&logger)
        return try written.all.map { line in
            #expect(line.hasSuffix("}\n"))
            #expect(!line.dropLast().contains("\n"), "a line break inside of a line")
            return try JSONValue(parsingUTF8: Array(line.utf8))
        }
    }

    @Test("A line is one object: fixed keys, metadata beside them, nothing that breaks the line")
    func logLine() throws {
        let lines = try lines { logger in
            logger[metadataKey: "workflow.name"] = "train"
            logger.warning(
                "run failed",
                metadata: ["cause": "a \"quote\"\nand\u{1} \u{7F}", "level": "mine", "list": ["a", "b"]])
            logger.debug("not written")
        }
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(line["time"] == "2026-01-01T00:00:00.120Z")
        #expect(line["level"] == "warning")
        #expect(line["message"] == "run failed")
        #expect(line["label"] == "martlet.test")
        #expect(line["workflow.name"] == "train")
        #expect(line["cause"] == "a \"quote\"\nand\u{1} \u{7F}")
        #expect(line["meta.level"] == "mine")
        #expect(line["list"] == ["a", "b"])
    }

    @Test("Values of keys that look like secrets are not written, and long ones are cut")
    func secrets() throws {
        let lines = try lines { logger in
            logger.error(
                "x",
                metadata: [
                    "Authorization": "canary", "apiToken": "canary",
                    "nested": ["password": "canary", "a": "b"],
                    "long": .string(String(repeating: "é", count: 20_000)),
                ])
        }
        let line = try #require(lines.first)
        #expect(!line.compactText.contains("canary"))
        #expect(line["nested"]?["a"] == "b")
        #expect((line["long"]?.stringValue?.utf8.count ?? 0) < JSONLogHandler.valueLimitBytes + 10)
    }
}
