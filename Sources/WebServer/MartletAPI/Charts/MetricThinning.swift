// Curves with fewer points that look the same: of each part of a curve its lowest and its highest point stay, so that
// no peak goes.

import Persistence

enum MetricThinning {
    /// The points of a curve that stay, in their order, at most `limit` of them: the first, the last, and of each of
    /// equally long parts the lowest, the highest and the first that is no number.
    /// - Parameter limit: at least 2.
    static func thinned(_ points: [MetricPoint], limit: Int) -> [MetricPoint] {
        precondition(limit >= 2, "a curve has two ends")
        guard points.count > limit else { return points }
        let hasGaps = points.contains { $0.value.isNaN }
        let parts = max(0, limit - 2) / (hasGaps ? 3 : 2)
        var kept = [points[0]]
        let inner = points.count - 2
        for part in 0..<parts {
            let range = (1 + inner * part / parts)..<(1 + inner * (part + 1) / parts)
            for index in extremes(points, range) { kept.append(points[index]) }
        }
        kept.append(points[points.count - 1])
        return kept
    }

    /// The places of the lowest and the highest number and of the first point that is none, ascending.
    private static func extremes(_ points: [MetricPoint], _ range: Range<Int>) -> [Int] {
        var lowest: Int?
        var highest: Int?
        var gap: Int?
        for index in range {
            let value = points[index].value
            if value.isNaN {
                gap = gap ?? index
                continue
            }
            if lowest.map({ value < points[$0].value }) ?? true { lowest = index }
            if highest.map({ value > points[$0].value }) ?? true { highest = index }
        }
        return Set([lowest, highest, gap].compactMap { $0 }).sorted()
    }
}
