// Decides which faults a request meets. It counts requests by fault and path, so that the same plan gives the
// same faults however requests are interleaved.
import Synchronization

/// What happens to one request on purpose.
struct FaultVerdict: Sendable, Hashable {
    struct Refusal: Sendable, Hashable {
        var status: Int
        var retryAfterSeconds: Int?
        var isGated = false
    }

    var refusal: Refusal?
    var redirects = false
    /// In bytes of the body; what follows are faults of the body, too.
    var drop: Place?
    var stall: Stall?
    var bytesPerSecond: Int?
    var ignoresRange = false
    var lengthError: Int?
    /// In bytes of the file.
    var change: Place?

    struct Stall: Sendable, Hashable {
        var place: Place
        var span: Duration
    }

    /// A place in a file or body, given or to be chosen.
    enum Place: Sendable, Hashable {
        case at(Int)
        case chosen(UInt64)

        /// - Parameter count: a chosen place is below it; 0 for an empty body.
        func offset(below count: Int) -> Int {
            switch self {
            case .at(let offset): return offset
            case .chosen(let number): return count > 0 ? Int(number % UInt64(count)) : 0
            }
        }
    }
}

final class FaultJudge: Sendable {
    private struct Count: Hashable {
        var fault: Int
        var path: String
    }

    /// Paths come from clients; beyond so many counts are forgotten.
    private static let countLimit = 1_000_000

    let plan: FaultPlan
    private let counts = Mutex<[Count: Int]>([:])

    init(_ plan: FaultPlan) { self.plan = plan }

    /// - Parameters:
    ///   - subject: what was asked for.
    ///   - isBehindRedirect: whether the request came to the second port.
    func judge(_ subject: FaultSubject, isBehindRedirect: Bool) -> FaultVerdict {
        var verdict = FaultVerdict()
        // The second port only delivers: what is refused is refused at the first. There, in turn, a
        // request that is sent on gets no body that could be wrong.
        if !isBehindRedirect {
            meet(subject, atTheDoor: true, &verdict)
            if verdict.refusal != nil || verdict.redirects { return verdict }
        }
        if !subject.isHead { meet(subject, atTheDoor: false, &verdict) }
        return verdict
    }

    private func meet(_ subject: FaultSubject, atTheDoor: Bool, _ verdict: inout FaultVerdict) {
        for (index, fault) in plan.faults.enumerated() where fault.kind.isAtTheDoor == atTheDoor {
            guard subject.isMet(by: fault), let number = happens(index, fault, subject.key) else { continue }
            let chosen = random(index, subject.key, number)
            apply(fault.kind, chosen, fixed: random(index, subject.key, 0), to: &verdict)
            if verdict.refusal != nil { return }
        }
    }

    private func apply(
        _ kind: FaultPlan.Fault.Kind, _ chosen: UInt64, fixed: UInt64, to verdict: inout FaultVerdict
    ) {
        switch kind {
        case .drop(let after): verdict.drop = after.map { .at($0) } ?? .chosen(chosen)
        case .stall(let after, let span):
            verdict.stall = .init(place: after.map { .at($0) } ?? .chosen(chosen), span: span)
        case .slow(let rate): verdict.bytesPerSecond = rate
        case .status(let status, let seconds):
            verdict.refusal = .init(status: status, retryAfterSeconds: seconds)
        case .ignoreRange: verdict.ignoresRange = true
        case .wrongLength(let by):
            let size = Int(chosen >> 1 % 1_000) + 1
            verdict.lengthError = by ?? (chosen & 1 == 0 ? size : -size)
        // The same byte each time, or a file fetched in parts would be wrong in several places.
        case .changeContent(let place): verdict.change = place.map { .at($0) } ?? .chosen(fixed)
        case .gated: verdict.refusal = .init(status: 403, isGated: true)
        case .redirect: verdict.redirects = true
        }
    }

    /// The number of the request, from 1, among those of its path that the fault could meet; nil if it is
    /// spared.
    private func happens(_ index: Int, _ fault: FaultPlan.Fault, _ path: String) -> Int? {
        let number = counts.withLock { counts in
            if counts.count >= Self.countLimit { counts.removeAll() }
            return Self.increase(&counts[Count(fault: index, path: path), default: 0])
        }
        guard number > fault.skip else { return nil }
        if let times = fault.times, number - fault.skip > times { return nil }
        // The upper 53 bits are a fraction as exact as a Double is.
        let fraction = Double(random(index, path, number ^ 0x5EED) >> 11) / Double(UInt64(1) << 53)
        return fraction < fault.chance ? number : nil
    }

    private static func increase(_ count: inout Int) -> Int {
        count += 1
        return count
    }

    /// A number that depends on nothing but the seed and these: FNV-1a, mixed as in SplitMix64.
    private func random(_ index: Int, _ path: String, _ number: Int) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ plan.seed
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        for byte in path.utf8 { add(byte) }
        for shift in stride(from: 0, to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: UInt64(bitPattern: Int64(index)) >> UInt64(shift)))
            add(UInt8(truncatingIfNeeded: UInt64(bitPattern: Int64(number)) >> UInt64(shift)))
        }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}

extension FaultPlan.Fault.Kind {
    /// Whether the fault is in the answer's head at the first port, and not in the body.
    var isAtTheDoor: Bool {
        switch self {
        case .status, .gated, .redirect: true
        default: false
        }
    }
}

/// A request as faults see it.
struct FaultSubject: Sendable {
    /// By this requests are counted: `models/owner/name/path` for contents, else the address' path.
    var key: String
    /// The path of the address, and for contents the path within the repository.
    var names: [String]
    var isContent: Bool
    var isHead: Bool

    func isMet(by fault: FaultPlan.Fault) -> Bool {
        guard let pattern = fault.path else { return isContent }
        return ([key] + names).contains { FaultPlan.matches($0, pattern) }
    }
}
