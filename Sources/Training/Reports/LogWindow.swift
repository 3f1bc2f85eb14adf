// What was measured since the last log line, and its averages.

import Text

/// Sums over the steps since the last log line.
///
/// As in transformers, a line's loss is the mean of the losses of its steps. The token accuracy is the mean
/// over the window's learned tokens, extra values are means over the steps that had them (as trl's stored
/// metrics). The norm of the gradient and the learning rate are not averaged: a line has those of its last
/// step.
package struct LogWindow: Sendable, Hashable {
    struct Sum: Sendable, Hashable {
        var name: String
        var total: Double
        var count: Int

        var mean: Double { total / Double(count) }
    }

    private(set) var steps = 0
    private var lossTotal = 0.0
    /// The sum of accuracy times tokens, and of tokens.
    private var accuracyTotal = 0.0
    private var accuracyTokens = 0
    private var extras: [Sum] = []

    package init() {}

    mutating func add(_ report: StepReport) {
        steps += 1
        lossTotal += report.loss
        if let accuracy = report.tokenAccuracy {
            accuracyTotal += accuracy * Double(report.trainedTokens)
            accuracyTokens += report.trainedTokens
        }
        for extra in report.extras {
            if let place = extras.firstIndex(where: { $0.name == extra.name }) {
                extras[place].total += extra.value
                extras[place].count += 1
            } else {
                extras.append(Sum(name: extra.name, total: extra.value, count: 1))
            }
        }
    }

    /// Nil for a window without steps.
    var loss: Double? { steps > 0 ? lossTotal / Double(steps) : nil }

    /// Nil where it was not measured or nothing was learned from.
    var tokenAccuracy: Double? { accuracyTokens > 0 ? accuracyTotal / Double(accuracyTokens) : nil }

    var extraMeans: [NamedValue] { extras.map { NamedValue($0.name, $0.mean) } }
}

extension LogWindow {
    var json: OrderedJSON {
        .object([
            .init(key: "steps", value: .int(steps)),
            .init(key: "loss_total", value: .number(lossTotal)),
            .init(key: "accuracy_total", value: .number(accuracyTotal)),
            .init(key: "accuracy_tokens", value: .int(accuracyTokens)),
            .init(
                key: "extras",
                value: .array(
                    extras.map { sum in
                        .object([
                            .init(key: "name", value: .string(sum.name)),
                            .init(key: "total", value: .number(sum.total)),
                            .init(key: "count", value: .int(sum.count)),
                        ])
                    })),
        ])
    }

    init(_ fields: StateFields) throws(TrainingError) {
        steps = try fields.count("steps")
        lossTotal = try fields.double("loss_total")
        accuracyTotal = try fields.double("accuracy_total")
        accuracyTokens = try fields.count("accuracy_tokens")
        for extra in try fields.list("extras") {
            let sum = try Sum(
                name: extra.string("name"), total: extra.double("total"), count: extra.count("count"))
            guard sum.count > 0 else { throw extra.error("count", "is 0") }
            extras.append(sum)
        }
    }
}
