// Creating, replacing and deleting objects by the rules of the API.

import Synchronization
package import Text
import WorkflowLanguage

extension FakeObjects {
    /// What the API itself keeps of an object, whatever a client says.
    private static let kept = [
        "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace", "name",
        "generation",
    ]

    private func locked<Value: Sendable>(
        _ body: (inout ObjectState) throws(Refusal) -> Value
    ) throws(Refusal) -> Value {
        let (result, changes) = state.withLock { state -> (Result<Value, Refusal>, [Change]) in
            let version = state.version
            do throws(Refusal) {
                let value = try body(&state)
                return (.success(value), Array(state.changes(after: version)))
            } catch {
                return (.failure(error), [])
            }
        }
        if !changes.isEmpty { announce(changes) }
        return try result.get()
    }

    package func create(_ given: ObjectPlace, _ object: JSONValue) throws(Refusal) -> JSONValue {
        try admit("create", given, object)
        let moment = now()
        let made = try locked { state throws(Refusal) in
            try Self.make(given, object, at: moment, &state)
        }
        var place = given
        place.name = made["metadata"]?["name"]?.stringValue ?? ""
        creates.withLock { $0[place, default: 0] += 1 }
        return made
    }

    private static func make(
        _ given: ObjectPlace, _ object: JSONValue, at moment: Timestamp, _ state: inout ObjectState
    ) throws(Refusal) -> JSONValue {
        var metadata = object["metadata"]?.objectValue ?? [:]
        state.serial += 1
        var place = given
        if let name = metadata["name"]?.stringValue {
            place.name = name
        } else if let prefix = metadata["generateName"]?.stringValue {
            repeat {
                place.name = String(prefix.prefix(58)) + word(state.serial)
                if state[place] != nil { state.serial += 1 }
            } while state[place] != nil
        } else {
            throw .invalid(given, "metadata.name: Required value: name or generateName is required")
        }
        guard isName(place.name) else {
            throw .invalid(place, "metadata.name: Invalid value: must be a DNS-1123 subdomain")
        }
        if let space = metadata["namespace"]?.stringValue, space != given.namespace, !space.isEmpty {
            throw .otherNamespace
        }
        if metadata["resourceVersion"]?.stringValue?.isEmpty == false {
            throw Refusal(
                400, "BadRequest", "resourceVersion should not be set on objects to be created")
        }
        guard state[place] == nil else {
            throw Refusal(409, "AlreadyExists", "\(place.resource) \"\(place.name)\" already exists")
        }
        for key in kept + ["resourceVersion"] { metadata[key] = nil }
        metadata["name"] = .string(place.name)
        if !given.namespace.isEmpty { metadata["namespace"] = .string(given.namespace) }
        metadata["uid"] = .string("00000000-0000-4000-8000-\(digits(state.serial))")
        metadata["creationTimestamp"] = .string(moment.rfc3339)
        if object["spec"] != nil && place.resource != "leases" { metadata["generation"] = 1 }
        var stored = object.setting(["metadata"], to: .object(metadata))
        if place.resource == "pods" { stored = stored.setting(["status"], to: ["phase": "Pending"]) }
        stored = try KindRules.made(stored, at: place, serial: state.serial)
        let made = state.put(stored, at: place)
        // Whose owners have all gone goes, too.
        if !made.ownerUIDs.isEmpty && !state.hasOwner(made) { state.erase(place, options: [:], at: moment) }
        return made
    }

    /// Replaces the object; a resourceVersion that is given must be the current one. The status is changed
    /// only through its subresource, and by that nothing else.
    /// - Parameter isBinding: whether a scheduler places a pod, whose node nobody else may name.
    package func update(
        _ place: ObjectPlace, isBinding: Bool = false, _ change: (JSONValue) throws(Refusal) -> JSONValue
    ) throws(Refusal) -> JSONValue {
        let key = place.withoutSubresource
        let moment = now()
        return try locked { state throws(Refusal) in
            guard let before = state[key] else { throw .notFound(place) }
            let wanted = try change(before)
            try admit("update", place, wanted)
            try Self.check(wanted, before, key)
            let next = try Self.merged(wanted, before, place, isBinding: isBinding)
            let stored = state.put(next, at: key)
            state.removeIfReady(key, at: moment)
            return stored
        }
    }

    private static func check(_ wanted: JSONValue, _ before: JSONValue, _ place: ObjectPlace) throws(Refusal)
    {
        let metadata = Fields(wanted["metadata"])
        if let space = metadata.string("namespace"), space != place.namespace {
            throw .otherNamespace
        }
        if let name = metadata.string("name"), name != place.name {
            throw Refusal(
                400, "BadRequest",
                "the name of the object (\(name)) does not match the name on the URL "
                    + "(\(place.name))")
        }
        if let uid = metadata.string("uid"), uid != before.uid {
            throw Refusal(409, "Conflict", "Precondition failed: UID in precondition: \(uid)")
        }
        let version = metadata.string("resourceVersion") ?? ""
        let current = before["metadata"]?["resourceVersion"]?.stringValue
        guard version.isEmpty || version == current else { throw .conflict(place) }
        if version.isEmpty && place.needsVersion {
            throw .invalid(
                place, "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update")
        }
        let added = Set(wanted.finalizers).subtracting(before.finalizers)
        if before.isLeaving && !added.isEmpty {
            throw .invalid(
                place,
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
                    + "deleted")
        }
    }

    private static func merged(
        _ wanted: JSONValue, _ before: JSONValue, _ place: ObjectPlace, isBinding: Bool
    ) throws(Refusal) -> JSONValue {
        if place.subresource == "status" { return before.setting(["status"], to: wanted["status"]) }
        var next = wanted
        if place.hasStatus { next = next.setting(["status"], to: before["status"]) }
        for key in kept {
            next = next.setting(["metadata", key], to: before["metadata"]?[key])
        }
        for key in ["apiVersion", "kind"] where next[key] == nil {
            next = next.setting([key], to: before[key])
        }
        if place.resource == "pods" && !isBinding && fixedPart(next["spec"]) != fixedPart(before["spec"]) {
            throw .invalid(place, "spec: Forbidden: pod updates may not change fields other than images")
        }
        next = try KindRules.changed(next, from: before, at: place)
        if let generation = before["metadata"]?["generation"]?.intValue, isChanged(next, before) {
            next = next.setting(["metadata", "generation"], to: .int(generation + 1))
        }
        return next
    }

    /// Whether more than metadata and status differs.
    private static func isChanged(_ one: JSONValue, _ other: JSONValue) -> Bool {
        func rest(_ object: JSONValue) -> JSONValue {
            object.setting(["metadata"], to: nil).setting(["status"], to: nil)
        }
        return rest(one) != rest(other)
    }

    /// The part of a pod's specification that never changes.
    private static func fixedPart(_ spec: JSONValue?) -> JSONValue? {
        guard var members = spec?.objectValue else { return spec }
        for key in [
            "activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates",
        ] {
            members[key] = nil
        }
        for list in ["containers", "initContainers"] {
            members[list] = members[list]?.arrayValue.map { containers in
                .array(containers.map { $0.setting(["image"], to: nil) })
            }
        }
        return .object(members)
    }

    /// A pod on a node only gets its deletion noted, which the node then carries out.
    /// - Returns: the object as it is then, if it is not gone.
    @discardableResult
    package func delete(_ place: ObjectPlace, options: JSONValue) throws(Refusal) -> JSONValue? {
        let moment = now()
        try admit("delete", place, options)
        return try locked { state throws(Refusal) -> JSONValue? in
            guard let object = state[place] else { throw .notFound(place) }
            if let uid = options["preconditions"]?["uid"]?.stringValue, uid != object.uid {
                throw Refusal(
                    409, "Conflict",
                    "Precondition failed: UID in precondition: \(uid), UID in object meta: "
                        + object.uid)
            }
            if let version = options["preconditions"]?["resourceVersion"],
                version != object["metadata"]?["resourceVersion"]
            {
                throw Refusal(409, "Conflict", "Precondition failed: ResourceVersion in precondition differs")
            }
            state.erase(place, options: options, at: moment)
            return state[place]
        }
    }

    // MARK: Names

    static func isName(_ name: String) -> Bool {
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
