// Prometheus metrics that a workflow or template emits.

import Text

extension ValidationContext {
    func checkMetrics(_ metrics: [JSONValue], at path: FieldPath, into findings: inout Findings) {
        for (index, metric) in metrics.enumerated() {
            checkMetric(Fields(metric), at: path[index], into: &findings)
        }
    }

    private func checkMetric(_ metric: Fields, at path: FieldPath, into findings: inout Findings) {
        let name = metric.text("name") ?? ""
        if !ASCII.isIdentifier(name) {
            findings.error(
                "metric name '\(name)' is invalid. Metric names must contain alphanumeric characters or '_'",
                at: metric["name"] == nil ? path : path["name"],
                remedy: "write letters, digits and '_', beginning with a letter")
        }
        if (metric.text("help") ?? "").isEmpty {
            findings.error(
                "metric '\(name)' must contain a help string under 'help: ' field", at: path,
                remedy: "write help: what the metric counts or measures")
        }
        for (index, label) in metric.list("labels").enumerated() {
            let key = Fields(label).text("key") ?? ""
            guard !ASCII.isIdentifier(key) else { continue }
            findings.error(
                "metric label '\(key)' is invalid: it must consist of letters, digits and '_'",
                at: path["labels"][index])
        }
        if let when = metric.text("when") { checkWhen(when, at: path["when"], into: &findings) }
        checkKind(of: metric, named: name, at: path, into: &findings)
    }

    private func checkKind(
        of metric: Fields, named name: String, at path: FieldPath, into findings: inout Findings
    ) {
        let kinds = ["gauge", "counter", "histogram"]
        let used = kinds.filter { metric[$0] != nil }
        if used.count != 1 {
            findings.error(
                "metric '\(name)' must be exactly one of gauge, counter, histogram",
                at: used.count > 1 ? path[used[1]] : path,
                remedy: used.isEmpty
                    ? "write for example gauge: {value: \"{{duration}}\"}" : "keep one of them")
        }
        for kind in used {
            let fields = Fields(metric[kind])
            let value = fields.text("value") ?? ""
            if value.isEmpty {
                findings.error("metric '\(name)' error: missing \(kind).value", at: path[kind])
            }
            if kind == "gauge", fields.bool("realtime") == true, value.contains("resourcesDuration.") {
                findings.error(
                    "metric '\(name)' error: 'resourcesDuration.*' metrics cannot be used in real-time",
                    at: path[kind]["value"], remedy: "remove realtime, or use {{duration}}")
            }
            if kind == "gauge" {
                checkWord(
                    fields.string("operation"), among: ["Set", "Add", "Sub"], of: "gauge operation",
                    at: path[kind]["operation"], into: &findings)
            }
        }
    }
}
