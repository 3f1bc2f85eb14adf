// What an evaluation found: figures with their standard errors, by subset and category, and all that says how
// they came about. Two reports can be compared only if that is known.

package import Text

/// The content of `report.json`.
package struct EvaluationReport: Sendable {
    /// The version of the report's form.
    package static let version = 1

    package var task: String
    package var scoring: ScoringKind
    /// Judged samples.
    package var count: Int
    /// The primary one first.
    package var metrics: [Figure]
    package var subsets: [Group]
    package var categories: [Group]
    /// Settings, digests, the model; in the order in which they are written.
    package var details: [OrderedJSON.Member]

    /// A metric's value.
    package struct Figure: Sendable, Hashable {
        package var name: String
        package var higherIsBetter: Bool
        package var estimate: Estimate
        /// The mean over subsets, each counting the same; nil where there is only one.
        package var macro: Estimate?
    }

    /// The figures of a part of the samples.
    package struct Group: Sendable, Hashable {
        package var name: String
        package var count: Int
        package var figures: [Figure]
    }

    /// - Parameters:
    ///   - reviews: of finished samples, in any order.
    ///   - model: what tells the model and its settings apart.
    ///   - durationSeconds: of the whole run, nil if it is not known.
    package init(
        _ plan: EvaluationPlan, reviews: [SampleReview], model: OrderedJSON, durationSeconds: Double? = nil
    ) {
        task = plan.task.name
        scoring = plan.scoring
        count = reviews.count
        let seed = plan.request.seed
        // The order of reviews is that of their arrival; bootstraps and sums should not depend on it.
        let places = Dictionary(
            plan.samples.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        let ordered = reviews.sorted { (places[$0.id] ?? .max, $0.id) < (places[$1.id] ?? .max, $1.id) }
        let bySubset = Self.groups(ordered) { $0.subset }
        subsets = bySubset.map { Self.group($0.name, $0.reviews, plan.metrics, seed) }
        let table = plan.task.categories
        let known = ordered.filter { table[$0.subset] != nil }
        categories = Self.groups(known) { table[$0.subset] ?? "" }
            .map {
                Self.group($0.name, $0.reviews, plan.metrics, seed, by: Self.groups($0.reviews) { $0.subset })
            }
        metrics = Self.group("", ordered, plan.metrics, seed, by: bySubset).figures
        details = plan.settings.objectValue ?? []
        details.removeAll { ["task", "scoring", "data_sha256"].contains($0.key) }
        details.insert(OrderedJSON.Member(key: "data_sha256", value: .string(plan.dataSHA256)), at: 0)
        details += [
            .init(key: "files", value: .array(plan.files.prefix(100).map { .string($0.name) })),
            .init(key: "samples", value: .int(plan.samples.count)), .init(key: "model", value: model),
            .init(key: "fingerprint", value: .string(plan.fingerprint(model: model))),
            .init(key: "notes", value: .array(plan.notes.map { .string($0) })),
        ]
        if let durationSeconds { details.append(.init(key: "duration_s", value: .double(durationSeconds))) }
    }

    private typealias Reviews = (name: String, reviews: [SampleReview])

    /// Reviews by a name, in the order in which the names first come.
    private static func groups(_ reviews: [SampleReview], _ name: (SampleReview) -> String) -> [Reviews] {
        var groups: [Reviews] = []
        var places: [String: Int] = [:]
        for review in reviews {
            let key = name(review)
            if let place = places[key] {
                groups[place].reviews.append(review)
            } else {
                places[key] = groups.count
                groups.append((key, [review]))
            }
        }
        return groups
    }

    private static func group(
        _ name: String, _ reviews: [SampleReview], _ metrics: [Metric], _ seed: UInt64,
        by parts: [Reviews] = []
    ) -> Group {
        let figures = metrics.map { metric in
            Figure(
                name: metric.name, higherIsBetter: metric.higherIsBetter,
                estimate: metric.estimate(reviews, seed: seed),
                macro: parts.count > 1
                    ? .macro(of: parts.map { metric.estimate($0.reviews, seed: seed) }) : nil)
        }
        return Group(name: name, count: reviews.count, figures: figures)
    }

    /// The value that gates and sweeps look at: the primary metric's.
    package var score: Double? { metrics.first?.estimate.value }
}

extension EvaluationReport {
    /// The content of `report.json`: task, scoring, n, data_sha256 and metrics first. Numbers that are not
    /// finite are null.
    package var json: OrderedJSON {
        let detail = OrderedJSON.object(details)
        var members: [OrderedJSON.Member] = [
            .init(key: "task", value: .string(task)), .init(key: "scoring", value: .string(scoring.rawValue)),
            .init(key: "n", value: .int(count)),
            .init(key: "data_sha256", value: detail["data_sha256"] ?? .null),
            .init(key: "metrics", value: Self.json(metrics)),
            .init(key: "primary_metric", value: metrics.first.map { .string($0.name) } ?? .null),
            .init(key: "score", value: Self.number(score)),
            .init(key: "version", value: .int(Self.version)),
        ]
        members += details.filter { $0.key != "data_sha256" }
        members.append(.init(key: "subsets", value: Self.json(subsets)))
        if !categories.isEmpty { members.append(.init(key: "categories", value: Self.json(categories))) }
        return .object(members)
    }

    private static func json(_ groups: [Group]) -> OrderedJSON {
        .object(
            groups.map { group in
                let body = OrderedJSON.object([
                    .init(key: "n", value: .int(group.count)),
                    .init(key: "metrics", value: json(group.figures)),
                ])
                return OrderedJSON.Member(key: group.name, value: body)
            })
    }

    private static func json(_ figures: [Figure]) -> OrderedJSON {
        .object(
            figures.map { figure in
                var members: [OrderedJSON.Member] = [
                    .init(key: "value", value: number(figure.estimate.value)),
                    .init(key: "stderr", value: number(figure.estimate.standardError)),
                    .init(key: "stderr_method", value: .string(figure.estimate.method.rawValue)),
                    .init(key: "higher_is_better", value: .bool(figure.higherIsBetter)),
                ]
                if let macro = figure.macro {
                    members.append(.init(key: "macro", value: number(macro.value)))
                    members.append(.init(key: "macro_stderr", value: number(macro.standardError)))
                }
                return OrderedJSON.Member(key: figure.name, value: .object(members))
            })
    }

    private static func number(_ value: Double?) -> OrderedJSON {
        value.flatMap { $0.isFinite ? .double($0) : nil } ?? .null
    }
}
