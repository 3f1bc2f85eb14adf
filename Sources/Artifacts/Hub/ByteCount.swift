// Amounts of bytes as people read and write them.

/// Sizes for people.
package enum ByteCount {
    /// `1.5 GB`, `300 MB`, `12 kB`, `7 B`: powers of ten, as disks and hubs have them.
    package static func text(_ bytes: Int) -> String {
        for (unit, size) in [
            ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000),
        ]
        where bytes >= size {
            let tenths = bytes / (size / 10)
            return tenths % 10 == 0 || tenths >= 1000
                ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(bytes) B"
    }

    /// Bytes of `10M`, `500k`, `1.5g`, `1048576`, also with `B`, `iB` or `/s` behind; units are powers of
    /// 1024 as curl's and wget's are. Nil for other text.
    package static func parse(_ text: String) -> Int? {
        var rest = text.lowercased()[...]
        for ending in ["/s", "ps"] where rest.hasSuffix(ending) { rest = rest.dropLast(2) }
        for ending in ["ib", "b"] where rest.hasSuffix(ending) {
            rest = rest.dropLast(ending.count)
            break
        }
        var factor = 1.0
        for (unit, size) in [("k", 1024.0), ("m", 1_048_576.0), ("g", 1_073_741_824.0)]
        where rest.hasSuffix(unit) {
            factor = size
            rest = rest.dropLast()
            break
        }
        guard let first = rest.first, first.isNumber || first == ".", let number = Double(rest) else {
            return nil
        }
        let bytes = number * factor
        return bytes.isFinite && bytes >= 1 && bytes < 1e15 ? Int(bytes) : nil
    }
}
