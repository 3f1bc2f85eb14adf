// The content cache against a real artifact store: digests of inputs, entries that are whole, and differences.

import Artifacts
import Foundation
import Scheduling
import TestSupport
import Testing
import Text
import WorkflowLanguage

@testable import Controller

@Suite("Content of steps")
struct ContentTests {
    private final class Place: Sendable {
        let directory = NSTemporaryDirectory() + "martlet-content-" + UUID().uuidString
        let store: LocalArtifactStore
        var files: ContentArtifacts { ContentArtifacts(store: store, namespace: "ml") }

        init() throws { store = try LocalArtifactStore(directory: directory, isDurable: false) }
        deinit { try? FileManager.default.removeItem(atPath: directory) }

        /// Publishes a directory with one file under a key.
        func publish(_ key: String, _ text: String) throws {
            let source = "\(directory)/temporary/" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
            try Data(text.utf8).write(to: URL(fileURLWithPath: source + "/f"))
            let tree = try store.save(path: source, source: .shared)
            try store.publish(key: key, namespace: "ml", tree: tree)
        }
    }

    private let place: Place

    init() throws { place = try Place() }

    private func artifact(_ name: String, _ location: JSONValue) -> Artifact {
        var members = location.objectValue ?? [:]
        members["name"] = .string(name)
        return Artifact(.object(members))
    }

    @Test("Inputs are told apart by content, not by name or place")
    func inputs() throws {
        try place.publish("one/a", "x")
        try place.publish("two/b", "x")
        try place.publish("two/c", "y")
        func fields(_ location: JSONValue) -> [String: String]? {
            place.files.fields(
                of: ContentRequest(fields: [:], artifacts: [artifact("in", location)], isBuiltIn: false))
        }
        let one = try #require(fields(["s3": ["key": "one/a"]]))
        #expect(fields(["s3": ["key": "two/b"]]) == one)
        #expect(fields(["s3": ["key": "two/c"]]) != one)
        #expect(fields(["s3": ["key": "absent"]]) == nil)
        #expect(fields(["s3": ["key": "absent"], "optional": true]) == ["inputs.artifacts.in": "absent"])
        #expect(fields(["http": ["url": "http://example.com/x"]]) == nil)
        #expect(fields(["raw": ["data": "x"]]) == fields(["raw": ["data": "x"]]))
        #expect(fields(["raw": ["data": "x"]]) != fields(["raw": ["data": "y"]]))
    }

    private func entry(_ keys: [String]) throws -> ContentEntry {
        let outputs = Outputs(
            artifacts: keys.enumerated().map {
                artifact("o\($0.offset)", ["s3": ["key": .string($0.element)]])
            })
        let record = ContentRecord(
            key: "k", fields: ["step": "sft"], outputs: outputs, workflowName: "one", nodeName: "n",
            finishedAt: Timestamp(seconds: 5))
        return ContentEntry(record: record, digests: try #require(place.files.digests(of: outputs)))
    }

    @Test("What is taken over gets names of its own, and outlives the run that made it")
    func takenOver() throws {
        try place.publish("one/n/o0", "x")
        try place.publish("models/final", "y")
        let entry = try entry(["one/n/o0", "models/final"])
        #expect(ContentEntry(entry.json) == entry)
        let outputs = try #require(place.files.outputs(of: entry, for: "two/n"))
        let keys = outputs.artifacts.compactMap { $0.location?.settings["key"]?.stringValue }
        #expect(keys == ["two/n/o0", "models/final"])
        try place.store.delete(key: "one/n/o0", namespace: "ml")
        #expect(try place.store.resolve(key: "two/n/o0", namespace: "ml") != nil)
    }

    @Test("An entry whose artifact is gone, was replaced or lost a file is none")
    func gone() throws {
        try place.publish("one/n/o0", "x")
        let entry = try entry(["one/n/o0"])
        #expect(place.files.outputs(of: entry, for: "two/n") != nil)
        try place.publish("one/n/o0", "z")
        #expect(place.files.outputs(of: entry, for: "two/n") == nil)
        try place.store.delete(key: "one/n/o0", namespace: "ml")
        #expect(place.files.outputs(of: entry, for: "two/n") == nil)
        try place.publish("one/n/o0", "x")
        let tree = try #require(try place.store.resolve(key: "one/n/o0", namespace: "ml"))
        #expect(place.store.isWhole(tree))
        for case .file(let hash, _) in try place.store.manifest(of: tree).entries.map(\.content) {
            try FileManager.default.removeItem(
                atPath: "\(place.directory)/blobs/\(hash.prefix(2))/\(hash)")
        }
        #expect(!place.store.isWhole(tree))
        #expect(place.files.outputs(of: entry, for: "two/n") == nil)
    }

    @Test("The nearest finished node is that of the same step with the fewest differences")
    func nearest() throws {
        func entry(_ name: String, _ fields: [String: String]) -> ContentEntry {
            ContentEntry(
                record: ContentRecord(
                    key: name, fields: fields, outputs: Outputs(), workflowName: "w", nodeName: name,
                    finishedAt: Timestamp(seconds: 1)), digests: [:])
        }
        let entries = [
            entry("far", ["step": "dpo", "a": "1", "b": "1"]),
            entry("near", ["step": "dpo", "a": "2", "b": "1", "c": "1"]),
            entry("other", ["step": "sft", "a": "2", "b": "2"]),
        ]
        let found = try #require(
            ContentDifference.nearest(["step": "dpo", "a": "2", "b": "2", "c": "1"], among: entries))
        #expect(found.entry.record.nodeName == "near")
        #expect(found.fields == [.init(name: "b", before: "1", now: "2")])
        #expect(ContentDifference.nearest(["step": "merge"], among: entries) == nil)
    }
}
