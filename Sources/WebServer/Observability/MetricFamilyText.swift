// The engine's metrics in the text that Prometheus scrapes.

import Controller

extension MetricsText {
    /// A family with all its series; one without series says at least what it is.
    mutating func append(_ family: MetricFamily) {
        head(family.name, Self.escapedHelp(family.help), family.kind.rawValue)
        for series in family.series {
            let labels = series.labels.map { ($0.name, $0.value) }
            switch series.value {
            case .number(let number): sample(family.name, labels, number)
            case .distribution(let distribution):
                for (bound, count) in zip(distribution.bounds, distribution.cumulativeCounts) {
                    sample(family.name + "_bucket", labels + [("le", Self.number(bound))], Double(count))
                }
                sample(family.name + "_bucket", labels + [("le", "+Inf")], Double(distribution.count))
                sample(family.name + "_sum", labels, distribution.sum)
                sample(family.name + "_count", labels, Double(distribution.count))
            }
        }
    }

    /// Help comes from manifests, too: a line break in it would begin a line of its own.
    static func escapedHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\r\n", with: "\\n").replacing("\n", with: "\\n")
            .replacing("\r", with: "\\n")
    }
}
