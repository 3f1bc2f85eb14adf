// A report that was written before, read back for comparisons and gates.

import Glibc
import Tensors
package import Text

/// `report.json` with the reviews beside it.
package struct StoredReport: Sendable {
    /// The path of `report.json`.
    package let path: String
    package let json: OrderedJSON
    /// In the file's order.
    package let reviews: [SampleReview]

    /// - Parameter path: an evaluation's output directory, or its `report.json`.
    /// - Throws: if either file is missing or is something else.
    package init(_ path: String) throws {
        var status = stat()
        let isDirectory = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        let file = isDirectory ? "\(path)/report.json" : path
        self.path = file
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.read(file, limitBytes: 1 << 28)
        } catch {
            throw EvaluationError(
                file, problem: error.problem, remedy: "give the output directory of a finished evaluation")
        }
        do {
            json = try OrderedJSON(parsingUTF8: bytes)
        } catch {
            throw EvaluationError(file, problem: "\(error)", remedy: "evaluate again")
        }
        guard json["task"]?.stringValue != nil, json["metrics"]?.objectValue != nil else {
            throw EvaluationError(
                file, problem: "this is no report of an evaluation",
                remedy: "give the output directory of one")
        }
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        let reviewsPath = (file.contains("/") ? folder + "/" : "") + "reviews.jsonl"
        let lines = try SmallFile.read(reviewsPath, limitBytes: 1 << 32)
        reviews = lines.split(separator: 0x0A)
            .compactMap { try? OrderedJSON(parsingUTF8: Array($0)) }.compactMap(SampleReview.init(json:))
    }

    package var task: String { json["task"]?.stringValue ?? "" }

    /// The names of the metrics, the primary one first.
    package var metricNames: [String] { (json["metrics"]?.objectValue ?? []).map(\.key) }

    package func value(_ metric: String) -> Double? { json["metrics"]?[metric]?["value"]?.doubleValue }

    package func standardError(_ metric: String) -> Double? {
        json["metrics"]?[metric]?["stderr"]?.doubleValue
    }

    package func isHigherBetter(_ metric: String) -> Bool {
        json["metrics"]?[metric]?["higher_is_better"]?.boolValue ?? true
    }
}
