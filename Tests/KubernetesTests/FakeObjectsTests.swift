// The rules of the API server that the other tests run against: what a real one refuses, it refuses, too.

import FakeCluster
import Glibc
import Synchronization
import Testing
import Text

@testable import Kubernetes

@Suite("The API server of the tests", .timeLimit(.minutes(5)))
struct FakeObjectsTests {
    private static let moment = Timestamp(seconds: 1_800_000_000)
    private static let jobs = ObjectPlace(group: "batch", resource: "jobs", namespace: "ml")
    private static let maps = ObjectPlace(resource: "configmaps", namespace: "ml")

    private func objects(_ limit: Int = 1000) -> FakeObjects {
        FakeObjects(historyLimit: limit, now: { Self.moment })
    }

    private static func named(_ place: ObjectPlace, _ name: String) -> ObjectPlace {
        var place = place
        place.name = name
        return place
    }

    private func names(_ objects: FakeObjects, _ place: ObjectPlace, _ labels: String = "") -> [String] {
        objects.list(place, labels: LabelTerms(labels)).items.compactMap {
            $0["metadata"]?["name"]?.stringValue
        }
    }

    private func owned(by owner: JSONValue, _ name: String) -> JSONValue {
        [
            "metadata": [
                "name": .string(name),
                "ownerReferences": [
                    [
                        "kind": "Job", "name": "j", "uid": owner["metadata"]?["uid"] ?? "",
                        "apiVersion": "batch/v1",
                    ]
                ],
            ]
        ]
    }

    private func refusal(_ body: () throws -> Void) -> Refusal? {
        do {
            try body()
            return nil
        } catch {
            return error as? Refusal
        }
    }

    // MARK: Writing

    @Test("What breaks a rule is refused in the API's words")
    func refusals() throws {
        let store = objects()
        let first = try store.create(Self.maps, ["metadata": ["name": "a"], "data": ["x": "1"]])
        let place = Self.named(Self.maps, "a")
        _ = try store.update(place) { _ in ["metadata": ["name": "a"], "data": ["x": "2"]] }
        #expect(refusal { _ = try store.update(place) { _ in first } }?.reason == "Conflict")
        #expect(refusal { _ = try store.create(Self.maps, first) }?.status == 400)
        #expect(
            refusal { _ = try store.create(Self.maps, ["metadata": ["name": "a"]]) }?.reason
                == "AlreadyExists")
        #expect(refusal { _ = try store.create(Self.maps, ["metadata": ["name": "A_b"]]) }?.status == 422)
        #expect(refusal { _ = try store.create(Self.maps, ["metadata": [:]]) }?.status == 422)
        #expect(
            refusal { _ = try store.create(Self.maps, ["metadata": ["name": "b", "namespace": "x"]]) }?.status
                == 400)
        #expect(
            refusal { _ = try store.update(place) { _ in ["metadata": ["name": "b"]] } }?.status == 400)
        #expect(
            refusal { try store.delete(place, options: ["preconditions": ["uid": "other"]]) }?.status == 409)
        #expect(refusal { _ = try store.get(Self.named(Self.maps, "b")) }?.reason == "NotFound")
        let lease = ObjectPlace(group: "coordination.k8s.io", resource: "leases", namespace: "ml", name: "l")
        _ = try store.create(Self.named(lease, ""), ["metadata": ["name": "l"]])
        #expect(refusal { _ = try store.update(lease) { _ in ["metadata": ["name": "l"]] } }?.status == 422)
    }

    @Test("An update that changes nothing is no event, and one of the specification is a new generation")
    func generations() throws {
        let store = objects()
        let made = try store.create(Self.jobs, ["metadata": ["name": "j"], "spec": ["parallelism": 1]])
        let place = Self.named(Self.jobs, "j")
        #expect(made["metadata"]?["generation"] == 1)
        let same = try store.update(place) { $0 }
        #expect(same["metadata"]?["resourceVersion"] == made["metadata"]?["resourceVersion"])
        var status = place
        status.subresource = "status"
        let active = try store.update(status) { _ in ["spec": ["parallelism": 9], "status": ["active": 1]] }
        #expect(active["spec"]?["parallelism"] == 1 && active["status"]?["active"] == 1)
        #expect(active["metadata"]?["generation"] == 1)
        let wider = try store.update(place) { _ in ["spec": ["parallelism": 2], "status": ["active": 5]] }
        #expect(wider["metadata"]?["generation"] == 2 && wider["status"]?["active"] == 1)
    }

    @Test("A pod's specification does not change but for what may")
    func podsAreFixed() throws {
        let store = objects()
        let pods = ObjectPlace(resource: "pods", namespace: "ml")
        _ = try store.create(
            pods, ["metadata": ["name": "p"], "spec": ["containers": [["name": "a", "image": "x"]]]])
        let place = Self.named(pods, "p")
        let images: JSONValue = ["spec": ["containers": [["name": "a", "image": "y"]]]]
        _ = try store.update(place) { _ in images }
        let command: JSONValue = ["spec": ["containers": [["name": "a", "image": "y", "command": ["x"]]]]]
        #expect(refusal { _ = try store.update(place) { _ in command } }?.status == 422)
    }

    @Test("Finalizers keep what is deleted until the last is gone, and none is added to what goes")
    func finalizers() throws {
        let store = objects()
        _ = try store.create(Self.maps, ["metadata": ["name": "a", "finalizers": ["x/y"]]])
        let place = Self.named(Self.maps, "a")
        try store.delete(place, options: [:])
        #expect(try store.get(place)["metadata"]?["deletionTimestamp"] != nil)
        let more: JSONValue = ["metadata": ["name": "a", "finalizers": ["x/y", "z/z"]]]
        #expect(refusal { _ = try store.update(place) { _ in more } }?.status == 422)
        _ = try store.update(place) { _ in ["metadata": ["name": "a"]] }
        #expect(names(store, Self.maps).isEmpty)
    }

    @Test(
        "What an owner owned goes as the deletion asks",
        arguments: [("Background", 0, 0), ("Foreground", 0, 0), ("Orphan", 2, 0)])
    func owners(policy: String, left: Int, jobsLeft: Int) throws {
        let store = objects()
        let owner = try store.create(Self.jobs, ["metadata": ["name": "j"], "spec": [:]])
        for name in ["a", "b"] { _ = try store.create(Self.maps, owned(by: owner, name)) }
        try store.delete(Self.named(Self.jobs, "j"), options: ["propagationPolicy": .string(policy)])
        #expect(names(store, Self.maps).count == left)
        #expect(names(store, Self.jobs).count == jobsLeft)
        // Whose owner is gone is not kept either.
        _ = try store.create(Self.maps, owned(by: owner, "late"))
        #expect(!names(store, Self.maps).contains("late"))
    }

    @Test("An owner in the foreground waits for what its own finalizers keep")
    func foreground() throws {
        let store = objects()
        let owner = try store.create(Self.jobs, ["metadata": ["name": "j"], "spec": [:]])
        var kept = owned(by: owner, "a").objectValue ?? [:]
        var metadata = kept["metadata"]?.objectValue ?? [:]
        metadata["finalizers"] = ["x/y"]
        kept["metadata"] = .object(metadata)
        _ = try store.create(Self.maps, .object(kept))
        try store.delete(Self.named(Self.jobs, "j"), options: ["propagationPolicy": "Foreground"])
        #expect(names(store, Self.jobs) == ["j"] && names(store, Self.maps) == ["a"])
        let place = Self.named(Self.maps, "a")
        metadata["finalizers"] = nil
        let freed = JSONValue.object(["metadata": .object(metadata)])
        _ = try store.update(place) { _ in freed }
        #expect(names(store, Self.jobs).isEmpty && names(store, Self.maps).isEmpty)
    }

    @Test("An admission webhook is asked before anything is written")
    func admission() throws {
        let store = objects()
        store.setAdmission { verb, place, object in
            object["metadata"]?["labels"]?["team"] == nil && verb == "create"
                ? Refusal(403, "Forbidden", "admission webhook \"team\" denied the request: no team") : nil
        }
        #expect(refusal { _ = try store.create(Self.maps, ["metadata": ["name": "a"]]) }?.status == 403)
        _ = try store.create(Self.maps, ["metadata": ["name": "a", "labels": ["team": "x"]]])
        #expect(names(store, Self.maps) == ["a"])
    }

    // MARK: Reading

    @Test(
        "Label selectors choose as they do in a cluster",
        arguments: [
            ("", ["a", "b", "c"]), ("x=1", ["a"]), ("x==1", ["a"]), ("x!=1", ["b", "c"]), ("x", ["a", "b"]),
            ("!x", ["c"]), ("x in (1,2)", ["a", "b"]), ("x notin (1)", ["b", "c"]),
            ("x in (1, 2),y=3", ["b"]),
        ])
    func selectors(text: String, expected: [String]) throws {
        let store = objects()
        let labels: [(String, JSONValue)] = [("a", ["x": "1"]), ("b", ["x": "2", "y": "3"]), ("c", [:])]
        for (name, labels) in labels {
            _ = try store.create(Self.maps, ["metadata": ["name": .string(name), "labels": labels]])
        }
        #expect(names(store, Self.maps, text) == expected)
    }

    @Test("Pages of a list show the cluster as it was at the first, or say that they are too old")
    func pages() throws {
        let store = objects()
        for index in 0..<5 { _ = try store.create(Self.maps, ["metadata": ["name": .string("c\(index)")]]) }
        func page(_ token: String) throws -> FakeObjects.Page {
            try store.page(
                Self.maps, labels: LabelTerms(""), fields: FieldTerms(), limit: 2, from: token)
        }
        let first = try page("")
        #expect(first.items.count == 2 && first.remaining == 3)
        try store.delete(Self.named(Self.maps, "c3"), options: [:])
        _ = try store.create(Self.maps, ["metadata": ["name": "c9"]])
        let second = try page(try #require(first.next))
        #expect(second.items.compactMap { $0["metadata"]?["name"]?.stringValue } == ["c2", "c3"])
        #expect(second.version == first.version)
        let third = try page(try #require(second.next))
        #expect(third.items.count == 1 && third.next == nil)
        store.forgetHistory()
        #expect(refusal { _ = try page(first.next ?? "") }?.status == 410)
    }

    @Test("A watch that is too old is told so, also when history was cut by itself")
    func history() throws {
        let store = objects(8)
        let first = try store.create(Self.maps, ["metadata": ["name": "a"]])
        for index in 0..<20 {
            _ = try store.update(Self.named(Self.maps, "a")) { _ in ["data": ["x": .int(index)]] }
        }
        let version = first["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) } ?? 0
        #expect(
            refusal { _ = try store.changes(of: Self.maps, after: version, labels: LabelTerms("")) }?.status
                == 410)
        let recent = try store.changes(of: Self.maps, after: store.version - 3, labels: LabelTerms(""))
        #expect(recent.events.count == 3)
    }

    @Test("Controllers are told of each change once, in order, their own included")
    func controllers() throws {
        let store = objects()
        let seen = Mutex<[String]>([])
        store.attach { change, store in
            let name = change.place.name
            seen.withLock { $0.append("\(change.kind) \(name)") }
            if change.kind == "ADDED", name.count < 3 {
                _ = try? store.create(Self.maps, ["metadata": ["name": .string(name + "a")]])
            }
        }
        _ = try store.create(Self.maps, ["metadata": ["name": "a"]])
        try store.delete(Self.named(Self.maps, "a"), options: [:])
        #expect(seen.withLock { $0 } == ["ADDED a", "ADDED aa", "ADDED aaa", "DELETED a"])
    }
}
