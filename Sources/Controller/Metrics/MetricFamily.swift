// Metrics as values: a name with its samples, as Prometheus counts them. The text of it is made elsewhere.

/// One metric with all its series at one moment.
package struct MetricFamily: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case counter, gauge, histogram
    }

    package struct Label: Sendable, Hashable, Comparable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }

        package static func < (left: Label, right: Label) -> Bool {
            (left.name, left.value) < (right.name, right.value)
        }
    }

    package enum Value: Sendable, Hashable {
        case number(Double)
        case distribution(Distribution)
    }

    package struct Series: Sendable, Hashable {
        package var labels: [Label]
        package var value: Value

        package init(_ labels: [Label] = [], _ value: Double) {
            self.labels = labels
            self.value = .number(value)
        }

        package init(_ labels: [Label] = [], _ distribution: Distribution) {
            self.labels = labels
            value = .distribution(distribution)
        }
    }

    /// The whole name, `_total` of a counter included.
    package var name: String
    package var help: String
    package var kind: Kind
    package var series: [Series]

    package init(_ kind: Kind, _ name: String, _ help: String, _ series: [Series]) {
        self.kind = kind
        self.name = name
        self.help = help
        self.series = series
    }

    /// A family of one series without labels.
    package init(_ kind: Kind, _ name: String, _ help: String, _ value: Double) {
        self.init(kind, name, help, [Series([], value)])
    }
}

/// How often values fell at or below each bound.
package struct Distribution: Sendable, Hashable {
    /// Ascending.
    package let bounds: [Double]
    /// Not cumulative; one more than bounds, for what lies above the last.
    package private(set) var counts: [Int]
    package private(set) var sum = 0.0
    package private(set) var count = 0

    /// From a tenth of a millisecond to ten seconds: what a server does by itself.
    package static let latencyBounds = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]
    /// From a tenth of a second to a week: what steps take.
    package static let workBounds = [
        0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 604_800,
    ]

    package init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// A value that is not a number is not counted.
    package mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        sum += value
        count += 1
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    }

    /// How many values are at or below each bound, in the order of the bounds.
    package var cumulativeCounts: [Int] {
        var total = 0
        return counts.dropLast().map { count in
            total += count
            return total
        }
    }
}

/// Distributions or numbers by a label whose values come from outside: so many are kept apart, the rest is "other".
package struct BoundedSeries<Value: Sendable>: Sendable {
    package typealias Key = [MetricFamily.Label]
    private let limit: Int
    private let makeValue: @Sendable () -> Value
    private let other: Key
    package private(set) var values: [Key: Value] = [:]

    /// - Parameter other: the labels under which everything beyond the limit is counted.
    package init(limit: Int, other: Key, _ makeValue: @escaping @Sendable () -> Value) {
        self.limit = limit
        self.other = other
        self.makeValue = makeValue
    }

    package mutating func update(_ key: Key, _ body: (inout Value) -> Void) {
        let place = values[key] == nil && values.count >= limit ? other : key
        body(&values[place, default: makeValue()])
    }

    package func series(_ shape: (Key, Value) -> MetricFamily.Series) -> [MetricFamily.Series] {
        values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { shape($0.key, $0.value) }
    }
}
