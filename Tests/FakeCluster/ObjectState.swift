// What a cluster's store holds, as a value: objects by kind, their history, and who owns whom.

import Text
import WorkflowLanguage

struct ObjectState: Sendable {
    var version = 100
    var kinds: [ObjectKind: [ObjectPlace: JSONValue]] = [:]
    /// By rising version.
    var changes: [FakeObjects.Change] = []
    /// Changes up to here are forgotten.
    var forgotten = 0
    var serial = 0
    private let historyLimit: Int
    /// Places of what each uid owns, and of each uid itself.
    private(set) var owned: [String: Set<ObjectPlace>] = [:]
    private(set) var places: [String: ObjectPlace] = [:]

    init(historyLimit: Int) { self.historyLimit = historyLimit }

    subscript(_ place: ObjectPlace) -> JSONValue? { kinds[place.kind]?[place] }

    // MARK: History

    func changes(after version: Int) -> ArraySlice<FakeObjects.Change> {
        var (low, high) = (changes.startIndex, changes.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].version <= version { low = middle + 1 } else { high = middle }
        }
        return changes[low...]
    }

    /// The objects as they were at a version.
    func objects(of kind: ObjectKind, at version: Int) -> [ObjectPlace: JSONValue] {
        var objects = kinds[kind] ?? [:]
        for change in changes(after: version).reversed() where change.place.kind == kind {
            objects[change.place] = change.before
        }
        return objects
    }

    private mutating func note(_ kind: String, _ place: ObjectPlace, _ object: JSONValue, before: JSONValue?)
    {
        changes.append(.init(version: version, kind: kind, place: place, object: object, before: before))
        // In one go for many, since each removal moves all that stay.
        if changes.count > historyLimit + historyLimit / 4 {
            let extra = changes.count - historyLimit
            forgotten = changes[extra - 1].version
            changes.removeFirst(extra)
        }
    }

    // MARK: Storing

    /// Stores an object under a new version. What changes nothing gets none, and nobody is told of it.
    mutating func put(_ object: JSONValue, at place: ObjectPlace) -> JSONValue {
        let before = self[place]
        let versionPath = ["metadata", "resourceVersion"]
        if let before, object.setting(versionPath, to: before.at(versionPath)) == before { return before }
        version += 1
        let stored = object.setting(versionPath, to: .string(String(version)))
        index(before, place, isThere: false)
        index(stored, place, isThere: true)
        kinds[place.kind, default: [:]][place] = stored
        note(before == nil ? "ADDED" : "MODIFIED", place, stored, before: before)
        return stored
    }

    /// Takes an object away, and begins to take away what it alone owned.
    mutating func remove(_ place: ObjectPlace, at moment: Timestamp) {
        guard let object = kinds[place.kind]?.removeValue(forKey: place) else { return }
        version += 1
        index(object, place, isThere: false)
        let last = object.setting(["metadata", "resourceVersion"], to: .string(String(version)))
        note("DELETED", place, last, before: object)
        for dependent in (owned[object.uid] ?? []).sorted(by: { $0.name < $1.name }) {
            guard let other = self[dependent], !hasOwner(other) else { continue }
            erase(dependent, options: [:], at: moment)
        }
        for uid in object.ownerUIDs { finishForeground(uid, at: moment) }
    }

    private mutating func index(_ object: JSONValue?, _ place: ObjectPlace, isThere: Bool) {
        guard let object else { return }
        places[object.uid] = isThere ? place : nil
        for owner in object.ownerUIDs {
            if isThere {
                owned[owner, default: []].insert(place)
            } else {
                owned[owner]?.remove(place)
                if owned[owner]?.isEmpty == true { owned[owner] = nil }
            }
        }
    }

    /// Whether any of its owners is there.
    func hasOwner(_ object: JSONValue) -> Bool { object.ownerUIDs.contains { places[$0] != nil } }

    // MARK: Deletion

    /// Deletes as the kind, its finalizers and the options ask: at once, or noted for those who must act first.
    mutating func erase(_ place: ObjectPlace, options: JSONValue, at moment: Timestamp) {
        guard var object = self[place] else { return }
        let policy = options["propagationPolicy"]?.stringValue ?? "Background"
        if policy == "Orphan" { orphan(object.uid) }
        let isOver = ["Succeeded", "Failed"].contains(object["status"]?["phase"]?.stringValue ?? "")
        let isOnNode = place.resource == "pods" && object["spec"]?["nodeName"] != nil
        var grace = 0
        if isOnNode && !isOver {
            grace =
                options["gracePeriodSeconds"]?.intValue
                ?? object["spec"]?["terminationGracePeriodSeconds"]?.intValue ?? 30
        }
        // A second deletion may shorten the time and never lengthens it.
        let given = object["metadata"]?["deletionGracePeriodSeconds"]?.intValue
        let isShorter = given.map { grace < $0 } ?? true
        grace = min(grace, given ?? grace)
        let dependents = owned[object.uid] ?? []
        if policy == "Foreground", !dependents.isEmpty, !object.finalizers.contains(Self.foreground) {
            let list = object.finalizers + [Self.foreground]
            object = object.setting(["metadata", "finalizers"], to: .array(list.map(JSONValue.string)))
        }
        guard grace > 0 || !object.finalizers.isEmpty else { return remove(place, at: moment) }
        if isShorter {
            let end = (moment + .seconds(grace)).rfc3339
            object = object.setting(["metadata", "deletionTimestamp"], to: .string(end))
            object = object.setting(["metadata", "deletionGracePeriodSeconds"], to: .int(grace))
        }
        _ = put(object, at: place)
        if object.finalizers.contains(Self.foreground) {
            for dependent in dependents.sorted(by: { $0.name < $1.name }) {
                erase(dependent, options: ["propagationPolicy": .string(policy)], at: moment)
            }
        }
    }

    private static let foreground = "foregroundDeletion"

    /// An owner that waits for what it owns goes with the last of it.
    private mutating func finishForeground(_ uid: String, at moment: Timestamp) {
        guard let place = places[uid], let owner = self[place], owner.isLeaving,
            owner.finalizers.contains(Self.foreground), owned[uid] == nil
        else { return }
        let rest = owner.finalizers.filter { $0 != Self.foreground }
        _ = put(owner.setting(["metadata", "finalizers"], to: .array(rest.map(JSONValue.string))), at: place)
        removeIfReady(place, at: moment)
    }

    private mutating func orphan(_ uid: String) {
        for place in owned[uid] ?? [] {
            guard let object = self[place] else { continue }
            let kept = (object["metadata"]?["ownerReferences"]?.arrayValue ?? []).filter {
                $0["uid"]?.stringValue != uid
            }
            let rest: JSONValue? = kept.isEmpty ? Optional.none : .array(kept)
            _ = put(object.setting(["metadata", "ownerReferences"], to: rest), at: place)
        }
    }

    /// What waits for its finalizers goes when the last is taken away; a pod also for its node.
    mutating func removeIfReady(_ place: ObjectPlace, at moment: Timestamp) {
        guard let object = self[place], object.isLeaving, object.finalizers.isEmpty,
            object["metadata"]?["deletionGracePeriodSeconds"]?.intValue ?? 0 == 0
        else { return }
        remove(place, at: moment)
    }
}
