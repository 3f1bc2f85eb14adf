// The blocks of the KV cache: sharing, forking, eviction, and that none is ever lost or held twice.

import Inference
import TestSupport
import Testing

@Suite("Block allocator")
struct BlockAllocatorTests {
    private static func tokens(_ count: Int, from first: Int32 = 0) -> [Int32] {
        (0..<Int32(count)).map { first + $0 }
    }

    /// `#require` cannot hold calls that change something.
    private static func some<Value>(_ value: Value?) throws -> Value { try #require(value) }

    /// Allocates, pretends to compute everything, and offers it.
    private static func computed(
        _ allocator: inout BlockAllocator, _ tokens: [Int32], scope: CacheScope = CacheScope()
    ) throws -> BlockTable {
        var table = try Self.some(allocator.allocate(tokens, scope: scope))
        allocator.offer(&table, tokens: tokens, computed: tokens.count)
        return table
    }

    @Test(
        "A sequence gets as many blocks as its tokens need",
        arguments: [(1, 1), (15, 1), (16, 1), (17, 2), (32, 2), (33, 3), (64, 4)])
    func blockCounts(tokens: Int, blocks: Int) throws {
        var allocator = BlockAllocator(blockCount: 4, sharesPrefixes: true)
        var table = try Self.some(allocator.allocate(Self.tokens(tokens)))
        #expect(table.blocks.count == blocks)
        #expect(Set(table.blocks).count == blocks)
        #expect(table.slot(tokens - 1) == table.blocks[blocks - 1] * 16 + Int32((tokens - 1) % 16))
        #expect(allocator.usedCount == blocks)
        allocator.free(&table)
        #expect(allocator.freeCount == 4)
        #expect(allocator.violations(tables: [table]) == [])
    }

    @Test("Too few blocks change nothing")
    func exhaustion() throws {
        var allocator = BlockAllocator(blockCount: 3, sharesPrefixes: true)
        var table = try Self.some(allocator.allocate(Self.tokens(20)))
        #expect(allocator.allocate(Self.tokens(20, from: 100)) == nil)
        #expect(allocator.allocate(Self.tokens(10, from: 100), reserve: 1) == nil)
        #expect(allocator.extend(&table, toHold: 49) == false)
        #expect(table.blocks.count == 2 && allocator.freeCount == 1)
        #expect(allocator.extend(&table, toHold: 48) == true)
        #expect(allocator.extend(&table, toHold: 10) == true)
        #expect(table.blocks.count == 3 && allocator.freeCount == 0)
    }

    @Test(
        "Full blocks with equal beginnings are shared, but never the last token",
        arguments: [(16, 0), (17, 16), (32, 16), (33, 32), (40, 32), (100, 48)])
    func sharing(length: Int, hit: Int) throws {
        var allocator = BlockAllocator(blockCount: 20, sharesPrefixes: true)
        // 50 tokens: three full blocks.
        let first = try Self.computed(&allocator, Self.tokens(50))
        let second = try Self.some(allocator.allocate(Self.tokens(length)))
        #expect(second.cachedBlocks * 16 == hit)
        #expect(second.blocks[..<(hit / 16)] == first.blocks[..<(hit / 16)])
        #expect(allocator.hitTokens == hit)
        #expect(allocator.queriedTokens == 50 + length)
        #expect(allocator.violations(tables: [first, second]) == [])
    }

    @Test("Nothing is shared before it is computed, without leave, or with sharing off")
    func noSharing() throws {
        var allocator = BlockAllocator(blockCount: 20, sharesPrefixes: true)
        var first = try Self.some(allocator.allocate(Self.tokens(40)))
        #expect(allocator.allocate(Self.tokens(40))?.cachedBlocks == 0)
        allocator.offer(&first, tokens: Self.tokens(40), computed: 31)
        #expect(first.cachedBlocks == 1)
        #expect(allocator.allocate(Self.tokens(40))?.cachedBlocks == 1)
        #expect(allocator.allocate(Self.tokens(40), mayShare: false)?.cachedBlocks == 0)
        var plain = BlockAllocator(blockCount: 20, sharesPrefixes: false)
        _ = try Self.computed(&plain, Self.tokens(40))
        #expect(plain.allocate(Self.tokens(40))?.cachedBlocks == 0)
    }

    @Test("Adapters, their versions, salts and spellings keep caches apart")
    func scopes() throws {
        let scopes = [
            CacheScope(), CacheScope(adapter: "a"), CacheScope(adapter: "a", adapterVersion: 1),
            CacheScope(salt: "a"), CacheScope(adapter: "a", salt: "a"), CacheScope(adapter: ""),
            CacheScope(adapter: "\u{e9}"), CacheScope(adapter: "e\u{301}"),
        ]
        var allocator = BlockAllocator(blockCount: 100, sharesPrefixes: true)
        var tables: [BlockTable] = []
        for scope in scopes {
            tables.append(try Self.computed(&allocator, Self.tokens(33), scope: scope))
        }
        #expect(allocator.hitTokens == 0)
        for (scope, table) in zip(scopes, tables) {
            let again = try Self.some(allocator.allocate(Self.tokens(33), scope: scope))
            #expect(again.blocks[..<2] == table.blocks[..<2])
            tables.append(again)
        }
        #expect(allocator.violations(tables: tables) == [])
    }

    @Test("A block is known by all that comes before it, not by its own tokens")
    func chains() throws {
        var allocator = BlockAllocator(blockCount: 20, sharesPrefixes: true)
        let middle = Self.tokens(16, from: 500)
        _ = try Self.computed(&allocator, Self.tokens(16) + middle)
        _ = try Self.computed(&allocator, Self.tokens(16, from: 100))
        let other = try Self.some(allocator.allocate(Self.tokens(16, from: 100) + middle + [1]))
        #expect(other.cachedBlocks == 1)
        #expect(allocator.allocate(middle + [1])?.cachedBlocks == 0)
    }

    @Test("Two that computed the same end with one copy of it")
    func duplicates() throws {
        var allocator = BlockAllocator(blockCount: 8, sharesPrefixes: true)
        var first = try Self.some(allocator.allocate(Self.tokens(40)))
        var second = try Self.some(allocator.allocate(Self.tokens(40)))
        allocator.offer(&first, tokens: Self.tokens(40), computed: 40)
        allocator.offer(&second, tokens: Self.tokens(40), computed: 40)
        #expect(first.blocks[..<2] == second.blocks[..<2])
        #expect(first.blocks[2] != second.blocks[2])
        #expect(allocator.usedCount == 4)
        #expect(allocator.violations(tables: [first, second]) == [])
        allocator.free(&first)
        allocator.free(&second)
        #expect(allocator.freeCount == 8)
    }

    @Test("Content stays until its block is needed: what was freed first goes first, a chain from its end")
    func eviction() throws {
        var allocator = BlockAllocator(blockCount: 6, sharesPrefixes: true)
        var old = try Self.computed(&allocator, Self.tokens(48))
        var new = try Self.computed(&allocator, Self.tokens(48, from: 100))
        allocator.free(&old)
        allocator.free(&new)
        #expect(allocator.freeCount == 6 && allocator.evictions == 0)
        // One block: the end of the older chain.
        var other = try Self.some(allocator.allocate(Self.tokens(1, from: 900)))
        #expect(allocator.evictions == 1)
        var again = try Self.some(allocator.allocate(Self.tokens(40)))
        #expect(again.cachedBlocks == 2)
        // That needed a third block, the end of the newer chain.
        #expect(allocator.evictions == 2)
        let newer = try Self.some(allocator.allocate(Self.tokens(32, from: 100)))
        #expect(newer.cachedBlocks == 1)
        #expect(allocator.violations(tables: [other, again, newer]) == [])
        allocator.free(&other)
        allocator.free(&again)
        #expect(allocator.violations(tables: [newer]) == [])
    }

    @Test("A shared prefix that nobody holds counts as free only once")
    func revivedBlocksCount() throws {
        var allocator = BlockAllocator(blockCount: 4, sharesPrefixes: true)
        var first = try Self.computed(&allocator, Self.tokens(40))
        allocator.free(&first)
        // Two known blocks and three new ones are five.
        #expect(allocator.allocate(Self.tokens(80)) == nil)
        #expect(allocator.hitTokens == 0 && allocator.freeCount == 4)
        #expect(allocator.allocate(Self.tokens(64))?.cachedBlocks == 2)
    }

    @Test("A fork shares full blocks and copies the last one")
    func forks() throws {
        var allocator = BlockAllocator(blockCount: 5, sharesPrefixes: true)
        var table = try Self.some(allocator.allocate(Self.tokens(40)))
        let whole = try Self.some(allocator.fork(table, computed: 32))
        #expect(whole.table.blocks == Array(table.blocks[..<2]))
        #expect(whole.copy == nil)
        let partial = try Self.some(allocator.fork(table, computed: 35))
        let copy = try #require(partial.copy)
        #expect(copy.from == table.blocks[2])
        #expect(copy.to == partial.table.blocks[2])
        #expect(copy.from != copy.to)
        var tables = [table, whole.table, partial.table]
        #expect(allocator.violations(tables: tables) == [])
        for index in tables.indices { allocator.offer(&tables[index], tokens: Self.tokens(40), computed: 32) }
        #expect(allocator.violations(tables: tables) == [])
        let last = try Self.some(allocator.fork(table, computed: 35))
        tables.append(last.table)
        let fourth = allocator.fork(table, computed: 35)
        #expect(fourth == nil)
        for index in tables.indices { allocator.free(&tables[index]) }
        table = tables[0]
        #expect(allocator.freeCount == 5)
        #expect(allocator.violations(tables: tables) == [])
    }

    @Test(
        "Whatever is done in whatever order, no block is lost or shared wrongly",
        arguments: 0..<30 as Range<UInt64>)
    func simulation(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
        var allocator = BlockAllocator(blockCount: 5 + random(30), sharesPrefixes: seed % 5 != 0)
        var sequences: [(tokens: [Int32], computed: Int, table: BlockTable)] = []
        // What lies in each block, to see that shared blocks hold what their sequence needs.
        var memory: [Int32: [Int32]] = [:]
        for step in 0..<300 {
            switch random(4) {
            case 0:
                // Few beginnings and few different tokens, so that much is shared.
                let tokens =
                    Self.tokens(16 * random(3), from: Int32(random(2)))
                    + (0..<random(40)).map { _ in Int32(random(2)) } + [0]
                guard let table = allocator.allocate(tokens) else { break }
                sequences.append((tokens, table.cachedBlocks * 16, table))
            case 1 where !sequences.isEmpty:
                let index = random(sequences.count)
                let count = sequences[index].tokens.count + 1
                guard allocator.extend(&sequences[index].table, toHold: count) else { break }
                sequences[index].tokens.append(Int32(random(2)))
            case 2 where !sequences.isEmpty:
                let index = random(sequences.count)
                let (old, count) = (sequences[index].computed, sequences[index].tokens.count)
                sequences[index].computed = old + random(count - old + 1)
                for position in old..<sequences[index].computed {
                    let block = sequences[index].table.blocks[position / 16]
                    memory[block] =
                        Array((memory[block] ?? []).prefix(position % 16)) + [
                            sequences[index].tokens[position]
                        ]
                }
                allocator.offer(
                    &sequences[index].table, tokens: sequences[index].tokens,
                    computed: sequences[index].computed)
            case 3 where !sequences.isEmpty && random(2) == 0:
                var gone = sequences.remove(at: random(sequences.count))
                allocator.free(&gone.table)
            default: break
            }
            let wrong = allocator.violations(tables: sequences.map(\.table))
            #expect(wrong == [], "seed \(seed), step \(step)")
            for sequence in sequences {
                let read = sequence.table.blocks.flatMap {
                    memory[$0, default: []].prefix(16)
                        + Array(repeating: -1, count: 16 - min(16, memory[$0, default: []].count))
                }
                #expect(
                    read.prefix(sequence.computed) == sequence.tokens.prefix(sequence.computed),
                    "seed \(seed), step \(step)")
            }
        }
        for index in sequences.indices { allocator.free(&sequences[index].table) }
        #expect(allocator.freeCount == allocator.blockCount, "seed \(seed)")
        #expect(allocator.violations(tables: []) == [], "seed \(seed)")
    }
}
