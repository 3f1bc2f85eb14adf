// An order of rows that a file gives: for comparing with another program step by step.
import Tensors
import Text

/// The rows of each micro batch of each step.
package struct BatchOrder: Sendable, Hashable {
    /// `steps[step][micro batch][row]`.
    package let steps: [[[Int]]]
    private let path: String
    /// Rows before each step.
    private let rowsBefore: [Int]

    /// The largest file that is read.
    private static let maximumBytes = 1 << 28

    /// Reads `[step][accumulation][row]` or `[step][row]`, as a list or under "order".
    /// - Parameters:
    ///   - microBatchSize: `per_device_train_batch_size`, by which steps of the second form are cut.
    ///   - rowCount: rows of the data set.
    package init(path: String, microBatchSize: Int, rowCount: Int) throws(TrainingError) {
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.read(path, limitBytes: Self.maximumBytes)
        } catch {
            throw TrainingError(.badParameters, "batch_order: \(error)", remedy: "")
        }
        do {
            let value = try JSONValue(parsingUTF8: bytes)
            try self.init(value, path: path, microBatchSize: microBatchSize, rowCount: rowCount)
        } catch let error as TrainingError {
            throw error
        } catch {
            throw TrainingError(.badData, "batch_order: \(path): \(error)", remedy: "write it as JSON")
        }
    }

    init(
        _ value: JSONValue, path: String, microBatchSize: Int, rowCount: Int
    ) throws(TrainingError) {
        func failure(_ place: String, _ problem: String) -> TrainingError {
            TrainingError(
                .badData, "batch_order: \(path): \(place)\(problem)",
                remedy: "write [step][micro batch][row] or [step][row] with rows from 0 to \(rowCount - 1)")
        }
        func rows(_ list: [JSONValue], _ place: String) throws(TrainingError) -> [Int] {
            if list.isEmpty { throw failure(place, "there are no rows") }
            var rows: [Int] = []
            for (index, item) in list.enumerated() {
                guard let row = item.intValue else {
                    throw failure(place, "row \(index): \(item.compactText.prefix(40)) is not a number")
                }
                guard row >= 0, row < rowCount else {
                    throw failure(place, "row \(index): \(row) is not a row of the data set")
                }
                rows.append(row)
            }
            return rows
        }
        guard let list = (value["order"] ?? value).arrayValue, !list.isEmpty else {
            throw failure("", "there is no list of steps")
        }
        var steps: [[[Int]]] = []
        for (number, item) in list.enumerated() {
            let place = "step \(number): "
            guard let parts = item.arrayValue else { throw failure(place, "not a list") }
            if parts.first?.arrayValue == nil {
                let all = try rows(parts, place)
                let size = max(microBatchSize, 1)
                steps.append(
                    stride(from: 0, to: all.count, by: size).map {
                        Array(all[$0..<min($0 + size, all.count)])
                    })
                continue
            }
            var batches: [[Int]] = []
            for (index, part) in parts.enumerated() {
                let place = place + "micro batch \(index): "
                guard let list = part.arrayValue else { throw failure(place, "not a list") }
                batches.append(try rows(list, place))
            }
            steps.append(batches)
        }
        self.path = path
        self.steps = steps
        var before = [0]
        for step in steps { before.append((before.last ?? 0) + step.reduce(0) { $0 + $1.count }) }
        rowsBefore = before
    }

    func rowsUpTo(_ steps: Int) -> Int { rowsBefore[min(max(steps, 0), rowsBefore.count - 1)] }

    func stepCount(atMost maximum: Int?) throws(TrainingError) -> Int {
        guard let maximum else { return steps.count }
        guard maximum <= steps.count else {
            throw TrainingError(
                .badParameters, "max_steps: \(maximum) steps, but \(path) has only \(steps.count)",
                remedy: "give \(steps.count) or fewer")
        }
        return maximum
    }
}
