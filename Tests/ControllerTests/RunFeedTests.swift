// The feed under many readers: nothing lost, nothing twice, revisions ascend, whoever is slow, leaves or comes back.

import Foundation
import Persistence
import Scheduling
import Synchronization
import TestSupport
import Testing
import Text

@testable import Controller

@Suite("Feed of changed runs")
struct RunFeedTests {
    /// Runs a body beside a feed on a new database.
    private func withFeed(_ body: @escaping @Sendable (Store, RunFeed) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "martlet-feed-" + UUID().uuidString
        let store = try Store.open(dataDirectory: directory)
        let feed = RunFeed(store: store)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await feed.run() } catch is CancellationError { return }
            }
            try await body(store, feed)
            group.cancelAll()
            try await group.waitForAll()
        }
        try store.close()
        try FileManager.default.removeItem(atPath: directory)
    }

    static func insert(_ uid: String, _ store: Store, namespace: String = "default") async throws {
        let summary = WorkflowSummary(
            uid: uid, namespace: namespace, name: uid, phase: "Pending", createdAt: Timestamp(seconds: 1))
        try await store.insertWorkflow(
            WorkflowRow(summary: summary, manifest: .object([:]), state: .object([:])))
    }

    static func change(_ uid: String, _ message: String, _ store: Store) async throws {
        try await store.apply([
            WorkflowChange(uid: uid, header: HeaderUpdate(phase: "Running", message: message))
        ])
    }

    @Test("A reader from the beginning gets what was and what comes, in order", .timeLimit(.minutes(30)))
    func backlogThenLive() async throws {
        try await withFeed { store, feed in
            try await Self.insert("a", store)
            try await Self.insert("b", store)
            var revisions: [Int64] = []
            let stream = try await feed.changes(after: 0)
            try await Self.change("a", "x", store)
            feed.signal()
            for await changes in stream {
                revisions += changes.map(\.revision)
                if changes.contains(where: { $0.uid == "a" && $0.phase == "Running" }) { break }
            }
            #expect(revisions == revisions.sorted())
            #expect(Set(revisions).count == revisions.count)
        }
    }

    @Test("A reader of one run hears of its deletion, and of no other run", .timeLimit(.minutes(30)))
    func oneRun() async throws {
        try await withFeed { store, feed in
            for uid in ["a", "b", "c"] { try await Self.insert(uid, store) }
            let stream = try await feed.changes(after: 0, uid: "b")
            try await Self.change("a", "x", store)
            try await store.deleteWorkflow("b")
            feed.signal()
            var seen: [RunChange] = []
            for await changes in stream {
                seen += changes
                if changes.contains(where: \.isDeleted) { break }
            }
            #expect(Set(seen.map(\.uid)) == ["b"])
            let again = try await feed.changes(after: seen.first.map { $0.revision - 1 } ?? 0, uid: "b")
            for await changes in again {
                #expect(changes.map(\.isDeleted) == [true])
                break
            }
        }
    }

    @Test("What another process saves is found without a signal", .timeLimit(.minutes(30)))
    func otherProcesses() async throws {
        try await withFeed { store, feed in
            let stream = try await feed.changes()
            try await Self.insert("a", store)
            for await changes in stream {
                #expect(changes.map(\.uid) == ["a"])
                break
            }
        }
    }

    @Test("Readers of some namespaces hear of no others", .timeLimit(.minutes(30)))
    func namespaces() async throws {
        try await withFeed { store, feed in
            try await Self.insert("a", store, namespace: "one")
            try await Self.insert("b", store, namespace: "two")
            let stream = try await feed.changes(after: 0, namespaces: ["two"])
            for await changes in stream {
                #expect(changes.map(\.uid) == ["b"])
                break
            }
        }
    }

    @Test("A reader that is let go is forgotten", .timeLimit(.minutes(30)))
    func leaves() async throws {
        try await withFeed { _, feed in
            do {
                let stream = try await feed.changes(uid: "a")
                #expect(feed.readerCount == 1)
                withExtendedLifetime(stream) {}
            }
            #expect(feed.readerCount == 0)
        }
    }

    /// What one reader has seen over all its connections.
    private struct Seen {
        var last: Int64 = 0
        var revisions: Set<Int64> = []
        var states: [String: RunChange] = [:]

        mutating func take(_ changes: [RunChange]) {
            for change in changes {
                #expect(change.revision > last, "revisions ascend")
                #expect(revisions.insert(change.revision).inserted, "nothing comes twice")
                last = change.revision
                states[change.uid] = change
            }
        }
    }

    @Test(
        "Readers that are slow, leave and come back at random points end with the same state as the database",
        .timeLimit(.minutes(30)), arguments: [UInt64](1...4))
    func randomReaders(seed: UInt64) async throws {
        try await withFeed { store, feed in
            let readers = 12
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var random = SeededGenerator(seed: seed)
                    try await Self.write(&random, store, feed)
                    try await Self.insert("last", store)
                    feed.signal()
                }
                for index in 0..<readers {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &* 1_000 &+ UInt64(index))
                        try await Self.read(&random, store, feed)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    private static func write(_ random: inout SeededGenerator, _ store: Store, _ feed: RunFeed) async throws {
        var alive: [String] = []
        for step in 0..<150 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                alive.append("run\(step)")
                try await insert("run\(step)", store)
            case 3 where alive.count > 3:
                let uid = alive.remove(at: Int.random(in: 0..<alive.count, using: &random))
                try await store.deleteWorkflow(uid)
            default:
                if let uid = alive.randomElement(using: &random) { try await change(uid, "\(step)", store) }
            }
            if Bool.random(using: &random) { feed.signal() }
        }
    }

    private static func read(_ random: inout SeededGenerator, _ store: Store, _ feed: RunFeed) async throws {
        var seen = Seen()
        while seen.states["last"] == nil {
            let stream = try await feed.changes(after: seen.last)
            var left = Int.random(in: 1...8, using: &random)
            for await changes in stream {
                seen.take(changes)
                for _ in 0..<Int.random(in: 0..<20, using: &random) { await Task.yield() }
                left -= 1
                if left == 0 || seen.states["last"] != nil { break }
            }
        }
        let page = try await store.workflows(WorkflowQuery(limit: 1_000))
        let alive = Dictionary(uniqueKeysWithValues: page.workflows.map { ($0.uid, $0.revision) })
        let known = seen.states.filter { !$0.value.isDeleted }.mapValues(\.revision)
        #expect(known == alive)
    }

    @Test(
        "A payload is made once for all who ask at a time, and again after a failure",
        .timeLimit(.minutes(30))
    )
    func payloads() async throws {
        let payloads = SharedPayloads<Int, String>(limit: 2)
        let made = Tally()
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await payloads.value(for: 1) {
                        for await _ in gate { break }
                        return "made \(made.next())"
                    }
                }
            }
            open.yield()
            for try await text in group { #expect(text == "made 1") }
        }
        struct Failure: Error {}
        await #expect(throws: Failure.self) { try await payloads.value(for: 2) { throw Failure() } }
        #expect(try await payloads.value(for: 2) { "good" } == "good")
        #expect(try await payloads.value(for: 3) { "three" } == "three")
        #expect(try await payloads.value(for: 1) { "again" } == "again", "the oldest has gone")
    }
}

/// Counts from several tasks.
private final class Tally: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
