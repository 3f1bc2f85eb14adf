// Byte-pair encoding (Sennrich, Haddow, Birch, arXiv:1508.07909): a piece of text begins as single characters
// or bytes, and of all neighbors the pair learned first is joined, until no pair is known.

/// The `model` of tokenizer.json; agrees with `tokenizers.models.BPE` without dropout.
struct BytePairEncoding: Sendable {
    var vocabulary: Vocabulary
    var merges: MergeTable
    var unknownID: Int32?
    var fusesUnknown = false
    var hasByteFallback = false
    var ignoresMerges = false
    /// Put before every character but a piece's first; empty for none.
    var continuingPrefix: [UInt8] = []
    /// Put behind a piece's last character; empty for none.
    var endSuffix: [UInt8] = []
    /// A token that no merge reaches from the left, such as "▁": a piece may be cut before it. Without that,
    /// a Llama 2 prompt is one piece of a megabyte.
    var cut: [UInt8] = []
    /// The id of each byte in byte form, of each ASCII character otherwise; -1 for none.
    private var unitIDs: [Int32] = []
    /// The ids of "<0x00>" to "<0xFF>", -1 for none.
    private(set) var byteTokenIDs: [Int32] = []

    init(vocabulary: Vocabulary, merges: MergeTable) {
        self.vocabulary = vocabulary
        self.merges = merges
    }

    /// Longer pieces are merged with a heap: looking for the best pair each time would take quadratic time.
    private static let longPiece = 40

    /// Fills the tables that follow from the vocabulary; to be called when all else is set.
    mutating func prepare() {
        unitIDs = (0..<256).map { byte in
            guard vocabulary.isInByteForm || byte < 0x80 else { return -1 }
            return withUnsafeBytes(of: UInt8(byte)) { raw in
                raw.withMemoryRebound(to: UInt8.self) { vocabulary.id(ofEntry: $0) ?? -1 }
            }
        }
        let digits = Array("0123456789ABCDEF".utf8)
        byteTokenIDs = (0..<256).map { byte in
            let name = Array("<0x".utf8) + [digits[byte >> 4], digits[byte & 15]] + Array(">".utf8)
            return vocabulary.id(ofToken: name) ?? -1
        }
    }

    /// Appends the ids of a piece, which is in the vocabulary's form.
    func encode(_ piece: UTF8Text, into ids: inout [Int32], scratch: inout Scratch) {
        if ignoresMerges, let id = vocabulary.id(ofEntry: piece) {
            ids.append(id)
            return
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        if continuingPrefix.isEmpty, endSuffix.isEmpty {
            if !appendUnits(of: piece, to: &scratch.symbols) {
                scratch.symbols.removeAll(keepingCapacity: true)
                appendAnyUnits(of: piece, to: &scratch.symbols)
            }
        } else {
            appendAnyUnits(of: piece, to: &scratch.symbols)
        }
        if scratch.symbols.count > Self.longPiece {
            mergeLong(&scratch)
        } else if scratch.symbols.count > 1 {
            mergeShort(&scratch)
        }
        ids.append(contentsOf: scratch.symbols)
    }

    /// Buffers that are used again from piece to piece.
    struct Scratch {
        var symbols: [Int32] = []
        var merges: [MergeTable.Merge] = []
        var next: [Int32] = []
        var previous: [Int32] = []
        var heap = MinimumHeap()
    }

    private func mergeShort(_ scratch: inout Scratch) {
        scratch.merges.removeAll(keepingCapacity: true)
        scratch.symbols.withUnsafeBufferPointer { symbols in
            for index in 1..<symbols.count {
                scratch.merges.append(merges.merge(symbols[index - 1], symbols[index]))
            }
        }
        var count = scratch.symbols.count
        scratch.symbols.withUnsafeMutableBufferPointer { symbols in
            scratch.merges.withUnsafeMutableBufferPointer { pairs in
                while count > 1 {
                    var best = 0
                    for index in 1..<max(1, count - 1) where pairs[index] < pairs[best] { best = index }
                    guard pairs[best] != MergeTable.none else { return }
                    symbols[best] = MergeTable.result(pairs[best])
                    for index in (best + 1)..<(count - 1) { symbols[index] = symbols[index + 1] }
                    count -= 1
                    if best < count - 1 {
                        for index in (best + 1)..<(count - 1) { pairs[index] = pairs[index + 1] }
                        pairs[best] = merges.merge(symbols[best], symbols[best + 1])
                    }
                    if best > 0 { pairs[best - 1] = merges.merge(symbols[best - 1], symbols[best]) }
                }
            }
        }
        scratch.symbols.removeLast(scratch.symbols.count - count)
    }

    /// The pairs wait in a heap by rank, then by place. One that is out of date when its turn comes is known
    /// by its rank, which is no longer that of what stands there.
    private func mergeLong(_ scratch: inout Scratch) {
        let count = scratch.symbols.count
        scratch.next = Array(1...Int32(count))
        scratch.previous = Array(-1..<Int32(count - 1))
        scratch.heap.removeAll()
        for index in 0..<(count - 1) {
            let merge = merges.merge(scratch.symbols[index], scratch.symbols[index + 1])
            if merge != MergeTable.none {
                scratch.heap.appendUnordered(UInt64(MergeTable.rank(merge)) << 32 | UInt64(index))
            }
        }
        scratch.heap.order()
        let end = Int32(count)
        while let least = scratch.heap.popMinimum() {
            let left = Int(least & 0xFFFF_FFFF)
            let right = scratch.next[left]
            guard scratch.symbols[left] >= 0, right < end else { continue }
            let merge = merges.merge(scratch.symbols[left], scratch.symbols[Int(right)])
            guard merge != MergeTable.none, UInt64(MergeTable.rank(merge)) == least >> 32 else { continue }
            scratch.symbols[left] = MergeTable.result(merge)
            scratch.symbols[Int(right)] = -1
            let after = scratch.next[Int(right)]
            scratch.next[left] = after
            if after < end {
                scratch.previous[Int(after)] = Int32(left)
                push(left, Int(after), &scratch)
            }
            let before = scratch.previous[left]
            if before >= 0 { push(Int(before), left, &scratch) }
        }
        scratch.symbols.removeAll { $0 < 0 }
    }

    @inline(__always)
    private func push(_ left: Int, _ right: Int, _ scratch: inout Scratch) {
        let merge = merges.merge(scratch.symbols[left], scratch.symbols[right])
        if merge != MergeTable.none {
            scratch.heap.push(UInt64(MergeTable.rank(merge)) << 32 | UInt64(left))
        }
    }
}

extension BytePairEncoding {
    /// Appends the ids of single characters or bytes; false if one of them is unknown.
    @inline(__always)
    private func appendUnits(of piece: UTF8Text, to symbols: inout [Int32]) -> Bool {
        unitIDs.withUnsafeBufferPointer { unitIDs in
            var index = 0
            while index < piece.count {
                if vocabulary.isInByteForm || piece[index] < 0x80 {
                    let id = unitIDs[Int(piece[index])]
                    guard id >= 0 else { return false }
                    symbols.append(id)
                    index += 1
                } else {
                    let end = piece.scalar(at: index).end
                    guard let id = vocabulary.id(ofEntry: piece.part(index..<end)) else { return false }
                    symbols.append(id)
                    index = end
                }
            }
            return true
        }
    }

    /// As `appendUnits`, with prefix and suffix, and tokens for what is unknown. An unknown character waits
    /// for the next known one, while bytes for another go before it: so does the original.
    private func appendAnyUnits(of piece: UTF8Text, to symbols: inout [Int32]) {
        var pending: Int32?
        var index = 0
        while index < piece.count {
            let end = vocabulary.isInByteForm ? index + 1 : piece.scalar(at: index).end
            var unit = Array(piece[index..<end])
            if index > 0 { unit = continuingPrefix + unit }
            if end == piece.count { unit += endSuffix }
            index = end
            if let id = unit.withUnsafeBufferPointer({ vocabulary.id(ofEntry: $0) }) {
                if let unknown = pending { symbols.append(unknown) }
                pending = nil
                symbols.append(id)
                continue
            }
            if hasByteFallback {
                var bytes = unit
                if vocabulary.isInByteForm {
                    bytes = []
                    unit.withUnsafeBufferPointer { ByteAlphabet.appendText(of: $0, to: &bytes) }
                }
                let ids = bytes.map { byteTokenIDs[Int($0)] }
                if !ids.contains(-1) {
                    symbols += ids
                    continue
                }
            }
            guard let unknownID else { continue }
            if let unknown = pending, !fusesUnknown { symbols.append(unknown) }
            pending = unknownID
        }
        if let pending { symbols.append(pending) }
    }

    /// Whether no merge joins a token that begins with `cut` to one that does not end with it.
    static func isCut(_ cut: [UInt8], left: UTF8Text, right: UTF8Text) -> Bool {
        guard right.starts(with: cut) else { return true }
        return left.count >= cut.count && left.suffix(cut.count).elementsEqual(cut)
    }
}

/// A binary heap with the least number on top.
struct MinimumHeap {
    private var items: [UInt64] = []

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    /// Adds many, to be followed by one call of `order()`.
    mutating func appendUnordered(_ item: UInt64) { items.append(item) }

    mutating func order() {
        guard items.count > 1 else { return }
        for index in stride(from: items.count / 2 - 1, through: 0, by: -1) { sink(index) }
    }

    mutating func push(_ item: UInt64) {
        items.append(item)
        items.withUnsafeMutableBufferPointer { items in
            var index = items.count - 1
            while index > 0, items[(index - 1) / 2] > item {
                items[index] = items[(index - 1) / 2]
                index = (index - 1) / 2
            }
            items[index] = item
        }
    }

    mutating func popMinimum() -> UInt64? {
        guard let last = items.popLast() else { return nil }
        guard let first = items.first else { return last }
        items[0] = last
        sink(0)
        return first
    }

    private mutating func sink(_ start: Int) {
        items.withUnsafeMutableBufferPointer { items in
            let item = items[start]
            var index = start
            while true {
                var child = 2 * index + 1
                guard child < items.count else { break }
                if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
                guard items[child] < item else { break }
                items[index] = items[child]
                index = child
            }
            items[index] = item
        }
    }
}
