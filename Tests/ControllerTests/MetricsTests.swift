// Counts of the engine, and the metrics that manifests declare.

import Scheduling
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Metrics")
struct MetricsTests {
    private static let now = Timestamp(seconds: 1_000)

    private static func scope(_ entries: [String: String]) -> VariableScope {
        VariableScope(
            entries: entries.mapValues(ScopeEntry.text), context: ExpressionContext(now: now, seed: 0))
    }

    @Test("Values fall at or below their bounds, and what is no number is left out")
    func distribution() {
        var distribution = Distribution(bounds: [1, 2, 5])
        for value in [0.5, 1, 1.5, 5, 6, .nan, .infinity] { distribution.observe(value) }
        #expect(distribution.counts == [2, 1, 1, 1])
        #expect(distribution.cumulativeCounts == [2, 3, 4])
        #expect(distribution.count == 5)
        #expect(distribution.sum == 14)
    }

    @Test("Beyond the limit series are counted together")
    func bounded() {
        var series = BoundedSeries(limit: 2, other: [.init("name", "other")]) { 0 }
        for name in ["a", "b", "c", "a", "d"] { series.update([.init("name", name)]) { $0 += 1 } }
        let values = series.series { MetricFamily.Series($0, Double($1)) }
        #expect(
            values == [
                .init([.init("name", "a")], 2), .init([.init("name", "b")], 1),
                .init([.init("name", "other")], 2),
            ])
    }

    @Test("A schedule's lateness grows while nothing looks at it")
    func lateness() {
        let metrics = ControllerMetrics()
        func late(at moment: Timestamp) -> MetricFamily.Value? {
            metrics.families(at: moment).first { $0.name == "martlet_cron_late_seconds" }?.series.first?.value
        }
        #expect(late(at: Self.now) == .number(0))
        metrics.setCronNext(Self.now + .seconds(60))
        #expect(late(at: Self.now) == .number(0))
        #expect(late(at: Self.now + .seconds(90)) == .number(30))
    }

    @Test("Each family has a name of its own")
    func names() {
        let names = ControllerMetrics().families(at: Self.now).map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test("Gauges are set, added to and taken from; counters only grow; histograms spread")
    func kinds() {
        let custom = CustomMetrics()
        func record(_ body: [String: JSONValue], _ value: String) {
            var metric = body
            metric["help"] = "help"
            custom.record(
                [.object(metric)], key: "k", scope: Self.scope(["duration": value, "status": "Failed"]))
        }
        record(["name": "g", "gauge": ["value": "{{duration}}"]], "3")
        record(["name": "g", "gauge": ["value": "{{duration}}", "operation": "Add"]], "4")
        record(["name": "g", "gauge": ["value": "{{duration}}", "operation": "Sub"]], "1")
        record(["name": "c", "counter": ["value": "{{duration}}"]], "2")
        record(["name": "c", "counter": ["value": "{{duration}}"]], "2.5")
        record(["name": "h", "histogram": ["value": "{{duration}}", "buckets": [1, "5", 5]]], "3")
        // Refused: negative, no number, another kind, a bad name; left out: a condition that does not hold.
        record(["name": "c", "counter": ["value": "{{duration}}"]], "-1")
        record(["name": "c", "counter": ["value": "{{duration}}"]], "soon")
        record(["name": "g", "counter": ["value": "{{duration}}"]], "1")
        record(["name": "9", "counter": ["value": "{{duration}}"]], "1")
        record(["name": "w", "when": "{{status}} == Succeeded", "counter": ["value": "1"]], "1")
        let families = custom.families(at: Self.now)
        func value(_ name: String) -> MetricFamily.Value? {
            families.first { $0.name == name }?.series.first?.value
        }
        #expect(value("argo_workflows_g") == .number(6))
        #expect(value("argo_workflows_c") == .number(4.5))
        #expect(value("martlet_custom_metrics_dropped_total") == .number(4))
        #expect(value("argo_workflows_w") == nil)
        guard case .distribution(let distribution)? = value("argo_workflows_h") else {
            Issue.record("the histogram is none")
            return
        }
        #expect(distribution.bounds == [1, 5])
        #expect(distribution.cumulativeCounts == [0, 1])
    }

    @Test("Labels are filled in, and their number has a limit")
    func labels() {
        let custom = CustomMetrics()
        for number in 0..<(CustomMetrics.seriesLimit + 50) {
            let metric: JSONValue = [
                "name": "runs", "help": "h", "counter": ["value": "1"],
                "labels": [["key": "n", "value": "{{inputs.parameters.n}}"]],
            ]
            custom.record([metric], key: "k", scope: Self.scope(["inputs.parameters.n": "\(number)"]))
        }
        let families = custom.families(at: Self.now)
        #expect(
            families.first { $0.name == "argo_workflows_runs" }?.series.count == CustomMetrics.seriesLimit)
        #expect(
            families.first { $0.name == "martlet_custom_metrics_dropped_total" }?.series.first?.value
                == .number(50))
    }

    @Test("A gauge in real time grows while the step runs, and stays when it ended")
    func realtime() {
        let custom = CustomMetrics()
        let metric: JSONValue = [
            "name": "t", "help": "h", "gauge": ["value": "{{duration}}", "realtime": true],
        ]
        custom.begin([metric], key: "u/n", scope: Self.scope([:]), at: Self.now)
        func value(at moment: Timestamp) -> MetricFamily.Value? {
            custom.families(at: moment).first { $0.name == "argo_workflows_t" }?.series.first?.value
        }
        #expect(value(at: Self.now + .seconds(3)) == .number(3))
        #expect(value(at: Self.now + .seconds(8)) == .number(8))
        custom.record([metric], key: "u/n", scope: Self.scope(["duration": "9.5"]))
        #expect(value(at: Self.now + .seconds(100)) == .number(9.5))
    }
}
