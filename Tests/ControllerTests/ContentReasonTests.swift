// Why a node ran: what is said of one that did not ask, was taken over, or differs from what had finished.

import Persistence
import Testing
import Text
import WorkflowLanguage

@testable import Controller
@testable import Scheduling

@Suite("Why a step ran")
struct ContentReasonTests {
    private static let cache = ContentEntry.cacheName

    private static func node(_ memoization: Node.Memoization?, _ fields: [String: String] = [:]) -> Node {
        var node = Node(
            id: "id", name: "run.train", displayName: "train", type: .pod, phase: .succeeded, sequence: 1)
        node.message = "taken from train of before"
        node.memoization = memoization
        node.contentFields = fields
        return node
    }

    @Test(
        "What needs no look at other nodes is said at once",
        arguments: [
            (nil, false, "the cache was not asked; annotate", false),
            (
                Node.Memoization(hit: true, key: "k", cacheName: "own"), false, "the cache was not asked",
                false
            ),
            (
                Node.Memoization(hit: false, key: "k", cacheName: cache), true,
                "ran, since the cache was turned off", false
            ),
            (
                Node.Memoization(hit: true, key: "k", cacheName: cache), false, "taken from train of before",
                true
            ),
            (
                Node.Memoization(hit: false, key: "", cacheName: cache), false,
                "ran, since the content of an input", false
            ),
        ] as [(Node.Memoization?, Bool, String, Bool)])
    func atOnce(memoization: Node.Memoization?, isOff: Bool, words: String, isTakenOver: Bool) throws {
        let reason = try #require(
            ContentReason.withoutEntries(Self.node(memoization), of: "run", isOff: isOff))
        #expect(reason.words.hasPrefix(words))
        #expect(reason.isTakenOver == isTakenOver)
        #expect(reason.fields.isEmpty)
    }

    @Test("A node that ran by its key must be compared with others")
    func mustBeCompared() {
        let node = Self.node(.init(hit: false, key: "k", cacheName: Self.cache))
        #expect(ContentReason.withoutEntries(node, of: "run", isOff: false) == nil)
    }

    private static func entry(_ run: String, _ name: String, _ fields: [String: String]) -> ContentEntry {
        ContentEntry(
            record: ContentRecord(
                key: run, fields: fields, outputs: Outputs(), workflowName: run, nodeName: name,
                finishedAt: Timestamp(seconds: 1)), digests: [:])
    }

    @Test("The fields that differ from the nearest are named; what the node left itself is no reason")
    func compared() {
        let node = Self.node(
            .init(hit: false, key: "k", cacheName: Self.cache), ["step": "dpo", "beta": "0.2", "seed": "1"])
        let itself = Self.entry("run", "train", node.contentFields)
        let before = Self.entry("old", "train", ["step": "dpo", "beta": "0.1"])
        let reason = ContentReason.compared(node, of: "run", [itself, before])
        #expect(reason.words == "ran, since 2 fields differ from train of old")
        #expect(
            reason.fields == [
                .init(name: "beta", before: "0.1", now: "0.2"), .init(name: "seed", before: nil, now: "1"),
            ])
        #expect(ContentReason(reason.json) == reason)
        let alone = ContentReason.compared(node, of: "run", [itself])
        #expect(alone.words == "ran, since no such step had finished before")
        let same = ContentReason.compared(node, of: "run", [Self.entry("old", "train", node.contentFields)])
        #expect(same.words.hasPrefix("ran although train of old had the same content"))
        #expect(ContentReason(["node": "train"]) == nil)
    }

    @Test("A word means an id, a name, or of several of one display name the newest that asked the cache")
    func named() {
        var nodes: [Node] = []
        for (sequence, id) in ["a", "b", "c", "d"].enumerated() {
            var node = Self.node(id == "b" ? .init(hit: false, key: "k", cacheName: Self.cache) : nil)
            node.id = id
            node.name = "run.\(id)"
            node.sequence = sequence
            node.isRetryAttempt = id == "d"
            nodes.append(node)
        }
        #expect(ContentReason.node("a", among: nodes)?.id == "a")
        #expect(ContentReason.node("run.c", among: nodes)?.id == "c")
        #expect(ContentReason.node("train", among: nodes)?.id == "b")
        nodes[1].memoization = nil
        #expect(ContentReason.node("train", among: nodes)?.id == "c")
        #expect(ContentReason.node("trian", among: nodes) == nil)
    }
}
