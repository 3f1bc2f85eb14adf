// Outcomes and reviews as lines of a run's files.

import Glibc
package import Text

extension SampleOutcome {
    package var json: OrderedJSON {
        switch self {
        case .choices(let results):
            .object([
                .init(key: "loglikelihoods", value: .array(results.map { .finite($0.sum) })),
                .init(key: "is_greedy", value: .array(results.map { .bool($0.isGreedy) })),
                .init(key: "tokens", value: .array(results.map { .int($0.tokens) })),
            ])
        case .completions(let completions):
            .object([.init(key: "completions", value: .array(completions.map(\.json)))])
        case .text(let likelihood):
            .object([
                .init(key: "loglikelihood", value: .finite(likelihood.sum)),
                .init(key: "tokens", value: .int(likelihood.tokens)),
            ])
        case .code(let completions, let verdicts):
            .object([
                .init(key: "completions", value: .array(completions.map(\.json))),
                .init(
                    key: "verdicts",
                    value: .array(
                        verdicts.map {
                            .object([
                                .init(key: "passed", value: .bool($0.passed)),
                                .init(key: "detail", value: .string($0.detail)),
                            ])
                        })),
            ])
        }
    }

    /// nil if the value is no outcome.
    package init?(json: OrderedJSON) {
        if let sums = json["loglikelihoods"]?.arrayValue, let greedy = json["is_greedy"]?.arrayValue,
            let tokens = json["tokens"]?.arrayValue, sums.count == greedy.count, sums.count == tokens.count
        {
            self = .choices(
                zip(sums, zip(greedy, tokens)).map { sum, rest in
                    LikelihoodResult(
                        // Only a likelihood of nothing at all cannot be written as a number.
                        sum: sum.doubleValue ?? -.infinity, isGreedy: rest.0.boolValue ?? false,
                        tokens: rest.1.intValue ?? 0)
                })
        } else if let list = json["completions"]?.arrayValue {
            let completions = list.compactMap(Completion.init(json:))
            guard completions.count == list.count else { return nil }
            guard let verdicts = json["verdicts"]?.arrayValue else {
                self = .completions(completions)
                return
            }
            self = .code(
                completions,
                verdicts.map {
                    CodeVerdict(
                        passed: $0["passed"]?.boolValue ?? false, detail: $0["detail"]?.stringValue ?? "")
                })
        } else if let sum = json["loglikelihood"], let tokens = json["tokens"]?.intValue {
            self = .text(RollingLikelihood(sum: sum.doubleValue ?? -.infinity, tokens: tokens))
        } else {
            return nil
        }
    }
}

extension Completion {
    fileprivate var json: OrderedJSON {
        .object([
            .init(key: "text", value: .string(text)), .init(key: "tokens", value: .int(tokens)),
            .init(key: "finish_reason", value: .string(finishReason)),
        ])
    }

    fileprivate init?(json: OrderedJSON) {
        guard let text = json["text"]?.stringValue else { return nil }
        self.init(
            text: text, tokens: json["tokens"]?.intValue ?? 0,
            finishReason: json["finish_reason"]?.stringValue ?? "")
    }
}

extension SampleReview {
    package var json: OrderedJSON {
        .object([
            .init(key: "id", value: .string(id)), .init(key: "subset", value: .string(subset)),
            .init(key: "prediction", value: .string(prediction)),
            .init(key: "target", value: .string(target)),
            .init(
                key: "values",
                value: .object(
                    values.sortedByKey.map { OrderedJSON.Member(key: $0.key, value: .finite($0.value)) })),
        ])
    }

    /// nil if the value is no review.
    package init?(json: OrderedJSON) {
        guard let id = json["id"]?.stringValue, let members = json["values"]?.objectValue else { return nil }
        self.init(
            id: id, subset: json["subset"]?.stringValue ?? "",
            prediction: json["prediction"]?.stringValue ?? "",
            target: json["target"]?.stringValue ?? "",
            values: members.reduce(into: [:]) { $0[$1.key] = $1.value.doubleValue ?? -.infinity })
    }
}

extension OrderedJSON {
    /// JSON has no infinite numbers.
    fileprivate static func finite(_ number: Double) -> OrderedJSON {
        number.isFinite ? .double(number) : .null
    }
}
