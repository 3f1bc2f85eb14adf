// Who may ask: bearer tokens, compared without telling by time how much of a guess was right.

/// The keys that are accepted. Without any, everyone is.
struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    init(_ keys: [String]) { self.keys = keys.filter { !$0.isEmpty }.map { Array($0.utf8) } }

    var isEmpty: Bool { keys.isEmpty }

    /// - Parameter authorization: the header's value, such as `Bearer abc`.
    func accept(authorization: String?) -> Bool {
        if keys.isEmpty { return true }
        guard let authorization else { return false }
        let parts = authorization.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        var given = Array(parts[1].utf8.drop { $0 == UInt8(ascii: " ") })
        while given.last == UInt8(ascii: " ") { given.removeLast() }
        // Every key is compared to its end, so that time does not say which one was close.
        var accepted = false
        for key in keys where Self.equal(key, given) { accepted = true }
        return accepted
    }

    private static func equal(_ key: [UInt8], _ given: [UInt8]) -> Bool {
        var difference: UInt8 = key.count == given.count ? 0 : 1
        for (index, byte) in key.enumerated() {
            difference |= byte ^ (index < given.count ? given[index] : ~byte)
        }
        return difference == 0
    }
}
