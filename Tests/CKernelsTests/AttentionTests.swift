// Attention over the paged cache: against double precision, and a row's bits whatever else is computed with
// it.

import CKernels
import Testing

@Suite("Attention")
struct AttentionTests {
    static let types = [CK_F32, CK_BF16]
    static let shapes = [
        AttentionShape(kvHeads: 1, group: 1, headDim: 2, context: 1, queries: 1),
        AttentionShape(kvHeads: 2, group: 3, headDim: 6, context: 17, queries: 17),
        AttentionShape(kvHeads: 1, group: 7, headDim: 64, context: 140, queries: 9),
        AttentionShape(kvHeads: 2, group: 7, headDim: 64, context: 257, queries: 1),
        AttentionShape(kvHeads: 1, group: 16, headDim: 20, context: 33, queries: 33),
        AttentionShape(kvHeads: 3, group: 2, headDim: 34, context: 50, queries: 20, window: 7),
        AttentionShape(kvHeads: 1, group: 4, headDim: 128, context: 260, queries: 3),
        AttentionShape(kvHeads: 2, group: 1, headDim: 256, context: 40, queries: 25, window: 16),
        AttentionShape(kvHeads: 1, group: 5, headDim: 80, context: 300, queries: 6, window: 130),
        AttentionShape(kvHeads: 1, group: 2, headDim: 16, context: 140, queries: 140, window: 1),
        AttentionShape(kvHeads: 4, group: 1, headDim: 100, context: 20, queries: 3),
    ]

    private func name(_ type: ck_type) -> String { type == CK_BF16 ? "BF16" : "F32" }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    @Test("Every instruction set agrees with double precision", arguments: shapes)
    func agreesWithReference(shape: AttentionShape) {
        for type in Self.types {
            let paged = PagedAttention(shape, type: type)
            let expected = paged.reference()
            for isa in InstructionSets.available {
                let rows = shape.context - shape.queries..<shape.context
                let out = InstructionSets.using(isa) { paged.attend(rows, pieces: shape.queries) }
                let worst = zip(out, expected.values).reduce(0.0) {
                    let error = abs(Double($1.0) - $1.1)
                    return error <= $0 ? $0 : error
                }
                #expect(
                    worst <= expected.tolerance, "\(name(type)) with \(InstructionSets.name(isa)): \(shape)")
            }
        }
    }

    @Test(
        "A prompt at once, in pieces, and token by token give the same bits",
        arguments: [
            AttentionShape(kvHeads: 2, group: 7, headDim: 64, context: 150, queries: 150),
            AttentionShape(kvHeads: 1, group: 16, headDim: 20, context: 150, queries: 150, window: 40),
            AttentionShape(kvHeads: 3, group: 1, headDim: 34, context: 290, queries: 290),
            AttentionShape(kvHeads: 1, group: 3, headDim: 8, context: 290, queries: 290, window: 129),
        ])
    func piecesGiveTheSameBits(shape: AttentionShape) throws {
        let pools: [OpaquePointer?] = try [nil] + [1, 2, 3, 8].map { try makePool($0) }
        defer { for pool in pools { ck_pool_destroy(pool) } }
        for type in Self.types {
            let paged = PagedAttention(shape, type: type)
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let all = 0..<shape.context
                    let whole = bits(paged.attend(all, pieces: shape.context))
                    for (index, pieces) in [1, 7, 16, 100, shape.context].enumerated() {
                        let pool = pools[index]
                        let same = bits(paged.attend(all, pieces: pieces, pool: pool)) == whole
                        let threads = ck_pool_threads(pool)
                        let way = "\(name(type)) with \(InstructionSets.name(isa)), \(threads) threads"
                        #expect(same, "\(way), pieces of \(pieces)")
                    }
                }
            }
        }
    }

    @Test("What lay in the cache before has no influence", arguments: types)
    func garbageDoesNotLeak(type: ck_type) {
        let shape = AttentionShape(kvHeads: 2, group: 3, headDim: 12, context: 37, queries: 37, window: 20)
        // All ones are NaN in both types; 0x41 repeated is a number of some size.
        let clean = PagedAttention(shape, type: type, garbage: 0)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let expected = bits(clean.attend(0..<37, pieces: 37))
                for garbage: UInt8 in [0xff, 0x41] {
                    let dirty = PagedAttention(shape, type: type, garbage: garbage)
                    #expect(bits(dirty.attend(0..<37, pieces: 37)) == expected)
                    #expect(bits(dirty.attend(0..<37, pieces: 1)) == expected)
                }
            }
        }
    }

    @Test("Sequences of one step do not influence each other", arguments: types)
    func sequencesAreIndependent(type: ck_type) throws {
        let pool = try makePool(2)
        defer { ck_pool_destroy(pool) }
        let lengths = [(40, 40), (130, 1), (17, 5), (16, 1), (200, 33), (1, 1), (9, 0)]
        let (heads, dim, kvHeads) = (6, 24, 2)
        let alone = lengths.enumerated().map { index, length in
            let shape = AttentionShape(
                kvHeads: kvHeads, group: heads / kvHeads, headDim: dim, context: length.0,
                queries: length.1, window: 50)
            return PagedAttention(shape, type: type, seed: UInt64(index + 20))
        }
        // One cache of all their blocks; every table counts on from the blocks before it.
        let blockBytes = ck_kv_block_bytes(alone[0].layout)
        let total = alone.reduce(0) { $0 + $1.cacheBytes }
        let cache = UnsafeMutableRawPointer.allocate(byteCount: total, alignment: 64)
        defer { cache.deallocate() }
        var tables: [[Int32]] = [], q: [Float] = [], used = 0
        for paged in alone {
            (cache + used).copyMemory(from: paged.cache, byteCount: paged.cacheBytes)
            tables.append(paged.blockTable.map { $0 + Int32(used / blockBytes) })
            used += paged.cacheBytes
            q += paged.queries.suffix(paged.shape.queries * heads * dim)
        }
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let expected = alone.flatMap { paged in
                    let rows = paged.shape.context - paged.shape.queries..<paged.shape.context
                    return paged.attend(rows, pieces: max(1, rows.count))
                }
                let together = attend(alone, tables: tables, cache: cache, q: q, pool: pool)
                #expect(bits(together) == bits(expected), "\(InstructionSets.name(isa))")
            }
        }
    }

    private func attend(
        _ sequences: [PagedAttention], tables: [[Int32]], cache: UnsafeRawPointer, q: [Float],
        pool: OpaquePointer?
    ) -> [Float] {
        let layout = sequences[0].layout, heads = Int64(sequences[0].shape.heads)
        let width = heads * layout.head_dim
        let flat = tables.flatMap { $0 }
        var out = [Float](repeating: .nan, count: q.count)
        var scratch = [UInt8](
            repeating: 0, count: ck_attention_scratch_bytes(layout, heads, ck_pool_threads(pool)))
        flat.withUnsafeBufferPointer { flat in
            var described: [ck_sequence] = [], row = 0, table = 0
            for (sequence, blocks) in zip(sequences, tables) {
                let shape = sequence.shape
                described.append(
                    ck_sequence(
                        query_start: Int64(row), query_count: Int64(shape.queries),
                        context: Int64(shape.context), block_table: flat.baseAddress.map { $0 + table }))
                row += shape.queries
                table += blocks.count
            }
            ck_attention(
                pool, layout, cache, described, Int64(described.count), q, width, heads, sequences[0].scale,
                Int64(sequences[0].shape.window), &out, width, &scratch)
        }
        return out
    }

    @Test("More sequences than are divided at a time", arguments: types)
    func manySequences(type: ck_type) throws {
        let shape = AttentionShape(kvHeads: 1, group: 2, headDim: 4, context: 5, queries: 1)
        let paged = PagedAttention(shape, type: type)
        let expected = paged.attend(4..<5, pieces: 1)
        let count = 1100
        let q = (0..<count).flatMap { _ in paged.queries.suffix(8) }
        let out = paged.blockTable.withUnsafeBufferPointer { table in
            let sequences = (0..<count).map { row in
                ck_sequence(
                    query_start: Int64(row), query_count: 1, context: 5, block_table: table.baseAddress)
            }
            var out = [Float](repeating: .nan, count: q.count)
            var scratch = [UInt8](repeating: 0, count: ck_attention_scratch_bytes(paged.layout, 2, 1))
            ck_attention(
                nil, paged.layout, paged.cache, sequences, Int64(count), q, 8, 2, paged.scale, 0, &out, 8,
                &scratch)
            return out
        }
        #expect(bits(out) == (0..<count).flatMap { _ in bits(expected) })
    }

    @Test("Scores far from zero neither overflow nor vanish", arguments: types)
    func farScores(type: ck_type) {
        let shape = AttentionShape(kvHeads: 1, group: 1, headDim: 4, context: 20, queries: 1)
        let paged = PagedAttention(shape, type: type)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                // A scale this large leaves one key with all the weight.
                var sequence = ck_sequence(query_start: 19, query_count: 1, context: 20, block_table: nil)
                var out = [Float](repeating: .nan, count: 4)
                var scratch = [UInt8](repeating: 0, count: ck_attention_scratch_bytes(paged.layout, 1, 1))
                paged.blockTable.withUnsafeBufferPointer { table in
                    sequence.block_table = table.baseAddress
                    sequence.query_start = 0
                    ck_attention(
                        nil, paged.layout, paged.cache, &sequence, 1, Array(paged.queries.suffix(4)), 4, 1,
                        1e6, 0, &out, 4, &scratch)
                }
                let nearest = stride(from: 0, to: 80, by: 4).contains { token in
                    zip(out, paged.values[token..<token + 4]).allSatisfy { abs($0 - $1) < 0x1p-7 }
                }
                #expect(nearest, "\(InstructionSets.name(isa)): \(out)")
            }
        }
    }

    @Test("Keys and values lie in a block as the header says", arguments: [2, 6, 64, 70])
    func blockLayout(headDim: Int) throws {
        let shape = AttentionShape(kvHeads: 2, group: 1, headDim: headDim, context: 35, queries: 1)
        let pool = try makePool(2)
        defer { ck_pool_destroy(pool) }
        let floats = PagedAttention(shape, type: CK_F32), halves = PagedAttention(shape, type: CK_BF16)
        for paged in [floats, halves] { paged.store(0..<35, pool: pool) }
        #expect(ck_kv_block_bytes(floats.layout) == 2 * 2 * 16 * headDim * 4)
        #expect(ck_kv_block_bytes(halves.layout) == 2 * 2 * 16 * headDim * 2)
        for token in 0..<35 {
            for head in 0..<2 {
                for dim in 0..<headDim {
                    let (at, key, value) = (token % 16, floats.keys, floats.values)
                    let index = (token * 2 + head) * headDim + dim
                    let block = Int(floats.blockTable[token / 16]) * 2 * 2 + 2 * head
                    let half = 16 * headDim
                    let stored = floats.cache.assumingMemoryBound(to: Float.self)
                    let isKept =
                        stored[block * half + dim * 16 + at] == key[index]
                        && stored[(block + 1) * half + at * headDim + dim] == value[index]
                    let words = halves.cache.assumingMemoryBound(to: UInt16.self)
                    let isRounded =
                        words[block * half + (dim / 2 * 16 + at) * 2 + dim % 2] == word(key[index])
                        && words[(block + 1) * half + (at / 2 * headDim + dim) * 2 + at % 2]
                            == word(value[index])
                    if !isKept || !isRounded {
                        Issue.record("token \(token), head \(head), dimension \(dim)")
                    }
                }
            }
        }
    }

    private func word(_ value: Float) -> UInt16 {
        var word: UInt16 = 0
        withUnsafePointer(to: value) { ck_from_f32(CK_BF16, $0, &word, 1) }
        return word
    }
}
