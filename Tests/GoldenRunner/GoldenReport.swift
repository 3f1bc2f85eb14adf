// What came of one folder: counts, failures, and the largest difference of each kind against its limit.

import Foundation

struct GoldenReport {
    private struct Kind {
        var passed = 0
        var failed = 0
        /// The case that came nearest to its limit, if differences are measured.
        var worst: (share: Double, difference: Double, limit: Double)?
    }

    let name: String
    private(set) var failures: [String] = []
    /// What the folder has besides, for groups to come.
    private(set) var skipped: [String] = []
    private var kinds: [String: Kind] = [:]
    private var order: [String] = []

    init(_ name: String) { self.name = name }

    var passed: Int { kinds.values.reduce(0) { $0 + $1.passed } }
    var failed: Int { kinds.values.reduce(0) { $0 + $1.failed } }

    /// One line: what was checked, and how near it came to its limits.
    var summary: String {
        let parts = order.compactMap { kind -> String? in
            guard let result = kinds[kind] else { return nil }
            var text = "\(kind) \(result.passed)/\(result.passed + result.failed)"
            if let worst = result.worst {
                text += " (worst \(Self.text(worst.difference)) of \(Self.text(worst.limit)))"
            }
            return text
        }
        return "\(failed == 0 ? "ok  " : "BAD ") \(name): \(parts.joined(separator: ", "))"
    }

    mutating func skip(_ what: String) { skipped.append(what) }

    mutating func pass(_ kind: String) { change(kind) { $0.passed += 1 } }

    mutating func fail(_ kind: String, _ label: String, _ problem: String) {
        change(kind) { $0.failed += 1 }
        let line = problem.count > 600 ? problem.prefix(600) + "..." : problem[...]
        failures.append("\(name): \(kind): \(label): \(line)")
    }

    /// A case that either holds or not.
    mutating func expect(_ kind: String, _ label: String, _ problem: String?) {
        if let problem { fail(kind, label, problem) } else { pass(kind) }
    }

    /// A case whose check gives a problem, or throws one; the cases after it go on.
    mutating func attempt(_ kind: String, _ label: String, _ check: () throws -> String?) {
        do {
            expect(kind, label, try check())
        } catch {
            fail(kind, label, "\(error)")
        }
    }

    /// A case whose difference has a limit. What is not a number fails.
    /// - Parameter detail: where the largest difference is.
    mutating func measure(
        _ kind: String, _ label: String, difference: Double, limit: Double, detail: @autoclosure () -> String
    ) {
        // Limits may differ from case to case: the one that came nearest to its own is the one to tell of.
        let share = difference.isFinite && limit > 0 ? difference / limit : difference == 0 ? 0 : .infinity
        change(kind) { result in
            if let worst = result.worst, share <= worst.share { return }
            result.worst = (share, difference, limit)
        }
        if difference <= limit {
            pass(kind)
        } else {
            fail(kind, label, "difference \(Self.text(difference)), limit \(Self.text(limit)); \(detail())")
        }
    }

    private mutating func change(_ kind: String, _ edit: (inout Kind) -> Void) {
        if kinds[kind] == nil { order.append(kind) }
        edit(&kinds[kind, default: Kind()])
    }

    static func text(_ number: Double) -> String { String(format: "%.2e", number) }
}

/// Where two lists differ first, for lists that must be equal; nil if they are.
func firstDifference(_ ours: [Int32], _ reference: [Int32]) -> String? {
    if ours == reference { return nil }
    let place =
        zip(ours, reference).enumerated().first { $1.0 != $1.1 }?.offset ?? min(ours.count, reference.count)
    func around(_ ids: [Int32]) -> String { ids.dropFirst(max(0, place - 3)).prefix(12).description }
    return "ids differ from place \(place) on (\(ours.count) ids, reference \(reference.count)): "
        + "\(around(ours)), reference \(around(reference))"
}

/// The same for texts, byte by byte: Swift finds texts equal that merely look alike.
func firstDifference(_ ours: String, _ reference: String) -> String? {
    if ours.utf8.elementsEqual(reference.utf8) { return nil }
    let (left, right) = (Array(ours.unicodeScalars), Array(reference.unicodeScalars))
    let place = zip(left, right).enumerated().first { $1.0 != $1.1 }?.offset ?? min(left.count, right.count)
    func around(_ scalars: [Unicode.Scalar]) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars.dropFirst(max(0, place - 20)).prefix(60))
        return String(view).debugDescription
    }
    return "texts differ from code point \(place) on (\(left.count), reference \(right.count)): "
        + "\(around(left)), reference \(around(right))"
}

/// The largest difference of two lists of numbers, and its place. Lists of unequal length, and numbers that
/// are none, differ without limit.
func largestDifference(_ ours: [Float], _ reference: [Float]) -> (difference: Double, place: Int) {
    guard ours.count == reference.count else { return (.infinity, min(ours.count, reference.count)) }
    var (worst, place) = (Float(0), 0)
    ours.withUnsafeBufferPointer { left in
        reference.withUnsafeBufferPointer { right in
            for index in 0..<left.count {
                let difference = abs(left[index] - right[index])
                if difference <= worst { continue }
                (worst, place) = (difference.isNaN ? .infinity : difference, index)
            }
        }
    }
    return (Double(worst), place)
}
