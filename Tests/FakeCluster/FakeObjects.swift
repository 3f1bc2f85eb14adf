// The objects of a cluster as its API keeps them: versions, conflicts, selectors, graceful deletion, owners.
// It refuses what a real one refuses, so that a client that breaks a rule fails its test.

import Kubernetes
import Synchronization
package import Text
import WorkflowLanguage

/// Which objects are meant: `pods` of a namespace, or one of them.
package struct ObjectPlace: Sendable, Hashable {
    package var group: String
    package var resource: String
    package var namespace: String
    package var name: String
    package var subresource: String

    package init(
        group: String = "", resource: String, namespace: String, name: String = "", subresource: String = ""
    ) {
        self.group = group
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// Of `/api/v1/namespaces/NS/pods/NAME/log` and its like; nil for other paths.
    package init?(path: String) {
        var parts = path.split(separator: "/").map(String.init)[...]
        guard let root = parts.popFirst() else { return nil }
        switch root {
        case "api" where !parts.isEmpty: group = ""
        case "apis" where parts.count >= 2: group = parts.removeFirst()
        default: return nil
        }
        parts.removeFirst()
        namespace = ""
        if parts.first == "namespaces", parts.count > 2 {
            namespace = parts[parts.startIndex + 1]
            parts = parts.dropFirst(2)
        }
        guard let resource = parts.popFirst() else { return nil }
        self.resource = resource
        name = parts.popFirst() ?? ""
        subresource = parts.popFirst() ?? ""
    }
}

/// A refusal in the API's words.
package struct Refusal: Error, Sendable, Hashable {
    package var status: Int
    package var reason: String
    package var message: String

    package init(_ status: Int, _ reason: String, _ message: String) {
        self.status = status
        self.reason = reason
        self.message = message
    }

    package var json: JSONValue {
        [
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": .int(status),
            "reason": .string(reason), "message": .string(message),
        ]
    }
}

package final class FakeObjects: Sendable {
    package struct Change: Sendable {
        package var version: Int
        package var kind: String
        package var place: ObjectPlace
        package var object: JSONValue
        /// How it was before, for watches whose selector it leaves.
        package var before: JSONValue?
    }

    private struct State {
        var version = 100
        var objects: [ObjectPlace: JSONValue] = [:]
        var changes: [Change] = []
        /// Changes up to here are forgotten.
        var forgotten = 0
        var serial = 0
    }

    private let state = Mutex(State())
    private let historyLimit: Int
    private let now: @Sendable () -> Timestamp
    /// Creates that were taken, by place: a pod that is made twice is a broken promise.
    private let creates = Mutex<[ObjectPlace: Int]>([:])

    package init(historyLimit: Int = 20_000, now: @escaping @Sendable () -> Timestamp) {
        self.historyLimit = historyLimit
        self.now = now
    }

    package var createCounts: [ObjectPlace: Int] { creates.withLock { $0 } }
    package var version: Int { state.withLock { $0.version } }

    /// Lets watches from before now be too old, as a compaction does.
    package func forgetHistory() {
        state.withLock { state in
            state.changes = []
            state.forgotten = state.version
        }
    }

    // MARK: Reading

    package func get(_ place: ObjectPlace) throws(Refusal) -> JSONValue {
        let key = place.withoutSubresource
        guard let object = state.withLock({ $0.objects[key] }) else {
            throw Refusal(404, "NotFound", "\(place.resource) \"\(place.name)\" not found")
        }
        return object
    }

    package func list(_ place: ObjectPlace, labels: LabelTerms) -> (items: [JSONValue], version: Int) {
        state.withLock { state in
            let found = state.objects.filter { key, object in
                key.group == place.group && key.resource == place.resource
                    && (place.namespace.isEmpty || key.namespace == place.namespace) && labels.match(object)
            }
            let sorted = found.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
            return (sorted.map(\.value), state.version)
        }
    }

    /// - Throws: 410 when the version is too old.
    package func changes(
        of place: ObjectPlace, after version: Int, labels: LabelTerms
    ) throws(Refusal) -> (events: [(kind: String, object: JSONValue)], version: Int) {
        let (recent, forgotten, current) = state.withLock { state in
            (state.changes.filter { $0.version > version }, state.forgotten, state.version)
        }
        if version < forgotten { throw Refusal(410, "Expired", "too old resource version: \(version)") }
        let events = recent.compactMap { change -> (kind: String, object: JSONValue)? in
            guard change.place.resource == place.resource, change.place.group == place.group,
                place.namespace.isEmpty || change.place.namespace == place.namespace
            else { return nil }
            let (is_, was) = (labels.match(change.object), change.before.map(labels.match) ?? false)
            switch (change.kind, is_, was) {
            case ("MODIFIED", true, false): return ("ADDED", change.object)
            case ("MODIFIED", false, true): return ("DELETED", change.object)
            case (_, true, _): return (change.kind, change.object)
            default: return nil
            }
        }
        return (events, current)
    }

    // MARK: Writing

    package func create(_ given: ObjectPlace, _ object: JSONValue) throws(Refusal) -> JSONValue {
        let moment = now()
        let result = state.withLock { state -> Result<(JSONValue, ObjectPlace), Refusal> in
            var members = object.objectValue ?? [:]
            var metadata = members["metadata"]?.objectValue ?? [:]
            state.serial += 1
            if metadata["name"] == nil, let prefix = metadata["generateName"]?.stringValue {
                metadata["name"] = .string(prefix + Self.word(state.serial))
            }
            guard let name = metadata["name"]?.stringValue, Self.isName(name) else {
                return .failure(
                    Refusal(422, "Invalid", "metadata.name: Invalid value: must be a DNS-1123 subdomain"))
            }
            if let place = metadata["namespace"]?.stringValue, place != given.namespace {
                return .failure(
                    Refusal(400, "BadRequest", "the namespace of the object does not match the request"))
            }
            if metadata["resourceVersion"] != nil {
                return .failure(
                    Refusal(400, "BadRequest", "resourceVersion should not be set on objects to be created"))
            }
            var place = given
            place.name = name
            guard state.objects[place] == nil else {
                return .failure(Refusal(409, "AlreadyExists", "\(place.resource) \"\(name)\" already exists"))
            }
            metadata["namespace"] = .string(given.namespace)
            metadata["uid"] = .string("00000000-0000-4000-8000-\(Self.digits(state.serial))")
            metadata["creationTimestamp"] = .string(moment.rfc3339)
            members["metadata"] = .object(metadata)
            if place.resource == "pods" { members["status"] = ["phase": "Pending"] }
            return .success(
                (Self.put(.object(members), at: place, kind: "ADDED", before: nil, &state), place))
        }
        let (made, place) = try result.get()
        creates.withLock { $0[place, default: 0] += 1 }
        return made
    }

    /// Replaces the object; a resourceVersion that is given must be the current one. The status is changed
    /// only through its subresource, and by that nothing else.
    package func update(
        _ place: ObjectPlace, _ change: (JSONValue) throws(Refusal) -> JSONValue
    ) throws(Refusal) -> JSONValue {
        let key = place.withoutSubresource
        let isStatus = place.subresource == "status"
        let result = state.withLock { state -> Result<JSONValue, Refusal> in
            guard let before = state.objects[key] else {
                return .failure(Refusal(404, "NotFound", "\(place.resource) \"\(place.name)\" not found"))
            }
            do throws(Refusal) {
                var wanted = try change(before).objectValue ?? [:]
                let version = wanted["metadata"]?["resourceVersion"]
                guard version == nil || version == before["metadata"]?["resourceVersion"] else {
                    throw Refusal(
                        409, "Conflict",
                        "Operation cannot be fulfilled on \(place.resource) \"\(place.name)\": the object has "
                            + "been modified; please apply your changes to the latest version and try again")
                }
                if isStatus {
                    var kept = before.objectValue ?? [:]
                    kept["status"] = wanted["status"]
                    wanted = kept
                } else {
                    wanted["status"] = before["status"]
                }
                return .success(
                    Self.put(.object(wanted), at: key, kind: "MODIFIED", before: before, &state))
            } catch {
                return .failure(error)
            }
        }
        let updated = try result.get()
        removeIfReady(key)
        return updated
    }

    /// A pod on a node only gets its deletion noted, which the node then carries out.
    package func delete(_ place: ObjectPlace, options: JSONValue) throws(Refusal) {
        let moment = now()
        let result = state.withLock { state -> Result<Void, Refusal> in
            guard let object = state.objects[place] else {
                return .failure(Refusal(404, "NotFound", "\(place.resource) \"\(place.name)\" not found"))
            }
            if let uid = options["preconditions"]?["uid"], uid != object["metadata"]?["uid"] {
                return .failure(Refusal(409, "Conflict", "Precondition failed: UID in precondition differs"))
            }
            let isOnNode = place.resource == "pods" && object["spec"]?["nodeName"] != nil
            let isOver = ["Succeeded", "Failed"].contains(object["status"]?["phase"]?.stringValue ?? "")
            var grace = options["gracePeriodSeconds"]?.intValue
            if isOnNode {
                grace = grace ?? object["spec"]?["terminationGracePeriodSeconds"]?.intValue ?? 30
            }
            let hasFinalizers = object["metadata"]?["finalizers"]?.arrayValue?.isEmpty == false
            if hasFinalizers || (isOnNode && grace != 0 && !isOver) {
                var metadata = object["metadata"]?.objectValue ?? [:]
                metadata["deletionTimestamp"] = .string((moment + .seconds(grace ?? 0)).rfc3339)
                metadata["deletionGracePeriodSeconds"] = .int(grace ?? 0)
                var members = object.objectValue ?? [:]
                members["metadata"] = .object(metadata)
                _ = Self.put(.object(members), at: place, kind: "MODIFIED", before: object, &state)
            } else {
                Self.remove(place, &state)
            }
            return .success(())
        }
        try result.get()
    }

    private func removeIfReady(_ place: ObjectPlace) {
        state.withLock { state in
            guard let object = state.objects[place], object["metadata"]?["deletionTimestamp"] != nil,
                place.resource != "pods", object["metadata"]?["finalizers"]?.arrayValue?.isEmpty != false
            else { return }
            Self.remove(place, &state)
        }
    }

    // MARK: Inside

    private static func put(
        _ object: JSONValue, at place: ObjectPlace, kind: String, before: JSONValue?, _ state: inout State
    ) -> JSONValue {
        state.version += 1
        var members = object.objectValue ?? [:]
        var metadata = members["metadata"]?.objectValue ?? [:]
        metadata["resourceVersion"] = .string(String(state.version))
        members["metadata"] = .object(metadata)
        let stored = JSONValue.object(members)
        state.objects[place] = stored
        state.changes.append(
            Change(version: state.version, kind: kind, place: place, object: stored, before: before))
        return stored
    }

    /// What an object owns goes with it.
    private static func remove(_ place: ObjectPlace, _ state: inout State) {
        guard let object = state.objects.removeValue(forKey: place) else { return }
        state.version += 1
        var members = object.objectValue ?? [:]
        var metadata = members["metadata"]?.objectValue ?? [:]
        metadata["resourceVersion"] = .string(String(state.version))
        members["metadata"] = .object(metadata)
        state.changes.append(
            Change(
                version: state.version, kind: "DELETED", place: place, object: .object(members),
                before: object))
        let uid = object["metadata"]?["uid"]
        let owned = state.objects.filter { _, other in
            other["metadata"]?["ownerReferences"]?.arrayValue?.contains { $0["uid"] == uid } == true
        }
        for key in owned.keys { remove(key, &state) }
    }

    /// Called now and then: old changes are dropped.
    package func trimHistory() {
        state.withLock { state in
            let extra = state.changes.count - historyLimit
            guard extra > 0 else { return }
            state.forgotten = state.changes[extra - 1].version
            state.changes.removeFirst(extra)
        }
    }

    private static func isName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 253 else { return false }
        let isAllowed = name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E
        }
        let ends = [name.utf8.first, name.utf8.last]
        return isAllowed && ends.allSatisfy { $0 != 0x2D && $0 != 0x2E }
    }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: 12 - text.count) + text
    }

    /// Five letters, as generated names have them.
    private static func word(_ serial: Int) -> String {
        let letters = Array("bcdfghjklmnpqrstvwxz2456789")
        var (rest, text) = (serial, "")
        for _ in 0..<5 {
            text.append(letters[rest % letters.count])
            rest /= letters.count
        }
        return text
    }
}

extension ObjectPlace {
    fileprivate var withoutSubresource: ObjectPlace {
        var place = self
        place.subresource = ""
        return place
    }
}

/// `a=b,c!=d,e,!f` of a label selector.
package struct LabelTerms: Sendable {
    private let terms: [(key: String, value: String?, isNegated: Bool)]

    package init(_ text: String) {
        terms = text.split(separator: ",").map { part in
            let part = String(part)
            if part.hasPrefix("!") { return (String(part.dropFirst()), nil, true) }
            guard let equals = part.firstIndex(of: "=") else { return (part, nil, false) }
            var key = String(part[..<equals])
            let isNegated = key.hasSuffix("!")
            if isNegated { key.removeLast() }
            let value = part[part.index(after: equals)...].drop { $0 == "=" }
            return (key, String(value), isNegated)
        }
    }

    package func match(_ object: JSONValue) -> Bool {
        let labels = Fields(object["metadata"]).textMap("labels")
        return terms.allSatisfy { term in
            let holds = term.value.map { labels[term.key] == $0 } ?? (labels[term.key] != nil)
            return holds != term.isNegated
        }
    }
}
