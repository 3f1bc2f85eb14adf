// In which order an epoch has its rows: by chance, by length, in packs.
import Synchronization

/// The rows of one epoch. A unit is a row or a pack.
struct EpochOrder: Sendable, Hashable {
    var rows: [UInt32]
    /// Where each pack begins in `rows`; nil where every row is a unit.
    var starts: [UInt32]?

    func rows(ofUnits units: Range<Int>) -> [Int] {
        guard let starts else { return rows[units].map { Int($0) } }
        let end = units.upperBound < starts.count ? Int(starts[units.upperBound]) : rows.count
        return rows[Int(starts[units.lowerBound])..<end].map { Int($0) }
    }
}

/// Makes the orders of epochs, and keeps the last one: steps come one after another.
final class EpochOrders: Sendable {
    private let lengths: [UInt32]
    private let settings: BatchPlan.Settings
    private let latest = Mutex<(epoch: Int, order: EpochOrder)?>(nil)
    /// Rows or packs of an epoch: as many in each, since the best fit depends on the lengths alone.
    let unitCount: Int

    init(lengths: [Int], _ settings: BatchPlan.Settings) throws(TrainingError) {
        self.lengths = lengths.map { UInt32($0) }
        self.settings = settings
        guard let capacity = settings.packingLength else {
            unitCount = lengths.count
            return
        }
        if let row = lengths.firstIndex(where: { $0 > capacity }) {
            throw TrainingError(
                .badParameters,
                "packing_length: row \(row) has \(lengths[row]) tokens, more than \(capacity)",
                remedy: "raise --packing_length, or cut rows by --max_length")
        }
        let order = [UInt32](0..<UInt32(lengths.count))
        unitCount = Packing.pack(order, lengths: self.lengths, capacity: capacity).count
    }

    /// No epochs at all.
    init() {
        lengths = []
        settings = BatchPlan.Settings()
        unitCount = 0
    }

    func order(_ epoch: Int) -> EpochOrder {
        latest.withLock { latest in
            if let latest, latest.epoch == epoch { return latest.order }
            let order = make(epoch)
            latest = (epoch, order)
            return order
        }
    }

    private func make(_ epoch: Int) -> EpochOrder {
        var rows = [UInt32](0..<UInt32(lengths.count))
        if settings.shuffles {
            rows = SeededPermutation.order(count: rows.count, seed: settings.seed, .epoch, number: epoch)
        }
        if let capacity = settings.packingLength {
            // Rows come in an order by chance, so of equally long ones others share a pack in each epoch.
            var packs = Packing.pack(rows, lengths: lengths, capacity: capacity)
            if settings.shuffles {
                let order = SeededPermutation.order(
                    count: packs.count, seed: ~settings.seed, .epoch, number: epoch)
                packs = order.map { packs[Int($0)] }
            } else {
                packs = packs.map { $0.sorted() }.sorted { ($0.first ?? 0) < ($1.first ?? 0) }
            }
            var starts: [UInt32] = []
            starts.reserveCapacity(packs.count)
            var place = 0
            for pack in packs {
                starts.append(UInt32(place))
                place += pack.count
            }
            return EpochOrder(rows: packs.flatMap { $0 }, starts: starts)
        }
        return EpochOrder(rows: settings.groupsByLength ? grouped(rows) : rows, starts: nil)
    }

    /// Sorts great parts of the order by length, the longest first; the longest of all comes first, so that
    /// memory runs out at once or not at all. Source: `get_length_grouped_indices` of transformers.
    private func grouped(_ rows: [UInt32]) -> [UInt32] {
        let batch = settings.microBatchSize * settings.accumulation
        let size = batch * max(min(rows.count / (batch * 4), 50), 1)
        var parts = stride(from: 0, to: rows.count, by: size).map { start in
            // Those of one length stay in the order that chance gave them.
            rows[start..<min(start + size, rows.count)].enumerated().sorted { one, other in
                let (left, right) = (lengths[Int(one.element)], lengths[Int(other.element)])
                return left == right ? one.offset < other.offset : left > right
            }.map(\.element)
        }
        let longest = parts.indices.max { one, other in
            let (left, right) = (lengths[Int(parts[one][0])], lengths[Int(parts[other][0])])
            return left == right ? one > other : left < right
        }
        if let longest, longest > 0 {
            let row = parts[longest][0]
            parts[longest][0] = parts[0][0]
            parts[0][0] = row
        }
        return parts.flatMap { $0 }
    }
}
