// Many short byte strings, each once and each with a number: vocabularies, and the words of a training text.

/// Strings of bytes numbered in the order of their first insertion. Swift's `String` would take "é" and
/// "e" + accent for the same key; here every byte counts. The bytes lie in one block, so that 150,000 strings
/// are made without 150,000 allocations.
struct ByteStringTable: Sendable {
    /// Differs from run to run, so that nobody can prepare a file whose strings all collide.
    private static let seed = UInt64.random(in: .min ... .max)

    private var bytes: [UInt8] = []
    /// Where each string begins in `bytes`, and at last where the next will.
    private var starts: [UInt32] = [0]
    /// Open addressing, a power of two: the upper half of the hash and the number plus one; 0 is free.
    private var slots: [UInt64]

    /// - Parameter capacity: how many strings to make room for.
    init(capacity: Int = 16) {
        slots = [UInt64](repeating: 0, count: Self.slotCount(for: capacity))
    }

    var count: Int { starts.count - 1 }
    /// How much the strings hold together.
    var byteCount: Int { bytes.count }

    /// The largest sum of lengths that can be held.
    static let maximumByteCount = Int(UInt32.max)

    private static func slotCount(for capacity: Int) -> Int {
        var count = 32
        while count < capacity + capacity / 2 { count *= 2 }
        return count
    }

    @inline(__always)
    func range(of index: Int) -> Range<Int> { Int(starts[index])..<Int(starts[index + 1]) }

    @inline(__always)
    func withBytes<Result>(of index: Int, _ body: (UTF8Text) -> Result) -> Result {
        bytes.withUnsafeBufferPointer { body($0.part(range(of: index))) }
    }

    subscript(index: Int) -> [UInt8] { Array(bytes[range(of: index)]) }

    /// The number of a string, nil if it was never inserted.
    @inline(__always)
    func index(of key: UTF8Text) -> Int? { index(of: key, hash: Self.hash(key)) }

    @inline(__always)
    private func index(of key: UTF8Text, hash: UInt64) -> Int? {
        slots.withUnsafeBufferPointer { slots in
            bytes.withUnsafeBufferPointer { bytes in
                let mask = slots.count - 1
                var slot = Int(truncatingIfNeeded: hash) & mask
                while slots[slot] != 0 {
                    if slots[slot] >> 32 == hash >> 32 {
                        let index = Int(slots[slot] & 0xFFFF_FFFF) - 1
                        let range = range(of: index)
                        if range.count == key.count, Self.equal(bytes.part(range), key) { return index }
                    }
                    slot = (slot + 1) & mask
                }
                return nil
            }
        }
    }

    func index(of key: [UInt8]) -> Int? { key.withUnsafeBufferPointer { index(of: $0) } }

    /// The number of a string, which is inserted if it is new. The caller sees to `maximumByteCount`.
    mutating func insert(_ key: UTF8Text) -> (index: Int, isNew: Bool) {
        let hash = Self.hash(key)
        if let index = index(of: key, hash: hash) { return (index, false) }
        precondition(bytes.count + key.count <= Self.maximumByteCount, "the table of strings is full")
        if count + count / 2 >= slots.count { grow() }
        let index = count
        bytes.append(contentsOf: key)
        starts.append(UInt32(bytes.count))
        place(index, hash: hash)
        return (index, true)
    }

    private mutating func grow() {
        slots = [UInt64](repeating: 0, count: slots.count * 2)
        for index in 0..<count { place(index, hash: withBytes(of: index, Self.hash)) }
    }

    private mutating func place(_ index: Int, hash: UInt64) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = (hash & ~0xFFFF_FFFF) | UInt64(index + 1)
    }

    @inline(__always)
    private static func equal(_ left: UTF8Text, _ right: UTF8Text) -> Bool {
        var index = 0
        while index < left.count {
            if left[index] != right[index] { return false }
            index += 1
        }
        return true
    }

    /// Mixes eight bytes at a time by multiplication; good enough for a table that is seeded by chance.
    @inline(__always)
    static func hash(_ key: UTF8Text) -> UInt64 {
        let raw = UnsafeRawBufferPointer(key)
        var hash = seed ^ UInt64(truncatingIfNeeded: key.count) &* 0x9E37_79B9_7F4A_7C15
        var index = 0
        while index + 8 <= raw.count {
            hash = mixed(hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        while index < raw.count {
            rest = rest << 8 | UInt64(raw[index])
            index += 1
        }
        return mixed(hash ^ rest)
    }

    @inline(__always)
    private static func mixed(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }
}
