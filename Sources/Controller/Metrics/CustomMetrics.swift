// The metrics that manifests declare (`metrics.prometheus`): gauges, counters and histograms by name and labels.

import Scheduling
import Synchronization
package import Text
package import WorkflowLanguage

/// The custom metrics of this process. Counters begin at 0 with it, which Prometheus takes for a reset; gauges appear
/// with the first value.
package final class CustomMetrics: Sendable {
    /// Names and sets of labels that are kept, of all manifests together.
    package static let seriesLimit = 1_000
    /// Steps whose duration is told while they run.
    static let realtimeLimit = 1_000
    private static let boundLimit = 100
    /// In front of each name, as Argo has it.
    package static let prefix = "argo_workflows_"

    struct Metric: Sendable {
        var kind: MetricFamily.Kind
        var help: String
        var bounds: [Double]
        var series: [[MetricFamily.Label]: MetricFamily.Value] = [:]
    }

    /// A gauge of a step that runs: its value is the time since the start.
    struct Realtime: Sendable {
        var metric: JSONValue
        var scope: VariableScope
        var startedAt: Timestamp
    }

    struct Contents: Sendable {
        var metrics: [String: Metric] = [:]
        var seriesCount = 0
        var dropped = 0
        var realtime: [String: Realtime] = [:]
    }

    private let contents = Mutex(Contents())

    package init() {}

    /// Takes the values of what has ended.
    /// - Parameters:
    ///   - key: of the step or run, the same as for `begin`.
    ///   - scope: the variables of the step, `status`, `duration` and outputs among them.
    package func record(_ metrics: [JSONValue], key: String, scope: VariableScope) {
        contents.withLock { contents in
            for index in metrics.indices { contents.realtime["\(key)/\(index)"] = nil }
            for metric in metrics { Self.record(metric, scope, in: &contents) }
        }
    }

    /// A step or run with metrics began: those that are wanted in real time show its duration from now on.
    package func begin(_ metrics: [JSONValue], key: String, scope: VariableScope, at start: Timestamp) {
        for (index, metric) in metrics.enumerated() {
            guard metric["gauge"]?["realtime"]?.boolValue == true,
                metric["gauge"]?["value"]?.scalarText?.contains("duration") == true
            else { continue }
            contents.withLock { contents in
                guard contents.realtime.count < Self.realtimeLimit else { return }
                contents.realtime["\(key)/\(index)"] = Realtime(
                    metric: metric, scope: scope, startedAt: start)
            }
        }
    }

    /// A run that this process no longer drives shows nothing in real time.
    package func forget(prefix: String) {
        contents.withLock { contents in
            contents.realtime = contents.realtime.filter { !$0.key.hasPrefix(prefix) }
        }
    }

    package func families(at now: Timestamp) -> [MetricFamily] {
        let contents = contents.withLock { contents in
            for running in contents.realtime.values {
                var scope = running.scope
                scope.set("duration", MetricNumber.text((now - running.startedAt).inSeconds))
                scope.set("status", Phase.running.rawValue)
                Self.record(running.metric, scope, in: &contents)
            }
            return contents
        }
        let families = contents.metrics.sorted { $0.key < $1.key }.map { name, metric in
            MetricFamily(
                metric.kind, Self.prefix + name, metric.help,
                metric.series.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { labels, value in
                    var series = MetricFamily.Series(labels, 0)
                    series.value = value
                    return series
                })
        }
        return families + [
            MetricFamily(
                .counter, "martlet_custom_metrics_dropped_total",
                "Values of manifests' metrics that were refused: not a number, or too many series.",
                Double(contents.dropped))
        ]
    }

    private static func record(_ metric: JSONValue, _ scope: VariableScope, in contents: inout Contents) {
        guard let sample = MetricSampleDraft(metric, scope) else {
            contents.dropped += 1
            return
        }
        if sample.isWanted == false { return }
        guard let value = sample.value, value.isFinite else {
            contents.dropped += 1
            return
        }
        var stored =
            contents.metrics[sample.name]
            ?? Metric(
                kind: sample.kind, help: sample.help, bounds: Array(sample.bounds.prefix(Self.boundLimit)))
        // Two manifests may use a name for different things; the first one counts.
        guard stored.kind == sample.kind,
            stored.series.first.map({ $0.key.map(\.name) == sample.labels.map(\.name) }) ?? true
        else {
            contents.dropped += 1
            return
        }
        if stored.series[sample.labels] == nil {
            guard contents.seriesCount < Self.seriesLimit else {
                contents.dropped += 1
                return
            }
            contents.seriesCount += 1
        }
        stored.take(value, sample)
        contents.metrics[sample.name] = stored
    }
}

extension CustomMetrics.Metric {
    fileprivate mutating func take(_ value: Double, _ sample: MetricSampleDraft) {
        let old = series[sample.labels]
        switch kind {
        case .histogram:
            var distribution = Distribution(bounds: bounds)
            if case .distribution(let known)? = old { distribution = known }
            distribution.observe(value)
            series[sample.labels] = .distribution(distribution)
        case .counter, .gauge:
            var number = 0.0
            if case .number(let known)? = old { number = known }
            switch sample.operation {
            case "Add": number += value
            case "Sub": number -= value
            default: number = value
            }
            series[sample.labels] = .number(number)
        }
    }
}

/// A metric of a manifest with its tags replaced.
private struct MetricSampleDraft {
    var name: String
    var help: String
    var kind: MetricFamily.Kind
    var labels: [MetricFamily.Label] = []
    var bounds: [Double] = []
    var operation = "Set"
    /// nil when the text is no number.
    var value: Double?
    /// Whether `when` holds.
    var isWanted = true

    init?(_ json: JSONValue, _ scope: VariableScope) {
        let fields = Fields(json)
        guard let name = fields.string("name"), Self.isName(name) else { return nil }
        self.name = name
        help = fields.string("help") ?? ""
        let body: Fields
        if let gauge = fields.object("gauge") {
            (kind, body) = (.gauge, gauge)
            operation = gauge.string("operation") ?? "Set"
        } else if let counter = fields.object("counter") {
            (kind, body, operation) = (.counter, counter, "Add")
        } else if let histogram = fields.object("histogram") {
            (kind, body) = (.histogram, histogram)
            bounds = histogram.list("buckets").compactMap {
                $0.doubleValue ?? $0.scalarText.flatMap { Double($0) }
            }
            .filter(\.isFinite).sorted()
            // Equal bounds would be two samples of one series.
            bounds = bounds.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
        } else {
            return nil
        }
        if let when = fields.text("when"), !when.trimmed.isEmpty {
            guard let text = try? scope.replace(in: when), let holds = try? WhenExpression.evaluate(text)
            else {
                return nil
            }
            isWanted = holds
        }
        for label in fields.list("labels").map({ Fields($0) }) {
            guard let key = label.text("key"), Self.isName(key), !labels.contains(where: { $0.name == key })
            else { return nil }
            let text = (try? scope.replace(in: label.text("value") ?? "")) ?? ""
            labels.append(.init(key, String(text.prefix(200))))
        }
        let text = (try? scope.replace(in: body.text("value") ?? "")) ?? ""
        value = Double(text.trimmed)
        if kind == .counter, let number = value, number < 0 { value = nil }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 200, !(0x30...0x39).contains(first) else {
            return false
        }
        return text.utf8.allSatisfy {
            ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
    }
}

/// Numbers as the variables of metrics have them.
enum MetricNumber {
    /// Seconds as `duration` has them in metrics: six decimals.
    static func text(_ seconds: Double) -> String {
        GoFormat.sprintf("%f", [.double(seconds)])
    }
}
