// Amounts as Kubernetes writes them: 500m, 2, 1.5, 1Gi, 100M, 1e3.

enum ResourceQuantity {
    private static let factors: [String: Double] = [
        "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
        "Ki": 1024, "Mi": 1_048_576, "Gi": 1_073_741_824, "Ti": 1_099_511_627_776,
        "Pi": 1_125_899_906_842_624, "Ei": 1_152_921_504_606_846_976,
    ]

    /// The amount, nil for other text and for amounts below zero.
    static func parse(_ text: String) -> Double? {
        let suffix = String(text.reversed().prefix { $0.isLetter && $0.isASCII }.reversed())
        // The E of an exponent stands before digits, so only a whole suffix is looked up.
        guard let factor = factors[suffix], let number = Double(text.dropLast(suffix.count)), number >= 0,
            number.isFinite
        else { return nil }
        return number * factor
    }

    /// Thousandths, rounded up.
    static func milli(_ text: String) -> Int? { whole(parse(text).map { $0 * 1000 }) }

    /// Rounded up.
    static func count(_ text: String) -> Int? { whole(parse(text)) }

    private static func whole(_ value: Double?) -> Int? {
        // 0.1 * 1000 is a little more than 100 in binary.
        value.flatMap { Int(exactly: ($0 - 1e-6).rounded(.up)) }.map { max(0, $0) }
    }

    /// For messages: 1.5 GiB, 300 MiB.
    static func text(bytes: Int) -> String {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes >= size {
            let tenths = (bytes * 10 + size / 2) / size
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(bytes) B"
    }

    /// For messages: 2, 0.5.
    static func text(milli: Int) -> String {
        guard milli % 1000 != 0 else { return String(milli / 1000) }
        var digits = String(milli % 1000)
        digits = String(repeating: "0", count: 3 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(milli / 1000).\(digits)"
    }
}
