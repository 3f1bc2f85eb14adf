// Counters, gauges and histograms as values, and their text in Prometheus' exposition format 0.0.4.

/// How often values fell below each bound. Bounds ascend; what lies above the last is counted as well.
struct Histogram: Sendable, Hashable {
    let bounds: [Double]
    private(set) var counts: [Int]
    private(set) var sum: Double = 0
    private(set) var count = 0

    init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count)
    }

    /// A value that is not a number is not counted.
    mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        sum += value
        count += 1
        if let index = bounds.firstIndex(where: { value <= $0 }) { counts[index] += 1 }
    }

    /// How many values are at or below each bound.
    var cumulativeCounts: [Int] {
        var total = 0
        return counts.map { count in
            total += count
            return total
        }
    }

    /// 1, 2, 5, 10, 20, 50, ... up to `maximum`, as vLLM bounds counts of tokens.
    static func oneTwoFive(upTo maximum: Int) -> [Double] {
        var bounds: [Double] = []
        var power = 1
        while true {
            for mantissa in [1, 2, 5] {
                let (bound, overflowed) = power.multipliedReportingOverflow(by: mantissa)
                if overflowed || bound > maximum { return bounds }
                bounds.append(Double(bound))
            }
            let (next, overflowed) = power.multipliedReportingOverflow(by: 10)
            if overflowed { return bounds }
            power = next
        }
    }
}

/// Builds the text that Prometheus scrapes.
struct MetricsText {
    typealias Labels = [(name: String, value: String)]

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Labels of every sample.
    let labels: Labels
    private(set) var text = ""

    init(labels: Labels) { self.labels = labels }

    mutating func gauge(_ name: String, _ help: String, _ value: Double, _ more: Labels = []) {
        head(name, help, "gauge")
        sample(name, more, value)
    }

    /// - Parameter name: without `_total`, which the text adds.
    mutating func counter(_ name: String, _ help: String, _ value: Int) {
        counter(name, help, [([], value)])
    }

    /// A counter with a sample for each set of labels.
    mutating func counter(_ name: String, _ help: String, _ samples: [(labels: Labels, value: Int)]) {
        head(name + "_total", help, "counter")
        for (labels, value) in samples { sample(name + "_total", labels, Double(value)) }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, help, "histogram")
        for (bound, count) in zip(histogram.bounds, histogram.cumulativeCounts) {
            sample(name + "_bucket", [("le", Self.number(bound))], Double(count))
        }
        sample(name + "_bucket", [("le", "+Inf")], Double(histogram.count))
        sample(name + "_sum", [], histogram.sum)
        sample(name + "_count", [], Double(histogram.count))
    }

    mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ more: Labels, _ value: Double) {
        let pairs = (labels + more).map { "\($0.name)=\"\(Self.escaped($0.value))\"" }
        text += name + (pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}") + " \(Self.number(value))\n"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// Floating point as Prometheus' own clients write it: 1.0, 0.05, +Inf.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }
}
